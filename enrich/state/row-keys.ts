import { EnrichError } from '../error.ts';
import { ByteSlab } from './byte-slab.ts';
import {
  ID_MASK,
  KeyIndex,
  TAG_MASK,
  idsMax,
  segmentMask,
  segmentStart,
  tagOf,
} from './key-index.ts';
import type { SharedMemory, SharedWords } from './shared-memory.ts';

/**
 * A set of keys with an id for each: ids are stable, start at 0 and are used again. Keys are byte slices;
 * `int64` keys are the eight bytes of `ByteWriter.orderedInt64`.
 */
export interface RowKeys {
  readonly count: number;
  /** Ids are below this. */
  readonly end: number;
  /** The id of the key, or -1. */
  find(bytes: Uint8Array, start: number, length: number): number;
  /** The new id of a key that is not there. */
  add(bytes: Uint8Array, start: number, length: number): number;
  remove(id: number): void;
  /** Sees what another thread has added. */
  refresh(): void;
}

/**
 * So many keys are looked up together, in loops that each read one thing of all of them: so what one key waits for in
 * memory far away, the next ones wait for at the same time.
 */
const AHEAD = 256;
const hashes = new Int32Array(AHEAD);
const ids = new Int32Array(AHEAD);
const lows = new Int32Array(AHEAD);

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

/** Words of the header that both kinds of keys have. */
const COUNT = 0;
const END = 1;
/** The free id to use next, plus one; its own word holds the one after it. 0 for none. */
const FREE = 2;
const STATE_WORDS = 3;

/** Keys of 64-bit integers: two words for each id. */
export class Int64Keys implements RowKeys {
  readonly #state: Int32Array;
  readonly #words: SharedWords;
  readonly #index: KeyIndex;

  constructor(memory: SharedMemory) {
    this.#state = memory.words(STATE_WORDS);
    this.#words = memory.growing(idsMax * 2);
    this.#index = new KeyIndex(memory, (id) => this.#hashOf(id));
  }

  get count(): number {
    return this.#state[COUNT] as number;
  }

  get end(): number {
    return this.#state[END] as number;
  }

  refresh(): void {
    this.#words.refresh();
    this.#index.refresh();
  }

  find(bytes: Uint8Array, start: number): number {
    return this.findWords(wordAt(bytes, start + 4), wordAt(bytes, start) ^ 0x8000_0000);
  }

  findWords(low: number, high: number): number {
    const words = this.#words.values;
    const { directory, entries, shift } = this.#index;
    const hash = hashInt64(low, high);
    const place = directory.values[hash >>> shift] as number;
    const segment = segmentStart(place);
    const mask = segmentMask(place);
    const table = entries.values;
    const tag = tagOf(hash);
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const entry = table[segment + at] as number;
      // Undefined where what was attached to has moved away: `sequence` tells.
      if (!entry) return -1;
      if ((entry & TAG_MASK) !== tag) continue;
      const id = (entry & ID_MASK) - 1;
      if (words[2 * id] === low && words[2 * id + 1] === high) return id;
    }
  }

  /** `out[i]` becomes the id of the key in word pair i, or -1 for a miss or an invalid key. */
  findAll(
    { words, valid, count }: { words: Int32Array; valid: Uint8Array; count: number },
    out: Int32Array,
  ): void {
    const keys = this.#words.values;
    for (let from = 0; from < count; from += AHEAD) {
      const size = Math.min(AHEAD, count - from);
      for (let i = 0, at = 2 * from; i < size; i++, at += 2) {
        hashes[i] = hashInt64(words[at] as number, words[at + 1] as number);
      }
      this.#index.firstCandidates(hashes, size, ids);
      for (let i = 0; i < size; i++) {
        const id = ids[i] as number;
        lows[i] = id < 0 ? 0 : (keys[2 * id] as number);
      }
      for (let i = 0, row = from; i < size; i++, row++) {
        const id = ids[i] as number;
        const low = words[2 * row] as number;
        const high = words[2 * row + 1] as number;
        if (valid[row] === 0 || id < 0) out[row] = -1;
        else if (lows[i] === low && keys[2 * id + 1] === high) out[row] = id;
        else out[row] = this.findWords(low, high);
      }
    }
  }

  add(bytes: Uint8Array, start: number): number {
    const low = wordAt(bytes, start + 4);
    const high = wordAt(bytes, start) ^ 0x8000_0000;
    const id = this.#takeId();
    this.#words.values[2 * id] = low;
    this.#words.values[2 * id + 1] = high;
    this.#index.add(hashInt64(low, high), id);
    this.#state[COUNT] = this.count + 1;
    return id;
  }

  remove(id: number): void {
    this.#index.remove(this.#hashOf(id), id);
    this.#words.values[2 * id] = this.#state[FREE] as number;
    this.#state[FREE] = id + 1;
    this.#state[COUNT] = this.count - 1;
  }

  #takeId(): number {
    const free = this.#state[FREE] as number;
    if (free > 0) {
      this.#state[FREE] = this.#words.values[2 * (free - 1)] as number;
      return free - 1;
    }
    const id = this.end;
    assertRoom(id);
    this.#state[END] = id + 1;
    this.#words.reserve((id + 1) * 2);
    return id;
  }

  #hashOf(id: number): number {
    const words = this.#words.values;
    return hashInt64(words[2 * id] as number, words[2 * id + 1] as number);
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
  readonly slab: ByteSlab;
  readonly #state: Int32Array;
  readonly #index: KeyIndex;

  constructor(memory: SharedMemory) {
    this.#state = memory.words(STATE_WORDS);
    this.slab = new ByteSlab(memory);
    this.#index = new KeyIndex(memory, (id) => this.#hashOf(id));
  }

  get count(): number {
    return this.#state[COUNT] as number;
  }

  get end(): number {
    return this.#state[END] as number;
  }

  refresh(): void {
    this.slab.refresh();
    this.#index.refresh();
  }

  find(bytes: Uint8Array, start: number, length: number): number {
    const { slab } = this;
    const { directory, entries, shift } = this.#index;
    const hash = hashBytes(bytes, start, length);
    const place = directory.values[hash >>> shift] as number;
    const segment = segmentStart(place);
    const mask = segmentMask(place);
    const table = entries.values;
    const tag = tagOf(hash);
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const entry = table[segment + at] as number;
      if (!entry) return -1;
      if ((entry & TAG_MASK) !== tag) continue;
      const id = (entry & ID_MASK) - 1;
      if (slab.equals(id, bytes, start, length)) return id;
    }
  }

  /** `out[i]` becomes the id of the key in slice i, or -1 for a miss or an invalid key. */
  findAll(
    keys: { bytes: Uint8Array; offsets: Int32Array; valid: Uint8Array; count: number },
    out: Int32Array,
  ): void {
    const { bytes, offsets, valid, count } = keys;
    for (let from = 0; from < count; from += AHEAD) {
      const size = Math.min(AHEAD, count - from);
      for (let i = 0; i < size; i++) {
        const start = offsets[from + i] as number;
        hashes[i] = hashBytes(bytes, start, (offsets[from + i + 1] as number) - start);
      }
      this.#index.firstCandidates(hashes, size, ids);
      this.slab.readAhead(ids, size);
      for (let i = 0, row = from; i < size; i++, row++) {
        const id = ids[i] as number;
        const start = offsets[row] as number;
        const length = (offsets[row + 1] as number) - start;
        if (valid[row] === 0 || id < 0) out[row] = -1;
        else if (this.slab.equals(id, bytes, start, length)) out[row] = id;
        else out[row] = this.find(bytes, start, length);
      }
    }
  }

  add(bytes: Uint8Array, start: number, length: number): number {
    const id = this.#takeId();
    this.slab.add(id, bytes, start, length);
    this.#index.add(hashBytes(bytes, start, length), id);
    this.#state[COUNT] = this.count + 1;
    return id;
  }

  remove(id: number): void {
    this.#index.remove(this.#hashOf(id), id);
    this.slab.remove(id);
    this.slab.positions.values[id] = this.#state[FREE] as number;
    this.#state[FREE] = id + 1;
    this.#state[COUNT] = this.count - 1;
  }

  #takeId(): number {
    const free = this.#state[FREE] as number;
    if (free > 0) {
      this.#state[FREE] = this.slab.positions.values[free - 1] as number;
      return free - 1;
    }
    const id = this.end;
    assertRoom(id);
    this.#state[END] = id + 1;
    return id;
  }

  #hashOf(id: number): number {
    const { bytes, start, length } = this.slab.locate(id);
    return hashBytes(bytes, start, length);
  }
}
