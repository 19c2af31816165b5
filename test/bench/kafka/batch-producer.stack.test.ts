import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBatchProducer, type BatchProducer } from '../../../bench/kafka/batch-producer.ts';
import { closeGate } from '../../../bench/kafka/gate.ts';
import { openRecordBatch } from '../../../bench/kafka/record-batch.ts';
import type { Log, RecordColumns } from '../../../enrich/source/log.ts';
import { openPlatformaticLog } from '../../../enrich/source/platformatic-log.ts';
import { loadCrc32c } from '../../../enrich/source/wire/crc32c.ts';
import { openTopicReader } from '../../../verify/topic-reader.ts';
import { endpoints } from '../../stack/endpoints.ts';

const RUN = `batch_producer_test_${Date.now()}`;
const PARTITIONS = 2;
const brokers = endpoints.kafkaBrokers;
const broker = brokers[0] ?? '';
const { sum: crc32c } = loadCrc32c();

let producer: BatchProducer;
let log: Log;
beforeAll(async () => {
  producer = await openBatchProducer(broker);
  log = await openPlatformaticLog({
    brokers,
    clientId: RUN,
    random: Math.random,
    onFault: () => undefined,
  });
});
afterAll(async () => {
  await log.close();
  await producer.close();
});

/** A batch of records `from` to `to`, the values of which say which they are; every tenth is a tombstone. */
function batchOf(topic: string, partition: number, from: number, to: number) {
  const batch = openRecordBatch({ bytesExpected: 1_024, crc32c });
  for (let i = from; i < to; i += 1) {
    batch.append(Buffer.from(`key ${i}`), i % 10 === 9 ? null : Buffer.from(`value ${i}`));
  }
  return { topic, partition, batch: batch.take(Date.now()) };
}

const textOf = (i: number): string => `${i} key ${i} ${i % 10 === 9 ? null : `value ${i}`}`;
const expected = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => textOf(from + i));

/** The first records, an offset further on. */
const shifted = (to: number): string[] =>
  Array.from({ length: to }, (_, i) => textOf(i).replace(/^\d+/, String(i + 1)));

/** What the pipeline's own reader sees, by partition, up to the end for readers of committed records. */
async function walked(topic: string): Promise<Map<number, string[]>> {
  const found = new Map<number, string[]>();
  const reader = await log.openReader();
  reader.assign([0, 1].map((partition) => ({ topic, partition, nextOffset: 0n })));
  const take = (_topic: string, partition: number, records: RecordColumns): void => {
    const list = found.get(partition) ?? [];
    found.set(partition, list);
    const part = (start: number, length: number): string =>
      Buffer.from(records.bytes.slice(start, start + length)).toString();
    for (let i = 0; i < records.count; i += 1) {
      const offset = records.baseOffset + BigInt(records.offsetDelta[i] ?? 0);
      const length = records.valueLength[i] ?? -1;
      const value = length < 0 ? null : part(records.valueStart[i] ?? 0, length);
      list.push(`${offset} ${part(records.keyStart[i] ?? 0, records.keyLength[i] ?? 0)} ${value}`);
    }
  };
  const atEnd = new Set<number>();
  while (atEnd.size < PARTITIONS) {
    const progress = await reader.poll(take, { waitMsMax: 300, bytesMax: 1 << 20 });
    for (const { partition, nextOffset, endOffset } of progress) {
      if (nextOffset >= endOffset) atEnd.add(partition);
    }
  }
  await reader.close();
  return found;
}

/** The same by kafkajs. */
async function consumed(
  topic: string,
  until: ReadonlyMap<number, bigint>,
): Promise<Map<number, string[]>> {
  const found = new Map<number, string[]>();
  const read = openTopicReader({ brokers, clientId: RUN, groupId: RUN, log: () => undefined });
  await read(topic, until, ({ partition, offset, key, value }) => {
    found.set(partition, [
      ...(found.get(partition) ?? []),
      `${offset} ${String(key)} ${value === null ? null : String(value)}`,
    ]);
  });
  return found;
}

describe('batches that were made here', () => {
  it('are read back by the pipeline and by kafkajs as they were written', async () => {
    const topic = `${RUN}_read`;
    await producer.recreateTopic(topic, PARTITIONS, {});
    const first = await producer.send([batchOf(topic, 0, 0, 500), batchOf(topic, 1, 0, 20)]);
    const second = await producer.send([batchOf(topic, 0, 500, 1_200)]);
    expect([first, second]).toEqual([[0n, 0n], [500n]]);
    const wanted = new Map([
      [0, expected(0, 1_200)],
      [1, expected(0, 20)],
    ]);
    expect(await walked(topic)).toEqual(wanted);
    const ends = new Map([
      [0, 1_200n],
      [1, 20n],
    ]);
    expect(await consumed(topic, ends)).toEqual(wanted);
    await producer.deleteTopic(topic);
  });

  it('are gone once the topic is made anew', async () => {
    const topic = `${RUN}_anew`;
    await producer.recreateTopic(topic, PARTITIONS, {});
    await producer.send([batchOf(topic, 0, 0, 5)]);
    await producer.recreateTopic(topic, PARTITIONS, { 'cleanup.policy': 'compact' });
    expect(await producer.send([batchOf(topic, 0, 0, 3)])).toEqual([0n]);
    await producer.deleteTopic(topic);
    await producer.deleteTopic(topic);
  });

  it('are refused by the broker where their checksum is wrong', async () => {
    const topic = `${RUN}_refused`;
    await producer.recreateTopic(topic, PARTITIONS, {});
    const broken = batchOf(topic, 0, 0, 5);
    broken.batch.writeUInt32BE(1, 17);
    await expect(producer.send([broken])).rejects.toThrow('Produce');
    await producer.deleteTopic(topic);
  });
});

describe('a gate', () => {
  it('hides what comes behind it until it opens, and then takes one offset of each partition', async () => {
    const topic = `${RUN}_gate`;
    await producer.recreateTopic(topic, PARTITIONS, {});
    const gate = await closeGate({ broker, topic, partitions: PARTITIONS });
    await producer.send([batchOf(topic, 0, 0, 30), batchOf(topic, 1, 0, 10)]);
    expect(await walked(topic)).toEqual(new Map());
    await gate.open();
    // The coordinator answers once the end is certain, and tells the partitions of it then.
    await expect
      .poll(() => walked(topic), { timeout: 10_000 })
      .toEqual(
        new Map([
          [0, shifted(30)],
          [1, shifted(10)],
        ]),
      );
    await producer.deleteTopic(topic);
  });
});
