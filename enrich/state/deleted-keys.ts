import { BytesKeys } from './row-keys.ts';
import { SharedMemory } from './shared-memory.ts';

/** Deleted rows remembered in memory; beyond, rows are always looked up in the store. */
const deletionsMax = 1_000_000;

type KeySlice = { bytes: Uint8Array; start: number; length: number };

/** Primary keys of the deleted rows in the store, of all of them while `complete`. */
export class DeletedKeys {
  #taken: { memory: SharedMemory; keys: BytesKeys; overflow: Int32Array } | undefined;

  get memory(): SharedMemory {
    return this.#content.memory;
  }

  get complete(): boolean {
    return this.#taken === undefined || this.#taken.overflow[0] === 0;
  }

  has({ bytes, start, length }: KeySlice): boolean {
    return this.#taken !== undefined && this.#taken.keys.find(bytes, start, length) >= 0;
  }

  remember(key: KeySlice): void {
    if (!this.complete || this.has(key)) return;
    const { keys, overflow } = this.#content;
    if (keys.count < deletionsMax) keys.add(key.bytes, key.start, key.length);
    else overflow[0] = 1;
  }

  forget({ bytes, start, length }: KeySlice): void {
    if (this.#taken === undefined) return;
    const { keys } = this.#taken;
    const id = keys.count === 0 ? -1 : keys.find(bytes, start, length);
    if (id >= 0) keys.remove(id);
  }

  /** After its memory was filled from a file. */
  refresh(): void {
    this.#content.keys.refresh();
  }

  /** Memory is taken for the first key: most dimensions never have one. */
  get #content() {
    if (this.#taken === undefined) {
      const memory = new SharedMemory();
      // One word, 1 once there were too many.
      this.#taken = { memory, keys: new BytesKeys(memory), overflow: memory.words(1) };
    }
    return this.#taken;
  }
}
