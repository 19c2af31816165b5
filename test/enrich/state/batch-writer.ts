import { openRocksdbStore } from '../../../enrich/state/rocksdb-store.ts';

/** A process to be killed: writes batches of 200 rows and their number, and says which one is durable. */
const rowsPerBatch = 200;
const [directory = ''] = process.argv.slice(2);
const store = await openRocksdbStore(directory);
const encoder = new TextEncoder();
for (let batch = 1; ; batch++) {
  const value = encoder.encode(String(batch).padEnd(100, '.'));
  const rows = Array.from({ length: rowsPerBatch }, (_, row) => ({
    key: encoder.encode(`row/${row}`),
    value,
  }));
  const history = { key: encoder.encode(`batch/${String(batch).padStart(9, '0')}`), value };
  await store.applyBatch([...rows, history, { key: encoder.encode('last'), value }]);
  process.stdout.write(`${batch}\n`);
}
