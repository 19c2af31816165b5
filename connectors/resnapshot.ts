import {
  stopConnector,
  waitMsMaxDefault,
  waitUntilRunning,
  whenReachable,
} from './connector-runs.ts';
import type { ConnectorWait } from './connector-runs.ts';
import type { ConnectorsConfig } from './connectors-config.ts';
import { createChangeDecoder } from './decode-change.ts';
import { ConnectorsError } from './error.ts';
import { loadTables } from './first-loads.ts';
import type { TopicAdmin } from './kafka-admin.ts';
import { beginNewSlot, dueTables, forgetDue, inspectSlot } from './new-slot.ts';
import { storedLsn } from './replication-slot.ts';
import type { RowKey, findInSource } from './source-rows.ts';
import { tableTopic } from './topics.ts';
import { findVanished, withoutPresent } from './vanished-rows.ts';
import type { ChangeLog, LogRange, ReadTable, VanishedRow } from './vanished-rows.ts';

export type ResnapshotOptions = ConnectorWait & {
  /** `schema.table`, of those in connectors.yaml. */
  tables: readonly string[];
  topics: TopicAdmin;
  log: ChangeLog;
  /** Drops the replication slot, see `dropSlot`. */
  dropSlot: (config: ConnectorsConfig) => Promise<void>;
  /** Which keys stand in a table, see `findInSource`. */
  findRows: (
    config: ConnectorsConfig,
    table: string,
    keys: readonly RowKey[],
  ) => ReturnType<typeof findInSource>;
  /** The Avro schema behind an id, see `loadTables`. */
  loadSchema: (schemaId: number) => Promise<object | undefined>;
  /** Rows that are compared at once; 4 million by default, at about 100 bytes each. */
  keysAtOnceMax?: number;
};

const keysAtOnceMaxDefault = 4_000_000;
/** A row may come back in the moment in which it is called gone; then all is read once more. */
const readingsMax = 3;
const pollMs = 500;

/**
 * Brings topics, and by them every state, back to what the tables hold, while the connector and pipelines run:
 * has Debezium read every row of the tables (an incremental snapshot), then finds rows that the topics still hold
 * and that were not read, and writes a tombstone for each. The connector is stopped for the moments of writing, so
 * that a row that is inserted again comes after its tombstone. Where the replication slot has lost its place, all
 * tables must be named, and a new slot is begun first.
 *
 * Killed at any point, the command can be run again; a second run changes nothing. A connector that it left
 * stopped is started by the next run, and by `apply` unless a new slot was begun: what it missed must be read first.
 * Errors: `config` for tables that are not captured, a slot that needs all of them, a database that was restored,
 * or what Debezium refuses; `unavailable` where Kafka, Connect or the database stay out of reach.
 */
export async function resnapshotTables(options: ResnapshotOptions): Promise<void> {
  const { config, connect, tables, onProgress } = options;
  assertCaptured(config, tables);
  const present = await whenReachable(options, () => connect.readConfig(config.connector));
  if (present === undefined) {
    throw new ConnectorsError(
      'config',
      `there is no connector ${config.connector}: run \`tributary connectors apply\`, which reads every row`,
    );
  }
  const trouble = await inspectSlot(options);
  if (trouble?.kind === 'rewound') throw new ConnectorsError('config', trouble.message);
  const due = trouble === undefined ? dueTables(config, present) : config.tables;
  const left = due.filter((table) => !tables.includes(table));
  if (left.length > 0) {
    const why =
      trouble?.message ?? `${left.join(', ')} must be read again too: name them, or --all`;
    throw new ConnectorsError('config', why, { context: { due } });
  }
  if (trouble !== undefined) await beginNewSlot(options, trouble);
  await waitUntilRunning(options);
  for (let reading = 1; !(await readAgain(options)); reading++) {
    if (reading === readingsMax) {
      throw new ConnectorsError(
        'unavailable',
        'rows come back while they are called gone: run it again',
      );
    }
    onProgress('a row came in that moment: the tables are read once more');
  }
  await forgetDue(options);
  await waitUntilRunning(options);
  onProgress(`${tables.join(', ')}: the topics hold what the tables hold`);
}

function assertCaptured(config: ConnectorsConfig, tables: readonly string[]): void {
  const unknown = tables.filter((table) => !config.tables.includes(table));
  if (unknown.length === 0 && tables.length > 0) return;
  const wrong =
    unknown.length === 0 ? 'name a table, or --all' : `${unknown.join(', ')}: not captured`;
  throw new ConnectorsError(
    'config',
    `${wrong}; the tables of connectors.yaml are ${config.tables.join(', ')}`,
    { context: { tables } },
  );
}

/** Whether the topics then hold what the tables hold; false where a row came back in the moment of writing. */
async function readAgain(options: ResnapshotOptions): Promise<boolean> {
  const { config, tables, log, onProgress, waitMsMax = waitMsMaxDefault } = options;
  const topics = tables.map((table) => tableTopic(config, table));
  const before = await readEnds(log, topics);
  await loadTables({ ...options, waitMsMax }, tables);
  await waitUntilStored(options);
  const after = await readEnds(log, topics);
  const readTables = topics.map((topic): ReadTable => ({
    topic,
    before: before.get(topic) ?? new Map(),
    after: after.get(topic) ?? new Map(),
  }));
  let isRight = true;
  let pending: VanishedRow[] = [];
  const { keysAtOnceMax = keysAtOnceMaxDefault } = options;
  for (const read of readTables) {
    onProgress(`${read.topic}: looking for rows that are gone`);
    for await (const vanished of findVanished(log, read, keysAtOnceMax)) {
      pending = pending.concat(vanished);
      if (pending.length < keysAtOnceMax) continue;
      isRight = (await bury(options, pending, readTables)) && isRight;
      pending = [];
    }
  }
  return (await bury(options, pending, readTables)) && isRight;
}

/** Writes tombstones for the rows; false where one of them has come back meanwhile. */
async function bury(
  options: ResnapshotOptions,
  vanished: readonly VanishedRow[],
  tables: readonly ReadTable[],
): Promise<boolean> {
  const { topics, log, onProgress } = options;
  const suspects = await withoutPresent(log, vanished, rangesOf(tables));
  if (suspects.length === 0) return true;
  onProgress(`${suspects.length} rows are gone; the connector is stopped while that is written`);
  try {
    await stopConnector(options);
    const told = tables.map(({ topic, after }) => ({ topic, before: after }));
    const ends = await readEnds(
      log,
      told.map(({ topic }) => topic),
    );
    const since = told.map((read) => ({ ...read, after: ends.get(read.topic) ?? new Map() }));
    const untold = await withoutPresent(log, suspects, rangesOf(since));
    const gone = await withoutThoseInSource(options, untold);
    await topics.appendTombstones(gone);
    onProgress(`${gone.length} tombstones written`);
    return gone.length === untold.length && !(await cameBack(log, gone, ends));
  } finally {
    await resume(options);
  }
}

/**
 * A last look: a row that is in the table has come this moment, or was left out by the reading. Either way it is
 * not gone. Tables with keys that cannot be looked up, and a database out of reach, leave it to the reading.
 */
async function withoutThoseInSource(
  options: ResnapshotOptions,
  rows: readonly VanishedRow[],
): Promise<VanishedRow[]> {
  const { config, tables, findRows, onProgress } = options;
  const gone: VanishedRow[] = [];
  for (const table of tables) {
    const own = rows.filter(({ topic }) => topic === tableTopic(config, table));
    if (own.length === 0) continue;
    const keys = await decodeKeys(options, own);
    const found = keys && (await whenReachable(options, () => findRows(config, table, keys)));
    if (found === undefined || 'kind' in found) {
      onProgress(`${table}: not compared with the database`);
      gone.push(...own);
      continue;
    }
    if (found.size > 0) onProgress(`${table}: ${found.size} of them are in the table after all`);
    gone.push(...own.filter((_row, index) => !found.has(index)));
  }
  return gone;
}

/** Undefined where one of them cannot be read. */
async function decodeKeys(
  { loadSchema }: ResnapshotOptions,
  rows: readonly VanishedRow[],
): Promise<RowKey[] | undefined> {
  const schemas = new Map<number, object>();
  const decoder = createChangeDecoder({ resolve: (id) => schemas.get(id) });
  const keys: RowKey[] = [];
  for (const { key } of rows) {
    const record = { key, value: null };
    for (const id of decoder.missingSchemaIds(record))
      schemas.set(id, (await loadSchema(id)) ?? {});
    const change = decoder.decode(record);
    if (change.kind !== 'tombstone') return undefined;
    keys.push(change.rowKey);
  }
  return keys;
}

async function resume(options: ResnapshotOptions): Promise<void> {
  const { config, connect, onProgress } = options;
  try {
    await whenReachable(options, () => connect.resume(config.connector));
  } catch (error) {
    onProgress(
      `connector ${config.connector} is still stopped: running the command again starts it`,
    );
    throw error;
  }
}

/** Whether a task that had not ended has told of one of the rows before its tombstone. */
async function cameBack(
  log: ChangeLog,
  gone: readonly VanishedRow[],
  ends: ReadonlyMap<string, ReadonlyMap<number, bigint>>,
): Promise<boolean> {
  const topics = [...new Set(gone.map(({ topic }) => topic))];
  const now = await readEnds(log, topics);
  const wanted = new Set(gone.map(({ topic, key }) => `${topic}/${key.toString('latin1')}`));
  let found = false;
  for (const topic of topics) {
    const before = ends.get(topic) ?? new Map<number, bigint>();
    const ranges = rangesOf([{ topic, before, after: now.get(topic) ?? new Map() }]);
    for (const range of ranges) {
      await log.read(range, ({ key, isTombstone }) => {
        if (isTombstone || key === null) return;
        found ||= wanted.has(`${topic}/${Buffer.from(key).toString('latin1')}`);
      });
    }
  }
  return found;
}

function rangesOf(tables: readonly ReadTable[]): LogRange[] {
  return tables.flatMap(({ topic, before, after }) =>
    [...after].map(([partition, to]) => ({
      topic,
      partition,
      from: before.get(partition) ?? 0n,
      to,
    })),
  );
}

async function readEnds(
  log: ChangeLog,
  topics: readonly string[],
): Promise<Map<string, ReadonlyMap<number, bigint>>> {
  const ends = new Map<string, ReadonlyMap<number, bigint>>();
  for (const topic of topics) {
    const bounds = await log.bounds(topic);
    ends.set(
      topic,
      new Map([...bounds].map(([partition, { endOffset }]) => [partition, endOffset])),
    );
  }
  return ends;
}

/**
 * Connect stores a place only once Kafka has all records up to it: a place behind the end that the database's log
 * had when the reading was over comes after every row that was read. Where the database is out of reach, any place
 * that is stored later must do, which is no proof.
 */
async function waitUntilStored(options: ResnapshotOptions): Promise<void> {
  const { config, connect, readSlot, clock, waitMsMax = waitMsMaxDefault } = options;
  const readOffset = () => whenReachable(options, () => connect.readOffset(config.connector));
  const slot = await whenReachable(options, () => readSlot(config));
  const readAt = slot.kind === 'unreachable' ? storedLsn(await readOffset()) : slot.currentLsn;
  const deadline = clock.elapsedMs() + waitMsMax;
  for (;;) {
    const offset = await readOffset();
    const isOver = offset?.['incremental_snapshot_collections'] === undefined;
    if (isOver && (storedLsn(offset) ?? 0n) > (readAt ?? 0n)) return;
    if (clock.elapsedMs() >= deadline) {
      throw new ConnectorsError(
        'unavailable',
        'Connect has not stored that the reading is over: a write to a published table makes it (see ' +
          'database.heartbeat_table). Then run the command again',
      );
    }
    await clock.sleep(pollMs);
  }
}
