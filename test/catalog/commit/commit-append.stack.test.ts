import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AppendOptions, AppendOutcome } from '../../../catalog/commit/append.ts';
import { commitAppend } from '../../../catalog/commit/commit-append.ts';
import { scanDataFiles } from '../../../catalog/commit/scan.ts';
import type { ScannedFile } from '../../../catalog/commit/scan.ts';
import { CatalogError } from '../../../catalog/error.ts';
import type { DataFile } from '../../../catalog/manifest/data-file.ts';
import type { Column, ColumnBatch } from '../../../catalog/parquet/columns.ts';
import { createParquetWriter } from '../../../catalog/parquet/parquet-writer.ts';
import type { Catalog, LoadedTable, TableIdentifier } from '../../../catalog/rest/catalog.ts';
import { openRestCatalog } from '../../../catalog/rest/rest-catalog.ts';
import { ancestors } from '../../../catalog/spec/snapshot-walk.ts';
import type { TableMetadata } from '../../../catalog/spec/table-metadata.ts';
import type { PrimitiveType } from '../../../catalog/spec/table-schema.ts';
import { openS3Store } from '../../../catalog/store/s3-store.ts';
import type { S3Store } from '../../../catalog/store/s3-store.ts';
import { writeDataFiles } from '../../../catalog/write/write-data-files.ts';
import { openTrino } from '../../../verify/trino.ts';
import { endpoints } from '../../stack/endpoints.ts';

const NAMESPACE = `catalog_commit_${Date.now()}`;
const MICROS_PER_DAY = 86_400_000_000n;
const DAY = 20_833;
const USER = 2n ** 62n;
const EVENING = BigInt(DAY) * MICROS_PER_DAY + 84_600_000_000n;
/** Of two rows, the second is null. */
const FIRST_ONLY = Uint8Array.of(1, 0);

let catalog: Catalog;
let store: S3Store;
const trino = openTrino({
  url: endpoints.trinoUrl,
  user: 'test',
  catalog: 'lake',
  schema: NAMESPACE,
});

beforeAll(async () => {
  catalog = await openRestCatalog({ uri: endpoints.catalogUri });
  store = openS3Store({
    region: 'us-east-1',
    endpoint: endpoints.s3Endpoint,
    pathStyle: true,
    accessKeyId: endpoints.s3AccessKeyId,
    secretAccessKey: endpoints.s3SecretAccessKey,
  });
  await catalog.ensureNamespace([NAMESPACE]);
});

afterAll(() => store.close());

async function createClicks(name: string): Promise<TableIdentifier> {
  const identifier = { namespace: [NAMESPACE], name };
  await catalog.createTable({
    identifier,
    schema: {
      schemaId: 0,
      fields: [
        { id: 1, name: 'event_time', required: true, type: 'timestamptz' },
        { id: 2, name: 'user_id', required: true, type: 'long' },
        { id: 3, name: 'url', required: false, type: 'string' },
      ],
    },
    partitionSpec: {
      specId: 0,
      fields: [{ sourceId: 1, fieldId: 1000, name: 'event_time_day', transform: 'day' }],
    },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  });
  return identifier;
}

async function load(identifier: TableIdentifier): Promise<TableMetadata> {
  const loaded = await catalog.loadTable(identifier);
  if (loaded === undefined) throw new Error('the table is missing');
  return loaded.metadata;
}

/** `rows` clicks spread evenly over `days`, users counted from 2^62 + `firstUser`; every tenth has no url. */
function clicks(rows: number, days: readonly number[], firstUser = 0): ColumnBatch {
  const eventTime = new BigInt64Array(rows);
  const userId = new BigInt64Array(rows);
  const urls: (string | null)[] = [];
  for (let i = 0; i < rows; i += 1) {
    eventTime[i] = BigInt(days[i % days.length] ?? 0) * MICROS_PER_DAY + BigInt(i);
    userId[i] = USER + BigInt(firstUser + i);
    urls.push(i % 10 === 0 ? null : `https://shop.example/item/${i}`);
  }
  return {
    rowCount: rows,
    columns: new Map([
      [1, { kind: 'int64', values: eventTime, valid: undefined }],
      [2, { kind: 'int64', values: userId, valid: undefined }],
      [3, texts(urls)],
    ]),
  };
}

function texts(values: readonly (string | null)[]): Column {
  return bytes(values.map((value) => (value === null ? null : Buffer.from(value))));
}

function bytes(values: readonly (Uint8Array | null)[]): Column {
  const offsets = new Int32Array(values.length + 1);
  for (const [i, value] of values.entries()) {
    offsets[i + 1] = (offsets[i] ?? 0) + (value?.byteLength ?? 0);
  }
  const parts = values.filter((value) => value !== null);
  const valid = Uint8Array.from(values, (value) => (value === null ? 0 : 1));
  return { kind: 'bytes', slices: { bytes: Buffer.concat(parts), offsets }, valid };
}

async function append(
  identifier: TableIdentifier,
  commitId: string,
  batch: ColumnBatch | undefined,
  rest: Partial<AppendOptions> = {},
): Promise<AppendOutcome> {
  const metadata = await load(identifier);
  const dataFiles = batch === undefined ? [] : await write(metadata, batch, commitId);
  return commitAppend({
    catalog,
    store,
    identifier,
    tableUuid: metadata.tableUuid,
    commitId,
    dataFiles,
    decide: (table) =>
      table.properties['t.commit-id'] === commitId
        ? { kind: 'landed' }
        : {
            kind: 'append',
            summary: { 't.commit-id': commitId },
            properties: { 't.commit-id': commitId },
          },
    clock: {
      nowMs: Date.now,
      elapsedMs: () => performance.now(),
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      random: Math.random,
    },
    limits: { attemptsMax: 10, unknownWaitMsMax: 10_000, backoffMsMax: 500 },
    ...rest,
  });
}

async function write(
  metadata: TableMetadata,
  batch: ColumnBatch,
  commitId: string,
): Promise<readonly DataFile[]> {
  let files = 0;
  return writeDataFiles({
    metadata,
    batch,
    writer: createParquetWriter({ rowGroupRowsMax: 100_000, zstdLevel: 1 }),
    store,
    newFileName: () => `${commitId}-${(files += 1)}`,
    uploadsMax: 4,
  });
}

function int32(value: number): Column {
  return { kind: 'int32', values: Int32Array.of(value, 0), valid: FIRST_ONLY };
}

function int64(value: bigint): Column {
  return { kind: 'int64', values: BigInt64Array.of(value, 0n), valid: FIRST_ONLY };
}

async function rowsOf(sql: string): Promise<readonly (readonly unknown[])[]> {
  return (await trino.query(sql)).rows;
}

/** One column for each result type; the first row has the value, the second nulls. */
const PARTITIONED: readonly {
  type: PrimitiveType;
  transform: string;
  column: Column;
  expected: string;
}[] = [
  { type: 'int', transform: 'identity', column: int32(-7), expected: '-7' },
  { type: 'long', transform: 'identity', column: int64(USER), expected: String(USER) },
  { type: 'string', transform: 'truncate[3]', column: texts(['größer', null]), expected: 'grö' },
  {
    type: 'decimal(9, 2)',
    transform: 'identity',
    column: bytes([Buffer.of(0xcf, 0xc7), null]),
    expected: '-123.45',
  },
  {
    type: 'decimal(38, 10)',
    transform: 'truncate[10]',
    column: bytes([Buffer.of(0x49, 0x96, 0x02, 0xd2), null]),
    expected: '0.1234567890',
  },
  {
    type: 'uuid',
    transform: 'identity',
    column: bytes([Buffer.from('00112233445566778899aabbccddeeff', 'hex'), null]),
    expected: '00112233-4455-6677-8899-aabbccddeeff',
  },
  { type: 'date', transform: 'identity', column: int32(DAY), expected: '2027-01-15' },
  { type: 'date', transform: 'year', column: int32(DAY), expected: '57' },
  { type: 'date', transform: 'month', column: int32(DAY), expected: '684' },
  { type: 'timestamptz', transform: 'day', column: int64(EVENING), expected: '2027-01-15' },
  { type: 'timestamp', transform: 'hour', column: int64(EVENING), expected: '500015' },
  {
    type: 'timestamp',
    transform: 'identity',
    column: int64(EVENING),
    expected: '2027-01-15 23:30:00.000000',
  },
  { type: 'time', transform: 'identity', column: int64(1n), expected: '00:00:00.000001' },
  {
    type: 'boolean',
    transform: 'identity',
    column: { kind: 'boolean', values: Uint8Array.of(1, 0), valid: FIRST_ONLY },
    expected: 'true',
  },
  {
    type: 'double',
    transform: 'identity',
    column: { kind: 'float64', values: Float64Array.of(0.5, 0), valid: FIRST_ONLY },
    expected: '5.0E-1',
  },
  {
    type: 'float',
    transform: 'identity',
    column: { kind: 'float32', values: Float32Array.of(0.25, 0), valid: FIRST_ONLY },
    expected: '2.5E-1',
  },
];

/** How many files Trino opens for a query over `clicks`. */
async function filesRead(where: string): Promise<number> {
  const [[plan] = []] = await rowsOf(
    `explain analyze select count(url) from clicks where ${where}`,
  );
  const text = String(plan);
  // A scan of nothing still has one, empty, split.
  return text.includes('Physical input:') ? Number(/Splits: (\d+)/.exec(text)?.[1]) : 0;
}

async function scan(metadata: TableMetadata): Promise<readonly ScannedFile[]> {
  const files: ScannedFile[] = [];
  for await (const file of scanDataFiles({ store, metadata })) files.push(file);
  return files;
}

function rowCount(files: readonly ScannedFile[]): bigint {
  return files.reduce((rows, file) => rows + file.dataFile.recordCount, 0n);
}

/** A catalog whose first answers are treated as told before the committer gets to see them. */
function withAnswers(treat: (send: () => Promise<LoadedTable>) => Promise<LoadedTable>): Catalog {
  let isFirst = true;
  return {
    ...catalog,
    prepareCommit: (request) => {
      const prepared = catalog.prepareCommit(request);
      return {
        send: async () => {
          if (!isFirst) return prepared.send();
          isFirst = false;
          return treat(() => prepared.send());
        },
      };
    },
  };
}

describe('Trino', () => {
  let table: TableIdentifier;

  test('reads the rows, counts, bounds, summaries and partitions that we wrote', async () => {
    table = await createClicks('clicks');
    const outcomes = [
      await append(table, 'c1', clicks(1000, [DAY, DAY + 1])),
      await append(table, 'c2', undefined),
      await append(table, 'c3', clicks(500, [DAY], 10_000)),
    ];
    expect(outcomes.map((outcome) => outcome.kind)).toEqual(Array(3).fill('committed'));

    expect(
      await rowsOf('select count(*), count(url), min(user_id), max(user_id) from clicks'),
    ).toEqual([[1500, 1350, USER, USER + 10_499n]]);
    expect(
      await rowsOf(`select record_count, json_extract_scalar(readable_metrics, '$.url.null_value_count'),
        json_extract_scalar(readable_metrics, '$.url.lower_bound'),
        json_extract_scalar(readable_metrics, '$.url.upper_bound')
        from "clicks$files" order by file_path`),
    ).toEqual([
      [500, '100', 'https://shop.exa', 'https://shop.exb'],
      [500, '50', 'https://shop.exa', 'https://shop.exb'],
      [500, '0', 'https://shop.exa', 'https://shop.exb'],
    ]);
    expect(
      await rowsOf(`select added_data_files_count, added_rows_count, partition_summaries[1].lower_bound,
        partition_summaries[1].upper_bound from "clicks$manifests" order by path`),
    ).toEqual([
      [2, 1000, '2027-01-15', '2027-01-16'],
      [1, 500, '2027-01-15', '2027-01-15'],
    ]);
    expect(
      await rowsOf(`select operation, summary['t.commit-id'], summary['total-records']
        from "clicks$snapshots" order by committed_at`),
    ).toEqual([
      ['append', 'c1', '1000'],
      ['append', 'c2', '1000'],
      ['append', 'c3', '1500'],
    ]);
  });

  test('opens only the files that our partitions and bounds leave', async () => {
    expect(await filesRead('true')).toBe(3);
    expect(await filesRead("event_time >= timestamp '2027-01-16 00:00:00 UTC'")).toBe(1);
    expect(await filesRead(`user_id >= ${USER + 10_000n}`)).toBe(1);
    expect(await filesRead("url > 'https://shop.exc'")).toBe(0);
  });

  test('deletes rows of ours; the next append carries its delete files on', async () => {
    await trino.query(`delete from clicks where user_id = ${USER + 1n}`);
    await append(table, 'c4', clicks(10, [DAY + 1], 20_000));

    const files = await scan(await load(table));
    expect(rowCount(files)).toBe(1510n);
    expect(files.filter((file) => file.deletes.length > 0)).toHaveLength(1);
    expect(await rowsOf('select count(*) from clicks')).toEqual([[1509]]);
  });

  test('optimizes and expires; the property stays, its manifests are readable, we go on', async () => {
    await trino.query('alter table clicks execute optimize');
    await trino.query(
      "alter table clicks execute expire_snapshots(retention_threshold => '0s', retain_last => 1)",
    );
    const rewritten = await load(table);
    expect(rewritten.snapshots).toHaveLength(1);
    expect(rewritten.properties['t.commit-id']).toBe('c4');
    const files = await scan(rewritten);
    expect(rowCount(files)).toBe(1509n);
    expect(files.flatMap((file) => file.deletes)).toEqual([]);
    expect(files.map((file) => file.dataFile.location).toSorted()).toEqual(
      (await rowsOf('select file_path from "clicks$files" order by 1')).flat(),
    );

    expect((await append(table, 'c5', clicks(100, [DAY + 3], 30_000))).kind).toBe('committed');
    const metadata = await load(table);
    expect(rowCount(await scan(metadata))).toBe(1609n);
    expect(metadata.snapshots.at(-1)?.summary['total-records']).toBe('1609');
    expect(await rowsOf('select count(*) from clicks')).toEqual([[1609]]);
  });

  test('reads partition values of every kind of result type', async () => {
    const name = 'partition_types';
    const identifier = { namespace: [NAMESPACE], name };
    await catalog.createTable({
      identifier,
      schema: {
        schemaId: 0,
        fields: PARTITIONED.map(({ type }, i) => ({
          id: i + 1,
          name: `c${i}`,
          required: false,
          type,
        })),
      },
      partitionSpec: {
        specId: 0,
        fields: PARTITIONED.map(({ transform }, i) => ({
          sourceId: i + 1,
          fieldId: 1000 + i,
          name: i === 0 ? 'c0' : `c${i}-part`,
          transform,
        })),
      },
      sortOrder: { orderId: 0, fields: [] },
      properties: {},
    });
    const columns = new Map(PARTITIONED.map(({ column }, i) => [i + 1, column]));
    await append(identifier, 'c1', { rowCount: 2, columns });

    const fields = PARTITIONED.map((_, i) => (i === 0 ? 'c0' : `"c${i}-part"`));
    const values = fields.map((field) => `cast(partition.${field} as varchar)`).join(', ');
    const rows = await rowsOf(`select ${values} from "${name}$partitions" order by 1 nulls last`);
    expect(rows).toEqual([
      PARTITIONED.map(({ expected }) => expected),
      PARTITIONED.map(() => null),
    ]);
    const [file] = await scan(await load(identifier));
    expect(file?.dataFile.partitionTuple).toHaveLength(PARTITIONED.length);
  });
});

describe('the REST catalog', () => {
  test('the answer lost after the commit: found, once in the table', async () => {
    const table = await createClicks('answer_lost');
    const lossy = withAnswers(async (send) => {
      await send();
      throw new CatalogError('commit-unknown', 'connection reset');
    });
    const outcome = await append(table, 'c1', clicks(10, [DAY]), { catalog: lossy });
    expect(outcome.kind).toBe('landed');
    expect((await load(table)).snapshots).toHaveLength(1);
  });

  test('a request that something repeats is refused the second time: landed', async () => {
    const table = await createClicks('repeated');
    const repeating = withAnswers(async (send) => {
      await send();
      return send();
    });
    const outcome = await append(table, 'c1', clicks(10, [DAY]), { catalog: repeating });
    expect(outcome.kind).toBe('landed');
    expect((await load(table)).snapshots).toHaveLength(1);
  });

  test('lost before the commit: the identical request lands', async () => {
    const table = await createClicks('lost_before');
    const lossy = withAnswers(async () => {
      throw new CatalogError('commit-unknown', 'connection reset');
    });
    const outcome = await append(table, 'c1', clicks(10, [DAY]), { catalog: lossy });
    expect(outcome).toMatchObject({ kind: 'landed', attempts: 1 });
    expect((await load(table)).snapshots).toHaveLength(1);
  });

  test('four committers at once: each append lands once, in one line of history', async () => {
    const table = await createClicks('race');
    const limits = { attemptsMax: 50, unknownWaitMsMax: 10_000, backoffMsMax: 200 };
    const outcomes = await Promise.all(
      [0, 1, 2, 3].map(async (writer) => {
        const kinds: string[] = [];
        for (let i = 0; i < 4; i += 1) {
          const batch = clicks(10, [DAY + i]);
          kinds.push((await append(table, `w${writer}-${i}`, batch, { limits })).kind);
        }
        return kinds;
      }),
    );
    expect(outcomes.flat()).toEqual(Array(16).fill('committed'));
    const metadata = await load(table);
    expect([...ancestors(metadata)]).toHaveLength(16);
    expect(rowCount(await scan(metadata))).toBe(160n);
    expect(metadata.lastSequenceNumber).toBe(16n);
  });

  test('a table dropped in between is fenced', async () => {
    const table = await createClicks('dropped');
    const dropping = withAnswers(async (send) => {
      await catalog.dropTable(table);
      return send();
    });
    await expect(
      append(table, 'c1', clicks(10, [DAY]), { catalog: dropping }),
    ).rejects.toMatchObject({ kind: 'fenced' });
  });
});
