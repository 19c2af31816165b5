/** A change of one entry; without a value the entry is removed. */
export type StoreWrite = { key: Uint8Array; value: Uint8Array | undefined };

export type StoreEntry = { key: Uint8Array; value: Uint8Array };

/** Keys from `from` (included) up to `to` (excluded), in the order of their bytes, `limit` at the most. */
export type StoreRange = { from: Uint8Array; to: Uint8Array; limit?: number };

/**
 * The durable store: an ordered map of byte strings, owned by one process.
 *
 * A batch is atomic, also across a killed process: all of its writes or none, later writes of one key
 * last. Once `applyBatch` has resolved, the batch survives the death of the process; surviving a power
 * cut needs `flush`. Keys and values must not be changed until then, and what is read must not be changed.
 * Errors: `unavailable` (a read failed, or it is closed), `reopen` (a write failed, on a full disk for one: no
 * later one will succeed before the store is opened again), `rebuild` (the files cannot be trusted).
 */
export interface KeyValueStore {
  applyBatch(writes: readonly StoreWrite[]): Promise<void>;
  /** Values in the order of the keys, undefined where there is none. */
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>;
  /** Reads one state of the store: batches applied after the first entry was asked for are not seen. */
  scan(range: StoreRange): AsyncIterable<StoreEntry>;
  /** Makes everything applied so far survive a power cut. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** A store checks what it is given: bytes only. */
export function assertBytes(value: unknown, what: string): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) {
    throw new TypeError(`assert: ${what} must be a Uint8Array, got ${typeof value}`);
  }
}
