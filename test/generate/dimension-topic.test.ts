import { describe, expect, it } from 'vitest';
import { createChangeDecoder } from '../../connectors/decode-change.ts';
import { readinessSignal } from '../../connectors/readiness-signal.ts';
import { deviceRow, urlRow, userRow } from '../../generate/dimension-rows.ts';
import { writeDimensionTopics } from '../../generate/dimension-topic.ts';
import type { ProducerRecord, RecordProducer } from '../../generate/kafka-producer.ts';
import { openEnvelopeDecoder } from '../../verify/envelope.ts';

const SEED = 5;
const topics = new Map<string, ProducerRecord[]>();
const avroSchemas = new Map<number, object>();

/** A producer whose topics are lists. */
const memoryProducer: RecordProducer = {
  clusterId: 'memory',
  ensureTopic: async (topic) => {
    topics.set(topic, topics.get(topic) ?? []);
  },
  partitionCount: async () => 3,
  send: async (topic, records) => {
    topics.get(topic)?.push(...records);
    return new Map();
  },
  close: async () => undefined,
};

const written = writeDimensionTopics({
  producer: memoryProducer,
  register: async (_subject, avroSchema) => {
    avroSchemas.set(avroSchemas.size + 1, JSON.parse(avroSchema) as object);
    return avroSchemas.size;
  },
  seed: SEED,
  users: { topic: 'users', rows: 2_500 },
  devices: { topic: 'devices', rows: 40 },
  urls: { topic: 'urls', rows: 30 },
  notificationTopic: 'notifications',
  partitions: 3,
  nowMs: () => 1_800_000_000_123,
  progress: () => undefined,
});

const resolve = (schemaId: number): object | undefined => avroSchemas.get(schemaId);
const decoder = createChangeDecoder({ resolve });
const decodeAll = async (topic: string) => {
  await written;
  return (topics.get(topic) ?? []).map(({ key, value }) =>
    decoder.decode({ key: key as Buffer, value }),
  );
};

describe('change topics as the pipeline decodes them', () => {
  it('hold one row of an initial snapshot for each user', async () => {
    const changes = await decodeAll('users');
    expect(changes.length).toBe(2_500);
    const { name, country, tier, birthYear, signupDate, updatedAtMs } = userRow(SEED, 1_700);
    expect(changes[1_699]).toMatchObject({
      kind: 'upsert',
      initialSnapshot: true,
      sourcePosition: 43_098_952n,
      rowKey: { user_id: 1_700n },
      after: {
        user_id: 1_700n,
        name,
        country,
        tier,
        birth_year: birthYear,
        signup_date: signupDate,
        updated_at: BigInt(updatedAtMs) * 1000n,
      },
    });
  });

  it('hold devices and urls, prices as decimals', async () => {
    const { deviceId, userId, os } = deviceRow(SEED, 7, 2_500);
    expect((await decodeAll('devices'))[6]).toMatchObject({
      rowKey: { device_id: deviceId },
      after: { user_id: BigInt(userId), os },
    });
    for (const [i, change] of (await decodeAll('urls')).entries()) {
      const { url, priceHundredths } = urlRow(SEED, i + 1);
      const price =
        priceHundredths === null ? null : { unscaled: BigInt(priceHundredths), scale: 2 };
      expect(change).toMatchObject({ kind: 'upsert', after: { url, price } });
    }
  });

  it('are decoded by the replay to the same values', async () => {
    await written;
    const replay = openEnvelopeDecoder(async (schemaId) => resolve(schemaId));
    for (const { key, value } of topics.get('urls') ?? []) {
      const change = decoder.decode({ key: key as Buffer, value });
      const replayed = await replay.decode(key as Buffer, value);
      if (change.kind !== 'upsert') throw new Error(`expected a row, got ${change.kind}`);
      expect(replayed.lsn).toBe(change.sourcePosition);
      for (const [name, cell] of Object.entries(change.after)) {
        const { unscaled } = (cell ?? {}) as { unscaled?: bigint };
        const number = unscaled === undefined ? cell : Number(unscaled) / 100;
        const expected = cell === null ? null : `${number as string | bigint | number}`;
        expect([name, replayed.row?.get(name)]).toEqual([name, expected]);
      }
    }
  });

  it('are followed by the notification that the pipeline waits for', async () => {
    await written;
    const [notification] = topics.get('notifications') ?? [];
    const record = { key: null, value: notification?.value ?? null };
    expect(readinessSignal(record, resolve)).toEqual({ kind: 'initial-snapshot-complete' });
  });
});
