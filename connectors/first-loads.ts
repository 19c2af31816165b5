import { randomUUID } from 'node:crypto';
import type { Struct } from './avro-codec.ts';
import { failureOf, waitUntilRunning, whenReachable } from './connector-runs.ts';
import type { ConnectorWait } from './connector-runs.ts';
import type { ChangeRecord } from './decode-change.ts';
import { ConnectorsError } from './error.ts';
import { framingOf } from './framing.ts';
import type { TopicAdmin } from './kafka-admin.ts';
import { readNotification, readinessSignal } from './readiness-signal.ts';
import { notificationTopic, signalTopic } from './topics.ts';

export type FirstLoadOptions = ConnectorWait & {
  topics: TopicAdmin;
  /** The Avro schema behind an id, from the registry that Connect's converter writes to. */
  loadSchema: (schemaId: number) => Promise<object | undefined>;
  /** How long Debezium may tell nothing new of the rows that it reads. */
  waitMsMax: number;
};

/** What Debezium has told so far. */
type Told = { records: readonly ChangeRecord[]; resolve: (schemaId: number) => object | undefined };

const pollMs = 1000;
const whole = ['SUCCEEDED', 'EMPTY'];
const failed = 'SQL_EXCEPTION';
const triesMax = 3;
/** Until a request that was not heard is repeated; twice as long each time. */
const askAgainMs = 5_000;

/**
 * The tables whose earlier rows no snapshot has read: those in `added`, and all that no notification
 * calls scanned although the initial snapshot is over. None before that: it reads every table.
 */
export async function findUnread(
  options: FirstLoadOptions,
  added: readonly string[],
): Promise<string[]> {
  const { records, resolve } = await readTold(options);
  const signals = records.map((record) => readinessSignal(record, resolve));
  if (!signals.some((signal) => signal?.kind === 'initial-snapshot-complete')) return [];
  const read = new Set(
    signals.map((signal) =>
      signal !== undefined && 'collection' in signal ? signal.collection : '',
    ),
  );
  return options.config.tables.filter((table) => added.includes(table) || !read.has(table));
}

/**
 * Has Debezium read the rows of these tables beside the changes that it streams (incremental snapshots),
 * and returns once it has told that each reading is over: a table that another request has it read at the
 * moment is read again from its start. Asking twice reads twice, which changes nothing.
 *
 * Tables are asked for one by one, and a reading that failed is followed by a restart: Debezium 3.7 keeps the rows
 * of the failed one in memory, and would write them into the topic of the table that it reads next. So is one of which
 * the task has died: a request for an empty table may clash with its streaming. A reading needs
 * a published write now and then, which the heartbeat table gives: the read rows are let go when the log has passed
 * the moment at which they were read.
 * Errors: `config` where Debezium tells that it cannot read a table; `unavailable` when it tells nothing
 * new for `waitMsMax`: it goes on by itself, and `apply` asks again.
 * Source: Debezium 3 reference, "Sending signals", "Receiving Debezium notifications".
 */
export async function loadTables(
  options: FirstLoadOptions,
  tables: readonly string[],
): Promise<void> {
  const { config, connect, onProgress } = options;
  for (const table of tables) {
    for (let tries = 1; (await loadTable(options, table)) === 'failed'; tries++) {
      onProgress(`${table}: Debezium failed to read it; the connector is restarted`);
      await whenReachable(options, () => connect.restart(config.connector));
      await waitUntilRunning(options);
      if (tries === triesMax) throw refused(table, failed);
    }
  }
}

async function loadTable(options: FirstLoadOptions, table: string): Promise<'read' | 'failed'> {
  const { config, connect, clock, onProgress, waitMsMax } = options;
  let outcome: 'read' | 'failed' = 'read';
  let seen = (await readTold(options)).records.length;
  let movedMs = clock.elapsedMs();
  const id = `tributary-${randomUUID()}`;
  let isHeard = false;
  let askAgainAtMs = clock.elapsedMs() + askAgainMs;
  let patienceMs = askAgainMs;
  await askFor(options, table, id);
  for (;;) {
    await clock.sleep(pollMs);
    const { records, resolve } = await readTold(options);
    if (records.length > seen) movedMs = clock.elapsedMs();
    for (const { value } of records.slice(seen)) {
      const told = readNotification(value, resolve);
      isHeard ||= told?.['id'] === id;
      const progress = progressOf(told);
      if (progress !== undefined) onProgress(progress.line);
      if (progress?.status === failed) outcome = 'failed';
      else if (progress?.table === table && !whole.includes(progress.status)) {
        throw refused(table, progress.status);
      }
      // Requests queue up, and what is told in between bears the id of the last one.
      if (told?.['type'] === 'COMPLETED' && told['id'] === id) return outcome;
    }
    seen = records.length;
    const status = await whenReachable(options, () => connect.readStatus(config.connector));
    if (failureOf(status) !== undefined) return 'failed';
    if (clock.elapsedMs() - movedMs >= waitMsMax) throw stalled(table, options);
    if (isHeard || clock.elapsedMs() < askAgainAtMs) continue;
    // A task that has just started does not hear what was said before it listened; one that is busy hears all of it
    // later, and reads the table once for each request.
    await waitUntilRunning(options);
    await askFor(options, table, id);
    patienceMs *= 2;
    askAgainAtMs = clock.elapsedMs() + patienceMs;
  }
}

/**
 * The id is what Debezium's notifications of the request bear: once it has heard it, and, for all of the requests under
 * one id, once at their end.
 */
async function askFor(
  { config, topics }: FirstLoadOptions,
  table: string,
  id: string,
): Promise<void> {
  const value = JSON.stringify({
    id,
    type: 'execute-snapshot',
    data: { 'data-collections': [table], type: 'incremental' },
  });
  // Debezium obeys signals whose key is its topic prefix.
  await topics.appendRecord(signalTopic(config), { key: config.topics.prefix, value });
}

type Progress = { line: string; table: string; status: string };

/** What a notification tells of the reading of a table; the status is that of a whole one while it goes on. */
function progressOf(notification: Struct | undefined): Progress | undefined {
  if (notification?.['aggregate_type'] !== 'Incremental Snapshot') return undefined;
  const told = (notification['additional_data'] ?? {}) as Readonly<Record<string, string>>;
  switch (notification['type']) {
    case 'IN_PROGRESS': {
      const { current_collection_in_progress: table = '', last_processed_key: key } = told;
      const line = `${table}: reading its rows, up to key ${key} of ${told['maximum_key']}`;
      return { line, table, status: 'SUCCEEDED' };
    }
    case 'TABLE_SCAN_COMPLETED': {
      const { scanned_collection: table = '', status = '', total_rows_scanned: rows } = told;
      const line = whole.includes(status) ? `${table}: ${rows} rows read` : `${table}: ${status}`;
      return { line, table, status };
    }
    default:
      return undefined;
  }
}

function refused(table: string, status: string): ConnectorsError {
  return new ConnectorsError('config', `Debezium cannot read the rows of ${table}: ${status}`, {
    context: { table, status },
  });
}

function stalled(table: string, options: FirstLoadOptions): ConnectorsError {
  const { config, waitMsMax } = options;
  const fix =
    config.database.heartbeatTable === undefined
      ? 'it goes on with the next write to a published table: set database.heartbeat_table, or write to one'
      : 'look at the worker’s log, then run the command again';
  return new ConnectorsError(
    'unavailable',
    `Debezium has told nothing of the rows of ${table} for ${waitMsMax / 1000} s; ${fix}`,
    { context: { table, waitMsMax } },
  );
}

async function readTold({ config, topics, loadSchema }: FirstLoadOptions): Promise<Told> {
  const records = await topics.readRecords(notificationTopic(config));
  const schemas = new Map<number, object>();
  for (const { value } of records) {
    const framing = value === null ? undefined : framingOf(value);
    if (framing?.kind !== 'avro' || schemas.has(framing.schemaId)) continue;
    const avroSchema = await loadSchema(framing.schemaId);
    if (avroSchema !== undefined) schemas.set(framing.schemaId, avroSchema);
  }
  return { records, resolve: (schemaId) => schemas.get(schemaId) };
}
