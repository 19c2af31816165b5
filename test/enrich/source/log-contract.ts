import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { EnrichError } from '../../../enrich/error.ts';
import type { GroupMember, Log, LogReader, PartitionProgress } from '../../../enrich/source/log.ts';
import { rowsOf, type Row } from './rows.ts';

export type Codec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

export type WrittenRecord = {
  key: string | null;
  value: string | null;
  timestampMs?: number;
  headers?: Readonly<Record<string, string>>;
};

/** What producers, operators and retention do to the log under test. */
export interface LogHarness {
  open(): Promise<Log>;
  /** A name that nobody else uses. */
  topicName(): string;
  /** Compacted where tombstones have an age at which they go. */
  createTopic(topic: string, partitionCount: number, deleteRetentionMs?: number): Promise<void>;
  deleteTopic(topic: string): Promise<void>;
  /** Appends the records as one batch. */
  append(
    topic: string,
    partition: number,
    records: readonly WrittenRecord[],
    codec?: Codec,
  ): Promise<void>;
  /** Appends one record to each partition in one transaction, and ends it. */
  transact(
    topic: string,
    partitions: readonly number[],
    value: string,
    outcome: 'commit' | 'abort',
  ): Promise<void>;
  /** Drops what is below the offset. */
  truncate(topic: string, partition: number, startOffset: bigint): Promise<void>;
  /** Resolves when only the last record of each key is left; may append a record with the key `roll`. */
  compact(topic: string, partition: number): Promise<void>;
  committedOffsets(groupId: string, topic: string): Promise<ReadonlyMap<number, bigint>>;
  close(): Promise<void>;
}

/** Where an adapter is known to promise less; each `false` skips the tests that ask for more. */
export type LogTraits = {
  /** Knows topic ids, and so tells a recreated topic. */
  topicIds: boolean;
  /** Reports offsets past records that nobody may see, at the end of the log too. */
  invisibleTail: boolean;
  /** Hands over batches as they were written, so that limits in bytes can be kept. */
  wireBatches: boolean;
  /** Has the codecs. */
  codecs: readonly Codec[];
};

type Row3 = Row & { topic: string; partition: number };

const WAIT = { waitMsMax: 500, bytesMax: 2 ** 20 };
const PATIENCE_MS = 20_000;

/** The promises of `Log`, checked on any adapter. */
export function describeLogContract(
  name: string,
  openHarness: () => Promise<LogHarness>,
  traits: LogTraits,
): void {
  describe(`${name} keeps the contract of the log:`, () => {
    const context = {} as { harness: LogHarness; log: Log };

    beforeAll(async () => {
      context.harness = await openHarness();
      context.log = await context.harness.open();
    });
    afterAll(async () => {
      await context.log.close();
      await context.harness.close();
    });

    describeReading(context, traits);
    describeVisibility(context, traits);
    describeFences(context, traits);
    describeGroups(context);
  });
}

type Context = { harness: LogHarness; log: Log };

async function newTopic(
  { harness }: Context,
  partitionCount: number,
  deleteRetentionMs?: number,
): Promise<string> {
  const topic = harness.topicName();
  await harness.createTopic(topic, partitionCount, deleteRetentionMs);
  onTestFinished(() => harness.deleteTopic(topic));
  return topic;
}

async function newReader(
  { log }: Context,
  topic: string,
  nextOffsets: readonly bigint[],
): Promise<LogReader> {
  const reader = await log.openReader();
  onTestFinished(() => reader.close());
  reader.assign(nextOffsets.map((nextOffset, partition) => ({ topic, partition, nextOffset })));
  return reader;
}

/** Polls until `enough` says so; fails after some patience. */
async function readUntil(
  reader: LogReader,
  enough: (rows: readonly Row3[], progress: ReadonlyMap<number, PartitionProgress>) => boolean,
  limits = WAIT,
): Promise<{ rows: Row3[]; progress: Map<number, PartitionProgress> }> {
  const rows: Row3[] = [];
  const progress = new Map<number, PartitionProgress>();
  const deadline = performance.now() + PATIENCE_MS;
  while (!enough(rows, progress)) {
    expect(performance.now(), `${rows.length} rows so far`).toBeLessThan(deadline);
    const moved = await reader.poll((topic, partition, records) => {
      rows.push(...rowsOf(records).map((row) => ({ ...row, topic, partition })));
    }, limits);
    for (const one of moved) progress.set(one.partition, one);
  }
  return { rows, progress };
}

async function failureOf(promise: Promise<unknown>): Promise<EnrichError> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(EnrichError);
  return outcome as EnrichError;
}

/** Polls until it throws: faults of a topic may take a few rounds to be sure of. */
async function pollFailure(reader: LogReader): Promise<EnrichError> {
  return failureOf(readUntil(reader, () => false));
}

function numbered(count: number, prefix: string): WrittenRecord[] {
  return Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: `${prefix}${i}` }));
}

function describeReading(context: Context, traits: LogTraits): void {
  it('describes a topic, and knows none that does not exist', async () => {
    const topic = await newTopic(context, 5);
    const description = await context.log.describeTopic(topic);
    expect(description).toMatchObject({ topic, partitionCount: 5 });
    expect(description?.clusterId).not.toBe('');
    expect(await context.log.describeTopic(context.harness.topicName())).toBeUndefined();
  });

  it.runIf(traits.topicIds)('tells for how long a compacted topic keeps tombstones', async () => {
    const compacted = await newTopic(context, 1, 123_456);
    expect(await context.log.deleteRetentionMs(compacted)).toBe(123_456);
    const plain = await newTopic(context, 1);
    expect(await context.log.deleteRetentionMs(plain)).toBe(Number.POSITIVE_INFINITY);
  });

  it('waits the whole time on an empty topic, and stays at the start', async () => {
    const topic = await newTopic(context, 2);
    const reader = await newReader(context, topic, [0n, 0n]);
    const start = performance.now();
    const progress = await reader.poll(() => expect.unreachable('there is nothing'), WAIT);
    expect(performance.now() - start).toBeGreaterThan(WAIT.waitMsMax - 50);
    expect(performance.now() - start).toBeLessThan(WAIT.waitMsMax + 1000);
    for (const { nextOffset } of progress) expect(nextOffset).toBe(0n);
    expect(await context.log.bounds(topic)).toEqual(
      new Map([0, 1].map((partition) => [partition, { startOffset: 0n, endOffset: 0n }])),
    );
  });

  it('tells null from empty, passes headers, and keeps timestamps', async () => {
    const topic = await newTopic(context, 1);
    const written: WrittenRecord[] = [
      { key: null, value: 'no key', timestampMs: 1_700_000_000_000 },
      { key: 'tombstone', value: null, timestampMs: 1_700_000_000_007 },
      { key: '', value: '', timestampMs: 1_699_999_999_000 },
      { key: 'k', value: 'v', timestampMs: 1_700_000_000_001, headers: { a: 'b', c: '' } },
      { key: 'last', value: 'after headers', timestampMs: 1_700_000_000_002 },
    ];
    await context.harness.append(topic, 0, written);
    const reader = await newReader(context, topic, [0n]);
    const { rows } = await readUntil(reader, ({ length }) => length >= 5);
    expect(rows).toEqual(
      written.map(({ key, value, timestampMs }, i) => ({
        topic,
        partition: 0,
        offset: BigInt(i),
        key,
        value,
        timestampMs,
      })),
    );
  });

  it.each(traits.codecs)('reads batches compressed with %s, from inside one too', async (codec) => {
    const topic = await newTopic(context, 1);
    for (const prefix of ['a', 'b', 'c']) {
      await context.harness.append(topic, 0, numbered(100, `${prefix} value that repeats `), codec);
    }
    const reader = await newReader(context, topic, [42n]);
    const { rows } = await readUntil(reader, ({ length }) => length >= 258);
    expect(rows.map(({ offset }) => offset)).toEqual(
      Array.from({ length: 258 }, (_, i) => BigInt(i + 42)),
    );
    expect(rows[0]).toMatchObject({ key: 'k42', value: 'a value that repeats 42' });
    expect(rows.at(-1)).toMatchObject({ key: 'k99', value: 'c value that repeats 99' });
  });

  it('wakes a waiting poll when a record arrives', async () => {
    const topic = await newTopic(context, 1);
    const reader = await newReader(context, topic, [0n]);
    await reader.poll(() => {}, { ...WAIT, waitMsMax: 300 });
    const start = performance.now();
    setTimeout(() => void context.harness.append(topic, 0, numbered(1, 'v')), 200);
    const { rows } = await readUntil(reader, ({ length }) => length > 0, {
      ...WAIT,
      waitMsMax: 10_000,
    });
    expect(rows).toHaveLength(1);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it('lets no reader wait for the long poll of another', async () => {
    const [quiet, busy] = [await newTopic(context, 1), await newTopic(context, 1)];
    await context.harness.append(busy, 0, numbered(3, 'v'));
    const blocked = await newReader(context, quiet, [0n]);
    const longPoll = blocked.poll(() => {}, { ...WAIT, waitMsMax: 15_000 });
    const reader = await newReader(context, busy, [0n]);
    const start = performance.now();
    const { rows } = await readUntil(reader, ({ length }) => length >= 3);
    expect(rows).toHaveLength(3);
    expect(performance.now() - start).toBeLessThan(4000);
    await blocked.close();
    await longPoll;
  });

  it.runIf(traits.wireBatches)(
    'reads every partition within the bytes of a poll: none starves',
    async () => {
      const topic = await newTopic(context, 6);
      for (let round = 0; round < 3; round += 1) {
        for (let partition = 0; partition < 6; partition += 1) {
          const value = 'x'.repeat(10_000);
          await context.harness.append(topic, partition, [{ key: null, value }]);
        }
      }
      const reader = await newReader(context, topic, Array(6).fill(0n));
      const order: number[] = [];
      const bytesOfPolls: number[] = [];
      for (let poll = 0; poll < 60; poll += 1) {
        let bytes = 0;
        await reader.poll(
          (_topic, partition, { valueLength, count }) => {
            order.push(partition);
            for (let row = 0; row < count; row += 1) bytes += valueLength[row] ?? 0;
          },
          { waitMsMax: 500, bytesMax: 15_000 },
        );
        bytesOfPolls.push(bytes);
        if (order.length === 18) break;
      }
      expect(order).toHaveLength(18);
      expect(Math.max(...bytesOfPolls)).toBeLessThanOrEqual(25_000);
      expect(new Set(order.slice(0, 6)).size).toBe(6);
      expect(new Set(order.slice(6, 12)).size).toBe(6);
    },
  );

  it('reads only what it was assigned last, from the offsets given', async () => {
    const topic = await newTopic(context, 2);
    await context.harness.append(topic, 0, numbered(4, 'p'));
    await context.harness.append(topic, 1, numbered(4, 'q'));
    const reader = await newReader(context, topic, [0n, 0n]);
    await readUntil(reader, ({ length }) => length >= 8);
    reader.assign([{ topic, partition: 1, nextOffset: 2n }]);
    const { rows } = await readUntil(reader, ({ length }) => length >= 2);
    expect(rows.map(({ value }) => value)).toEqual(['q2', 'q3']);
    reader.assign([]);
    expect(await reader.poll(() => expect.unreachable(), { ...WAIT, waitMsMax: 100 })).toEqual([]);
  });

  it('ends a waiting poll when it is closed', async () => {
    const topic = await newTopic(context, 1);
    const reader = await newReader(context, topic, [0n]);
    const start = performance.now();
    const poll = reader.poll(() => {}, { ...WAIT, waitMsMax: 15_000 });
    setTimeout(() => void reader.close(), 200);
    await poll;
    expect(performance.now() - start).toBeLessThan(5000);
  });
}

function ended(rows: readonly Row3[]): boolean {
  return rows.some(({ value }) => value === 'end');
}

function describeVisibility(context: Context, traits: LogTraits): void {
  it('gives no record of an aborted transaction, however small the responses', async () => {
    const topic = await newTopic(context, 2);
    for (let i = 0; i < 40; i += 1) {
      const outcome = i % 2 === 0 ? 'commit' : 'abort';
      await context.harness.transact(topic, [0, 1], `${outcome}-${i}`, outcome);
    }
    await context.harness.append(topic, 0, [{ key: null, value: 'commit-end' }]);
    await context.harness.append(topic, 1, [{ key: null, value: 'commit-end' }]);
    for (const bytesMax of [2 ** 20, 300]) {
      const reader = await newReader(context, topic, [0n, 0n]);
      const { rows } = await readUntil(
        reader,
        (all) => all.filter(({ value }) => value === 'commit-end').length === 2,
        { ...WAIT, bytesMax },
      );
      expect(rows.filter(({ value }) => value?.startsWith('abort'))).toEqual([]);
      expect(rows).toHaveLength(42);
      expect(new Set(rows.map(({ partition, offset }) => `${partition}/${offset}`)).size).toBe(42);
    }
  });

  it.runIf(traits.invisibleTail)('moves past what nobody may see, to the very end', async () => {
    const topic = await newTopic(context, 1);
    await context.harness.transact(topic, [0], 'good', 'commit');
    await context.harness.transact(topic, [0], 'bad', 'abort');
    // The broker answers the end of a transaction before it has written the marker.
    await expect
      .poll(async () => (await context.log.bounds(topic)).get(0)?.endOffset, { timeout: 10_000 })
      .toBe(4n);
    const reader = await newReader(context, topic, [0n]);
    const { rows, progress } = await readUntil(
      reader,
      (_rows, moved) => moved.get(0)?.nextOffset === 4n,
    );
    expect(rows.map(({ value }) => value)).toEqual(['good']);
    expect(progress.get(0)?.endOffset).toBe(4n);
  });

  it('reads a compacted topic over its gaps, at the offsets of old', async () => {
    const topic = await newTopic(context, 1);
    for (let i = 0; i < 10; i += 1) {
      await context.harness.append(topic, 0, [
        { key: 'same', value: `v${i}` },
        { key: `own${i}`, value: 'kept' },
      ]);
    }
    await context.harness.append(topic, 0, [{ key: 'end', value: 'end' }]);
    await context.harness.compact(topic, 0);
    const reader = await newReader(context, topic, [0n]);
    const read = await readUntil(reader, ended);
    const rows = read.rows.filter(({ key }) => key !== 'roll');
    expect(rows.map(({ offset }) => Number(offset))).toEqual([
      1, 3, 5, 7, 9, 11, 13, 15, 17, 18, 19, 20,
    ]);
    expect(rows.find(({ key }) => key === 'same')).toMatchObject({ offset: 18n, value: 'v9' });
    const resumed = await newReader(context, topic, [8n]);
    const later = await readUntil(resumed, ended);
    expect(later.rows[0]?.offset).toBe(9n);
  });
}

function describeFences(context: Context, traits: LogTraits): void {
  it('stops at an offset that retention has removed, and says which', async () => {
    const topic = await newTopic(context, 2);
    await context.harness.append(topic, 1, numbered(10, 'v'));
    await context.harness.truncate(topic, 1, 6n);
    expect((await context.log.bounds(topic)).get(1)).toEqual({ startOffset: 6n, endOffset: 10n });
    const error = await pollFailure(await newReader(context, topic, [0n, 5n]));
    expect(error.kind).toBe('fenced');
    expect(error.message).toContain(`${topic}-1: offset 5 was asked for, the log starts at 6`);
    expect(error.context).toMatchObject({ topic, partition: 1, nextOffset: 5n, startOffset: 6n });
  });

  it('reads on from the first offset that retention has left', async () => {
    const topic = await newTopic(context, 1);
    await context.harness.append(topic, 0, numbered(10, 'v'));
    await context.harness.truncate(topic, 0, 6n);
    const { rows } = await readUntil(
      await newReader(context, topic, [6n]),
      (all) => all.length > 3,
    );
    expect(rows.map(({ value }) => value)).toEqual(['v6', 'v7', 'v8', 'v9']);
  });

  it('stops at an offset beyond the end of the log', async () => {
    const topic = await newTopic(context, 1);
    await context.harness.append(topic, 0, numbered(3, 'v'));
    const error = await pollFailure(await newReader(context, topic, [4n]));
    expect(error.kind).toBe('fenced');
    expect(error.context).toMatchObject({ topic, partition: 0, nextOffset: 4n, endOffset: 3n });
  });

  it('knows no bounds of a topic that does not exist', async () => {
    const error = await failureOf(context.log.bounds(context.harness.topicName()));
    expect(error.kind).toBe('config');
  });

  it.runIf(traits.topicIds)('stops when the topic is deleted and created again', async () => {
    const topic = await newTopic(context, 1);
    await context.harness.append(topic, 0, numbered(3, 'old'));
    const before = await context.log.describeTopic(topic);
    const reader = await newReader(context, topic, [0n]);
    await readUntil(reader, ({ length }) => length >= 3);
    await context.harness.deleteTopic(topic);
    await context.harness.createTopic(topic, 1);
    await context.harness.append(topic, 0, numbered(9, 'new'));
    const error = await pollFailure(reader);
    expect(error.kind).toBe('fenced');
    expect(error.message).toContain('recreated');
    const after = await context.log.describeTopic(topic);
    expect(after?.topicId).not.toBe(before?.topicId);
    expect(after?.clusterId).toBe(before?.clusterId);
    const again = await newReader(context, topic, [0n]);
    const { rows } = await readUntil(again, ({ length }) => length >= 9);
    expect(rows[0]?.value).toBe('new0');
  });

  it.runIf(traits.topicIds)('stops when a topic is another one than was described', async () => {
    const topic = await newTopic(context, 1);
    await context.log.describeTopic(topic);
    await context.harness.deleteTopic(topic);
    await context.harness.createTopic(topic, 1);
    await context.harness.append(topic, 0, numbered(3, 'new'));
    const error = await pollFailure(await newReader(context, topic, [0n]));
    expect(error.kind).toBe('fenced');
  });

  it.runIf(traits.topicIds)('stops when the topic is deleted for good', async () => {
    const topic = context.harness.topicName();
    await context.harness.createTopic(topic, 1);
    await context.harness.append(topic, 0, numbered(3, 'old'));
    const reader = await newReader(context, topic, [0n]);
    await readUntil(reader, ({ length }) => length >= 3);
    await context.harness.deleteTopic(topic);
    const error = await pollFailure(reader);
    expect(error.kind).toBe('fenced');
    expect(error.message).toContain('deleted');
  });
}

function describeGroups(context: Context): void {
  async function join(groupId: string, topic: string, clientId: string): Promise<GroupMember> {
    const member = await context.log.joinGroup({ groupId, topic, clientId });
    onTestFinished(() => member.leave());
    return member;
  }

  it('spreads twelve partitions over members that come and go', async () => {
    const topic = await newTopic(context, 12);
    const groupId = `${topic}-group`;
    const all = Array.from({ length: 12 }, (_, partition) => partition);
    const first = await join(groupId, topic, 'member-a');
    await expect.poll(() => first.assignment(), { timeout: PATIENCE_MS }).toEqual(all);
    const generation = first.generation();
    let changes = 0;
    first.onChange(() => {
      changes += 1;
    });
    const second = await join(groupId, topic, 'member-b');
    const sizes = () => [first.assignment()?.length, second.assignment()?.length];
    await expect.poll(sizes, { timeout: PATIENCE_MS }).toEqual([6, 6]);
    const both = [...(first.assignment() ?? []), ...(second.assignment() ?? [])];
    expect(both.toSorted((a, b) => a - b)).toEqual(all);
    expect(first.generation()).toBeGreaterThan(generation);
    expect(changes).toBeGreaterThan(0);
    await second.leave();
    expect(second.assignment()).toBeUndefined();
    await expect.poll(() => first.assignment(), { timeout: PATIENCE_MS }).toEqual(all);
  });

  it('commits group offsets, which lag displays read', async () => {
    const topic = await newTopic(context, 2);
    await context.harness.append(topic, 0, numbered(5, 'v'));
    const groupId = `${topic}-group`;
    const member = await join(groupId, topic, 'member-a');
    await expect.poll(() => member.assignment(), { timeout: PATIENCE_MS }).toEqual([0, 1]);
    await member.commitOffsets(new Map([[0, 4n]]));
    const committed = await context.harness.committedOffsets(groupId, topic);
    expect(committed.get(0)).toBe(4n);
  });
}
