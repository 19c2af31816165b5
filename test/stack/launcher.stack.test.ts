import { SchemaRegistry } from '@kafkajs/confluent-schema-registry';
import { Kafka, logLevel } from 'kafkajs';
import { Client } from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endpoints } from './endpoints.ts';

/** What a statement answered; Trino's numbers and timestamps as its JSON has them. */
type TrinoPage = {
  readonly nextUri?: string;
  readonly data?: unknown[][];
  readonly error?: { readonly message: string };
};

async function query(sql: string): Promise<unknown[][]> {
  const headers = {
    'X-Trino-User': 'launcher-test',
    'X-Trino-Client-Capabilities': 'PARAMETRIC_DATETIME',
  };
  const first = await fetch(`${endpoints.trinoUrl}/v1/statement`, {
    method: 'POST',
    headers,
    body: sql,
  });
  let page = (await first.json()) as TrinoPage;
  const rows: unknown[][] = [];
  while (page.nextUri !== undefined) {
    page = (await (await fetch(page.nextUri, { headers })).json()) as TrinoPage;
    rows.push(...(page.data ?? []));
    if (page.error !== undefined) throw new Error(`${page.error.message}: ${sql}`);
  }
  return rows;
}

/** One run's own names: a second run against the same stack meets nothing of the first. */
const run = `launcher_${process.pid}`;

describe('Trino over the REST catalog and S3', () => {
  const table = `lake.${run}.clicks`;

  beforeAll(async () => {
    await query(`create schema lake.${run}`);
    await query(
      `create table ${table} (id bigint, event_time timestamp(6) with time zone, tags array(varchar))
       with (partitioning = array['day(event_time)'], sorted_by = array['id'])`,
    );
  });

  afterAll(async () => {
    await query(`drop table if exists ${table}`);
    await query(`drop schema lake.${run}`);
  });

  test('a row comes back to the microsecond', async () => {
    await query(
      `insert into ${table} values (1, timestamp '2026-11-22 10:00:00.123456 UTC', array['a', null])`,
    );
    expect(await query(`select id, event_time, tags from ${table} where id = 1`)).toEqual([
      [1, '2026-11-22 10:00:00.123456 UTC', ['a', null]],
    ]);
  });

  test('MERGE updates what matches and inserts the rest', async () => {
    await query(
      `insert into ${table} values (2, timestamp '2026-11-23 00:00:00 UTC', array['old'])`,
    );
    await query(
      `merge into ${table} t
       using (values (bigint '2', array['new']), (bigint '3', array['made'])) as s (id, tags) on t.id = s.id
       when matched then update set tags = s.tags
       when not matched then insert (id, event_time, tags) values (s.id, timestamp '2026-11-23 00:00:00 UTC', s.tags)`,
    );
    expect(await query(`select id, tags from ${table} where id > 1 order by id`)).toEqual([
      [2, ['new']],
      [3, ['made']],
    ]);
  });

  test('maintenance keeps every row and leaves one snapshot', async () => {
    const before = await query(`select * from ${table} order by id`);
    await query(`alter table ${table} execute optimize`);
    await query(`alter table ${table} execute optimize_manifests`);
    await query(
      `alter table ${table} execute expire_snapshots(retention_threshold => '0s', retain_last => 1)`,
    );
    await query(`alter table ${table} execute remove_orphan_files(retention_threshold => '0s')`);
    await query(`analyze ${table}`);
    expect(await query(`select * from ${table} order by id`)).toEqual(before);
    const [[snapshots] = []] = await query(
      `select count(*) from lake.${run}."clicks$snapshots" where operation <> 'replace'`,
    );
    expect(snapshots).toBeLessThanOrEqual(1);
  });

  test('a view reads the table', async () => {
    const view = `lake.${run}.recent`;
    await query(`create view ${view} as select count(*) as clicks from ${table}`);
    expect(await query(`select clicks from ${view}`)).toEqual(
      await query(`select count(*) from ${table}`),
    );
    await query(`drop view ${view}`);
  });
});

describe('Debezium over Connect', () => {
  const topic = `${run}.public.${run}`;
  const database = new Client({
    host: '127.0.0.1',
    port: endpoints.postgresPort,
    database: 'app',
    user: 'postgres',
    password: 'postgres',
  });
  const kafka = new Kafka({ brokers: [...endpoints.kafkaBrokers], logLevel: logLevel.NOTHING });

  beforeAll(async () => {
    await database.connect();
    await database.query(`create table ${run} (
      id int primary key, price numeric(12, 2) default 1.50, n numeric, at timestamptz, day date default '2026-01-02',
      ok boolean default true, small smallint not null default 7, tags text[], blob bytea)`);
    await database.query(`grant select on ${run} to cdc`);
    await database.query(`create publication ${run} for table ${run}`);
    await database.query(
      `insert into ${run} values (1, 1234.50, 3.14, '2026-11-22 10:00:00Z', '2026-03-01', true, 5, '{a,b}', '\\x0102')`,
    );
    const response = await fetch(`${endpoints.connectUrl}/connectors`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: run, config: connectorConfig() }),
    });
    if (response.status !== 201) throw new Error(await response.text());
  });

  afterAll(async () => {
    await fetch(`${endpoints.connectUrl}/connectors/${run}`, { method: 'DELETE' });
    await dropSlot();
    await database.query(`drop publication ${run}`);
    await database.query(`drop table ${run}`);
    await database.end();
    const admin = kafka.admin();
    await admin.connect();
    await admin.deleteTopics({ topics: [topic] });
    await admin.disconnect();
  });

  function connectorConfig(): Record<string, string> {
    const registry = endpoints.registryUrl;
    return {
      'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
      'plugin.name': 'pgoutput',
      'database.hostname': '127.0.0.1',
      'database.port': String(endpoints.postgresPort),
      'database.user': 'cdc',
      'database.password': 'cdc',
      'database.dbname': 'app',
      'topic.prefix': run,
      'table.include.list': `public.${run}`,
      'slot.name': run,
      'publication.name': run,
      'publication.autocreate.mode': 'disabled',
      'schema.name.adjustment.mode': 'avro',
      'poll.interval.ms': '20',
      'key.converter': 'tributary.connect.AvroConverter',
      'key.converter.schema.registry.url': registry,
      'value.converter': 'tributary.connect.AvroConverter',
      'value.converter.schema.registry.url': registry,
      'topic.creation.default.replication.factor': '1',
      'topic.creation.default.partitions': '1',
    };
  }

  async function dropSlot(): Promise<void> {
    for (let attempt = 0; attempt < 50; attempt++) {
      const { rows } = await database.query<{ active: boolean }>(
        `select active from pg_replication_slots where slot_name = '${run}'`,
      );
      if (rows.length === 0) return;
      if (rows[0]?.active === false) {
        await database.query(`select pg_drop_replication_slot('${run}')`);
        return;
      }
      await sleep(200);
    }
  }

  test('Connect lists the PostgreSQL plugin', async () => {
    const plugins = await (await fetch(`${endpoints.connectUrl}/connector-plugins`)).json();
    expect(plugins).toContainEqual(
      expect.objectContaining({ class: 'io.debezium.connector.postgresql.PostgresConnector' }),
    );
  });

  test('a row arrives as Avro that the registry knows', { timeout: 60_000 }, async () => {
    const message = await firstMessage();
    expect(message.value?.[0]).toBe(0);
    const id = message.value?.readInt32BE(1) ?? -1;
    const { schema } = (await (
      await fetch(`${endpoints.registryUrl}/schemas/ids/${id}`)
    ).json()) as { schema: string };
    expect(JSON.parse(schema)).toMatchObject({ type: 'record', name: 'Envelope' });
    const subjects = await (await fetch(`${endpoints.registryUrl}/subjects`)).json();
    expect(subjects).toEqual(expect.arrayContaining([`${topic}-key`, `${topic}-value`]));
    const registry = new SchemaRegistry({ host: endpoints.registryUrl });
    expect(await registry.decode(message.key ?? Buffer.alloc(0))).toEqual({ id: 1 });
  });

  async function firstMessage(): Promise<{ key: Buffer | null; value: Buffer | null }> {
    const consumer = kafka.consumer({ groupId: run });
    const { promise, resolve } = Promise.withResolvers<{
      key: Buffer | null;
      value: Buffer | null;
    }>();
    await consumer.connect();
    await waitForTopic();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: ({ message }) => {
        resolve(message);
        return Promise.resolve();
      },
    });
    const message = await promise;
    await consumer.disconnect();
    return message;
  }

  async function waitForTopic(): Promise<void> {
    const admin = kafka.admin();
    await admin.connect();
    while (!(await admin.listTopics()).includes(topic)) await sleep(200);
    await admin.disconnect();
  }
});
