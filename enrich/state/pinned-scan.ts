import type { KeyValueStore, StoreEntry, StoreRange } from './key-value-store.ts';

/** A scan whose first entry was asked for already: it reads the store as it was then, whenever it goes on. */
export class PinnedScan {
  readonly #entries: AsyncIterator<StoreEntry>;
  readonly #first: IteratorResult<StoreEntry>;

  private constructor(entries: AsyncIterator<StoreEntry>, first: IteratorResult<StoreEntry>) {
    this.#entries = entries;
    this.#first = first;
  }

  static async begin(store: KeyValueStore, range: StoreRange): Promise<PinnedScan> {
    const entries = store.scan(range)[Symbol.asyncIterator]();
    return new PinnedScan(entries, await entries.next());
  }

  /** To be read once. */
  async *[Symbol.asyncIterator](): AsyncGenerator<StoreEntry> {
    for (let next = this.#first; next.done !== true; next = await this.#entries.next()) {
      yield next.value;
    }
  }

  /** Lets go of what the store keeps for it; also where it was not read to its end. */
  async close(): Promise<void> {
    await this.#entries.return?.();
  }
}
