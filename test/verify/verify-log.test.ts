import { describe, expect, it } from 'vitest';
import { openAccounts } from '../../verify/offset-account.ts';
import type { Report } from '../../verify/report.ts';
import type { TopicRecord } from '../../verify/topic-reader.ts';
import { verifyLog } from '../../verify/verify-log.ts';
import { accountForTable } from '../../verify/verify-table.ts';
import { benchOf, kindsOf, range } from './sound-table.ts';

type Topic = {
  topicId: string;
  clusterId: string;
  bounds: readonly (readonly [start: number, end: number])[];
  /** Offsets by partition that a reader may see. */
  records?: readonly (readonly number[])[];
};

/** The log as the sound table has left it: three records behind the position, the rest taken. */
const CLICKS: Topic = {
  topicId: 'clicks-1',
  clusterId: 'cluster-1',
  bounds: [
    [10, 42],
    [0, 10],
  ],
  records: [[...range(10, 27), ...range(30, 42)], range(0, 10)],
};
const URLS: Topic = { topicId: 'urls', clusterId: 'cluster-1', bounds: [[0, 6]] };

const kafka = (topics: Record<string, Topic>) => ({
  describeTopic: async (topic: string) => topics[topic],
  bounds: async (topic: string) =>
    new Map(
      (topics[topic]?.bounds ?? []).map(([start, end], partition) => [
        partition,
        { startOffset: BigInt(start), endOffset: BigInt(end) },
      ]),
    ),
});

const DIMENSIONS = [{ name: 'urls', topic: 'urls' }];

async function positions(topics: Record<string, Topic>): Promise<Report> {
  const { events } = await (await benchOf()).source();
  const [account] = openAccounts(events, 'clicks');
  if (account === undefined) throw new Error('no account');
  return verifyLog({ account, dimensions: DIMENSIONS, log: kafka(topics) });
}

/** With each record of the log compared, as `--log` does. */
async function records(topics: Record<string, Topic>): Promise<Report> {
  const source = await (await benchOf()).source();
  const { accounts } = await accountForTable({ ...source, pipeline: 'clicks' });
  const [account] = accounts;
  if (account === undefined) throw new Error('no account');
  return verifyLog({
    account,
    dimensions: DIMENSIONS,
    log: kafka(topics),
    async readTopic(topic, until, onRecord) {
      for (const [partition, offsets] of (topics[topic]?.records ?? []).entries()) {
        for (const offset of offsets) {
          if (BigInt(offset) >= (until.get(partition) ?? 0n)) continue;
          const place = { partition, offset: BigInt(offset), timestampMs: offset };
          const record: TopicRecord = { ...place, key: null, value: null };
          await onRecord(record);
        }
      }
    },
  });
}

describe('a position that lies in its log (INVARIANTS.md 9)', () => {
  it('is sound; the lag and what the log still has are told', async () => {
    const { findings, facts, notes } = await positions({ clicks: CLICKS, urls: URLS });
    expect(findings).toEqual([]);
    expect(facts).toEqual({
      'records behind the position': 3,
      'committed offsets that the log still has': 39,
      'dimension topics': 1,
    });
    expect(notes).toEqual(['records were not compared one by one: --log reads them']);
  });

  it('may have lost its beginning to retention', async () => {
    const later: Topic = { ...CLICKS, bounds: [[40, 42], CLICKS.bounds[1] ?? [0, 0]] };
    const { findings, facts } = await positions({ clicks: later, urls: URLS });
    expect(findings).toEqual([]);
    expect(facts['committed offsets that the log still has']).toBe(9);
  });
});

describe('a position that does not is caught', () => {
  it.each([
    ['topics that are missing', {}],
    ['another Kafka cluster', { clicks: { ...CLICKS, clusterId: 'cluster-2' } }],
    ['topics that were recreated', { clicks: { ...CLICKS, topicId: 'clicks-2' } }],
  ])('%s', async (kind, topics) => {
    expect(kindsOf(await positions({ ...topics, urls: URLS }))).toEqual({ [kind]: 1 });
  });

  it('a log that ends before the position', async () => {
    const shorter: Topic = { ...CLICKS, bounds: [[10, 39]] };
    const report = await positions({ clicks: shorter, urls: URLS });
    expect(kindsOf(report)).toEqual({ 'positions beyond the end of the log': 2 });
    expect(report.findings[0]?.examples[0]).toBe(
      'clicks-0: the position is 40, the log has 10 to 39',
    );
  });

  it('a log that starts behind the position', async () => {
    const later: Topic = { ...CLICKS, bounds: [[41, 42], CLICKS.bounds[1] ?? [0, 0]] };
    expect(kindsOf(await positions({ clicks: later, urls: URLS }))).toEqual({
      'positions below the start of the log': 1,
    });
  });

  it.each([
    ['recreated', { urls: { ...URLS, topicId: 'urls-2' } }],
    ['missing', {}],
  ])('a dimension topic that is %s', async (_how, topics) => {
    expect(kindsOf(await positions({ clicks: CLICKS, ...topics }))).toEqual({
      'change topics that were recreated': 1,
    });
  });

  it('a dimension position that its topic does not reach', async () => {
    const shorter: Topic = { ...URLS, bounds: [[0, 5]] };
    expect(kindsOf(await positions({ clicks: CLICKS, urls: shorter }))).toEqual({
      'dimension positions beyond the end of the log': 1,
    });
  });
});

describe('each record of the log', () => {
  it('is a row or a reject, and what was filtered is none', async () => {
    const { findings, facts, notes } = await records({ clicks: CLICKS, urls: URLS });
    expect(findings).toEqual([]);
    expect(notes).toEqual([]);
    expect(facts['records compared']).toBe(36);
  });

  it('a record that was counted as filtered', async () => {
    const visible = [[...range(10, 28), ...range(30, 42)], range(0, 10)];
    const report = await records({ clicks: { ...CLICKS, records: visible }, urls: URLS });
    expect(kindsOf(report)).toEqual({ 'records that are neither row nor reject': 1 });
    expect(report.findings[0]?.examples).toEqual(['partition 0, offset 27']);
  });

  it('a row and a reject of offsets that hold no record, but for what retention took', async () => {
    const visible = [range(30, 42), range(0, 7)];
    const bounds = [
      [29, 42],
      [0, 10],
    ] as const;
    const report = await records({ clicks: { ...CLICKS, bounds, records: visible }, urls: URLS });
    expect(kindsOf(report)).toEqual({ 'rows and rejects without a record': 2 });
    expect(report.findings[0]?.examples).toEqual([
      'partition 1, offset 7',
      'partition 1, offset 8',
    ]);
  });

  it('is not read where the position does not lie in the log', async () => {
    const shorter: Topic = { ...CLICKS, bounds: [[10, 39]] };
    const { facts } = await records({ clicks: shorter, urls: URLS });
    expect(facts['records compared']).toBeUndefined();
  });
});
