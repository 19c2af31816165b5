import { describe, expect, it } from 'vitest';
import { MemoryLog } from '../../../enrich/source/memory-log.ts';
import { readNewestRecords } from '../../../enrich/source/newest-records.ts';

/** Nothing waits: a poll that brings nothing comes back at once. */
const pause = () => ({ done: Promise.resolve(), end: () => undefined });

function logOf(counts: readonly number[]): MemoryLog {
  const log = new MemoryLog({ clusterId: 'cluster', pause });
  log.createTopic('clicks', counts.length);
  for (const [partition, count] of counts.entries()) {
    for (let first = 0; first < count; first += 10) {
      const batch = Array.from({ length: Math.min(10, count - first) }, (_, i) => ({
        key: null,
        value: Buffer.from(`${partition}/${first + i}`),
      }));
      log.append('clicks', partition, batch);
    }
  }
  return log;
}

async function newest(log: MemoryLog, recordsMax: number): Promise<string[]> {
  const taken: string[] = [];
  await readNewestRecords(log, { topic: 'clicks', recordsMax }, async (records) => {
    for (const { partition, offset, value } of records) {
      expect(Buffer.from(value ?? []).toString()).toBe(`${partition}/${offset}`);
      taken.push(`${partition}/${offset}`);
    }
  });
  return taken.toSorted();
}

describe('the newest records of a topic', () => {
  it('are the last of each partition, in equal shares', async () => {
    expect(await newest(logOf([25, 25]), 6)).toEqual([
      '0/22',
      '0/23',
      '0/24',
      '1/22',
      '1/23',
      '1/24',
    ]);
  });

  it('are more of the long partitions where others are short', async () => {
    const taken = await newest(logOf([25, 1, 0]), 6);
    expect(taken).toEqual(['0/20', '0/21', '0/22', '0/23', '0/24', '1/0']);
  });

  it('are all where there are fewer', async () => {
    expect(await newest(logOf([3, 2]), 1_000)).toHaveLength(5);
    expect(await newest(logOf([0, 0]), 1_000)).toEqual([]);
  });

  it('begin where retention has cut the log', async () => {
    const log = logOf([25]);
    log.truncate('clicks', 0, 20n);
    expect(await newest(log, 1_000)).toEqual(['0/20', '0/21', '0/22', '0/23', '0/24']);
  });

  it('are fewer where offsets have no record, and what comes meanwhile is left out', async () => {
    const log = logOf([10]);
    log.appendInvisible('clicks', 0, 5);
    log.append('clicks', 0, [{ key: null, value: null }]);
    log.appendInvisible('clicks', 0, 2);
    const taken: bigint[] = [];
    await readNewestRecords(log, { topic: 'clicks', recordsMax: 10 }, async (records) => {
      taken.push(...records.map(({ offset }) => offset));
      log.append('clicks', 0, [{ key: null, value: null }]);
    });
    expect(taken).toEqual([8n, 9n, 15n]);
  });
});
