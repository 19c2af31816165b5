import { describe, expect, it } from 'vitest';
import { CatalogError } from '../../../catalog/error.ts';
import type { PartitionValue } from '../../../catalog/manifest/data-file.ts';
import { createMemoryStore } from '../../../catalog/memory/memory-store.ts';
import type { ColumnBatch } from '../../../catalog/parquet/columns.ts';
import { createParquetWriter } from '../../../catalog/parquet/parquet-writer.ts';
import type { TableSchema } from '../../../catalog/spec/table-schema.ts';
import type { ObjectStore } from '../../../catalog/store/object-store.ts';
import {
  currentTable,
  splitBatch,
  writeDataFiles,
  type WriteDataFilesOptions,
} from '../../../catalog/write/write-data-files.ts';
import { plainColumn } from '../parquet/build-batch.ts';
import { tableMetadata } from './table-metadata.ts';

const HOUR = 3_600_000_000n;
const DAY = 24n * HOUR;

const tableSchema: TableSchema = {
  schemaId: 7,
  fields: [
    { id: 1, name: 'event_time', required: true, type: 'timestamptz' },
    { id: 2, name: 'user_id', required: false, type: 'long' },
    { id: 3, name: 'country', required: false, type: 'string' },
  ],
};

const byDay = [{ sourceId: 1, fieldId: 1000, name: 'event_day', transform: 'day' }];
const byTime = [
  { sourceId: 1, transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' } as const,
];

function batchOf(
  times: bigint[],
  countries: PartitionValue[] = times.map(() => 'se'),
): ColumnBatch {
  return {
    rowCount: times.length,
    columns: new Map([
      [1, plainColumn('timestamptz', times)],
      [
        2,
        plainColumn(
          'long',
          times.map((_, row) => BigInt(row)),
        ),
      ],
      [3, plainColumn('string', countries)],
    ]),
  };
}

function optionsOf(options: Partial<WriteDataFilesOptions>): WriteDataFilesOptions {
  let files = 0;
  return {
    metadata: tableMetadata({ tableSchema, partitionFields: byDay, sortFields: byTime }),
    batch: batchOf([0n]),
    writer: createParquetWriter({ rowGroupRowsMax: 1000, zstdLevel: 1 }),
    store: createMemoryStore(),
    newFileName: () => `file-${(files += 1)}`,
    uploadsMax: 2,
    ...options,
  };
}

async function locations(options: Partial<WriteDataFilesOptions>): Promise<string[]> {
  const dataFiles = await writeDataFiles(optionsOf(options));
  return dataFiles.map(({ location }) => location);
}

describe('writeDataFiles', () => {
  it('an empty batch writes nothing', async () => {
    expect(await locations({ batch: batchOf([]) })).toEqual([]);
  });

  it('a data file says where it is, under which spec and order, and how large', async () => {
    const store = createMemoryStore();
    const [dataFile] = await writeDataFiles(optionsOf({ store, batch: batchOf([DAY + 5n, DAY]) }));
    expect(dataFile).toMatchObject({
      location: 's3://lake/db/clicks/data/event_day=1970-01-02/file-1.parquet',
      format: 'PARQUET',
      specId: 3,
      sortOrderId: 1,
      partitionTuple: [1],
      recordCount: 2n,
    });
    expect(dataFile?.fileSizeBytes).toBe(
      BigInt((await store.size(dataFile?.location ?? '')) ?? -1),
    );
  });

  it('a day boundary separates files, also before the epoch', async () => {
    const batch = batchOf([-1n, DAY - 1n, 0n, DAY]);
    expect(await locations({ batch })).toEqual([
      's3://lake/db/clicks/data/event_day=1969-12-31/file-1.parquet',
      's3://lake/db/clicks/data/event_day=1970-01-01/file-2.parquet',
      's3://lake/db/clicks/data/event_day=1970-01-02/file-3.parquet',
    ]);
  });

  it('write.data.path moves the files', async () => {
    const metadata = tableMetadata({
      tableSchema,
      properties: { 'write.data.path': 's3://elsewhere/files/' },
    });
    expect(await locations({ metadata })).toEqual(['s3://elsewhere/files/file-1.parquet']);
  });

  it.each<[string, PartitionValue, string]>([
    ['identity', 'a/b=ü', 'country=a%2Fb%3D%C3%BC'],
    ['identity', '../../x', 'country=..%2F..%2Fx'],
    ['identity', null, 'country=null'],
    ['truncate[1]', 'se', 'country=s'],
    ['bucket[16]', 'iceberg', 'country=9'],
    ['void', 'se', 'country=null'],
  ])('%s of %s lies in %s', async (transform, country, folder) => {
    const metadata = tableMetadata({
      tableSchema,
      partitionFields: [{ sourceId: 3, fieldId: 1000, name: 'country', transform }],
    });
    expect(await locations({ metadata, batch: batchOf([0n], [country]) })).toEqual([
      `s3://lake/db/clicks/data/${folder}/file-1.parquet`,
    ]);
  });

  it.each([
    ['year', 'event_year=2026'],
    ['month', 'event_year=2026-11'],
    ['hour', 'event_year=2026-11-22-22'],
    ['identity', `event_year=${encodeURIComponent('2026-11-22T22:05:01.000007+00:00')}`],
  ])('%s of a time lies in %s', async (transform, folder) => {
    const time = BigInt(Date.parse('2026-11-22T22:05:01Z')) * 1000n + 7n;
    const metadata = tableMetadata({
      tableSchema,
      partitionFields: [{ sourceId: 1, fieldId: 1000, name: 'event_year', transform }],
    });
    expect(await locations({ metadata, batch: batchOf([time]) })).toEqual([
      `s3://lake/db/clicks/data/${folder}/file-1.parquet`,
    ]);
  });

  it('never has more uploads in flight than allowed', async () => {
    let inFlight = 0;
    let most = 0;
    const store: ObjectStore = {
      ...createMemoryStore(),
      put: async () => {
        inFlight += 1;
        most = Math.max(most, inFlight);
        await new Promise((resolve) => setTimeout(resolve, 5));
        inFlight -= 1;
      },
    };
    const batch = batchOf(Array.from({ length: 9 }, (_, day) => BigInt(day) * DAY));
    expect(await locations({ store, batch, uploadsMax: 3 })).toHaveLength(9);
    expect(most).toBe(3);
    expect(inFlight).toBe(0);
  });

  it('a failed upload stops the rest, after those in flight have ended', async () => {
    let started = 0;
    let ended = 0;
    const store: ObjectStore = {
      ...createMemoryStore(),
      put: async () => {
        started += 1;
        const isFirst = started === 1;
        await new Promise((resolve) => setTimeout(resolve, isFirst ? 1 : 10));
        ended += 1;
        if (isFirst) throw new CatalogError('unavailable', 'no connection');
      },
    };
    const batch = batchOf(Array.from({ length: 20 }, (_, day) => BigInt(day) * DAY));
    await expect(locations({ store, batch })).rejects.toMatchObject({ kind: 'unavailable' });
    expect(started).toBeLessThan(20);
    expect(ended).toBe(started);
  });

  it('a part that cannot be encoded is told after the uploads in flight have ended', async () => {
    const whole = createParquetWriter({ rowGroupRowsMax: 1000, zstdLevel: 1 });
    let encoded = 0;
    let [started, ended] = [0, 0];
    const store: ObjectStore = {
      ...createMemoryStore(),
      put: async () => {
        started += 1;
        await new Promise((resolve) => setTimeout(resolve, 10));
        ended += 1;
      },
    };
    const writer: typeof whole = {
      ...whole,
      encode: (...file) => {
        encoded += 1;
        if (encoded === 3) throw new CatalogError('config', 'no such column');
        return whole.encode(...file);
      },
    };
    const batch = batchOf([0n, DAY, 2n * DAY]);
    await expect(locations({ store, batch, writer, uploadsMax: 9 })).rejects.toMatchObject({
      kind: 'config',
    });
    expect([started, ended]).toEqual([2, 2]);
  });

  it('timers run between files', async () => {
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 0);
    await locations({ batch: batchOf(Array.from({ length: 30 }, (_, day) => BigInt(day) * DAY)) });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(0);
  });
});

describe('splitBatch', () => {
  const target = currentTable(optionsOf({}).metadata);

  it('rows of one tuple that are in order are not copied', () => {
    const parts = splitBatch(target, batchOf([1n, 2n, 2n, 3n]));
    expect(parts).toEqual([{ partitionTuple: [0], rows: undefined }]);
  });

  it('sorts a time without mixing equal times', () => {
    const parts = splitBatch(target, batchOf([5n, 2n ** 33n, 5n, 1n]));
    expect(parts[0]?.rows).toEqual(Int32Array.of(3, 0, 2, 1));
  });

  it('times beyond what a double holds fall into their own day', () => {
    const metadata = tableMetadata({ tableSchema, partitionFields: byDay });
    const parts = splitBatch(currentTable(metadata), batchOf([2n ** 62n, -(2n ** 62n)]));
    expect(parts.map(({ partitionTuple }) => partitionTuple)).toEqual([
      [Number(2n ** 62n / DAY)],
      [-Number(2n ** 62n / DAY) - 1],
    ]);
  });
});

it.each([
  ['schema', { currentSchemaId: 8 }],
  ['partition spec', { defaultSpecId: 8 }],
  ['sort order', { defaultSortOrderId: 8 }],
])('metadata without its %s is corrupt', (_what, change) => {
  const metadata = { ...tableMetadata({ tableSchema }), ...change };
  expect(() => currentTable(metadata)).toThrowError(expect.objectContaining({ kind: 'corrupt' }));
});
