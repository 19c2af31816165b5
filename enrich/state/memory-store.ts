import { EnrichError } from '../error.ts';
import { assertBytes } from './key-value-store.ts';
import type { KeyValueStore, StoreEntry, StoreRange, StoreWrite } from './key-value-store.ts';

/** The store without a disk: the in-memory twin of the RocksDB store, under the same contract. */
export function openMemoryStore(): KeyValueStore {
  const entries = new Map<string, StoreEntry>();
  let open = true;
  const assertOpen = () => {
    if (!open) throw new EnrichError('unavailable', 'the state store is closed');
  };
  return {
    async applyBatch(writes) {
      assertOpen();
      assertWrites(writes);
      for (const { key, value } of writes) {
        if (value === undefined) entries.delete(textOf(key));
        else entries.set(textOf(key), { key: new Uint8Array(key), value: new Uint8Array(value) });
      }
    },
    async getMany(keys) {
      assertOpen();
      return keys.map((key) => {
        assertBytes(key, 'a key');
        return entries.get(textOf(key))?.value;
      });
    },
    async *scan(range) {
      assertOpen();
      yield* entriesIn(entries.values(), range);
    },
    async flush() {
      assertOpen();
    },
    async close() {
      open = false;
    },
  };
}

function assertWrites(writes: readonly StoreWrite[]): void {
  for (const { key, value } of writes) {
    assertBytes(key, 'a key');
    if (value !== undefined) assertBytes(value, 'a value');
  }
}

function entriesIn(entries: Iterable<StoreEntry>, range: StoreRange): StoreEntry[] {
  return [...entries]
    .filter(({ key }) => Buffer.compare(key, range.from) >= 0 && Buffer.compare(key, range.to) < 0)
    .toSorted((a, b) => Buffer.compare(a.key, b.key))
    .slice(0, range.limit);
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}
