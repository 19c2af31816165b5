import kafkajs from 'kafkajs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openTopicReader } from '../../verify/topic-reader.ts';
import { endpoints } from '../stack/endpoints.ts';

const topic = `verify-reader-${process.pid}-${Date.now()}`;
const kafka = new kafkajs.Kafka({
  clientId: 'verify-reader',
  brokers: [...endpoints.kafkaBrokers],
  logLevel: kafkajs.logLevel.NOTHING,
});
const admin = kafka.admin();
const producer = kafka.producer({
  transactionalId: topic,
  maxInFlightRequests: 1,
  idempotent: true,
});
const readTopic = openTopicReader({
  brokers: endpoints.kafkaBrokers,
  clientId: 'verify-reader',
  groupId: topic,
  log: () => undefined,
});

beforeAll(async () => {
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 2 }], waitForLeaders: true });
  await producer.connect();
  const plain = kafka.producer();
  await plain.connect();
  await plain.send({ topic, messages: [0, 1].map((partition) => ({ partition, value: 'v' })) });
  await plain.disconnect();
});
afterAll(async () => {
  await producer.disconnect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
});

async function read(next: bigint): Promise<string[]> {
  const values: string[] = [];
  const until = new Map([
    [0, next],
    [1, 1n],
  ]);
  await readTopic(topic, until, ({ value }) => void values.push(String(value)));
  return values;
}

it('reads each partition to its end, past what only marks a transaction', async () => {
  expect(await read(1n)).toEqual(['v', 'v']);
  const transaction = await producer.transaction();
  await transaction.send({ topic, messages: [{ partition: 0, value: 'w' }] });
  // Offset 1 exists, and nobody may see it yet.
  await expect(read(2n)).rejects.toMatchObject({ kind: 'config' });
  await transaction.commit();
  // The broker answers the end of a transaction before it has written the marker.
  await expect
    .poll(() => read(3n).catch(() => undefined), { timeout: 20_000 })
    .toEqual(expect.arrayContaining(['w']));
  expect((await read(2n)).toSorted()).toEqual(['v', 'v', 'w']);
  expect((await read(3n)).toSorted()).toEqual(['v', 'v', 'w']);
}, 60_000);
