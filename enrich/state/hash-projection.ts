import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { idsMax } from './key-index.ts';
import type { DictionaryView, Projection } from './projection.ts';
import { BytesKeys, Int64Keys } from './row-keys.ts';
import type { RowKeys } from './row-keys.ts';
import { SharedBytes } from './shared-bytes.ts';
import { ValueDictionary } from './value-dictionary.ts';

/** How join keys are compared: as 64-bit integers, or as bytes. */
export type KeyKind = 'int64' | 'bytes';

/** Column i of a row is `bytes[starts[i] .. starts[i] + lengths[i])`; a length of -1 is null. */
export type ColumnSlices = { bytes: Uint8Array; starts: Int32Array; lengths: Int32Array };

/**
 * The projection as the state writes it. Join keys are byte slices; `int64` keys are the eight bytes of
 * `ByteWriter.orderedInt64`. Column values are in the form of `ColumnCodec`.
 */
export interface MutableProjection extends Projection {
  /** The slot of a key, or -1. */
  find(bytes: Uint8Array, start: number, length: number): number;
  /** Adds the row of a key or replaces it; returns its slot, which stays until the key is removed. */
  upsert(key: { bytes: Uint8Array; start: number; length: number }, row: ColumnSlices): number;
  /** Removes a slot that `find` gave. */
  remove(slot: number): void;
  /** Whether more than one row has this join key. */
  isShared(slot: number): boolean;
  setShared(slot: number, shared: boolean): void;
  /** Takes the content of another projection of the same shape, which must not be used any more. */
  adopt(other: MutableProjection): void;
}

export function createProjection(options: {
  keyKind: KeyKind;
  columns: readonly PrimitiveType[];
}): MutableProjection {
  return new HashProjection(options.keyKind, options.columns);
}

type Content = {
  keys: RowKeys;
  codes: Uint32Array[];
  codeBytes: SharedBytes[];
  dictionaries: ValueDictionary[];
  shared: Uint8Array;
  sharedBytes: SharedBytes;
};

/**
 * Rows by join key in shared typed arrays: the id of a key is the slot of its row, and the place of its
 * codes. 50 million rows are 50 million keys, one word for each column, and the index; no object or
 * string exists for a row. Reading and writing is for one thread.
 */
class HashProjection implements MutableProjection {
  readonly #keyKind: KeyKind;
  #content: Content;

  constructor(keyKind: KeyKind, columns: readonly PrimitiveType[]) {
    this.#keyKind = keyKind;
    const codeBytes = columns.map(() => new SharedBytes(idsMax * 4));
    const sharedBytes = new SharedBytes(idsMax);
    this.#content = {
      keys: keyKind === 'int64' ? new Int64Keys() : new BytesKeys(),
      codes: codeBytes.map(({ buffer }) => new Uint32Array(buffer)),
      codeBytes,
      dictionaries: columns.map((type) => new ValueDictionary(type)),
      shared: new Uint8Array(sharedBytes.buffer),
      sharedBytes,
    };
  }

  get rowCount(): number {
    return this.#content.keys.count;
  }

  get bytes(): number {
    const { keys, codes, dictionaries, shared } = this.#content;
    let bytes = keys.bytes + shared.byteLength;
    for (const column of codes) bytes += column.byteLength;
    for (const dictionary of dictionaries) bytes += dictionary.bytes;
    return bytes;
  }

  probeInt64(
    { words, valid, count }: { words: Int32Array; valid: Uint8Array; count: number },
    out: Int32Array,
  ): void {
    const { keys } = this.#content;
    if (!(keys instanceof Int64Keys)) throw this.#wrongKind('int64');
    for (let i = 0; i < count; i++) {
      const low = words[2 * i] as number;
      const high = words[2 * i + 1] as number;
      out[i] = valid[i] === 0 ? -1 : keys.findWords(low, high);
    }
  }

  probeBytes(
    input: { bytes: Uint8Array; offsets: Int32Array; valid: Uint8Array; count: number },
    out: Int32Array,
  ): void {
    const { keys } = this.#content;
    if (!(keys instanceof BytesKeys)) throw this.#wrongKind('bytes');
    const { bytes, offsets, valid, count } = input;
    for (let i = 0; i < count; i++) {
      const start = offsets[i] as number;
      const length = (offsets[i + 1] as number) - start;
      out[i] = valid[i] === 0 ? -1 : keys.find(bytes, start, length);
    }
  }

  codes(columnIndex: number): Uint32Array {
    return elementAt(this.#content.codes, columnIndex);
  }

  dictionary(columnIndex: number): DictionaryView {
    return elementAt(this.#content.dictionaries, columnIndex);
  }

  find(bytes: Uint8Array, start: number, length: number): number {
    return this.#content.keys.find(bytes, start, length);
  }

  upsert(key: { bytes: Uint8Array; start: number; length: number }, row: ColumnSlices): number {
    const { keys, codes, dictionaries } = this.#content;
    const known = keys.find(key.bytes, key.start, key.length);
    const slot = known >= 0 ? known : this.#addSlot(key);
    for (let column = 0; column < codes.length; column++) {
      const dictionary = dictionaries[column] as ValueDictionary;
      const length = row.lengths[column] as number;
      const code =
        length < 0 ? 0 : dictionary.retain(row.bytes, row.starts[column] as number, length);
      const slots = codes[column] as Uint32Array;
      dictionary.release(slots[slot] as number);
      slots[slot] = code;
    }
    return slot;
  }

  remove(slot: number): void {
    const { keys, codes, dictionaries } = this.#content;
    for (const [column, slots] of codes.entries()) {
      elementAt(dictionaries, column).release(slots[slot] as number);
      slots[slot] = 0;
    }
    this.setShared(slot, false);
    keys.remove(slot);
  }

  isShared(slot: number): boolean {
    return this.#content.shared[slot] === 1;
  }

  setShared(slot: number, shared: boolean): void {
    const { sharedBytes } = this.#content;
    if (shared && sharedBytes.reserve(slot + 1)) {
      this.#content.shared = new Uint8Array(sharedBytes.buffer, 0, sharedBytes.buffer.byteLength);
    }
    if (slot < this.#content.shared.length) this.#content.shared[slot] = shared ? 1 : 0;
  }

  adopt(other: MutableProjection): void {
    if (!(other instanceof HashProjection) || other.#keyKind !== this.#keyKind) {
      throw new TypeError('assert: a projection adopts one of its own shape');
    }
    this.#content = other.#content;
  }

  #addSlot({ bytes, start, length }: { bytes: Uint8Array; start: number; length: number }): number {
    const { keys, codes, codeBytes } = this.#content;
    const slot = keys.add(bytes, start, length);
    for (const [column, shared] of codeBytes.entries()) {
      if (!shared.reserve((slot + 1) * 4)) continue;
      codes[column] = new Uint32Array(shared.buffer, 0, shared.buffer.byteLength / 4);
    }
    return slot;
  }

  #wrongKind(asked: KeyKind): TypeError {
    return new TypeError(`assert: the join keys are ${this.#keyKind}, got a probe for ${asked}`);
  }
}

function elementAt<T>(list: readonly T[], index: number): T {
  const element = list[index];
  if (element === undefined)
    throw new RangeError(`assert: column below ${list.length}, got ${index}`);
  return element;
}
