import { Kafka, logLevel } from 'kafkajs';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyConnectors } from '../../connectors/apply.ts';
import type { ApplyOptions, ApplyStep } from '../../connectors/apply.ts';
import type { Change } from '../../connectors/change.ts';
import { checkSource } from '../../connectors/check-source.ts';
import { openConnectClient } from '../../connectors/connect-client.ts';
import type { ConnectorsConfig } from '../../connectors/connectors-config.ts';
import { createChangeDecoder } from '../../connectors/decode-change.ts';
import type { ChangeRecord } from '../../connectors/decode-change.ts';
import { openTopicAdmin } from '../../connectors/kafka-admin.ts';
import type { TopicAdmin } from '../../connectors/kafka-admin.ts';
import { isStreamed, readinessSignal } from '../../connectors/readiness-signal.ts';
import { readSlot } from '../../connectors/replication-slot.ts';
import { readConnectorsStatus } from '../../connectors/status.ts';
import { heartbeatTopic, notificationTopic, tableTopic } from '../../connectors/topics.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { endpoints } from '../stack/endpoints.ts';
import { connectorsConfig } from './connectors-sample.ts';
import { topicAdminContract } from './topic-admin-contract.ts';

const name = `connectors_${process.pid}`;
const table = `public.${name}`;
const kafka = new Kafka({
  brokers: [...endpoints.kafkaBrokers],
  clientId: name,
  logLevel: logLevel.NOTHING,
});

const base = connectorsConfig({ password: 'cdc' });
const config: ConnectorsConfig = {
  ...base,
  connectUrl: endpoints.connectUrl,
  kafkaBrokers: endpoints.kafkaBrokers,
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

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const superuser = { user: 'postgres', password: 'postgres' };
const database = new Client({
  host: '127.0.0.1',
  port: endpoints.postgresPort,
  database: 'app',
  ...superuser,
});
const connect = openConnectClient(endpoints.connectUrl);
let topics: TopicAdmin;

function options(own: Partial<ConnectorsConfig> = {}): ApplyOptions {
  return {
    config: { ...config, ...own },
    connect,
    topics,
    checkSource,
    readSlot,
    loadSchema,
    levels: openRegistry({ url: endpoints.registryUrl }),
    clock: { elapsedMs: () => performance.now(), sleep },
    onProgress: () => {},
    waitMsMax: 60_000,
  };
}

async function loadSchema(schemaId: number): Promise<object | undefined> {
  const schema = await openRegistry({ url: endpoints.registryUrl }).schemaById(schemaId);
  return schema === 'unknown' ? undefined : schema;
}

async function dropConnector(): Promise<void> {
  await fetch(`${endpoints.connectUrl}/connectors/${name}`, { method: 'DELETE' });
  for (let attempt = 0; attempt < 40; attempt++) {
    const { rows } = await database.query<{ active: boolean }>(
      'select active from pg_replication_slots where slot_name = $1',
      [name],
    );
    if (rows.length === 0) return;
    if (rows[0]?.active === false) {
      await database.query('select pg_drop_replication_slot($1)', [name]);
      return;
    }
    await sleep(250);
  }
}

beforeAll(async () => {
  topics = await openTopicAdmin({ brokers: endpoints.kafkaBrokers, clientId: name });
  await database.connect();
  await database.query(`
    create table ${table} (
      id bigint primary key, label text not null default 'free', body text, price numeric(12, 2),
      exact numeric, at timestamp, at_tz timestamptz, day date, clock time, raw bytea, flag boolean);
    alter table ${table} alter column body set storage external;
    insert into ${table} (id, label, body) values (1, 'old', repeat('x', 20000));`);
});

afterAll(async () => {
  await dropConnector();
  await database.query(
    `drop publication if exists ${name}_pub; drop table if exists ${table}, ${table}_later, ${table}_empty`,
  );
  await database.end();
  await topics.close();
  const admin = kafka.admin();
  await admin.connect();
  const ours = (await admin.listTopics()).filter((topic) => topic.includes(name));
  await admin.deleteTopics({ topics: ours });
  await admin.disconnect();
});

/** Reads a topic from its start until `enough` holds or the time is over. */
async function readTopic(
  topic: string,
  enough: (records: ChangeRecord[]) => boolean,
  waitMsMax = 30_000,
): Promise<ChangeRecord[]> {
  const consumer = kafka.consumer({ groupId: `${name}.${topic}.${Math.random()}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const records: ChangeRecord[] = [];
  await consumer.run({
    eachMessage: async ({ message }) => {
      records.push({ key: message.key ?? null, value: message.value });
    },
  });
  for (const end = Date.now() + waitMsMax; Date.now() < end && !enough(records);) await sleep(50);
  await consumer.disconnect();
  return records;
}

/** Schemas of the records, loaded from the registry, as the decoder asks for them. */
async function loadSchemas(
  records: readonly ChangeRecord[],
): Promise<(id: number) => object | undefined> {
  const registry = openRegistry({ url: endpoints.registryUrl });
  const schemas = new Map<number, object>();
  const resolve = (id: number): object | undefined => schemas.get(id);
  const decoder = createChangeDecoder({ resolve });
  for (const record of records) {
    for (const id of decoder.missingSchemaIds(record)) {
      const schema = await registry.schemaById(id);
      if (schema !== 'unknown') schemas.set(id, schema);
    }
  }
  return resolve;
}

async function readChanges(count: number): Promise<Change[]> {
  const topic = tableTopic(config, table);
  const records = await readTopic(topic, (read) => read.length >= count);
  const decoder = createChangeDecoder({ resolve: await loadSchemas(records) });
  return records.map((record) => decoder.decode(record));
}

const outcomes = (steps: readonly ApplyStep[]): string[] => steps.map(({ outcome }) => outcome);

describe('a real cluster', () => {
  topicAdminContract(
    () => openTopicAdmin({ brokers: endpoints.kafkaBrokers, clientId: name }),
    `${name}.contract`,
  );
});

describe('apply on a running stack', () => {
  it('says what the owner of a table has to run', async () => {
    const failure = applyConnectors(options());
    await expect(failure).rejects.toMatchObject({ kind: 'config' });
    await expect(failure).rejects.toThrow(`alter publication ${name}_pub add table ${table}`);
    await expect(failure).rejects.toThrow(`grant select on ${table} to cdc`);
    await database.query(
      `create publication ${name}_pub for table ${table}, public.debezium_heartbeat`,
    );
    await database.query(`grant select on ${table} to cdc`);
  });

  it('names a wrong password, whether we or Connect see it first', async () => {
    const wrong = { ...config.database, password: { reveal: () => 'not-it', toJSON: () => '***' } };
    const ours = applyConnectors(options({ database: wrong }));
    await expect(ours).rejects.toThrow('PostgreSQL refuses cdc on app: password authentication');
    // The superuser's password is not the one that the worker has.
    const theirs = applyConnectors({
      ...options({ database: { ...config.database, user: 'postgres' } }),
      checkSource: async () => ({ kind: 'unreachable', message: '' }),
    });
    await expect(theirs).rejects.toMatchObject({ kind: 'config' });
    await expect(theirs).rejects.toThrow('password authentication failed');
    await expect(theirs).rejects.toThrow('give the worker DATABASE_PASSWORD');
  });

  it('makes topics and connector, and changes nothing when run again', async () => {
    const first = await applyConnectors(options());
    expect(outcomes(first)).toContain('running');
    expect(first.map(({ message }) => message)).toContain(`connector ${name}: created`);
    const second = await applyConnectors(options());
    expect(new Set(outcomes(second))).toEqual(new Set(['unchanged', 'running']));
    const report = await readConnectorsStatus({ config, connect, topics, readSlot });
    expect(report).toMatchObject({ state: 'RUNNING', differences: [], asWanted: true });
    expect(report.topics.flatMap(({ differences }) => differences)).toEqual([]);
    const shown = await fetch(`${endpoints.connectUrl}/connectors/${name}/config`);
    expect(await shown.json()).toMatchObject({ 'database.password': '${env:DATABASE_PASSWORD}' });
  });

  it('tells through a notification that the initial snapshot is complete', async () => {
    const complete = 'initial-snapshot-complete';
    let signals: unknown[] = [];
    const topic = notificationTopic(config);
    for (let attempt = 0; attempt < 20 && !signals.includes(complete); attempt++) {
      const records = await readTopic(topic, (read) => read.length > 0, 3_000);
      const resolve = await loadSchemas(records);
      signals = records.map((record) => readinessSignal(record, resolve)?.kind);
    }
    expect(signals).toContain(complete);
    expect(signals).toContain('table-scanned');
  });

  it('captures every kind of change as it means', async () => {
    await database.query(`update ${table} set label = 'new' where id = 1`);
    await database.query(
      `insert into ${table} values (2, 'x', null, 12.30, -0.001, '2026-03-01 10:00:00.123456',
        '2026-03-01 11:00:00.123456+01', '2026-03-01', '10:11:12.5', '\\x0102', true)`,
    );
    await database.query(`update ${table} set id = 3 where id = 2`);
    await database.query(`delete from ${table} where id = 1`);
    await database.query(`truncate ${table}`);
    await database.query(`insert into ${table} (id, at_tz) values (4, 'infinity')`);
    const changes = await readChanges(9);
    const ofRow = (id: bigint): Change[] =>
      changes.filter((change) => 'rowKey' in change && change.rowKey['id'] === id);

    const [snapshotted, updated, removed, tombstone] = ofRow(1n);
    expect(snapshotted).toMatchObject({ kind: 'upsert', initialSnapshot: true });
    expect(updated).toMatchObject({
      kind: 'upsert',
      initialSnapshot: false,
      after: { label: 'new' },
      unavailable: ['body'],
    });
    expect(removed).toEqual({
      kind: 'delete',
      sourcePosition: expect.any(BigInt) as bigint,
      rowKey: { id: 1n },
    });
    expect(tombstone?.kind).toBe('tombstone');

    const kinds = (id: bigint): string[] => ofRow(id).map(({ kind }) => kind);
    expect(kinds(2n)).toEqual(['upsert', 'delete', 'tombstone']);
    expect(kinds(3n)).toEqual(['upsert']);
    expect(ofRow(3n)[0]).toMatchObject({
      after: {
        id: 3n,
        label: 'x',
        body: null,
        price: { unscaled: 1230n, scale: 2 },
        exact: { unscaled: -1n, scale: 3 },
        at: 1_772_359_200_123_456n,
        at_tz: 1_772_359_200_123_456n,
        day: 20_513,
        clock: 36_672_500_000n,
        raw: Buffer.from([1, 2]),
        flag: true,
      },
    });
    expect(changes.filter(({ kind }) => kind === 'reject' || kind === 'truncate')).toEqual([]);
    expect(ofRow(4n)[0]).toMatchObject({
      kind: 'upsert',
      after: { label: 'free', at_tz: 253_402_300_799_999_999n },
    });
    expect(changes.some(isStreamed)).toBe(true);

    const positions = ofRow(1n).flatMap((change) =>
      'sourcePosition' in change ? [change.sourcePosition] : [],
    );
    expect(positions).toEqual(positions.toSorted((a, b) => (a < b ? -1 : 1)));
  });

  it('reads the rows of a table that is added later, and tells when it has', async () => {
    const later = `public.${name}_later`;
    const empty = `public.${name}_empty`;
    await database.query(`
      create table ${later} (id bigint primary key, label text);
      create table ${empty} (id bigint primary key);
      insert into ${later} select i, 'row ' || i from generate_series(1, 20000) i;
      alter publication ${name}_pub add table ${later}, ${empty};
      grant select on ${later}, ${empty} to cdc`);
    const more = { tables: [table, later, empty] };
    const lines: string[] = [];
    const steps = await applyConnectors({
      ...options(more),
      onProgress: (line) => lines.push(line),
    });
    expect(steps.at(-1)).toMatchObject({
      outcome: 'loaded',
      message: `rows: ${later}, ${empty} read`,
    });
    expect(lines).toContain(`${later}: 20000 rows read`);
    expect((await applyConnectors(options(more))).at(-1)?.outcome).toBe('unchanged');

    const read = await readTopic(tableTopic(config, later), (records) => records.length >= 20_000);
    const decoder = createChangeDecoder({ resolve: await loadSchemas(read) });
    const ids = new Set<unknown>();
    for (const change of read.map((record) => decoder.decode(record))) {
      if (change.kind === 'reject') throw new Error(JSON.stringify(change));
      expect(change).toMatchObject({ kind: 'upsert', initialSnapshot: true });
      if (change.kind === 'upsert') ids.add(change.rowKey['id']);
    }
    expect(ids.size).toBe(20_000);
    const told = await topics.readRecords(notificationTopic(config));
    const resolve = await loadSchemas(told);
    const signals = told.map((record) => readinessSignal(record, resolve));
    expect(signals).toContainEqual({ kind: 'table-complete', collection: later });
    expect(signals).toContainEqual({ kind: 'table-complete', collection: empty });
  });

  it('runs on after the truncate that a compacted topic cannot take', async () => {
    const report = await readConnectorsStatus({ config, connect, topics, readSlot });
    expect(report).toMatchObject({ state: 'RUNNING', tasks: [{ state: 'RUNNING' }] });
    const beats = await readTopic(heartbeatTopic(config), (read) => read.length > 0, 10_000);
    expect(beats.length).toBeGreaterThan(0);
  });
});
