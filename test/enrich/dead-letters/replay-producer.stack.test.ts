import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openReplayProducer } from '../../../enrich/dead-letters/replay-producer.ts';
import type { RawDeadLetter } from '../../../enrich/dead-letters/read-dead-letters.ts';
import { marksTopic, readMarks } from '../../../enrich/dead-letters/replay-marks.ts';
import { openPlatformaticLog } from '../../../enrich/source/platformatic-log.ts';
import type { PlatformaticLog } from '../../../enrich/source/platformatic-log.ts';
import { systemClock } from '../../../cli/environment.ts';
import { openKafkaProducer } from '../../../generate/kafka-producer.ts';
import { endpoints } from '../../stack/endpoints.ts';

const pipeline = `replay_producer_${process.pid}_${Date.now() % 100_000}`;
const topic = `${pipeline}-stream`;
const brokers = endpoints.kafkaBrokers;
let log: PlatformaticLog;

beforeAll(async () => {
  const producer = await openKafkaProducer({
    brokers,
    clientId: pipeline,
    compression: 'none',
    log: () => undefined,
  });
  await producer.ensureTopic(topic, 2, {});
  await producer.close();
  log = await openPlatformaticLog({
    brokers,
    clientId: pipeline,
    random: Math.random,
    onFault: () => undefined,
  });
});
afterAll(() => log.close());

async function open() {
  const nowMs = Date.now;
  const producer = await openReplayProducer({ brokers, clientId: pipeline, pipeline, nowMs });
  onTestFinished(() => producer.close());
  return producer;
}

function letterAt(offset: number, partition = 0): RawDeadLetter {
  return {
    topic,
    topicId: 'id',
    partition,
    offset: BigInt(offset),
    timestampUs: 1_750_000_000_000_000n,
    ingestedAtUs: 0n,
    schemaId: undefined,
    kind: 'truncated',
    message: '',
    key: null,
    value: Buffer.from(`value ${offset}`),
  };
}

/** Offsets that a read-committed reader may see, records or not. */
async function committed(name: string): Promise<bigint> {
  const bounds = await log.bounds(name);
  return [...bounds.values()].reduce((sum, { endOffset }) => sum + endOffset, 0n);
}

const marked = async (offset: number): Promise<boolean> =>
  (await readMarks(log, marksTopic(pipeline), systemClock)).has(letterAt(offset));

describe('the producer of replays', () => {
  it('sends a batch and its marks', async () => {
    const producer = await open();
    expect(await marked(1)).toBe(false);
    await producer.send([letterAt(1), letterAt(2, 1)]);
    await producer.send([letterAt(3)]);
    expect([await marked(1), await marked(3), await marked(4)]).toEqual([true, true, false]);
    // Three records, and the three markers that end two transactions.
    expect(await committed(topic)).toBe(6n);
  });

  it('fails once another one is open, and what it sends then counts for nothing', async () => {
    const first = await open();
    await first.send([letterAt(10)]);
    const second = await open();
    await expect(first.send([letterAt(11)])).rejects.toMatchObject({
      kind: 'unavailable',
      message: 'another replay of this pipeline has begun and takes care of the rest',
    });
    expect([await marked(10), await marked(11)]).toEqual([true, false]);
    await second.send([letterAt(11)]);
    expect(await marked(11)).toBe(true);
  });

  it('marks nothing where one record cannot be sent', async () => {
    const producer = await open();
    const absent = { ...letterAt(20), topic: `${topic}-absent` };
    const before = await committed(topic);
    await expect(producer.send([letterAt(21), absent])).rejects.toMatchObject({
      kind: 'unavailable',
    });
    expect(await marked(21)).toBe(false);
    await producer.send([letterAt(22)]);
    expect(await marked(22)).toBe(true);
    expect(await committed(topic), 'record and markers').toBeLessThanOrEqual(before + 4n);
  });
});
