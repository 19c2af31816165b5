import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, it } from 'vitest';
import { createMemoryStore } from '../../../catalog/memory/memory-store.ts';
import type { ColumnBatch } from '../../../catalog/parquet/columns.ts';
import { createParquetWriter } from '../../../catalog/parquet/parquet-writer.ts';
import {
  openDataFile,
  readDataFile,
  type RowGroup,
  type StoredFile,
} from '../../../catalog/read/read-columns.ts';
import type { NestedField, TableSchema } from '../../../catalog/spec/table-schema.ts';
import type { ObjectStore } from '../../../catalog/store/object-store.ts';
import { plainColumn } from '../parquet/build-batch.ts';

const LOCATION = 'memory://lake/file.parquet';

function schemaOf(...fields: NestedField[]): TableSchema {
  return { schemaId: 0, fields };
}

const id = { id: 1, name: 'id', required: true, type: 'int' } as const;
const note = { id: 2, name: 'note', required: false, type: 'string' } as const;

async function stored(bytes: Uint8Array): Promise<{ store: ObjectStore; dataFile: StoredFile }> {
  const store = createMemoryStore();
  await store.put(LOCATION, bytes);
  return { store, dataFile: { location: LOCATION, fileSizeBytes: BigInt(bytes.length) } };
}

function encodeNotes(rowCount: number): Uint8Array {
  const rows = Array.from({ length: rowCount }, (_, row) => row);
  const batch: ColumnBatch = {
    rowCount,
    columns: new Map([
      [1, plainColumn('int', rows)],
      [
        2,
        plainColumn(
          'string',
          rows.map((row) => `note ${row}`),
        ),
      ],
    ]),
  };
  return createParquetWriter({ rowGroupRowsMax: 2, zstdLevel: 1 }).encode(schemaOf(id, note), batch)
    .bytes;
}

describe('openDataFile', () => {
  it('hands over one row group at a time, with its place in the file', async () => {
    const file = await stored(encodeNotes(5));
    const { rowCount, rowGroups } = await openDataFile({
      ...file,
      tableSchema: schemaOf(id, note),
      columnNames: ['id'],
    });
    const groups: RowGroup[] = [];
    for await (const group of rowGroups) groups.push(group);
    expect(rowCount).toBe(5);
    expect(groups.map(({ firstRow, columns }) => [firstRow, columns.get('id')])).toEqual([
      [0, [0, 1]],
      [2, [2, 3]],
      [4, [4]],
    ]);
  });

  it('hands over more columns of a row group, and reads none of them before', async () => {
    const { rowGroups } = await openDataFile({
      ...(await stored(encodeNotes(5))),
      tableSchema: schemaOf(id, note),
      columnNames: ['id'],
    });
    const groups: RowGroup[] = [];
    for await (const group of rowGroups) groups.push(group);
    const second = groups[1];
    expect([...(second?.columns.keys() ?? [])]).toEqual(['id']);
    expect(await second?.more(['note'])).toEqual(new Map([['note', ['note 2', 'note 3']]]));
    await expect(second?.more(['nothing'])).rejects.toMatchObject({ kind: 'config' });
  });

  it('asks once for a file that is no longer than what is fetched for the footer', async () => {
    const { store, dataFile } = await stored(encodeNotes(5));
    const asked: [number, number][] = [];
    const counting: ObjectStore = {
      ...store,
      getRange: (location, start, end) => {
        asked.push([start, end]);
        return store.getRange(location, start, end);
      },
    };
    const tableSchema = schemaOf(id, note);
    await readDataFile({ store: counting, dataFile, tableSchema, columnNames: ['id', 'note'] });
    expect(asked).toEqual([[0, Number(dataFile.fileSizeBytes)]]);
  });
});

describe('readDataFile', () => {
  it('finds a renamed column by its field id', async () => {
    const read = await readDataFile({
      ...(await stored(encodeNotes(3))),
      tableSchema: schemaOf({ ...note, name: 'id' }, { ...id, name: 'note' }),
      columnNames: ['note', 'id'],
    });
    expect(read).toEqual({
      rowCount: 3,
      columns: new Map<string, unknown>([
        ['note', [0, 1, 2]],
        ['id', ['note 0', 'note 1', 'note 2']],
      ]),
    });
  });

  it('a column added after the file was written is null', async () => {
    const { columns } = await readDataFile({
      ...(await stored(encodeNotes(2))),
      tableSchema: schemaOf(id, { id: 9, name: 'note', required: false, type: 'string' }),
      columnNames: ['note'],
    });
    expect(columns.get('note')).toEqual([null, null]);
  });

  it('an int that was promoted to long reads as bigint', async () => {
    const { columns } = await readDataFile({
      ...(await stored(encodeNotes(2))),
      tableSchema: schemaOf({ ...id, type: 'long' }),
      columnNames: ['id'],
    });
    expect(columns.get('id')).toEqual([0n, 1n]);
  });

  it('fetches the footer and the pages of the wanted column, not the file', async () => {
    const rowCount = 200_000;
    const values = BigInt64Array.from({ length: rowCount }, (_, row) => BigInt(row) ** 3n);
    const batch: ColumnBatch = {
      rowCount,
      columns: new Map([
        [1, plainColumn('int', [...values.keys()])],
        [2, { kind: 'int64', values, valid: undefined }],
      ]),
    };
    const tableSchema = schemaOf(id, { ...note, type: 'long' });
    const writer = createParquetWriter({ rowGroupRowsMax: rowCount, zstdLevel: 1 });
    const file = writer.encode(tableSchema, batch);
    const { store, dataFile } = await stored(file.bytes);
    let fetched = 0;
    const counting: ObjectStore = {
      ...store,
      getRange: async (location, start, end) => {
        fetched += end - start;
        return store.getRange(location, start, end);
      },
    };
    const read = await readDataFile({
      store: counting,
      dataFile,
      tableSchema,
      columnNames: ['id'],
    });
    expect(read.columns.get('id')?.at(-1)).toBe(rowCount - 1);
    expect(fetched).toBeLessThan(Number(file.columnSizes.get(1)) + 70_000);
  });

  it('reads what another engine wrote, with snappy and its own encodings', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'read-'));
    const file = path.join(folder, 'other.parquet');
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    await connection.run(`copy (
        select i::bigint * 4611686018427387 as id, case when i % 3 = 0 then null else 'x' || i end as note,
               make_timestamptz(1700000000000001 + i) as seen, (i * 1.01)::decimal(12, 2) as price
        from range(500) r(i))
      to '${file}' (format parquet, compression snappy, parquet_version v2,
                    field_ids {id: 1, note: 2, seen: 3, price: 4})`);
    connection.closeSync();
    const { columns } = await readDataFile({
      ...(await stored(await readFile(file))),
      tableSchema: schemaOf(
        { ...id, type: 'long' },
        note,
        { id: 3, name: 'seen', required: false, type: 'timestamptz' },
        { id: 4, name: 'price', required: false, type: 'decimal(12, 2)' },
      ),
      columnNames: ['id', 'note', 'seen', 'price'],
    });
    await rm(folder, { recursive: true });
    expect(columns.get('id')?.[499]).toBe(499n * 4611686018427387n);
    expect(columns.get('note')?.slice(0, 3)).toEqual([null, 'x1', 'x2']);
    expect(columns.get('seen')?.[2]).toBe(1700000000000003n);
    expect(columns.get('price')?.[7]).toBe(707n);
  });

  it('a name that the schema lacks and a nested column are config errors', async () => {
    const list = { type: 'list', elementId: 3, element: 'int', elementRequired: false } as const;
    const tableSchema = schemaOf({ ...note, type: list });
    const file = await stored(encodeNotes(1));
    for (const name of ['missing', 'note']) {
      await expect(
        readDataFile({ ...file, tableSchema, columnNames: [name] }),
      ).rejects.toMatchObject({ kind: 'config' });
    }
  });

  it('bytes that are no Parquet file are corrupt; a missing object is what the store says', async () => {
    const file = await stored(new Uint8Array(100));
    await expect(
      readDataFile({ ...file, tableSchema: schemaOf(id), columnNames: ['id'] }),
    ).rejects.toMatchObject({ kind: 'corrupt' });
    const unavailable: ObjectStore = {
      ...file.store,
      getRange: () => Promise.reject(new TypeError('socket hang up')),
    };
    await expect(
      readDataFile({ ...file, store: unavailable, tableSchema: schemaOf(id), columnNames: ['id'] }),
    ).rejects.toThrowError('socket hang up');
  });
});
