import { EnrichError } from '../error.ts';
import { ByteSlab } from './byte-slab.ts';
import { ID_MASK, KeyIndex, TAG_MASK, idsMax, tagOf } from './key-index.ts';
import { SharedBytes } from './shared-bytes.ts';

/**
 * A set of keys with an id for each: ids are stable, start at 0 and are used again. Keys are byte slices;
 * `int64` keys are the eight bytes of `ByteWriter.orderedInt64`.
 */
export interface RowKeys {
  readonly count: number;
  readonly bytes: number;
  /** The id of the key, or -1. */
  find(bytes: Uint8Array, start: number, length: number): number;
  /** The new id of a key that is not there. */
  add(bytes: Uint8Array, start: number, length: number): number;
  remove(id: number): void;
}

/** Finishes a hash, so that every bit of the input reaches every bit: murmur3's mixer. */
function mix(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85eb_ca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}

/** Hash of a 64-bit integer given as two words. */
export function hashInt64(low: number, high: number): number {
  return mix(low ^ Math.imul(high, 0x9e37_79b1));
}

/** Hash of bytes, four at a time: murmur3's body. */
export function hashBytes(bytes: Uint8Array, start: number, length: number): number {
  let hash = length;
  const end = start + length;
  const wholeWords = start + (length & ~3);
  for (let at = start; at < wholeWords; at += 4) {
    const word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    hash = addWord(hash, word);
  }
  let rest = 0;
  for (let at = wholeWords; at < end; at++) rest = (rest << 8) | (bytes[at] as number);
  return mix(addWord(hash, rest));
}

function addWord(hash: number, word: number): number {
  const scrambled = Math.imul(word, 0xcc9e_2d51);
  const turned = Math.imul((scrambled << 15) | (scrambled >>> 17), 0x1b87_3593);
  const next = hash ^ turned;
  return (Math.imul((next << 13) | (next >>> 19), 5) + 0xe654_6b64) | 0;
}

function assertRoom(id: number): void {
  if (id >= idsMax) {
    throw new EnrichError('config', `a dimension has more than ${idsMax} rows`);
  }
}

/** Keys of 64-bit integers: two words for each id. */
export class Int64Keys implements RowKeys {
  count = 0;
  #words: Int32Array;
  readonly #wordBytes = new SharedBytes(idsMax * 8);
  readonly #index = new KeyIndex((id) => this.#hashOf(id));
  #end = 0;
  /** The free id to use next; its low word is the one after it. -1 for none. */
  #free = -1;

  constructor() {
    this.#words = new Int32Array(this.#wordBytes.buffer);
  }

  get bytes(): number {
    return this.#wordBytes.buffer.byteLength + this.#index.bytes;
  }

  find(bytes: Uint8Array, start: number): number {
    return this.findWords(wordAt(bytes, start + 4), wordAt(bytes, start) ^ 0x8000_0000);
  }

  findWords(low: number, high: number): number {
    const words = this.#words;
    const hash = hashInt64(low, high);
    const table = this.#index.tables[hash >>> this.#index.shift] as Int32Array;
    const mask = table.length - 1;
    const tag = tagOf(hash);
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const entry = table[at] as number;
      if (entry === 0) return -1;
      if ((entry & TAG_MASK) !== tag) continue;
      const id = (entry & ID_MASK) - 1;
      if (words[2 * id] === low && words[2 * id + 1] === high) return id;
    }
  }

  add(bytes: Uint8Array, start: number): number {
    const low = wordAt(bytes, start + 4);
    const high = wordAt(bytes, start) ^ 0x8000_0000;
    const id = this.#takeId();
    this.#words[2 * id] = low;
    this.#words[2 * id + 1] = high;
    this.#index.add(hashInt64(low, high), id);
    this.count++;
    return id;
  }

  remove(id: number): void {
    this.#index.remove(this.#hashOf(id), id);
    this.#words[2 * id] = this.#free;
    this.#free = id;
    this.count--;
  }

  #takeId(): number {
    if (this.#free >= 0) {
      const id = this.#free;
      this.#free = this.#words[2 * id] as number;
      return id;
    }
    const id = this.#end++;
    assertRoom(id);
    if (this.#wordBytes.reserve((id + 1) * 8)) {
      const { buffer } = this.#wordBytes;
      this.#words = new Int32Array(buffer, 0, buffer.byteLength / 4);
    }
    return id;
  }

  #hashOf(id: number): number {
    return hashInt64(this.#words[2 * id] as number, this.#words[2 * id + 1] as number);
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

/** Keys of any bytes, kept in a slab and compared byte by byte. */
export class BytesKeys implements RowKeys {
  count = 0;
  readonly slab = new ByteSlab();
  readonly #index = new KeyIndex((id) => this.#hashOf(id));
  #end = 0;
  /** The free id to use next, plus one; its position is the one after it. 0 for none. */
  #free = 0;

  get bytes(): number {
    return this.slab.bytes + this.slab.positions.byteLength + this.#index.bytes;
  }

  /** Ids are below this. */
  get end(): number {
    return this.#end;
  }

  find(bytes: Uint8Array, start: number, length: number): number {
    const { slab } = this;
    const hash = hashBytes(bytes, start, length);
    const table = this.#index.tables[hash >>> this.#index.shift] as Int32Array;
    const mask = table.length - 1;
    const tag = tagOf(hash);
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const entry = table[at] as number;
      if (entry === 0) return -1;
      if ((entry & TAG_MASK) !== tag) continue;
      const id = (entry & ID_MASK) - 1;
      if (slab.equals(id, bytes, start, length)) return id;
    }
  }

  add(bytes: Uint8Array, start: number, length: number): number {
    const id = this.#takeId();
    this.slab.add(id, bytes, start, length);
    this.#index.add(hashBytes(bytes, start, length), id);
    this.count++;
    return id;
  }

  remove(id: number): void {
    this.#index.remove(this.#hashOf(id), id);
    this.slab.remove(id);
    this.slab.positions[id] = this.#free;
    this.#free = id + 1;
    this.count--;
  }

  #takeId(): number {
    if (this.#free > 0) {
      const id = this.#free - 1;
      this.#free = this.slab.positions[id] as number;
      return id;
    }
    const id = this.#end++;
    assertRoom(id);
    return id;
  }

  #hashOf(id: number): number {
    const { bytes, start, length } = this.slab.locate(id);
    return hashBytes(bytes, start, length);
  }
}
