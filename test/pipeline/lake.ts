import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRestCatalog } from '@iceberg-js/rest-client-shim/rest/rest-catalog.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { Kafka, logLevel } from 'kafkajs';
import { Client } from 'pg';
import { parseDocument } from 'yaml';
import { deviceId } from '../../generate/dimension-rows.ts';
import { recordedState } from '../../verify/recorded.ts';
import type { Report } from '../../verify/report.ts';
import { openTrino } from '../../verify/trino.ts';
import type { Trino } from '../../verify/trino.ts';
import { repository } from '../stack/compose-file.ts';
import { endpoints } from '../stack/endpoints.ts';
import { asPipeline, freePort, startCommand, until } from './command.ts';
import type { Command, Environment, Finished, Pipeline } from './command.ts';

/** Rows 1..n of the shared source tables, and the seed that makes them. */
export const seeded = { seed: 7, users: 5_000, devices: 5_000, urls: 2_000 } as const;

/** The same as options of `tributary generate`. */
export const seededFlags: readonly string[] = Object.entries(seeded).flatMap(([name, value]) => [
  `--${name}`,
  String(value),
]);
/** A command that is still at work after this is killed, and its test sees `SIGKILL`. */
const commandMsMax = 90_000;
export const streamPartitions = 6;
export const postgresUrl = `postgres://app:app@127.0.0.1:${endpoints.postgresPort}/app`;

/** The addresses of the stack, as pipeline.yaml, connectors.yaml and the commands read them. */
export const addresses: Environment = {
  KAFKA_BROKERS: endpoints.kafkaBrokers.join(','),
  SCHEMA_REGISTRY_URL: endpoints.registryUrl,
  CATALOG_URI: endpoints.catalogUri,
  S3_ENDPOINT: endpoints.s3Endpoint,
  S3_ACCESS_KEY_ID: endpoints.s3AccessKeyId,
  S3_SECRET_ACCESS_KEY: endpoints.s3SecretAccessKey,
  CONNECT_URL: endpoints.connectUrl,
  CONNECT_REGISTRY_URL: endpoints.registryUrl,
  DATABASE_PORT: String(endpoints.postgresPort),
  POSTGRES_URL: postgresUrl,
  TRINO_URL: endpoints.trinoUrl,
};

/**
 * One pipeline over the shared source tables, with a topic, tables, a consumer group and a state directory
 * of its own. All that is done to it goes through the command line.
 */
export type Lake = Awaited<ReturnType<typeof openLake>>;

/** Seeds the source tables, applies topics and connector, registers the contract. */
export async function openLake(purpose: string) {
  const name = `${purpose}_${process.pid}_${Date.now() % 100_000}`;
  const directory = await mkdtemp(join(tmpdir(), `${purpose}-`));
  const files = await writeConfiguration(directory, name);
  const running = new Set<Command>();
  const pipelines: Pipeline[] = [];
  const base = { ...addresses, COMMIT_INTERVAL: '1s', STATE_DIRECTORY: join(directory, 'state') };

  const start = (args: readonly string[], env: Environment = {}): Command => {
    const command = startCommand(args, { ...base, ...env });
    running.add(command);
    void command.ended.then(() => running.delete(command));
    return command;
  };
  const configured = ['--config', files.pipeline];
  const run = async (args: readonly string[], env: Environment = {}): Promise<Finished> => {
    const child = startCommand([...configured, ...args], { ...base, HTTP_PORT: '0', ...env });
    running.add(child);
    const hung = setTimeout(() => void child.stop('SIGKILL'), commandMsMax);
    const code = await child.ended;
    clearTimeout(hung);
    running.delete(child);
    return { code, stdout: child.stdout(), output: child.output() };
  };
  const must = async (...args: string[]): Promise<Finished> => {
    const finished = await run(args);
    if (finished.code === 0) return finished;
    throw new Error(`tributary ${args.join(' ')} ended with ${finished.code}\n${finished.output}`);
  };
  const database = new Client({ connectionString: postgresUrl });
  await database.connect();
  await deleteOtherRows(database);
  await must('generate', 'tables', ...seededFlags);
  await must('connectors', 'apply', '--connectors', files.connectors);
  await must('contract', 'register');

  const ledger = join(directory, 'ledger');
  const trino: Trino = openTrino({
    url: endpoints.trinoUrl,
    user: 'test',
    catalog: 'lake',
    schema: 'lake',
  });
  const tables = openTables(name);
  return {
    name,
    directory,
    pipelineFile: files.pipeline,
    /** The addresses of the stack, for commands that are run otherwise. */
    environment: base,
    stateDirectory: base.STATE_DIRECTORY,
    topic: name,
    table: name,
    deadLetter: `${name}_dead_letter`,
    ledger: join(ledger, 'clicks.ndjson'),
    ledgerDirectory: ledger,
    trino,
    /** The source, as its owner. */
    database,
    run,
    must,
    /** A command that goes on; the configuration is not added. */
    start,
    ...tables,
    /** For pipelines that are started from now on: what becomes of schemas that differ from the contract. */
    setEvolution: async (evolution: { policy: string; allow?: string[] }): Promise<void> => {
      const document = parseDocument(await readFile(files.pipeline, 'utf8'));
      document.setIn(['stream', 'evolution'], document.createNode(evolution));
      await writeFile(files.pipeline, document.toString());
    },
    /** `./tributary run` on a free port. */
    startPipeline: async (env: Environment = {}, ...flags: string[]): Promise<Pipeline> => {
      const port = env['HTTP_PORT'] ?? String(await freePort());
      const command = start([...configured, 'run', ...flags], { ...env, HTTP_PORT: port });
      const pipeline = asPipeline(command, `http://127.0.0.1:${port}`);
      pipelines.push(pipeline);
      return pipeline;
    },
    /** `./tributary generate clicks`, which writes to the ledger. */
    startClicks: (...flags: string[]): Command =>
      start([
        ...configured,
        'generate',
        'clicks',
        ...seededFlags,
        '--ledger',
        ledger,
        '--postgres',
        postgresUrl,
        ...flags,
      ]),
    /** The same, to its end. */
    sendClicks: (...flags: string[]): Promise<Finished> =>
      must('generate', 'clicks', ...seededFlags, '--ledger', ledger, ...flags),
    /** `./tributary verify --json`; whatever it finds. */
    verify: async (...flags: string[]): Promise<{ code: Finished['code']; reports: Report[] }> => {
      const finished = await run(['verify', '--json', ...flags]);
      if (!finished.stdout.startsWith('[')) throw new Error(finished.output);
      return { code: finished.code, reports: JSON.parse(finished.stdout) as Report[] };
    },
    /** Waits until Debezium has brought every change that is committed in PostgreSQL by now to Kafka. */
    followed: () => followed(database, 'tributary_slot'),
    /** The number that a query of one value answers. */
    count: async (sql: string): Promise<number> => Number((await trino.query(sql)).rows[0]?.[0]),
    /** Waits until every record of the topic is committed. */
    caughtUp: (waitMsMax = 90_000): Promise<void> =>
      until(
        'every click is committed',
        async () => {
          for (const pipeline of pipelines) pipeline.mustBeAlive();
          return (await tables.lag()) === 0n;
        },
        waitMsMax,
      ),
    close: async (): Promise<void> => {
      await Promise.all([...running].map((command) => command.stop('SIGKILL')));
      await database.end();
      await tables.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Rows that changes have made, here or in an earlier test file; seeding brings the others back. */
export async function deleteOtherRows(database: Client): Promise<void> {
  const { seed, users, devices, urls } = seeded;
  const ids = Array.from({ length: devices }, (_, i) => deviceId(seed, i + 1));
  await database.query('delete from public.users where user_id not between 1 and $1', [users]);
  await database.query('delete from public.urls where url_id not between 1 and $1', [urls]);
  await database.query('delete from public.devices where device_id <> all ($1)', [ids]);
}

/**
 * Waits until Debezium has brought every change that is committed in PostgreSQL by now to Kafka, as the slot tells. What
 * it confirms lies before a published write: there are some, as Debezium makes them itself every few seconds.
 */
export async function followed(database: Client, slot: string): Promise<void> {
  const { rows } = await database.query<{ lsn: string }>('select pg_current_wal_lsn() as lsn');
  await until("Debezium has confirmed the source's changes", async () => {
    await database.query(
      'insert into public.debezium_heartbeat values (1, now()) on conflict (id) do update set beat_at = now()',
    );
    const { rows: slots } = await database.query<{ done: boolean }>(
      'select confirmed_flush_lsn >= $1::pg_lsn as done from pg_replication_slots where slot_name = $2',
      [rows[0]?.lsn, slot],
    );
    return slots[0]?.done === true;
  });
}

/** pipeline.yaml and connectors.yaml as shipped, with names of this lake. */
async function writeConfiguration(directory: string, name: string) {
  const pipeline = parseDocument(await readFile(join(repository, 'pipeline.yaml'), 'utf8'));
  pipeline.set('pipeline', name);
  pipeline.setIn(['kafka', 'group'], name);
  pipeline.setIn(['stream', 'topic'], name);
  pipeline.setIn(['table', 'name'], `lake.${name}`);
  pipeline.setIn(['table', 'dead_letter'], `lake.${name}_dead_letter`);
  const shipped = await readFile(join(repository, 'connectors/connectors.yaml'), 'utf8');
  const connectors = parseDocument(shipped);
  connectors.setIn(['topics', 'stream'], name);
  connectors.setIn(['topics', 'stream_partitions'], streamPartitions);
  const files = {
    pipeline: join(directory, 'pipeline.yaml'),
    connectors: join(directory, 'connectors.yaml'),
  };
  await writeFile(files.pipeline, pipeline.toString());
  await writeFile(files.connectors, connectors.toString());
  return files;
}

/** What the tables and the topic say, seen without the pipeline's own code. */
export function openTables(name: string) {
  const admin = new Kafka({
    brokers: [...endpoints.kafkaBrokers],
    logLevel: logLevel.NOTHING,
  }).admin();
  const connected = admin.connect();
  const catalog = openRestCatalog({ uri: endpoints.catalogUri, credentials: { kind: 'none' } });
  const metadata = async (table = name): Promise<TableMetadata | undefined> =>
    (await (await catalog).loadTable({ namespace: ['lake'], name: table }))?.metadata;
  const ends = async (topic: string): Promise<Map<number, bigint>> => {
    await connected;
    const offsets = await admin.fetchTopicOffsets(topic);
    return new Map(offsets.map(({ partition, high }) => [partition, BigInt(high)]));
  };
  const position = async (): Promise<ReadonlyMap<number, bigint>> => {
    const table = await metadata();
    const started = table?.properties[`tributary.${name}`] !== undefined;
    return table !== undefined && started ? recordedState(table, name).next : new Map();
  };
  return {
    metadata,
    /** The next offset to be written, of each partition. */
    ends,
    /** The committed position. */
    position,
    lag: async (): Promise<bigint> => {
      const [end, next] = await Promise.all([ends(name), position()]);
      return [...end].reduce((sum, [p, offset]) => sum + offset - (next.get(p) ?? 0n), 0n);
    },
    close: async (): Promise<void> => {
      await connected;
      await admin.disconnect();
    },
  };
}
