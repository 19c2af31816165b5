import { expect, it } from 'vitest';
import { createMemoryStore } from '../../../catalog/memory/memory-store.ts';
import { createParquetWriter } from '../../../catalog/parquet/parquet-writer.ts';
import { dropDeletedRows, readPositionDeletes } from '../../../catalog/read/position-deletes.ts';
import type { TableSchema } from '../../../catalog/spec/table-schema.ts';
import type { ObjectStore } from '../../../catalog/store/object-store.ts';
import { plainColumn } from '../parquet/build-batch.ts';

/** As Trino writes them: both columns under the reserved ids. */
const deleteSchema: TableSchema = {
  schemaId: 0,
  fields: [
    { id: 2_147_483_546, name: 'file_path', required: true, type: 'string' },
    { id: 2_147_483_545, name: 'pos', required: true, type: 'long' },
  ],
};

async function putDeletes(store: ObjectStore, location: string, deletes: [string, bigint][]) {
  const writer = createParquetWriter({ rowGroupRowsMax: 100, zstdLevel: 1 });
  const { bytes } = writer.encode(deleteSchema, {
    rowCount: deletes.length,
    columns: new Map([
      [
        2_147_483_546,
        plainColumn(
          'string',
          deletes.map(([file]) => file),
        ),
      ],
      [
        2_147_483_545,
        plainColumn(
          'long',
          deletes.map(([, position]) => position),
        ),
      ],
    ]),
  });
  await store.put(location, bytes);
  return { location, fileSizeBytes: BigInt(bytes.length) };
}

it('deletes from several files reach the rows of the file that they name, once', async () => {
  const store = createMemoryStore();
  const deletes = await readPositionDeletes({
    store,
    deleteFiles: [
      await putDeletes(store, 'd1', [
        ['a', 0n],
        ['a', 2n],
        ['b', 1n],
      ]),
      await putDeletes(store, 'd2', [
        ['a', 2n],
        ['a', 3n],
      ]),
    ],
  });
  const file = { rowCount: 5, columns: new Map([['v', [10, 11, 12, 13, 14]]]) };
  expect(dropDeletedRows(file, 'a', deletes)).toEqual({
    rowCount: 2,
    columns: new Map([['v', [11, 14]]]),
  });
  expect(dropDeletedRows(file, 'b', deletes).columns.get('v')).toEqual([10, 12, 13, 14]);
  expect(dropDeletedRows(file, 'c', deletes)).toEqual(file);
});

it('the rows that remain are counted without any column', async () => {
  const store = createMemoryStore();
  const deleteFiles = [await putDeletes(store, 'd', [['a', 1n]])];
  const deletes = await readPositionDeletes({ store, deleteFiles });
  expect(dropDeletedRows({ rowCount: 3, columns: new Map() }, 'a', deletes).rowCount).toBe(2);
});
