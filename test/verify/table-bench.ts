import { commitAppend } from '../../catalog/commit/commit-append.ts';
import { createMemoryCatalog } from '../../catalog/memory/memory-catalog.ts';
import { createMemoryStore } from '../../catalog/memory/memory-store.ts';
import type { Column, ColumnBatch } from '../../catalog/parquet/columns.ts';
import { createParquetWriter } from '../../catalog/parquet/parquet-writer.ts';
import type { Catalog, TableIdentifier } from '../../catalog/rest/catalog.ts';
import type { TableMetadata } from '../../catalog/spec/table-metadata.ts';
import type { NestedField } from '../../catalog/spec/table-schema.ts';
import type { ObjectStore } from '../../catalog/store/object-store.ts';
import { writeDataFiles } from '../../catalog/write/write-data-files.ts';
import type { TableSource } from '../../verify/reject-rows.ts';
import { openTableSource } from '../../verify/open-table-source.ts';
import type { Cell } from '../../verify/table-rows.ts';

const EVENTS: TableIdentifier = { namespace: ['lake'], name: 'clicks' };
const DEAD_LETTER: TableIdentifier = { namespace: ['lake'], name: 'clicks_dead_letter' };

const EVENT_FIELDS: NestedField[] = [
  { id: 1, name: '_kafka_partition', required: true, type: 'int' },
  { id: 2, name: '_kafka_offset', required: true, type: 'long' },
  { id: 3, name: 'event_time', required: false, type: 'timestamptz' },
  { id: 4, name: 'user_id', required: false, type: 'long' },
  { id: 5, name: 'url', required: false, type: 'string' },
  { id: 6, name: 'device_id', required: false, type: 'string' },
  { id: 7, name: 'session_id', required: false, type: 'string' },
  { id: 8, name: 'url_title', required: false, type: 'string' },
  { id: 9, name: '_urls_match', required: true, type: 'string' },
];

const REJECT_FIELDS: NestedField[] = [
  { id: 1, name: '_kafka_topic', required: true, type: 'string' },
  { id: 2, name: '_kafka_partition', required: true, type: 'int' },
  { id: 3, name: '_kafka_offset', required: true, type: 'long' },
  { id: 4, name: 'error_kind', required: true, type: 'string' },
  { id: 5, name: '_kafka_topic_id', required: false, type: 'string' },
];

/** One row or reject by column name; what is left out has a default. */
export type BenchRow = { partition: number; offset: number } & Record<string, Cell>;

export type BenchCommit = {
  /** [start, end) by partition. */
  ranges: Record<string, [number, number]>;
  rows?: readonly BenchRow[];
  rejects?: readonly BenchRow[];
  filtered?: Record<string, number>;
  dimensions?: Record<string, Record<string, number>>;
  /** Of the dimensions' topics; by default their names. */
  topicIds?: Record<string, string>;
  /** Leave the rejects' files out of the dead-letter table: only the property names them. */
  rejectsPending?: boolean;
};

/** The two tables of pipeline `clicks` in memory, written as the pipeline writes them, right or wrong. */
export type TableBench = {
  store: ObjectStore;
  catalog: Catalog;
  commit(commit: BenchCommit): Promise<void>;
  /** `expired`: without our snapshots, under a head of somebody else's. */
  source(options?: { expired: boolean }): Promise<TableSource>;
};

type Totals = Record<'start' | 'next' | 'filtered' | 'rejects', Record<string, number>>;

/** The log that the bench's offsets count in. */
const LOG = { cluster: 'cluster-1', topic: 'clicks', topicId: 'clicks-1' };

export async function createTableBench(
  pipeline = 'clicks',
  beside?: TableBench,
): Promise<TableBench> {
  const store = beside?.store ?? createMemoryStore();
  const catalog = beside?.catalog ?? (await createTables());
  const lake = { catalog, store };
  const totals: Totals = { start: {}, next: {}, filtered: {}, rejects: {} };
  const deadLetters: Totals = { start: {}, next: {}, filtered: {}, rejects: {} };
  let commits = 0;
  return {
    store,
    catalog,
    async commit(commit) {
      commits += 1;
      const commitId = `${pipeline}-commit-${commits}`;
      const at = { pipeline, commitId, sequenceNumber: await nextSequence(catalog) };
      advance(totals, commit);
      const rejects = (commit.rejects ?? []).map(rejectRow);
      const rejectFiles = await writeRows(lake, DEAD_LETTER, rejects, commitId);
      const rows = (commit.rows ?? []).map(eventRow);
      const files = await writeRows(lake, EVENTS, rows, commitId);
      const pending = rejectFiles.map(({ location, recordCount, fileSizeBytes }) => ({
        location,
        recordCount: String(recordCount),
        fileSizeBytes: String(fileSizeBytes),
      }));
      const counts = { rows: rows.length, rejects: rejects.length };
      const said = describe(at, { commit, counts, totals, pending });
      await append(lake, EVENTS, commitId, files, said);
      if (commit.rejectsPending === true || rejectFiles.length === 0) return;
      const partitions = new Set((commit.rejects ?? []).map(({ partition }) => String(partition)));
      const ranges = Object.entries(commit.ranges).filter(([name]) => partitions.has(name));
      const claim = { ranges: Object.fromEntries(ranges) };
      advance(deadLetters, claim);
      const owner = { ...at, pipeline: `${pipeline}.${LOG.topicId}` };
      const settled = describe(owner, {
        commit: claim,
        counts: { rows: rejects.length, rejects: 0 },
        totals: deadLetters,
        pending: [],
      });
      await append(lake, DEAD_LETTER, commitId, rejectFiles, settled);
    },
    async source(options = { expired: false }) {
      const source = await openTableSource({ ...lake, table: EVENTS, deadLetter: DEAD_LETTER });
      return options.expired ? { ...source, events: withoutSummaries(source.events) } : source;
    },
  };
}

async function createTables(): Promise<Catalog> {
  let ids = 0;
  const uuid = (): string => `00000000-0000-4000-8000-0000000000${String((ids += 1)).padStart(2)}`;
  const catalog = createMemoryCatalog({ clock: { nowMs: () => 1_800_000_000_000 }, uuid });
  await catalog.ensureNamespace(['lake']);
  await createTable(catalog, EVENTS, EVENT_FIELDS);
  await createTable(catalog, DEAD_LETTER, REJECT_FIELDS);
  return catalog;
}

async function nextSequence(catalog: Catalog): Promise<string> {
  return String((await metadataOf(catalog, EVENTS)).lastSequenceNumber + 1n);
}

/** Summary and property of a commit, spelled as the pipeline spells them. */
function describe(
  {
    pipeline,
    commitId,
    sequenceNumber,
  }: Record<'pipeline' | 'commitId' | 'sequenceNumber', string>,
  of: {
    commit: Pick<BenchCommit, 'ranges' | 'filtered' | 'dimensions' | 'topicIds'>;
    counts: { rows: number; rejects: number };
    totals: Totals;
    pending: readonly object[];
  },
): { summary: Record<string, string>; properties: Record<string, string> } {
  const { commit, counts, totals, pending } = of;
  const position = { ...LOG, next: texts(totals.next) };
  const state = JSON.stringify({
    commitId,
    sequenceNumber,
    position,
    start: texts(totals.start),
    filtered: texts(totals.filtered),
    rejects: texts(totals.rejects),
    pending: [{ commitId, files: pending }],
  });
  const dimensions = Object.entries(commit.dimensions ?? {}).map(([name, next]) => [
    name,
    { topicId: commit.topicIds?.[name] ?? name, next: texts(next) },
  ]);
  const summary = {
    'tributary.pipeline': pipeline,
    'tributary.commit-id': commitId,
    'tributary.position': JSON.stringify(position),
    'tributary.state': state,
    'tributary.ranges': JSON.stringify(commit.ranges),
    'tributary.counts': JSON.stringify({ ...counts, filtered: texts(commit.filtered ?? {}) }),
    'tributary.dimensions': JSON.stringify(Object.fromEntries(dimensions)),
  };
  return { summary, properties: { [`tributary.${pipeline}`]: state } };
}

/** Rows of one partition at these offsets. */
export function rowsAt(partition: number, offsets: readonly number[]): BenchRow[] {
  return offsets.map((offset) => ({ partition, offset }));
}

function eventRow({ partition, offset, ...rest }: BenchRow): Record<string, Cell> {
  return {
    _kafka_partition: partition,
    _kafka_offset: BigInt(offset),
    event_time: 1_800_000_000_000_000n,
    user_id: 1n,
    url: 'https://a.example/',
    device_id: 'd-1',
    session_id: null,
    url_title: null,
    _urls_match: 'miss',
    ...rest,
  };
}

function rejectRow({ partition, offset, ...rest }: BenchRow): Record<string, Cell> {
  return {
    _kafka_topic: 'clicks',
    _kafka_partition: partition,
    _kafka_offset: BigInt(offset),
    error_kind: 'truncated',
    _kafka_topic_id: LOG.topicId,
    ...rest,
  };
}

function advance(totals: Totals, { ranges, rejects = [], filtered = {} }: BenchCommit): void {
  for (const [partition, [start, end]] of Object.entries(ranges)) {
    totals.start[partition] ??= start;
    totals.next[partition] = end;
    totals.filtered[partition] = (totals.filtered[partition] ?? 0) + (filtered[partition] ?? 0);
  }
  for (const { partition } of rejects) {
    totals.rejects[partition] = (totals.rejects[partition] ?? 0) + 1;
  }
}

function texts(numbers: Record<string, number>): Record<string, string> {
  return Object.fromEntries(Object.entries(numbers).map(([key, value]) => [key, String(value)]));
}

type Lake = { catalog: Catalog; store: ObjectStore };

async function createTable(
  catalog: Catalog,
  identifier: TableIdentifier,
  fields: NestedField[],
): Promise<void> {
  await catalog.createTable({
    identifier,
    schema: { schemaId: 0, fields },
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  });
}

async function metadataOf(catalog: Catalog, identifier: TableIdentifier): Promise<TableMetadata> {
  const loaded = await catalog.loadTable(identifier);
  if (loaded === undefined) throw new Error(`no table ${identifier.name}`);
  return loaded.metadata;
}

async function writeRows(
  { catalog, store }: Lake,
  identifier: TableIdentifier,
  rows: readonly Record<string, Cell>[],
  name: string,
) {
  if (rows.length === 0) return [];
  const metadata = await metadataOf(catalog, identifier);
  const fields = metadata.schemas[0]?.fields ?? [];
  const columns = fields.map(
    (field) =>
      [
        field.id,
        columnOf(
          field,
          rows.map((row) => row[field.name] ?? null),
        ),
      ] as const,
  );
  const batch: ColumnBatch = { rowCount: rows.length, columns: new Map(columns) };
  const writer = createParquetWriter({ rowGroupRowsMax: 1_000, zstdLevel: 1 });
  const newFileName = (): string => name;
  return writeDataFiles({ metadata, batch, writer, store, newFileName, uploadsMax: 1 });
}

function columnOf({ type }: NestedField, cells: readonly Cell[]): Column {
  const valid = Uint8Array.from(cells, (cell) => (cell === null ? 0 : 1));
  if (type === 'int') {
    return { kind: 'int32', values: Int32Array.from(cells, (cell) => Number(cell)), valid };
  }
  if (type === 'long' || type === 'timestamptz') {
    const values = BigInt64Array.from(cells, (cell) => (typeof cell === 'bigint' ? cell : 0n));
    return { kind: 'int64', values, valid };
  }
  const pieces = cells.map((cell) => Buffer.from(cell === null ? '' : String(cell)));
  const offsets = new Int32Array(pieces.length + 1);
  for (const [i, piece] of pieces.entries()) offsets[i + 1] = (offsets[i] ?? 0) + piece.length;
  return { kind: 'bytes', slices: { bytes: Buffer.concat(pieces), offsets }, valid };
}

async function append(
  { catalog, store }: Lake,
  identifier: TableIdentifier,
  commitId: string,
  dataFiles: Awaited<ReturnType<typeof writeDataFiles>>,
  said: { summary: Record<string, string>; properties: Record<string, string> },
): Promise<void> {
  const { tableUuid } = await metadataOf(catalog, identifier);
  await commitAppend({
    catalog,
    store,
    identifier,
    tableUuid,
    commitId,
    dataFiles,
    decide: () => ({ kind: 'append', ...said }),
    clock: {
      nowMs: () => 0,
      elapsedMs: () => 0,
      sleep: async () => undefined,
      random: () => 0.5,
    },
    limits: { attemptsMax: 1, unknownWaitMsMax: 0, backoffMsMax: 0 },
  });
}

/** As after `expire_snapshots(retain_last => 1)` with a head of somebody else's. */
function withoutSummaries(metadata: TableMetadata): TableMetadata {
  const head = metadata.snapshots.at(-1);
  if (head === undefined) return metadata;
  return { ...metadata, snapshots: [{ ...head, summary: { operation: 'replace' } }] };
}
