import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../cli/environment.ts';
import type { RawDeadLetter } from '../../../enrich/dead-letters/read-dead-letters.ts';
import { marksTopic, readMarks } from '../../../enrich/dead-letters/replay-marks.ts';
import { letterBytes, openReplayProducer } from '../../../enrich/dead-letters/replay-producer.ts';
import type { ReplayProducer } from '../../../enrich/dead-letters/replay-producer.ts';
import { replay } from '../../../enrich/dead-letters/replay.ts';
import type { Log } from '../../../enrich/source/log.ts';
import type { TransactionalProducer } from '../../../enrich/source/transactional-producer.ts';
import { letterAt } from './letters.ts';

/** A cluster with two topics of two partitions: one as Kafka makes it, and one that takes 64 KiB in a batch. */
export type ReplayCluster = {
  log: Log;
  pipeline: string;
  topic: string;
  smallTopic: string;
  open: (transactionalId: string) => Promise<TransactionalProducer>;
  close: () => Promise<void>;
};

export const SMALL_BATCH_BYTES_MAX = 64 * 1024;

async function* filesOf(...files: RawDeadLetter[][]): AsyncGenerator<RawDeadLetter[]> {
  yield* files;
}

/** What every producer of replays promises, whatever carries its transactions. */
export function describeReplayProducer(
  name: string,
  openCluster: () => Promise<ReplayCluster>,
): void {
  let cluster: ReplayCluster;
  beforeAll(async () => void (cluster = await openCluster()));
  afterAll(() => cluster.close());

  const open = async (streamTopic = cluster.topic): Promise<ReplayProducer> => {
    const { pipeline } = cluster;
    const nowMs = systemClock.nowMs;
    const producer = await openReplayProducer({ open: cluster.open, pipeline, streamTopic, nowMs });
    onTestFinished(() => producer.close());
    return producer;
  };
  const at = (offset: number, partition = 0) =>
    letterAt(offset, { topic: cluster.topic, partition });
  /** Offsets that a read-committed reader may see, records or not. */
  const committed = async (topic = cluster.topic): Promise<bigint> => {
    const bounds = await cluster.log.bounds(topic);
    return [...bounds.values()].reduce((sum, { endOffset }) => sum + endOffset, 0n);
  };
  const marks = () =>
    readMarks(cluster.log, marksTopic(cluster.pipeline), { clock: systemClock, mustExist: true });
  const marked = async (offset: number, partition = 0): Promise<boolean> =>
    (await marks()).has(at(offset, partition));
  const replayAll = async (producer: ReplayProducer, letters: RawDeadLetter[]) =>
    replay({
      files: filesOf(letters),
      marks: await marks(),
      problemOf: async () => undefined,
      send: (batch) => producer.send(batch),
      batchBytesMax: producer.batchBytesMax,
    });

  describe(`${name} keeps its promises:`, () => {
    it('sends a batch and its marks', async () => {
      const producer = await open();
      expect(await marked(1)).toBe(false);
      await producer.send([at(1), at(2, 1)]);
      await producer.send([at(3)]);
      expect([await marked(1), await marked(3), await marked(4)]).toEqual([true, true, false]);
      // Three records, and the three markers that end two transactions.
      expect(await committed()).toBe(6n);
    });

    it('sends what stood in a partition that the topic has no more to one that it has', async () => {
      const producer = await open();
      const before = await committed();
      await producer.send([at(5, 11)]);
      expect(await marked(5, 11)).toBe(true);
      expect(await committed(), 'a record and its marker').toBe(before + 2n);
    });

    it('fails once another one is open, and what it sends then counts for nothing', async () => {
      const first = await open();
      await first.send([at(10)]);
      const second = await open();
      const message =
        /^another replay .*: nothing needs to be done\. Where .* other filters, run this/;
      const error: unknown = await first.send([at(11)]).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ kind: 'unavailable', message: expect.stringMatching(message) });
      expect(error).not.toHaveProperty('cause');
      expect([await marked(10), await marked(11)]).toEqual([true, false]);
      await second.send([at(11)]);
      expect(await marked(11)).toBe(true);
    });

    it('marks nothing where one record cannot be sent', async () => {
      const producer = await open();
      const absent = letterAt(20, { topic: `${cluster.topic}-absent` });
      const before = await committed();
      await expect(producer.send([at(21), absent])).rejects.toMatchObject({ kind: 'unavailable' });
      expect(await marked(21)).toBe(false);
      await expect(producer.send([at(22)]), 'it is of no more use').rejects.toMatchObject({
        kind: 'unavailable',
      });
      expect(await marked(22)).toBe(false);
      await (await open()).send([at(22)]);
      expect(await marked(22)).toBe(true);
      expect(await committed(), 'record and markers').toBeLessThanOrEqual(before + 4n);
    });

    it('sends nothing of a batch that a topic does not take, and says what to do', async () => {
      const producer = await open();
      const value = Buffer.alloc(SMALL_BATCH_BYTES_MAX);
      const large = letterAt(30, { topic: cluster.smallTopic, value });
      await expect(producer.send([at(31), large])).rejects.toMatchObject({
        kind: 'config',
        message: expect.stringContaining('max.message.bytes') as string,
      });
      expect(await marked(31)).toBe(false);
    });

    it('takes more of one partition than fits a batch of its topic, in several', async () => {
      const producer = await open();
      const value = Buffer.alloc(100 * 1024);
      const letters = Array.from({ length: 30 }, (_, i) => ({ ...at(100 + i), value }));
      expect(await replayAll(producer, letters)).toMatchObject({ replayed: 30, leftOut: [] });
      // Kafka ends a transaction after it has answered: another producer is open once it has.
      expect(await replayAll(await open(), letters)).toMatchObject({ alreadyReplayed: 30 });
    });

    it('goes by the bound of the topic, and names what is larger by itself', async () => {
      const producer = await open(cluster.smallTopic);
      const of = (offset: number, bytes: number) =>
        letterAt(offset, { topic: cluster.smallTopic, value: Buffer.alloc(bytes) });
      const most = producer.batchBytesMax - letterBytes(of(200, 0));
      const letters = [of(200, 20_000), of(201, most + 1), of(202, most), of(203, 50_000)];
      const report = await replayAll(producer, letters);
      expect(report).toMatchObject({ replayed: 3, leftOut: [{ count: 1 }] });
      expect(report.leftOut[0]?.reason).toContain('max.message.bytes');
      expect(report.leftOut[0]?.examples).toMatchObject([{ offset: 201n }]);
      expect(await replayAll(await open(cluster.smallTopic), letters)).toMatchObject({
        alreadyReplayed: 3,
        leftOut: [{ count: 1 }],
      });
    });
  });
}
