import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { Client } from 'pg';
import { parseDocument } from 'yaml';
import type { Document } from 'yaml';
import { openAvroEncoder, writeFrame } from '../../generate/avro.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { openTrino } from '../../verify/trino.ts';
import { repository } from '../stack/compose-file.ts';
import { endpoints } from '../stack/endpoints.ts';
import { asPipeline, freePort, startCommand, until } from './command.ts';
import type { Command, Environment, Finished, Pipeline } from './command.ts';
import { addresses, followed, openTables, postgresUrl } from './lake.ts';

const valueBytesMax = 4_096;
const streamPartitions = 4;

/** The project of a user: contracts, pipeline.yaml and connectors.yaml in a directory, tables in a schema of their own. */
export type OwnSource = Awaited<ReturnType<typeof openOwnSource>>;

/**
 * The shipped project over tables `<name>.users`, `devices` and `urls` that are like the shipped ones and empty, with a
 * connector, replication slot, publication and topics of their own: what a test does to them harms no other.
 */
export async function openOwnSource(purpose: string) {
  const name = `${purpose}_${process.pid}_${Date.now() % 100_000}`;
  const directory = await mkdtemp(join(tmpdir(), `${purpose}-`));
  const contracts = join(directory, 'schemas');
  await cp(join(repository, 'schemas'), contracts, {
    recursive: true,
    filter: (path) => !path.endsWith('.ts'),
  });
  const connectors = join(directory, 'connectors.yaml');
  await edit(join(repository, 'connectors/connectors.yaml'), connectors, (document) => {
    document.set('connector', name);
    document.setIn(['database', 'slot'], name);
    document.setIn(['database', 'publication'], name);
    document.setIn(['topics', 'prefix'], name);
    document.setIn(['topics', 'partitions'], 2);
    document.setIn(['topics', 'stream'], name);
    document.setIn(['topics', 'stream_partitions'], streamPartitions);
    document.set('tables', [`${name}.users`, `${name}.devices`, `${name}.urls`]);
  });
  const running = new Set<Command>();
  const start = (args: readonly string[], env: Environment) => {
    const command = startCommand(args, { ...addresses, COMMIT_INTERVAL: '1s', ...env });
    running.add(command);
    void command.ended.then(() => running.delete(command));
    return command;
  };
  const run = async (...args: string[]): Promise<Finished> => {
    const command = start(args, { HTTP_PORT: '0', STATE_DIRECTORY: join(directory, 'unused') });
    return { code: await command.ended, stdout: command.stdout(), output: command.output() };
  };
  const must = async (...args: string[]): Promise<Finished> => {
    const finished = await run(...args);
    if (finished.code === 0) return finished;
    throw new Error(`tributary ${args.join(' ')} ended with ${finished.code}\n${finished.output}`);
  };
  const database = new Client({ connectionString: postgresUrl });
  await database.connect();
  await createTables(database, name);
  const trino = openTrino({
    url: endpoints.trinoUrl,
    user: 'test',
    catalog: 'lake',
    schema: 'lake',
  });
  const kafka = new Kafka({ brokers: [...endpoints.kafkaBrokers], logLevel: logLevel.NOTHING });
  return {
    name,
    directory,
    contracts,
    connectors,
    /** The source, as the owner of its tables. */
    database,
    trino,
    run,
    must,
    topicOf: (table: string): string => `${name}.${name}.${table}`,
    /** `connectors apply`, whatever comes of it. */
    apply: () => run('connectors', 'apply', '--connectors', connectors),
    mustApply: () => must('connectors', 'apply', '--connectors', connectors),
    /** Changes the fields of a contract. */
    editContract: async (contract: string, change: (fields: Field[]) => Field[]): Promise<void> => {
      const file = join(contracts, `${contract}.avsc`);
      const avroSchema = JSON.parse(await readFile(file, 'utf8')) as { fields: Field[] };
      const changed = { ...avroSchema, fields: change(avroSchema.fields) };
      await writeFile(file, JSON.stringify(changed, null, 2));
    },
    editConnectors: (change: (document: Document) => void) => edit(connectors, connectors, change),
    /** A pipeline over this source, by a name of its own; `change` edits what is shipped. */
    definePipeline: (variant: string, change: (document: Document) => void = () => undefined) =>
      definePipeline({ name, directory, contracts }, variant, change),
    /** `./tributary run` of a pipeline that was defined. */
    startPipeline: async ({ config, stateDirectory }: Defined): Promise<Pipeline> => {
      const port = String(await freePort());
      const env = { HTTP_PORT: port, STATE_DIRECTORY: stateDirectory };
      const args = ['--config', config, '--contracts', contracts, 'run'];
      return asPipeline(start(args, env), `http://127.0.0.1:${port}`);
    },
    /** Sends clicks with the contract as it is now; fields that are left out have defaults. */
    sendClicks: (clicks: readonly Readonly<Record<string, unknown>>[]) =>
      sendClicks({ kafka, topic: name, contracts }, clicks),
    /** Waits until Debezium has brought every change that is committed in PostgreSQL by now to Kafka. */
    followed: () => followed(database, name),
    close: async (): Promise<void> => {
      await Promise.all([...running].map((command) => command.stop('SIGKILL')));
      await fetch(`${endpoints.connectUrl}/connectors/${name}`, { method: 'DELETE' });
      await dropSource(database, name);
      await database.end();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

type Field = { name: string; type: unknown; default?: unknown };

type Project = { name: string; directory: string; contracts: string };

/** A pipeline's file and what it owns. */
export type Defined = {
  config: string;
  stateDirectory: string;
  table: string;
  deadLetter: string;
  /** Waits until every record of the stream's topic is committed to its table. */
  caughtUp: () => Promise<void>;
};

async function definePipeline(
  { name, directory }: Project,
  variant: string,
  change: (document: Document) => void,
): Promise<Defined> {
  const own = `${name}_${variant}`;
  const config = join(directory, `${variant}.yaml`);
  await edit(join(repository, 'pipeline.yaml'), config, (document) => {
    document.set('pipeline', own);
    document.setIn(['kafka', 'group'], own);
    document.setIn(['stream', 'topic'], name);
    document.setIn(['table', 'name'], `lake.${own}`);
    document.setIn(['table', 'dead_letter'], `lake.${own}_dead_letter`);
    document.setIn(['readiness', 'notification_topic'], `__debezium-notifications.${name}`);
    for (const [index, table] of ['users', 'devices', 'urls'].entries()) {
      document.setIn(['dimensions', index, 'topic'], `${name}.${name}.${table}`);
    }
    change(document);
  });
  const caughtUp = async (): Promise<void> => {
    const tables = openTables(own);
    try {
      await until('every click is committed', async () => {
        const [ends, next] = [await tables.ends(name), await tables.position()];
        return [...ends].every(([partition, end]) => (next.get(partition) ?? 0n) >= end);
      });
    } finally {
      await tables.close();
    }
  };
  const stateDirectory = join(directory, `state-${variant}`);
  return { config, stateDirectory, table: own, deadLetter: `${own}_dead_letter`, caughtUp };
}

async function edit(from: string, to: string, change: (document: Document) => void): Promise<void> {
  const document = parseDocument(await readFile(from, 'utf8'));
  change(document);
  await writeFile(to, document.toString());
}

async function createTables(database: Client, name: string): Promise<void> {
  const tables = ['users', 'devices', 'urls'].map((table) => `${name}.${table}`);
  await database.query(`
    create schema ${name};
    grant usage on schema ${name} to cdc;
    create publication ${name} for table public.debezium_heartbeat;`);
  for (const table of tables) {
    const [, shipped] = table.split('.');
    await database.query(`
      create table ${table} (like public.${shipped} including all);
      grant select on ${table} to cdc;
      alter publication ${name} add table ${table};`);
  }
}

async function dropSource(database: Client, name: string): Promise<void> {
  for (let attempt = 0; attempt < 40; attempt++) {
    const { rows } = await database.query<{ active: boolean }>(
      'select active from pg_replication_slots where slot_name = $1',
      [name],
    );
    if (rows[0]?.active !== true) break;
    await sleep(250);
  }
  // The slot itself goes with the role that may drop it.
  const reader = new Client({
    connectionString: postgresUrl.replace('//app:app@', '//cdc:cdc@'),
  });
  await reader.connect();
  await reader.query(
    'select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1',
    [name],
  );
  await reader.end();
  await database.query(`drop publication ${name}; drop schema ${name} cascade`);
}

async function sendClicks(
  { kafka, topic, contracts }: { kafka: Kafka; topic: string; contracts: string },
  clicks: readonly Readonly<Record<string, unknown>>[],
): Promise<void> {
  const contract = await loadContract(contracts, 'click');
  const registry = openRegistry({ url: endpoints.registryUrl });
  const { schemaId } = await registry.register(`${topic}-value`, contract.avroSchema);
  const encode = openAvroEncoder(contract.avroSchema);
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({
    topic,
    messages: clicks.map((click, index) => {
      const value = Buffer.alloc(valueBytesMax);
      const filled = { ...emptyClick(contract.avroSchema), ...click };
      const end = encode(filled, value, writeFrame(schemaId, value, 0));
      return { partition: index % streamPartitions, value: Buffer.from(value.subarray(0, end)) };
    }),
  });
  await producer.disconnect();
}

/** Fields that a click leaves out: null, or what joins to no row. */
function emptyClick(avroSchema: AvroObject): Record<string, unknown> {
  const { fields } = avroSchema as unknown as { fields: { name: string; type: unknown }[] };
  const nulls = fields.filter(({ type }) => Array.isArray(type)).map(({ name }) => [name, null]);
  const base = { event_time: Date.now(), user_id: -1, url: 'https://none.example/', device_id: '' };
  return { ...(Object.fromEntries(nulls) as Record<string, unknown>), ...base };
}
