import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { PartitionValue } from '../../../catalog/manifest/data-file.ts';
import { createMemoryStore } from '../../../catalog/memory/memory-store.ts';
import { dropDeletedRows, readPositionDeletes } from '../../../catalog/read/position-deletes.ts';
import { readDataFile, type StoredFile } from '../../../catalog/read/read-columns.ts';
import type { PrimitiveType, TableSchema } from '../../../catalog/spec/table-schema.ts';
import type { ObjectStore } from '../../../catalog/store/object-store.ts';

/** As the delete file names it. */
const DATA_LOCATION =
  's3://lake/warehouse/catalog_parquet_golden/orders-231edf8e634240388fd95dd5b9684613/data/' +
  '20261122_232558_00142_f7dtw-6bf12e1d-1570-4978-9d37-55471c44c3ec.parquet';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const micros = (iso: string): bigint => BigInt(Date.parse(iso)) * 1000n;

/** Name, type and the three values of each column, in the order of the field ids. */
const ORDERS: [string, PrimitiveType, PartitionValue[]][] = [
  ['id', 'long', [9223372036854775807n, -1n, 3n]],
  ['note', 'string', ['first ü😀', null, '']],
  ['seen', 'timestamptz', [micros('2026-11-22T22:51:18Z') + 1n, null, 0n]],
  ['local', 'timestamp', [-1n, null, 0n]],
  ['day', 'date', [-1, null, 0]],
  ['clock', 'time', [86_399_999_999n, null, 0n]],
  ['price', 'decimal(9, 2)', [123456789n, null, -1n]],
  ['total', 'decimal(38, 5)', [-9999999999999999999999999999999999n, null, 1n]],
  ['paid', 'boolean', [true, null, false]],
  ['ratio', 'float', [1.5, null, -0]],
  ['score', 'double', [0.1, null, Number.NaN]],
  ['token', 'uuid', [hex('f79c3e09677c4bbda4793f349cb785e7'), null, new Uint8Array(16)]],
  ['raw', 'binary', [hex('00ff'), null, new Uint8Array()]],
  ['items', 'int', [-7, null, 2147483647]],
];

const tableSchema: TableSchema = {
  schemaId: 0,
  fields: ORDERS.map(([name, type], index) => ({ id: index + 1, name, required: false, type })),
};
const columnNames = ORDERS.map(([name]) => name);

const store: ObjectStore = createMemoryStore();
let dataFile: StoredFile;
let deleteFile: StoredFile;

async function stored(location: string, golden: string): Promise<StoredFile> {
  const bytes = await readFile(new URL(`golden/${golden}`, import.meta.url));
  await store.put(location, bytes);
  return { location, fileSizeBytes: BigInt(bytes.length) };
}

beforeAll(async () => {
  dataFile = await stored(DATA_LOCATION, 'orders.parquet');
  deleteFile = await stored('s3://lake/deletes.parquet', 'orders-deletes.parquet');
});

describe('files that Trino wrote', () => {
  it('read with every value exact', async () => {
    const read = await readDataFile({ store, dataFile, tableSchema, columnNames });
    expect(read.rowCount).toBe(3);
    expect([...read.columns]).toEqual(ORDERS.map(([name, , values]) => [name, values]));
  });

  it('lose the rows that its delete file names', async () => {
    const read = await readDataFile({ store, dataFile, tableSchema, columnNames: ['id'] });
    const deletes = await readPositionDeletes({ store, deleteFiles: [deleteFile] });
    const kept = dropDeletedRows(read, DATA_LOCATION, deletes);
    expect(kept.rowCount).toBe(2);
    expect(kept.columns.get('id')).toEqual([9223372036854775807n, 3n]);
  });
});
