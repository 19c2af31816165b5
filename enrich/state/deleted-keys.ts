import { BytesKeys } from './row-keys.ts';
import { SharedMemory } from './shared-memory.ts';

/** Deleted rows remembered in memory; beyond, rows are always looked up in the store. */
const deletionsMax = 1_000_000;

type KeySlice = { bytes: Uint8Array; start: number; length: number };

/** Primary keys of the deleted rows in the store, of all of them while `complete`. */
export class DeletedKeys {
  readonly memory = new SharedMemory();
  readonly #keys = new BytesKeys(this.memory);
  /** One word, 1 once there were too many. */
  readonly #overflow = this.memory.words(1);

  get complete(): boolean {
    return this.#overflow[0] === 0;
  }

  has({ bytes, start, length }: KeySlice): boolean {
    return this.#keys.find(bytes, start, length) >= 0;
  }

  remember(key: KeySlice): void {
    if (!this.complete || this.has(key)) return;
    if (this.#keys.count < deletionsMax) this.#keys.add(key.bytes, key.start, key.length);
    else this.#overflow[0] = 1;
  }

  forget({ bytes, start, length }: KeySlice): void {
    const id = this.#keys.count === 0 ? -1 : this.#keys.find(bytes, start, length);
    if (id >= 0) this.#keys.remove(id);
  }

  /** After its memory was filled from a file. */
  refresh(): void {
    this.#keys.refresh();
  }
}
