import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { idsMax } from './key-index.ts';
import type { DictionaryView, Projection } from './projection.ts';
import { BytesKeys, Int64Keys } from './row-keys.ts';
import type { RowKeys } from './row-keys.ts';
import { SharedMemory } from './shared-memory.ts';
import type { MemoryDescription, SharedWords } from './shared-memory.ts';
import { ValueDictionary } from './value-dictionary.ts';

/** The codes of so many rows stay in the cache while column after column is read from them. */
const GATHER_ROWS = 512;

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
  /**
   * Does work that adds, replaces and removes rows, in one turn; meanwhile `sequence` is odd. What no join reads yet
   * may be filled without it.
   */
  change(work: () => void): void;
  /** What another thread needs to attach, until something changes: each join is to attach anew. */
  memory(): ProjectionMemory;
  /** All of its memory in an order that is always the same, for an image of it. */
  arrays(): readonly SharedWords[];
  /** After its memory was filled from an image. */
  refresh(): void;
  /** Takes the content of another projection of the same shape, which must not be used any more. */
  adopt(other: MutableProjection): void;
}

/** What keys and columns a projection has. */
type ProjectionShape = { keyKind: KeyKind; columns: readonly PrimitiveType[] };

/** A projection's memory and shape; can be posted to another thread. */
export type ProjectionMemory = ProjectionShape & MemoryDescription;

export function createProjection({ keyKind, columns }: ProjectionShape): MutableProjection {
  return new HashProjection({ keyKind, columns });
}

/**
 * The projection as another thread reads it. It sees whatever the thread that owns it has written: who reads must
 * know that nothing is written meanwhile (`DimensionState.holdProjections`), and `sequence` tells if it was.
 */
export function attachProjection(memory: ProjectionMemory): Projection {
  return new HashProjection(memory, contentOf(memory, memory));
}

type Content = {
  memory: SharedMemory;
  /** One word, odd while something changes. */
  sequence: Int32Array;
  keys: RowKeys;
  /** The codes of a row beside each other: a look at a row far away is one miss of the caches, not one a column. */
  codes: SharedWords;
  dictionaries: readonly ValueDictionary[];
  /** A bit for each slot. */
  shared: SharedWords;
};

function contentOf({ keyKind, columns }: ProjectionShape, attached?: MemoryDescription): Content {
  const memory = new SharedMemory(attached);
  const sequence = memory.words(1);
  const keys = keyKind === 'int64' ? new Int64Keys(memory) : new BytesKeys(memory);
  const shared = memory.growing(Math.ceil(idsMax / 32));
  const codes = memory.growing(idsMax * columns.length);
  const dictionaries = columns.map((type) => new ValueDictionary(memory, type));
  return { memory, sequence, keys, codes, dictionaries, shared };
}

/**
 * Rows by join key in shared memory: the id of a key is the slot of its row, and the place of its
 * codes. 50 million rows are 50 million keys, one word for each column, and the index; no object or
 * string exists for a row. One thread writes.
 */
class HashProjection implements MutableProjection {
  readonly #shape: ProjectionShape;
  #taken: Content | undefined;

  constructor(shape: ProjectionShape, content?: Content) {
    this.#shape = shape;
    this.#taken = content;
  }

  /** Memory is taken at the first use: a projection that only adopts another needs none of its own. */
  get #content(): Content {
    this.#taken ??= contentOf(this.#shape);
    return this.#taken;
  }

  get rowCount(): number {
    return this.#content.keys.count;
  }

  get bytes(): number {
    let words = 0;
    for (const { length } of this.arrays()) words += length;
    return words * 4;
  }

  sequence(): number {
    return Atomics.load(this.#content.sequence, 0);
  }

  change(work: () => void): void {
    const { sequence } = this.#content;
    Atomics.add(sequence, 0, 1);
    work();
    // Not after an error: what was half done must not be read.
    Atomics.add(sequence, 0, 1);
  }

  memory(): ProjectionMemory {
    return { ...this.#shape, ...this.#content.memory.describe() };
  }

  arrays(): readonly SharedWords[] {
    return this.#content.memory.arrays;
  }

  refresh(): void {
    this.#content.keys.refresh();
    for (const dictionary of this.#content.dictionaries) dictionary.refresh();
  }

  probeInt64(
    { words, valid, count }: { words: Int32Array; valid: Uint8Array; count: number },
    out: Int32Array,
  ): void {
    const { keys } = this.#content;
    if (!(keys instanceof Int64Keys)) throw this.#wrongKind('int64');
    keys.refresh();
    keys.findAll({ words, valid, count }, out);
  }

  probeBytes(
    input: { bytes: Uint8Array; offsets: Int32Array; valid: Uint8Array; count: number },
    out: Int32Array,
  ): void {
    const { keys } = this.#content;
    if (!(keys instanceof BytesKeys)) throw this.#wrongKind('bytes');
    keys.refresh();
    keys.findAll(input, out);
  }

  gatherCodes(slots: Int32Array, out: readonly Int32Array[]): void {
    const { codes } = this.#content;
    codes.refresh();
    const words = codes.values;
    const width = this.#shape.columns.length;
    for (let from = 0; from < slots.length; from += GATHER_ROWS) {
      const to = Math.min(from + GATHER_ROWS, slots.length);
      for (const [column, target] of out.entries()) {
        for (let i = from; i < to; i++) {
          const slot = slots[i] as number;
          const code = slot < 0 ? 0 : (words[slot * width + column] ?? 0);
          target[i] = code === 0 ? -1 : code;
        }
      }
    }
  }

  dictionary(columnIndex: number): DictionaryView {
    const dictionary = elementAt(this.#content.dictionaries, columnIndex);
    dictionary.refresh();
    return dictionary;
  }

  find(bytes: Uint8Array, start: number, length: number): number {
    return this.#content.keys.find(bytes, start, length);
  }

  upsert(key: { bytes: Uint8Array; start: number; length: number }, row: ColumnSlices): number {
    const { keys, codes, dictionaries } = this.#content;
    const known = keys.find(key.bytes, key.start, key.length);
    const slot = known >= 0 ? known : this.#addSlot(key);
    const first = slot * dictionaries.length;
    for (const [column, dictionary] of dictionaries.entries()) {
      const length = row.lengths[column] as number;
      const code =
        length < 0 ? 0 : dictionary.retain(row.bytes, row.starts[column] as number, length);
      dictionary.release(codes.values[first + column] as number);
      codes.values[first + column] = code;
    }
    return slot;
  }

  remove(slot: number): void {
    const { keys, codes, dictionaries } = this.#content;
    const first = slot * dictionaries.length;
    for (const [column, dictionary] of dictionaries.entries()) {
      dictionary.release(codes.values[first + column] as number);
      codes.values[first + column] = 0;
    }
    this.setShared(slot, false);
    keys.remove(slot);
  }

  isShared(slot: number): boolean {
    const word = this.#content.shared.values[slot >>> 5] ?? 0;
    return ((word >>> (slot & 31)) & 1) === 1;
  }

  setShared(slot: number, isShared: boolean): void {
    const { shared } = this.#content;
    const at = slot >>> 5;
    const bit = 1 << (slot & 31);
    if (isShared) shared.reserve(at + 1);
    else if (at >= shared.length) return;
    const word = shared.values[at] as number;
    shared.values[at] = isShared ? word | bit : word & ~bit;
  }

  adopt(other: MutableProjection): void {
    if (!(other instanceof HashProjection) || other.#shape.keyKind !== this.#shape.keyKind) {
      throw new TypeError('assert: a projection adopts one of its own shape');
    }
    this.#taken = other.#taken;
  }

  #addSlot({ bytes, start, length }: { bytes: Uint8Array; start: number; length: number }): number {
    const { keys, codes } = this.#content;
    const slot = keys.add(bytes, start, length);
    codes.reserve((slot + 1) * this.#shape.columns.length);
    return slot;
  }

  #wrongKind(asked: KeyKind): TypeError {
    return new TypeError(
      `assert: the join keys are ${this.#shape.keyKind}, got a probe for ${asked}`,
    );
  }
}

function elementAt<T>(list: readonly T[], index: number): T {
  const element = list[index];
  if (element === undefined)
    throw new RangeError(`assert: column below ${list.length}, got ${index}`);
  return element;
}
