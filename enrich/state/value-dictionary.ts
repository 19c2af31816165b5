import type { ByteSlices } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { columnCodec } from './column-codec.ts';
import type { ColumnCodec } from './column-codec.ts';
import { idsMax } from './key-index.ts';
import type { DictionaryView, ProjectionValue } from './projection.ts';
import { BytesKeys } from './row-keys.ts';
import type { SharedMemory, SharedWords } from './shared-memory.ts';

/**
 * The distinct values of one column, each with a code; code 0 is null. A value whose last use is released
 * goes, and its code is used again, so the dictionary is never larger than its rows. Values stand in
 * shared memory in the form of `ColumnCodec`; no JavaScript value is held for them.
 */
export class ValueDictionary implements DictionaryView {
  readonly #codec: ColumnCodec;
  readonly #keys: BytesKeys;
  readonly #uses: SharedWords;

  constructor(memory: SharedMemory, type: PrimitiveType) {
    this.#codec = columnCodec(type);
    this.#keys = new BytesKeys(memory);
    this.#uses = memory.growing(idsMax);
  }

  get size(): number {
    return this.#keys.end + 1;
  }

  /** Sees what another thread has added. */
  refresh(): void {
    this.#keys.refresh();
    this.#uses.refresh();
  }

  /** The code of a value, which counts one use more. */
  retain(bytes: Uint8Array, start: number, length: number): number {
    const known = this.#keys.find(bytes, start, length);
    const id = known >= 0 ? known : this.#add(bytes, start, length);
    const uses = this.#uses.values;
    uses[id] = (uses[id] as number) + 1;
    return id + 1;
  }

  /** One use of a code less; nothing for null. */
  release(code: number): void {
    if (code === 0) return;
    const uses = this.#uses.values;
    const left = (uses[code - 1] as number) - 1;
    uses[code - 1] = left;
    if (left === 0) this.#keys.remove(code - 1);
  }

  value(code: number): ProjectionValue | null {
    if (code === 0 || code >= this.size || this.#uses.values[code - 1] === 0) return null;
    const bytes = new Uint8Array(this.#keys.slab.length(code - 1));
    this.#keys.slab.copyTo(code - 1, bytes, 0);
    return this.#codec.read(bytes);
  }

  gather(codes: Int32Array, spend: (bytes: number) => void): ByteSlices {
    return this.#keys.slab.gather(codes, spend);
  }

  #add(bytes: Uint8Array, start: number, length: number): number {
    const id = this.#keys.add(bytes, start, length);
    this.#uses.reserve(id + 1);
    this.#uses.values[id] = 0;
    return id;
  }
}
