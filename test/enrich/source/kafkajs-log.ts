import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type Admin, type Consumer, type EachBatchPayload, type Kafka } from 'kafkajs';
import { EnrichError } from '../../../enrich/error.ts';
import type {
  GroupMember,
  Log,
  LogReader,
  PartitionProgress,
  RecordColumns,
  RecordSink,
} from '../../../enrich/source/log.ts';
import { outOfRange } from '../../../enrich/source/log-reader.ts';

/**
 * A second reading of the contract, over kafkajs: slow, and an oracle for the bytes, because decoder,
 * decompression and filter of aborted records are all its own. It knows no topic ids, and does not hear
 * of records at the end of a log that nobody may see.
 */
export async function openKafkajsLog(kafka: Kafka): Promise<Log> {
  const open = new Set<{ close: () => Promise<void> }>();
  let opened = 0;
  return {
    describeTopic: (topic) =>
      withAdmin(kafka, async (admin) => {
        if (!(await admin.listTopics()).includes(topic)) return undefined;
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
        const { clusterId } = await admin.describeCluster();
        const partitionCount = topics[0]?.partitions.length ?? 0;
        return { topic, topicId: '', clusterId, partitionCount };
      }),
    deleteRetentionMs: async () => undefined,
    bounds: (topic) => fetchBounds(kafka, topic),
    openReader: async () => {
      opened += 1;
      const reader = new KafkajsReader(
        kafka,
        `source-oracle-${process.pid}-${Date.now()}-${opened}`,
      );
      open.add(reader);
      return reader;
    },
    joinGroup: async ({ groupId, topic }) => {
      const member = new KafkajsMember(kafka.consumer({ groupId, heartbeatInterval: 500 }), topic);
      await member.join();
      open.add({ close: () => member.leave() });
      return member;
    },
    close: async () => {
      await Promise.all([...open].map((one) => one.close()));
    },
  };
}

type Bounds = { startOffset: bigint; endOffset: bigint };

async function fetchBounds(kafka: Kafka, topic: string): Promise<ReadonlyMap<number, Bounds>> {
  return withAdmin(kafka, async (admin) => {
    if (!(await admin.listTopics()).includes(topic)) {
      throw new EnrichError('config', `topic ${topic} does not exist`);
    }
    const bounds = await admin.fetchTopicOffsets(topic);
    return new Map(
      bounds.map(({ partition, low, high }) => [
        partition,
        { startOffset: BigInt(low), endOffset: BigInt(high) },
      ]),
    );
  });
}

async function withAdmin<T>(kafka: Kafka, action: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await action(admin);
  } finally {
    await admin.disconnect();
  }
}

type Slot = { topic: string; partition: number; nextOffset: bigint; endOffset: bigint };
type Arrived = EachBatchPayload['batch'];

/** Reads whole topics from the start in a group of its own, and gives on what was asked for. */
class KafkajsReader implements LogReader {
  readonly #kafka: Kafka;
  readonly #groupId: string;
  #consumer: Consumer | undefined;
  #assigned = 0;
  #slots: Slot[] = [];
  #arrived: Arrived[] = [];
  #wake = Promise.withResolvers<void>();
  #closed = false;

  constructor(kafka: Kafka, groupId: string) {
    this.#kafka = kafka;
    this.#groupId = groupId;
  }

  assign(positions: readonly { topic: string; partition: number; nextOffset: bigint }[]): void {
    this.#slots = positions.map((position) => ({ ...position, endOffset: 0n }));
    this.#assigned += 1;
    this.#arrived = [];
    const consumer = this.#consumer;
    this.#consumer = undefined;
    void consumer?.disconnect();
  }

  async poll(
    sink: RecordSink,
    limits: { waitMsMax: number; bytesMax: number },
  ): Promise<readonly PartitionProgress[]> {
    const deadline = performance.now() + limits.waitMsMax;
    if (this.#consumer === undefined && this.#slots.length > 0) await this.#start();
    while (this.#arrived.length === 0 && !this.#closed) {
      const left = deadline - performance.now();
      if (left <= 0) break;
      this.#wake = Promise.withResolvers();
      await Promise.race([this.#wake.promise, sleep(left)]);
    }
    const moved = new Map<Slot, PartitionProgress>();
    for (let bytesLeft = limits.bytesMax; bytesLeft > 0;) {
      const batch = this.#arrived.shift();
      if (batch === undefined) break;
      const slot = this.#slots.find(
        ({ topic, partition }) => topic === batch.topic && partition === batch.partition,
      );
      if (slot === undefined || BigInt(batch.lastOffset()) < slot.nextOffset) continue;
      const records = toColumns(batch, slot.nextOffset);
      bytesLeft -= records.bytes.length;
      slot.nextOffset = BigInt(batch.lastOffset()) + 1n;
      if (records.count > 0) sink(slot.topic, slot.partition, records);
      moved.set(slot, { ...slot, endOffset: BigInt(batch.highWatermark) });
    }
    return [...moved.values()];
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake.resolve();
    this.assign([]);
  }

  async #start(): Promise<void> {
    const topics = [...new Set(this.#slots.map(({ topic }) => topic))];
    for (const topic of topics) await this.#checkBounds(topic);
    const groupId = `${this.#groupId}-${this.#assigned}`;
    const consumer = this.#kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
    this.#consumer = consumer;
    await consumer.connect();
    await consumer.subscribe({ topics, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        if (this.#consumer !== consumer) return;
        this.#arrived.push(batch);
        this.#wake.resolve();
      },
    });
  }

  async #checkBounds(topic: string): Promise<void> {
    const bounds = await fetchBounds(this.#kafka, topic);
    for (const slot of this.#slots.filter((one) => one.topic === topic)) {
      const { startOffset, endOffset } = bounds.get(slot.partition) ?? {
        startOffset: 0n,
        endOffset: 0n,
      };
      const { partition, nextOffset } = slot;
      if (nextOffset < startOffset || nextOffset > endOffset) {
        throw outOfRange({ topic, partition, nextOffset, startOffset, endOffset });
      }
    }
  }
}

function toColumns(batch: Arrived, nextOffset: bigint): RecordColumns {
  const messages = batch.messages.filter(({ offset }) => BigInt(offset) >= nextOffset);
  const baseOffset = BigInt(messages[0]?.offset ?? 0);
  const baseTimestampMs = Number(messages[0]?.timestamp ?? 0);
  const parts: Buffer[] = [];
  let at = 0;
  const place = (bytes: Buffer | null) => {
    const start = at;
    at += bytes?.length ?? 0;
    if (bytes !== null) parts.push(bytes);
    return { start, length: bytes?.length ?? -1 };
  };
  const keys = messages.map(({ key }) => place(key));
  const values = messages.map(({ value }) => place(value));
  return {
    bytes: Buffer.concat(parts),
    count: messages.length,
    baseOffset,
    baseTimestampMs,
    offsetDelta: Int32Array.from(messages, ({ offset }) => Number(BigInt(offset) - baseOffset)),
    timestampDeltaMs: Float64Array.from(
      messages,
      ({ timestamp }) => Number(timestamp) - baseTimestampMs,
    ),
    keyStart: Int32Array.from(keys, ({ start }) => start),
    keyLength: Int32Array.from(keys, ({ length }) => length),
    valueStart: Int32Array.from(values, ({ start }) => start),
    valueLength: Int32Array.from(values, ({ length }) => length),
  };
}

class KafkajsMember implements GroupMember {
  readonly #consumer: Consumer;
  readonly #topic: string;
  readonly #listeners = new Set<() => void>();
  #partitions: readonly number[] | undefined;
  #generation = 0;

  constructor(consumer: Consumer, topic: string) {
    this.#consumer = consumer;
    this.#topic = topic;
  }

  assignment(): readonly number[] | undefined {
    return this.#partitions;
  }

  generation(): number {
    return this.#generation;
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async join(): Promise<void> {
    const { GROUP_JOIN, REBALANCING } = this.#consumer.events;
    const joined = Promise.withResolvers<void>();
    this.#consumer.on(GROUP_JOIN, ({ payload }) => {
      this.#consumer.pause([{ topic: this.#topic }]);
      this.#generation += 1;
      this.#set((payload.memberAssignment[this.#topic] ?? []).toSorted((a, b) => a - b));
      joined.resolve();
    });
    this.#consumer.on(REBALANCING, () => this.#set(undefined));
    await this.#consumer.connect();
    await this.#consumer.subscribe({ topics: [this.#topic] });
    await this.#consumer.run({ autoCommit: false, eachBatch: async () => {} });
    await joined.promise;
  }

  async commitOffsets(position: ReadonlyMap<number, bigint>): Promise<void> {
    await this.#consumer.commitOffsets(
      Array.from(position, ([partition, offset]) => ({
        topic: this.#topic,
        partition,
        offset: String(offset),
      })),
    );
  }

  async leave(): Promise<void> {
    this.#partitions = undefined;
    this.#listeners.clear();
    await this.#consumer.disconnect();
    this.#partitions = undefined;
  }

  #set(partitions: readonly number[] | undefined): void {
    this.#partitions = partitions;
    for (const listener of this.#listeners) listener();
  }
}

/** A quiet kafkajs client. */
export function kafkajsClient(brokers: readonly string[]): Kafka {
  const { Kafka: KafkaClient, logLevel } = kafkajs;
  return new KafkaClient({
    clientId: 'source-oracle',
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
  });
}
