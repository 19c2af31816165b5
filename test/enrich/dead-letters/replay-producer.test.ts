import { describe, expect, it } from 'vitest';
import { marksTopic, readMarks } from '../../../enrich/dead-letters/replay-marks.ts';
import { openReplayProducer } from '../../../enrich/dead-letters/replay-producer.ts';
import { EnrichError } from '../../../enrich/error.ts';
import { MemoryLog } from '../../../enrich/source/memory-log.ts';
import { openMemoryProducer } from '../../../enrich/source/memory-producer.ts';
import type { MemoryTransactions } from '../../../enrich/source/memory-producer.ts';
import { virtualClock, VirtualTime } from '../pipeline/virtual-time.ts';
import { letterAt } from './letters.ts';
import { describeReplayProducer, SMALL_BATCH_BYTES_MAX } from './replay-producer-contract.ts';

const batchBytesMax = (topic: string): number =>
  topic === 'small' ? SMALL_BATCH_BYTES_MAX : 1024 * 1024;

function openTransactions(): MemoryTransactions {
  const log = new MemoryLog({ clusterId: 'c' });
  for (const topic of ['clicks', 'small']) log.createTopic(topic, 2);
  return { log, epochs: new Map(), batchBytesMax };
}

describeReplayProducer('the producer of replays in memory', async () => {
  const transactions = openTransactions();
  return {
    log: transactions.log,
    pipeline: 'p',
    topic: 'clicks',
    smallTopic: 'small',
    open: async (transactionalId) => openMemoryProducer(transactions, transactionalId),
    close: async () => undefined,
  };
});

describe('a replay whose last answer was lost', () => {
  it.each(['before', 'after'] as const)(
    '%s it took effect learns from the marks what is left',
    async (lost) => {
      const transactions = openTransactions();
      const open = () =>
        openReplayProducer({
          open: async (name) => openMemoryProducer(transactions, name),
          pipeline: 'p',
          streamTopic: 'clicks',
          nowMs: () => 0,
        });
      transactions.onSend = (moment) => {
        if (moment === lost) throw new EnrichError('unavailable', 'reset');
      };
      await expect((await open()).send([letterAt(1)])).rejects.toMatchObject({
        kind: 'unavailable',
        message: 'reset; what was sent is marked: run the replay again',
      });
      await open();
      const clock = virtualClock(new VirtualTime(0));
      const marks = await readMarks(transactions.log, marksTopic('p'), { clock, mustExist: true });
      expect(marks.has(letterAt(1))).toBe(lost === 'after');
      const bounds = await transactions.log.bounds('clicks');
      expect(bounds.get(0)?.endOffset).toBe(lost === 'after' ? 2n : 0n);
    },
  );
});
