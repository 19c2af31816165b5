import kafkajs from 'kafkajs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openDimensionChanges, type DimensionChange } from '../../generate/dimension-changes.ts';
import { userRow } from '../../generate/dimension-rows.ts';
import { writeDimensionTopics } from '../../generate/dimension-topic.ts';
import {
  openKafkaProducer,
  type CompressionName,
  type RecordProducer,
} from '../../generate/kafka-producer.ts';
import { readLedger } from '../../generate/ledger.ts';
import { openPostgres, type SqlConnection } from '../../generate/postgres.ts';
import { runGenerate, type GenerateOptions } from '../../generate/run.ts';
import { createSourceTables, seedTables } from '../../generate/seed-tables.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { openEnvelopeDecoder, type ReplayedChange } from '../../verify/envelope.ts';
import { openTopicReader, type TopicRecord } from '../../verify/topic-reader.ts';
import { endpoints } from '../stack/endpoints.ts';
import { clickContract, smallShape } from './click-contract.ts';

const RUN = `generate_test_${Date.now()}`;
const SEED = 11;
const silent = (): void => undefined;

const registry = openRegistry({ url: endpoints.registryUrl });
const register = async (subject: string, avroSchema: string): Promise<number> =>
  (await registry.register(subject, JSON.parse(avroSchema) as AvroObject)).schemaId;
const readTopic = openTopicReader({
  brokers: endpoints.kafkaBrokers,
  clientId: RUN,
  groupId: RUN,
  log: silent,
});

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'generate-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function endsOf(topic: string): Promise<Map<number, bigint>> {
  const kafka = new kafkajs.Kafka({ clientId: RUN, brokers: [...endpoints.kafkaBrokers] });
  const admin = kafka.admin();
  await admin.connect();
  const offsets = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  return new Map(offsets.map(({ partition, high }) => [partition, BigInt(high)]));
}

/** Places where the topic is not what the ledger says. */
async function unlike(topic: string, ledgerPath: string): Promise<string[]> {
  const expected = new Map<string, { url: string; userId: number; kind: string }>();
  const until = new Map<number, bigint>();
  for await (const batch of readLedger(ledgerPath)) {
    for (let i = 0; i < batch.count; i += 1) {
      const offset = (batch.baseOffset ?? -1n) + BigInt(i);
      until.set(batch.partition, offset + 1n);
      const [url, userId, kind] = [batch.url[i], batch.userId[i], batch.kind[i]];
      expected.set(`${batch.partition}/${offset}`, {
        url: url ?? '',
        userId: userId ?? 0,
        kind: kind ?? '',
      });
    }
  }
  const wrong: string[] = [];
  await readTopic(topic, until, ({ partition, offset, key, value }) => {
    const place = `${partition}/${offset}`;
    const said = expected.get(place);
    expected.delete(place);
    const isNull = value === null;
    const hasUrl = value !== null && said !== undefined && value.includes(said.url);
    const isRight = said?.kind === 'good' ? hasUrl : isNull === (said?.kind === 'null-value');
    if (key?.toString() !== String(said?.userId) || !isRight) wrong.push(place);
  });
  return [...wrong, ...expected.keys()];
}

describe('the source tables', () => {
  let pg: SqlConnection;
  beforeAll(async () => {
    pg = await openPostgres({
      host: '127.0.0.1',
      port: endpoints.postgresPort,
      user: 'postgres',
      password: 'postgres',
      database: 'app',
    });
    await pg.query(`create schema ${RUN}`);
    await createSourceTables(pg, RUN);
  });
  afterAll(async () => {
    await pg.query(`drop schema ${RUN} cascade`);
    await pg.close();
  });

  const sizes = { users: 12_000, devices: 6_000, urls: 300 };

  it('get every row once, and a second load changes nothing', async () => {
    const seed = { pg, namespace: RUN, ...sizes, seed: SEED, progress: silent };
    expect(await seedTables(seed)).toEqual(sizes);
    expect(await seedTables(seed)).toEqual({ users: 0, devices: 0, urls: 0 });
    const { rows } = await pg.query(`select * from ${RUN}.users where user_id = 777`);
    const { name, country, tier, birthYear } = userRow(SEED, 777);
    expect(rows).toMatchObject([{ user_id: '777', name, country, tier, birth_year: birthYear }]);
  });

  it('are changed in every way, and each change is told as it was', async () => {
    const options = { pg, namespace: RUN, ...sizes, seed: SEED, nowMs: Date.now };
    const changes = openDimensionChanges(options);
    const made: DimensionChange[] = [];
    for (let i = 0; i < 300; i += 1) made.push(await changes.next());
    const applied = made.filter(({ rows }) => rows > 0);
    const ops = ['update', 'insert', 'delete', 'primary-key-change', 'rename', 'duplicate'];
    expect(new Set(applied.map(({ op }) => op))).toEqual(new Set(ops));
    const count = async (statement: string, values: unknown[]): Promise<unknown> =>
      (await pg.query(statement, values)).rows.length;
    const moved = applied.find(({ op, table }) => op === 'primary-key-change' && table === 'urls');
    expect(
      await count(`select from ${RUN}.urls where url_id = $1`, [moved?.newKey]),
      'the new key',
    ).toBe(1);
    expect(await count(`select from ${RUN}.urls where url_id = $1`, [moved?.rowKey])).toBe(0);
    const twins = await pg.query(
      `select url from ${RUN}.urls group by url having count(*) > 1 limit 1`,
    );
    expect(twins.rows.length, 'a url told twice').toBe(1);
  });
});

describe('clicks', () => {
  let producer: RecordProducer;
  afterEach(() => producer.close());
  const openProducer = async (compression: CompressionName): Promise<void> => {
    producer = await openKafkaProducer({
      brokers: endpoints.kafkaBrokers,
      clientId: RUN,
      compression,
      log: silent,
    });
  };

  const generate = async (
    name: string,
    options: Partial<GenerateOptions['clicks']> & { signal?: AbortSignal },
  ) => {
    const { signal, ...clicks } = options;
    const topic = `${RUN}.${name}`;
    await producer.ensureTopic(topic, 5, {});
    const ledgerPath = join(folder, `${name}.ndjson`);
    const shape = { ...smallShape, shares: { ...smallShape.shares, corrupt: 0.02 } };
    const summary = await runGenerate({
      seed: SEED,
      producer,
      register,
      clicks: { topic, avroSchema: clickContract.avroSchema, shape, ledgerPath, ...clicks },
      clock: { nowMs: Date.now, sleep },
      progress: silent,
      ...(signal !== undefined && { signal }),
    });
    return { summary, topic, ledgerPath };
  };

  it.each(['none', 'zstd'] as const)(
    'with compression %s, are what the ledger says',
    async (compression) => {
      await openProducer(compression);
      const { summary, topic, ledgerPath } = await generate(compression, { count: 9_000 });
      expect(summary.clicks).toBe(9_000);
      expect(await unlike(topic, ledgerPath)).toEqual([]);
    },
  );

  it('keep to a rate and end at the signal with every send acknowledged', async () => {
    await openProducer('none');
    const startMs = Date.now();
    const { summary, topic, ledgerPath } = await generate('rate', {
      perSecond: 1_000,
      signal: AbortSignal.timeout(1_500),
    });
    const seconds = (Date.now() - startMs) / 1000;
    expect(summary.clicks).toBeGreaterThan(900);
    expect(summary.clicks).toBeLessThan(1_000 * (seconds + 0.1));
    expect(await unlike(topic, ledgerPath)).toEqual([]);
  });

  it('stop when the source tables cannot be changed, with the reason', async () => {
    await openProducer('none');
    const pg = await openPostgres({
      host: '127.0.0.1',
      port: endpoints.postgresPort,
      user: 'app',
      password: 'app',
      database: 'app',
    });
    const failing = runGenerate({
      seed: SEED,
      producer,
      register,
      clicks: {
        topic: `${RUN}.rate`,
        avroSchema: clickContract.avroSchema,
        shape: smallShape,
        ledgerPath: join(folder, 'failing.ndjson'),
        perSecond: 100,
      },
      changes: {
        pg,
        namespace: 'nowhere',
        users: 10,
        devices: 10,
        urls: 10,
        perSecond: 50,
        journalPath: join(folder, 'changes.ndjson'),
      },
      clock: { nowMs: Date.now, sleep },
      progress: silent,
    });
    await expect(failing).rejects.toMatchObject({ kind: 'config' });
    await pg.close();
    expect(await readFile(join(folder, 'failing.ndjson'), 'utf8')).toContain('"ledger":1');
  });
});

describe('change topics', () => {
  it('hold every row as Debezium writes it, and the notification that it is complete', async () => {
    const producer = await openKafkaProducer({
      brokers: endpoints.kafkaBrokers,
      clientId: RUN,
      compression: 'zstd',
      log: silent,
    });
    const topicOf = (table: string): string => `${RUN}.public.${table}`;
    const rows = await writeDimensionTopics({
      producer,
      register,
      seed: SEED,
      users: { topic: topicOf('users'), rows: 3_000 },
      devices: { topic: topicOf('devices'), rows: 2_000 },
      urls: { topic: topicOf('urls'), rows: 100 },
      notificationTopic: `${RUN}.notifications`,
      partitions: 3,
      nowMs: Date.now,
      progress: silent,
    });
    await producer.close();
    expect(rows).toBe(5_100);
    const decoder = openEnvelopeDecoder((schemaId) => registry.schemaById(schemaId));
    const changes: ReplayedChange[] = [];
    await readTopic(topicOf('users'), await endsOf(topicOf('users')), async ({ key, value }) => {
      const change = await decoder.decode(key, value);
      if (change !== undefined) changes.push(change);
    });
    expect(new Set(changes.map(({ rowKey }) => rowKey)).size).toBe(3_000);
    const { name, country, tier } = userRow(SEED, 1_234);
    const row = changes.find(({ rowKey }) => rowKey === '1234')?.row;
    expect([row?.get('name'), row?.get('country'), row?.get('tier')]).toEqual([
      name,
      country,
      tier,
    ]);
    const notifications: TopicRecord[] = [];
    await readTopic(`${RUN}.notifications`, new Map([[0, 1n]]), (record) => {
      notifications.push(record);
    });
    expect(notifications[0]?.value?.toString('latin1')).toMatch(/COMPLETED.*Initial Snapshot/);
  });
});
