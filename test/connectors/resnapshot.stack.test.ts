import { Kafka, logLevel } from 'kafkajs';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openChangeLog } from '../../cli/change-log.ts';
import { applyConnectors } from '../../connectors/apply.ts';
import { checkSource } from '../../connectors/check-source.ts';
import { openConnectClient } from '../../connectors/connect-client.ts';
import type { ConnectClient } from '../../connectors/connect-client.ts';
import type { ConnectorsConfig } from '../../connectors/connectors-config.ts';
import { createChangeDecoder } from '../../connectors/decode-change.ts';
import { openTopicAdmin } from '../../connectors/kafka-admin.ts';
import type { TopicAdmin } from '../../connectors/kafka-admin.ts';
import { dropSlot, readSlot } from '../../connectors/replication-slot.ts';
import { resnapshotTables } from '../../connectors/resnapshot.ts';
import type { ResnapshotOptions } from '../../connectors/resnapshot.ts';
import { findInSource } from '../../connectors/source-rows.ts';
import { readConnectorsStatus } from '../../connectors/status.ts';
import type { ConnectorsReport } from '../../connectors/status.ts';
import { tableTopic } from '../../connectors/topics.ts';
import type { RecordColumns } from '../../enrich/source/log.ts';
import { openPlatformaticLog } from '../../enrich/source/platformatic-log.ts';
import type { PlatformaticLog } from '../../enrich/source/platformatic-log.ts';
import { openDimensionState } from '../../enrich/state/dimension-state.ts';
import type { DimensionState } from '../../enrich/state/dimension-state.ts';
import { openMemoryStore } from '../../enrich/state/memory-store.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { answersOf } from '../enrich/state/state-model.ts';
import { endpoints } from '../stack/endpoints.ts';
import { connectorsConfig } from './connectors-sample.ts';

const name = `resnapshot_${process.pid}`;
const table = `public.${name}`;
const brokers = endpoints.kafkaBrokers;
const base = connectorsConfig({ password: 'cdc' });
const config: ConnectorsConfig = {
  ...base,
  connectUrl: endpoints.connectUrl,
  kafkaBrokers: brokers,
  database: {
    ...base.database,
    port: endpoints.postgresPort,
    publication: `${name}_pub`,
    slot: name,
    heartbeatTable: 'public.debezium_heartbeat',
  },
  converter: { kind: 'tributary', registryUrl: endpoints.registryUrl },
  connector: name,
  tables: [table],
  topics: { ...base.topics, prefix: name, stream: `${name}.clicks`, partitions: 3 },
};
const definition = {
  name: 'rows',
  primaryKey: 'id',
  joinKey: 'id',
  joinKeyType: 'long',
  normaliser: 'none',
  columns: [{ name: 'label', type: 'string' }],
} as const;

const beat = 'heartbeat.interval.ms';
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const database = new Client({
  host: '127.0.0.1',
  port: endpoints.postgresPort,
  database: 'app',
  user: 'postgres',
  password: 'postgres',
});
const worker = openConnectClient(endpoints.connectUrl);
/** Waits for Debezium's beat would take most of the time here: the worker is given a faster one than it is told of. */
const connect: ConnectClient = {
  ...worker,
  writeConfig: (connector, written) => worker.writeConfig(connector, { ...written, [beat]: '500' }),
  async readConfig(connector) {
    const present = await worker.readConfig(connector);
    return present && { ...present, [beat]: '5000' };
  },
};
const registry = openRegistry({ url: endpoints.registryUrl });
const schemas = new Map<number, object>();
const next = new Map<number, bigint>();
let topics: TopicAdmin;
let log: PlatformaticLog;
let state: DimensionState;

async function loadSchema(schemaId: number): Promise<object | undefined> {
  const schema = await registry.schemaById(schemaId);
  return schema === 'unknown' ? undefined : schema;
}

function options(lines: string[] = []) {
  return {
    config,
    tables: config.tables,
    connect,
    topics,
    log: openChangeLog(log, new AbortController().signal),
    readSlot,
    dropSlot,
    findRows: findInSource,
    checkSource,
    loadSchema,
    levels: openRegistry({ url: endpoints.registryUrl }),
    clock: { elapsedMs: () => performance.now(), sleep },
    onProgress: (line: string) => void lines.push(line),
    waitMsMax: 60_000,
  } satisfies ResnapshotOptions & Parameters<typeof applyConnectors>[0];
}

async function resnapshot(): Promise<string[]> {
  const lines: string[] = [];
  await resnapshotTables(options(lines));
  return lines;
}

const status = (): Promise<ConnectorsReport> =>
  readConnectorsStatus({ config, connect, topics, readSlot });

/** Waits for the slot to stand at the end of the log: all that is committed by now is in the topics. */
async function streamed(): Promise<void> {
  const { rows } = await database.query<{ lsn: string }>('select pg_current_wal_lsn() as lsn');
  for (let tries = 0; tries < 300; tries++) {
    const { rows: found } = await database.query<{ done: boolean }>(
      'select confirmed_flush_lsn >= $1::pg_lsn as done from pg_replication_slots where slot_name = $2',
      [rows[0]?.lsn, name],
    );
    if (found[0]?.done === true) return;
    await sleep(100);
  }
  throw new Error('Debezium has not confirmed the changes');
}

/** Has the state take what the topic tells since it was last asked, as a running pipeline does. */
async function takeTopic(): Promise<void> {
  const topic = tableTopic(config, table);
  const decoder = createChangeDecoder({ resolve: (id) => schemas.get(id) });
  const { clusterId = '', topicId = '' } = (await log.describeTopic(topic)) ?? {};
  for (const [partition, { startOffset, endOffset }] of await log.bounds(topic)) {
    const reader = await log.openReader();
    const records: ReturnType<typeof copies> = [];
    let nextOffset = next.get(partition) ?? startOffset;
    reader.assign([{ topic, partition, nextOffset }]);
    while (nextOffset < endOffset) {
      const sink = (_t: string, _p: number, columns: RecordColumns): void => {
        records.push(...copies(columns));
      };
      const limits = { waitMsMax: 1_000, bytesMax: 1024 ** 2 };
      nextOffset = (await reader.poll(sink, limits)).at(-1)?.nextOffset ?? nextOffset;
    }
    await reader.close();
    for (const id of new Set(records.flatMap((record) => decoder.missingSchemaIds(record)))) {
      schemas.set(id, (await loadSchema(id)) ?? {});
    }
    const changes = records.map((record) => ({
      offset: record.offset,
      timestampMs: record.timestampMs,
      change: decoder.decode(record),
    }));
    await state.apply('rows', { partition, nextOffset, clusterId, topicId }, changes);
    next.set(partition, nextOffset);
  }
}

function copies({ bytes, count, baseOffset, baseTimestampMs, ...columns }: RecordColumns) {
  const { offsetDelta, timestampDeltaMs, keyStart, keyLength, valueStart, valueLength } = columns;
  const slice = (start = 0, length = -1): Buffer | null =>
    length < 0 ? null : Buffer.from(bytes.slice(start, start + length));
  return Array.from({ length: count }, (_, row) => ({
    offset: baseOffset + BigInt(offsetDelta[row] ?? 0),
    timestampMs: baseTimestampMs + (timestampDeltaMs[row] ?? 0),
    key: slice(keyStart[row], keyLength[row]),
    value: slice(valueStart[row], valueLength[row]),
  }));
}

/** The table and what clicks would meet, both by id. */
async function bothSides() {
  await takeTopic();
  const { rows } = await database.query<{ key: string; label: string }>(
    `select id::text as key, label from ${table} order by id`,
  );
  const ids = Array.from({ length: 40_000 }, (_, id) => BigInt(id));
  const answers = answersOf(state, definition, ids);
  return {
    source: rows.map(({ key, label }) => [key, label]),
    joined: [...answers].map(([id, values]) => [String(id), values['label']]),
  };
}

beforeAll(async () => {
  topics = await openTopicAdmin({ brokers, clientId: name });
  log = await openPlatformaticLog({
    brokers,
    clientId: name,
    random: Math.random,
    onFault: () => undefined,
  });
  state = await openDimensionState({ store: openMemoryStore(), dimensions: [definition] });
  await database.connect();
  await database.query(`
    create table ${table} (id bigint primary key, label text);
    insert into ${table} select i, 'first ' || i from generate_series(1, 20000) i;
    create publication ${name}_pub for table ${table}, public.debezium_heartbeat
      with (publish = 'insert, update, delete');
    grant select on ${table} to cdc;`);
  await applyConnectors(options());
});

afterAll(async () => {
  await fetch(`${endpoints.connectUrl}/connectors/${name}`, { method: 'DELETE' });
  for (let tries = 0; tries < 40; tries++) {
    const found = await readSlot(config);
    if (found.kind === 'missing') break;
    if (found.kind === 'present' && !found.active) await dropSlot(config);
    await sleep(250);
  }
  await database.query(`drop publication ${name}_pub; drop table ${table}`);
  await database.end();
  await Promise.all([topics.close(), log.close()]);
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const ours = (await admin.listTopics()).filter((topic) => topic.includes(name));
  await admin.deleteTopics({ topics: ours });
  await admin.disconnect();
});

describe('a last look at the source', () => {
  it('finds the keys that stand in a table, of one column and of several', async () => {
    const found = await findInSource(config, table, [{ id: 5n }, { id: -1n }, { id: 20_000 }]);
    expect(found).toEqual(new Set([0, 2]));
    await database.query(`
      create table ${table}_pair (a text, "B b" uuid, day date, primary key (a, "B b"));
      grant select on ${table}_pair to cdc;
      insert into ${table}_pair values ('x''y', '6b1f7c9e-0000-4000-8000-000000000001', '2026-01-01')`);
    const pair = { a: "x'y", 'B b': '6b1f7c9e-0000-4000-8000-000000000001' };
    expect(await findInSource(config, `${table}_pair`, [{ ...pair, a: 'no' }, pair])).toEqual(
      new Set([1]),
    );
    expect(await findInSource(config, `${table}_pair`, [{ day: 20_454 }])).toBeUndefined();
    await database.query(`drop table ${table}_pair`);
  });
});

describe('resnapshot', () => {
  it('refuses tables that are not captured, and names those that are', async () => {
    const failure = resnapshotTables({ ...options(), tables: ['public.nobody'] });
    await expect(failure).rejects.toMatchObject({ kind: 'config' });
    await expect(failure).rejects.toThrow(table);
  });

  it('removes rows that a truncate took away amid changes', async () => {
    await streamed();
    await takeTopic();
    expect(state.projection('rows').rowCount).toBe(20_000);
    await database.query(`
      update ${table} set label = 'second' where id <= 5;
      truncate ${table};
      insert into ${table} select i, 'third ' || i from generate_series(1, 7000) i;
      insert into ${table} select i, 'new ' || i from generate_series(30001, 30100) i;
      delete from ${table} where id = 3`);
    await streamed();
    const before = await bothSides();
    expect(before.joined.length).toBeGreaterThan(before.source.length);
    const lines = await resnapshot();
    expect(lines).toContain('13000 tombstones written');
    const after = await bothSides();
    expect(after.source).toHaveLength(7_099);
    expect(after.joined).toEqual(after.source);
    expect((await status()).asWanted).toBe(true);
  });

  it('begins a new slot where the old one is gone, and brings what was missed', async () => {
    await streamed();
    await connect.stop(name);
    for (;;) {
      const found = await readSlot(config);
      if (found.kind === 'present' && !found.active) break;
      await sleep(100);
    }
    await dropSlot(config);
    await database.query(`
      update ${table} set label = 'in the gap' where id between 10 and 20;
      delete from ${table} where id between 100 and 200;
      insert into ${table} values (25000, 'came in the gap')`);
    const report = await status();
    expect(report).toMatchObject({ asWanted: false, slot: { kind: 'missing' } });
    expect(report.missed).toEqual([expect.stringContaining('resnapshot --all')]);
    // A slot that somebody makes anew must not hide what was missed.
    await database.query('select pg_create_logical_replication_slot($1, $2)', [name, 'pgoutput']);
    expect((await status()).missed).toEqual([expect.stringContaining('made anew')]);
    await resnapshot();
    await database.query(`update ${table} set label = 'after the gap' where id = 21`);
    await streamed();
    const after = await bothSides();
    expect(after.joined).toEqual(after.source);
    expect(after.joined).toContainEqual(['25000', 'came in the gap']);
    expect(after.joined).toContainEqual(['21', 'after the gap']);
    expect(await status()).toMatchObject({ asWanted: true, missed: [], differences: [] });
  });

  it('that was cut short is told of until it is done, and writes nothing twice', async () => {
    const present = await connect.readConfig(name);
    await connect.writeConfig(name, { ...present, 'tributary.resnapshot.due': table });
    await connect.stop(name);
    expect((await status()).missed).toEqual([expect.stringContaining('still to be read again')]);
    await expect(applyConnectors(options())).rejects.toThrow('resnapshot --all');
    const lines = await resnapshot();
    expect(lines.filter((line) => line.includes('tombstones'))).toEqual([]);
    const repeated = await bothSides();
    expect(repeated.joined).toEqual(repeated.source);
    expect(await status()).toMatchObject({ asWanted: true, missed: [] });
    expect((await applyConnectors(options())).map(({ outcome }) => outcome)).not.toContain(
      'changed',
    );
  });
});
