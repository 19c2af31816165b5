import { describe, expect, it } from 'vitest';
import { MemoryLog } from '../../../enrich/source/memory-log.ts';
import { describeLogContract, type LogHarness, type WrittenRecord } from './log-contract.ts';
import { rowsOf } from './rows.ts';

function bytes(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text);
}

function memoryRecords(records: readonly WrittenRecord[]) {
  return records.map(({ key, value, timestampMs = 0 }) => ({
    key: bytes(key),
    value: bytes(value),
    timestampMs,
  }));
}

async function openHarness(): Promise<LogHarness> {
  const log = new MemoryLog({ clusterId: 'memory' });
  let topics = 0;
  return {
    open: async () => log,
    topicName: () => `topic-${++topics}`,
    createTopic: async (topic, partitionCount, deleteRetentionMs = Number.POSITIVE_INFINITY) =>
      log.createTopic(topic, partitionCount, deleteRetentionMs),
    deleteTopic: async (topic) => log.deleteTopic(topic),
    append: async (topic, partition, records) => {
      log.append(topic, partition, memoryRecords(records));
    },
    transact: async (topic, partitions, value, outcome) => {
      for (const partition of partitions) {
        if (outcome === 'abort') log.appendInvisible(topic, partition, 1);
        else log.append(topic, partition, memoryRecords([{ key: null, value }]));
        log.appendInvisible(topic, partition, 1);
      }
    },
    truncate: async (topic, partition, startOffset) => log.truncate(topic, partition, startOffset),
    compact: async (topic, partition) => log.compact(topic, partition),
    committedOffsets: async (groupId) => log.committedOffsets(groupId),
    close: async () => {},
  };
}

describeLogContract('the in-memory log', openHarness, {
  topicIds: true,
  invisibleTail: true,
  wireBatches: true,
  codecs: ['none'],
});

describe('MemoryLog', () => {
  it('follows a rebalance that was written by hand', async () => {
    const log = new MemoryLog({ clusterId: 'memory' });
    log.createTopic('clicks', 4);
    const join = (clientId: string) => log.joinGroup({ groupId: 'g', topic: 'clicks', clientId });
    const [a, b] = [await join('a'), await join('b')];
    const seen: (readonly number[] | undefined)[] = [];
    a.onChange(() => seen.push(a.assignment()));
    log.rebalance('g', { a: [0], b: [1, 2, 3] });
    expect(seen).toEqual([undefined, [0]]);
    expect(b.assignment()).toEqual([1, 2, 3]);
  });

  it('waits by the pause it is given: a simulation needs no real time', async () => {
    const slept: number[] = [];
    const log = new MemoryLog({
      clusterId: 'memory',
      pause: (ms) => {
        slept.push(ms);
        log.append('clicks', 0, memoryRecords([{ key: null, value: 'late' }]));
        return { done: Promise.resolve(), end: () => {} };
      },
    });
    log.createTopic('clicks', 1);
    const reader = await log.openReader();
    reader.assign([{ topic: 'clicks', partition: 0, nextOffset: 0n }]);
    const values: (string | null)[] = [];
    await reader.poll(
      (_topic, _partition, records) => values.push(...rowsOf(records).map(({ value }) => value)),
      {
        waitMsMax: 60_000,
        bytesMax: 1000,
      },
    );
    expect(slept).toEqual([60_000]);
    expect(values).toEqual(['late']);
  });
});
