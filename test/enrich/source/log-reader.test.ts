import { describe, expect, it, onTestFinished } from 'vitest';
import { EnrichError } from '../../../enrich/error.ts';
import {
  KafkaLogReader,
  outOfRange,
  topicGone,
  topicRecreated,
  type BrokerLink,
  type Cluster,
  type FetchRequest,
  type OffsetBounds,
  type TopicRoute,
} from '../../../enrich/source/log-reader.ts';
import type {
  FetchedPartition,
  FetchResponse,
} from '../../../enrich/source/wire/fetch-response.ts';
import { crc32c, encodeBatch } from './encode-batch.ts';
import { rowsOf } from './rows.ts';

/**
 * A cluster of two brokers, played by hand where a single real broker cannot go: leaders move, one
 * broker hangs while the other answers, metadata lag. Partition `p` of the topic holds `length` records
 * named `p/offset`, each in a batch of its own.
 */
class PlayedCluster implements Cluster {
  readonly topicId = 'id-1';
  readonly lengths = [0, 0];
  leaders: (number | undefined)[] = [1, 2];
  metadata: ReadonlyMap<string, TopicRoute> | undefined;
  /** Leaders that metadata still tell, while the brokers know better. */
  toldLeaders: (number | undefined)[] | undefined;
  startOffset = 0n;
  hanging = new Set<number>();
  /** How often a batch, by partition and offset, still arrives damaged. */
  damages = new Map<string, number>();
  fetches: { brokerId: number; request: FetchRequest }[] = [];
  routings = 0;
  openLinks = 0;

  async routes(): Promise<ReadonlyMap<string, TopicRoute>> {
    this.routings += 1;
    const { topicId, leaders } = this;
    return this.metadata ?? new Map([['t', { topicId, leaders: this.toldLeaders ?? leaders }]]);
  }

  async logBounds(_topic: string, partition: number): Promise<OffsetBounds> {
    return { startOffset: this.startOffset, endOffset: BigInt(this.lengths[partition] ?? 0) };
  }

  openLink(brokerId: number): BrokerLink {
    this.openLinks += 1;
    const closed = Promise.withResolvers<never>();
    closed.promise.catch(() => {});
    return {
      fetch: async (request) => {
        this.fetches.push({ brokerId, request });
        return Promise.race([closed.promise, this.#answer(brokerId, request)]);
      },
      close: () => {
        this.openLinks -= 1;
        closed.reject(new EnrichError('unavailable', 'closed'));
      },
    };
  }

  async #answer(brokerId: number, request: FetchRequest): Promise<FetchResponse> {
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
    if (this.hanging.has(brokerId)) await new Promise(() => {});
    const blobs: Buffer[] = [];
    let at = 0;
    const partitions = request.partitions.map(({ topicId, partition, nextOffset }) => {
      const length = BigInt(this.lengths[partition] ?? 0);
      const outside = nextOffset < this.startOffset || nextOffset > length;
      let errorCode = 0;
      if (this.leaders[partition] !== brokerId) errorCode = 6;
      else if (outside) errorCode = 1;
      const blob =
        errorCode === 0 && nextOffset < length ? this.#batches(partition, nextOffset) : EMPTY;
      blobs.push(blob);
      at += blob.length;
      const answer: FetchedPartition = {
        topicId,
        partition,
        errorCode,
        highWatermark: length,
        lastStableOffset: length,
        logStartOffset: this.startOffset,
        aborted: [],
        recordsStart: at - blob.length,
        recordsEnd: at,
      };
      return answer;
    });
    return { errorCode: 0, bytes: Buffer.concat(blobs), partitions };
  }

  /** The batch at this offset and, where there is one, the next. */
  #batches(partition: number, offset: bigint): Buffer {
    const next = offset + 1n < BigInt(this.lengths[partition] ?? 0) ? [offset + 1n] : [];
    const batches = [offset, ...(this.damages.size > 0 ? next : [])].map((at) => {
      const batch = record(partition, at);
      const times = this.damages.get(`${partition}/${at}`) ?? 0;
      if (times === 0) return batch;
      this.damages.set(`${partition}/${at}`, times - 1);
      batch[batch.length - 1] = (batch.at(-1) ?? 0) ^ 0x40;
      return batch;
    });
    return Buffer.concat(batches);
  }
}

const EMPTY = Buffer.alloc(0);

function record(partition: number, offset: bigint): Buffer {
  const value = Buffer.from(`${partition}/${offset}`);
  return encodeBatch({ baseOffset: offset, records: [{ offsetDelta: 0, key: null, value }] });
}

function openReader(cluster: Cluster, knownTopicId?: string) {
  const faults: EnrichError[] = [];
  const reader = new KafkaLogReader({
    cluster,
    crc32c,
    decompressedBytesMax: 1000,
    partitionBytesMax: 1000,
    random: () => 0,
    knownTopicId: () => knownTopicId,
    onFault: (fault) => faults.push(fault),
    onClosed: () => {},
  });
  onTestFinished(() => reader.close());
  const values: string[] = [];
  const poll = (waitMsMax = 300) =>
    reader.poll(
      (_topic, _partition, columns) => {
        values.push(...rowsOf(columns).map(({ value }) => value ?? ''));
      },
      { waitMsMax, bytesMax: 1000 },
    );
  return { reader, faults, values, poll };
}

const both = [0, 1].map((partition) => ({ topic: 't', partition, nextOffset: 0n }));

describe('KafkaLogReader', () => {
  it('gives what one broker has while another hangs', async () => {
    const cluster = new PlayedCluster();
    cluster.lengths[0] = 3;
    cluster.hanging.add(2);
    const { reader, values, poll } = openReader(cluster);
    reader.assign(both);
    const start = performance.now();
    for (let turn = 0; turn < 3; turn += 1) await poll(2000);
    expect(values).toEqual(['0/0', '0/1', '0/2']);
    expect(performance.now() - start).toBeLessThan(1000);
  });

  it('follows a leader that has moved', async () => {
    const cluster = new PlayedCluster();
    cluster.lengths[0] = 1;
    const { reader, values, faults, poll } = openReader(cluster);
    reader.assign(both);
    await poll();
    cluster.leaders = [2, 2];
    cluster.lengths[0] = 3;
    while (values.length < 3) await poll();
    expect(values).toEqual(['0/0', '0/1', '0/2']);
    expect(faults.map(({ kind }) => kind)).toContain('unavailable');
    await poll(20);
    expect(cluster.openLinks).toBe(1);
  });

  it('backs off while the metadata still tell the old leader', async () => {
    const cluster = new PlayedCluster();
    cluster.lengths[0] = 1;
    cluster.toldLeaders = [1, 2];
    cluster.leaders = [2, 2];
    const { reader, values, poll } = openReader(cluster);
    reader.assign(both);
    await poll(700);
    expect(values).toEqual([]);
    // From 25 ms on and doubling: four or five rounds fit, a hot loop would make a hundred.
    expect(cluster.routings).toBeGreaterThan(2);
    expect(cluster.routings).toBeLessThan(9);
    cluster.toldLeaders = undefined;
    for (let turn = 0; turn < 10 && values.length === 0; turn += 1) await poll();
    expect(values).toEqual(['0/0']);
  });

  it('waits for an election and reads the other partitions meanwhile', async () => {
    const cluster = new PlayedCluster();
    cluster.lengths[0] = 1;
    cluster.lengths[1] = 1;
    cluster.leaders = [undefined, 2];
    const { reader, values, poll } = openReader(cluster);
    reader.assign(both);
    await poll();
    expect(values).toEqual(['1/0']);
    cluster.leaders = [1, 2];
    for (let turn = 0; turn < 10 && values.length < 2; turn += 1) await poll();
    expect(values).toEqual(['1/0', '0/0']);
  });

  it('asks first for the partitions that had to wait longest', async () => {
    const cluster = new PlayedCluster();
    cluster.leaders = [1, 1];
    cluster.lengths[0] = 2;
    const { reader, poll } = openReader(cluster);
    reader.assign(both);
    await poll();
    const orders = cluster.fetches.map(({ request }) =>
      request.partitions.map(({ partition }) => partition),
    );
    expect(orders).toEqual([
      [0, 1],
      [1, 0],
    ]);
  });

  it('asks for the next records before the caller has worked on the last', async () => {
    const cluster = new PlayedCluster();
    cluster.lengths[0] = 5;
    const { reader, values, poll } = openReader(cluster);
    reader.assign(both.slice(0, 1));
    await poll();
    expect(values).toEqual(['0/0']);
    expect(cluster.fetches.at(-1)?.request.partitions[0]?.nextOffset).toBe(1n);
  });

  it('drops what was asked for before an assignment', async () => {
    const cluster = new PlayedCluster();
    cluster.lengths[0] = 9;
    const { reader, values, poll } = openReader(cluster);
    reader.assign(both);
    await poll();
    reader.assign([{ topic: 't', partition: 0, nextOffset: 7n }]);
    await poll();
    await poll();
    expect(values).toEqual(['0/0', '0/7', '0/8']);
  });

  it('rides out an end of the log that lags on a new leader', async () => {
    const cluster = new PlayedCluster();
    cluster.lengths[0] = 2;
    cluster.logBounds = async () => {
      cluster.lengths[0] = 6;
      return { startOffset: 0n, endOffset: 6n };
    };
    const { reader, values, poll } = openReader(cluster);
    reader.assign([{ topic: 't', partition: 0, nextOffset: 5n }]);
    for (let turn = 0; turn < 10 && values.length === 0; turn += 1) await poll();
    expect(values).toEqual(['0/5']);
  });

  it('stops for good below the log, and starts again where it is told', async () => {
    const cluster = new PlayedCluster();
    cluster.lengths[0] = 4;
    cluster.startOffset = 3n;
    const { reader, values, poll } = openReader(cluster);
    reader.assign(both.slice(0, 1));
    await expect(poll()).rejects.toMatchObject({ kind: 'fenced' });
    await expect(poll()).rejects.toMatchObject({ kind: 'fenced' });
    reader.assign([{ topic: 't', partition: 0, nextOffset: 3n }]);
    await poll();
    expect(values).toEqual(['0/3']);
  });

  it('rides out metadata that lack a young topic for a moment', async () => {
    const cluster = new PlayedCluster();
    cluster.lengths[0] = 1;
    cluster.metadata = new Map();
    const { reader, values, poll } = openReader(cluster);
    reader.assign(both);
    await poll(60);
    cluster.metadata = undefined;
    for (let turn = 0; turn < 10 && values.length === 0; turn += 1) await poll();
    expect(values).toEqual(['0/0']);
  });

  it('is fenced at once by another topic id than the caller was told', async () => {
    const cluster = new PlayedCluster();
    const { reader, poll } = openReader(cluster, 'id-0');
    reader.assign(both);
    await expect(poll()).rejects.toMatchObject({
      kind: 'fenced',
      context: { topicId: 'id-0', brokerTopicId: 'id-1' },
    });
  });

  it('fetches a batch again that was damaged on the way, and hands none over twice', async () => {
    const cluster = new PlayedCluster();
    cluster.lengths.splice(0, 2, 4, 2);
    cluster.damages.set('0/1', 2);
    const { reader, values, faults, poll } = openReader(cluster);
    reader.assign(both);
    while (values.length < 6) await poll(2000);
    expect(values.toSorted()).toEqual(['0/0', '0/1', '0/2', '0/3', '1/0', '1/1']);
    expect(faults.map(({ kind, message }) => [kind, message.includes('damaged')])).toEqual([
      ['unavailable', true],
      ['unavailable', true],
    ]);
  });

  it('stops at a batch that stays damaged, and says which and what to do', async () => {
    const cluster = new PlayedCluster();
    cluster.lengths[0] = 4;
    cluster.damages.set('0/1', 99);
    const { reader, values, poll } = openReader(cluster);
    reader.assign(both);
    const read = async (): Promise<void> => {
      for (;;) await poll(2000);
    };
    const error = await read().catch((cause: unknown) => cause as EnrichError);
    expect(error).toMatchObject({ kind: 'corrupt', context: { partition: 0, offset: 1n } });
    expect(String(error)).toMatch(
      /t-0: the record batch at offset 1 is damaged.*docs\/operations.md/,
    );
    expect(values, 'nothing behind it').toEqual(['0/0']);
  });

  it('does not read on after what a sink has thrown at', async () => {
    const cluster = new PlayedCluster();
    cluster.lengths[0] = 2;
    const { reader, values, poll } = openReader(cluster);
    reader.assign(both.slice(0, 1));
    const limits = { waitMsMax: 300, bytesMax: 1000 };
    const failing = reader.poll(() => {
      throw new Error('the sink is full');
    }, limits);
    await expect(failing).rejects.toThrow('the sink is full');
    while (values.length < 2) await poll();
    expect(values).toEqual(['0/0', '0/1']);
  });

  it('refuses a second poll at once', async () => {
    const { reader, poll } = openReader(new PlayedCluster());
    reader.assign(both);
    const first = poll(100);
    await expect(poll()).rejects.toThrow('one poll at a time');
    await first;
  });
});

describe('a fault that ends the reading names a remedy that there is, for the stream and for dimensions:', () => {
  const at = { topic: 't', partition: 0, nextOffset: 5n };
  it.each([
    [
      'records that were deleted',
      outOfRange({ ...at, startOffset: 7n, endOffset: 9n }),
      /--accept-gap/,
    ],
    [
      'a log that is shorter',
      outOfRange({ ...at, startOffset: 0n, endOffset: 3n }),
      /pipeline\.yaml/,
    ],
    ['a topic that is gone', topicGone('t'), /pipeline\.yaml/],
    [
      'a topic that was recreated',
      topicRecreated({ topic: 't', topicId: 'a' }, 'b'),
      /pipeline\.yaml/,
    ],
  ])('%s', (_what, { message }, remedy) => {
    expect(message).toMatch(remedy);
    expect(message).toContain('state.directory');
  });
});
