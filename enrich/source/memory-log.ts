import { EnrichError } from '../error.ts';
import type {
  GroupMember,
  Log,
  LogReader,
  PartitionProgress,
  RecordColumns,
  RecordSink,
  TopicDescription,
} from './log.ts';
import { outOfRange, topicGone, topicRecreated } from './log-reader.ts';

export type MemoryRecord = {
  key: Uint8Array | null;
  value: Uint8Array | null;
  timestampMs?: number;
};

export type MemoryLogOptions = {
  clusterId: string;
  /** How a poll without records waits; a simulation passes virtual time. Default: real time. */
  pause?: (ms: number) => Pause;
};

/** A wait: `done` resolves when its time has passed, or at `end`. */
export type Pause = { done: Promise<void>; end: () => void };

type StoredBatch = {
  columns: RecordColumns;
  lastOffset: bigint;
  sizeBytes: number;
};

type StoredPartition = { startOffset: bigint; endOffset: bigint; batches: StoredBatch[] };

type StoredTopic = {
  topicId: string;
  partitions: StoredPartition[];
  deleteRetentionMs: number;
};

const DELETE_RETENTION_MS = 7 * 86_400_000;

/** What all clients of a cluster share. */
type MemoryCluster = {
  topics: Map<string, StoredTopic>;
  groups: Map<string, MemoryGroup>;
  readers: Set<MemoryReader>;
  topicsCreated: number;
};

/**
 * The in-memory twin of the Kafka log: same promises, under the same contract suite, and deterministic.
 * Its extra methods do what producers, operators and retention do to a real log. Topic ids count up, so
 * that a recreated topic gets another one.
 */
export class MemoryLog implements Log {
  readonly #options: MemoryLogOptions;
  readonly #cluster: MemoryCluster;
  /** Ids of topics as this client has met them. */
  readonly #knownTopicIds = new Map<string, string>();

  constructor(
    options: MemoryLogOptions,
    cluster: MemoryCluster = {
      topics: new Map(),
      groups: new Map(),
      readers: new Set(),
      topicsCreated: 0,
    },
  ) {
    this.#options = options;
    this.#cluster = cluster;
  }

  /** Another client of the same cluster, as another process has. */
  connect(): MemoryLog {
    return new MemoryLog(this.#options, this.#cluster);
  }

  createTopic(
    topic: string,
    partitionCount: number,
    deleteRetentionMs = DELETE_RETENTION_MS,
  ): void {
    if (this.#cluster.topics.has(topic)) throw new Error(`topic ${topic} exists already`);
    this.#cluster.topicsCreated += 1;
    this.#cluster.topics.set(topic, {
      topicId: `00000000-0000-4000-8000-${String(this.#cluster.topicsCreated).padStart(12, '0')}`,
      partitions: Array.from({ length: partitionCount }, emptyPartition),
      deleteRetentionMs,
    });
  }

  /** Adds empty partitions, as an operator does; a group's members do not learn of them. */
  addPartitions(topic: string, count: number): void {
    const stored = this.#cluster.topics.get(topic);
    if (stored === undefined) throw new Error(`topic ${topic} does not exist`);
    stored.partitions.push(...Array.from({ length: count }, emptyPartition));
  }

  deleteTopic(topic: string): void {
    this.#cluster.topics.delete(topic);
    this.#wakeReaders();
  }

  /** Appends the records as one batch and returns the offset of the first. */
  append(topic: string, partition: number, records: readonly MemoryRecord[]): bigint {
    const stored = this.#partition(topic, partition);
    const baseOffset = stored.endOffset;
    if (records.length === 0) return baseOffset;
    stored.batches.push(storeBatch(baseOffset, records));
    stored.endOffset += BigInt(records.length);
    this.#wakeReaders();
    return baseOffset;
  }

  /** Passes offsets that no reader sees, as control records and aborted transactions do. */
  appendInvisible(topic: string, partition: number, count: number): void {
    this.#partition(topic, partition).endOffset += BigInt(count);
    this.#wakeReaders();
  }

  /** Drops what is below the offset, as retention does. */
  truncate(topic: string, partition: number, startOffset: bigint): void {
    const stored = this.#partition(topic, partition);
    stored.startOffset = startOffset;
    stored.batches = stored.batches.filter(({ lastOffset }) => lastOffset >= startOffset);
  }

  /** Keeps the last record of each key, as compaction does: offsets stay, gaps appear. */
  compact(topic: string, partition: number): void {
    const stored = this.#partition(topic, partition);
    const seen = new Set<string>();
    for (const { columns } of stored.batches.toReversed()) {
      keepRows(columns, (row) => {
        const start = columns.keyStart[row] ?? 0;
        const keyBytes = columns.bytes.subarray(start, start + (columns.keyLength[row] ?? 0));
        const name = Buffer.from(keyBytes).toString('latin1');
        return seen.size < seen.add(name).size;
      });
    }
  }

  /** Compacts and drops the tombstones too, as a broker does once they are older than the topic keeps them. */
  dropDeleted(topic: string, partition: number): void {
    this.compact(topic, partition);
    for (const { columns } of this.#partition(topic, partition).batches) {
      keepRows(columns, (row) => (columns.valueLength[row] ?? -1) >= 0);
    }
  }

  /** Assigns the members by hand from now on; partitions listed by client id, others get none. */
  rebalance(groupId: string, assignment: Readonly<Record<string, readonly number[]>>): void {
    this.#group(groupId).assign((clientId) => assignment[clientId] ?? []);
  }

  async describeTopic(topic: string): Promise<TopicDescription | undefined> {
    const stored = this.#cluster.topics.get(topic);
    if (stored === undefined) return undefined;
    this.#knownTopicIds.set(topic, stored.topicId);
    return {
      topic,
      topicId: stored.topicId,
      clusterId: this.#options.clusterId,
      partitionCount: stored.partitions.length,
    };
  }

  async deleteRetentionMs(topic: string): Promise<number | undefined> {
    return this.#cluster.topics.get(topic)?.deleteRetentionMs;
  }

  async bounds(
    topic: string,
  ): Promise<ReadonlyMap<number, { startOffset: bigint; endOffset: bigint }>> {
    const stored = this.#cluster.topics.get(topic);
    if (stored === undefined) {
      throw new EnrichError('config', `topic ${topic} does not exist; create it first`, {
        context: { topic },
      });
    }
    return new Map(
      stored.partitions.map(({ startOffset, endOffset }, i) => [i, { startOffset, endOffset }]),
    );
  }

  async openReader(): Promise<LogReader> {
    const reader = new MemoryReader({
      topics: this.#cluster.topics,
      knownTopicIds: this.#knownTopicIds,
      pause: this.#options.pause ?? realPause,
    });
    this.#cluster.readers.add(reader);
    return reader;
  }

  async joinGroup(options: {
    groupId: string;
    topic: string;
    clientId: string;
  }): Promise<GroupMember> {
    const partitionCount = this.#cluster.topics.get(options.topic)?.partitions.length ?? 0;
    return this.#group(options.groupId).join(options.clientId, partitionCount);
  }

  /** The offsets that the group's members have committed. */
  committedOffsets(groupId: string): ReadonlyMap<number, bigint> {
    return this.#group(groupId).committed;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#cluster.readers].map((reader) => reader.close()));
  }

  #partition(topic: string, partition: number): StoredPartition {
    const stored = this.#cluster.topics.get(topic)?.partitions[partition];
    if (stored === undefined) throw new Error(`${topic}-${partition} does not exist`);
    return stored;
  }

  #group(groupId: string): MemoryGroup {
    const group = this.#cluster.groups.get(groupId) ?? new MemoryGroup();
    this.#cluster.groups.set(groupId, group);
    return group;
  }

  #wakeReaders(): void {
    for (const reader of this.#cluster.readers) reader.wake();
  }
}

function emptyPartition(): StoredPartition {
  return { startOffset: 0n, endOffset: 0n, batches: [] };
}

type ReaderOptions = {
  topics: ReadonlyMap<string, StoredTopic>;
  knownTopicIds: ReadonlyMap<string, string>;
  pause: (ms: number) => Pause;
};

type ReaderSlot = {
  topic: string;
  partition: number;
  nextOffset: bigint;
  topicId: string | undefined;
};

class MemoryReader implements LogReader {
  readonly #options: ReaderOptions;
  #slots: ReaderSlot[] = [];
  #waiting: Pause | undefined;
  #closed = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  assign(positions: readonly { topic: string; partition: number; nextOffset: bigint }[]): void {
    this.#slots = positions.map((position) => ({
      ...position,
      topicId: this.#options.knownTopicIds.get(position.topic),
    }));
  }

  async poll(
    sink: RecordSink,
    limits: { waitMsMax: number; bytesMax: number },
  ): Promise<readonly PartitionProgress[]> {
    const progress = this.#read(sink, limits.bytesMax);
    if (progress.some(({ advanced }) => advanced) || this.#closed) return progress;
    this.#waiting = this.#options.pause(limits.waitMsMax);
    await this.#waiting.done;
    this.#waiting = undefined;
    return this.#closed ? [] : this.#read(sink, limits.bytesMax);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#slots = [];
    this.wake();
  }

  wake(): void {
    this.#waiting?.end();
  }

  #read(sink: RecordSink, bytesMax: number): (PartitionProgress & { advanced: boolean })[] {
    let bytesLeft = bytesMax;
    return [...this.#slots].map((slot) => {
      const stored = this.#stored(slot);
      const asked = slot.nextOffset;
      const { topic, partition } = slot;
      for (const batch of stored.batches) {
        // The first batch goes out whatever its size, as from a broker.
        if (bytesLeft < batch.sizeBytes && bytesLeft < bytesMax) break;
        if (batch.lastOffset < slot.nextOffset) continue;
        const columns = copyFrom(batch.columns, slot.nextOffset);
        bytesLeft -= batch.sizeBytes;
        slot.nextOffset = batch.lastOffset + 1n;
        if (columns.count > 0) sink(topic, partition, columns);
      }
      const rest = stored.batches.some(({ lastOffset }) => lastOffset >= slot.nextOffset);
      if (!rest) slot.nextOffset = stored.endOffset;
      const advanced = slot.nextOffset > asked;
      if (advanced) this.#slots.push(...this.#slots.splice(this.#slots.indexOf(slot), 1));
      const { nextOffset } = slot;
      return { topic, partition, nextOffset, endOffset: stored.endOffset, advanced };
    });
  }

  #stored(slot: ReaderSlot): StoredPartition {
    const { topic, partition, nextOffset } = slot;
    const stored = this.#options.topics.get(topic);
    if (stored === undefined) throw topicGone(topic);
    slot.topicId ??= stored.topicId;
    if (slot.topicId !== stored.topicId) throw topicRecreated(slot, stored.topicId);
    const found = stored.partitions[partition];
    if (found === undefined) throw new Error(`${topic}-${partition} does not exist`);
    if (nextOffset < found.startOffset || nextOffset > found.endOffset) {
      const { startOffset, endOffset } = found;
      throw outOfRange({ topic, partition, nextOffset, startOffset, endOffset });
    }
    return found;
  }
}

/** Spreads the partitions evenly over the members in join order, until a test assigns them by hand. */
class MemoryGroup {
  readonly committed = new Map<number, bigint>();
  readonly #members: MemoryMember[] = [];
  #partitionCount = 0;

  join(clientId: string, partitionCount: number): GroupMember {
    this.#partitionCount = partitionCount;
    const member = new MemoryMember(clientId, {
      commit: (position) => {
        for (const [partition, nextOffset] of position) this.committed.set(partition, nextOffset);
      },
      leave: (leaving) => {
        if (!this.#members.includes(leaving)) return;
        this.#members.splice(this.#members.indexOf(leaving), 1);
        this.#spread();
      },
    });
    this.#members.push(member);
    this.#spread();
    return member;
  }

  assign(partitionsOf: (clientId: string) => readonly number[]): void {
    for (const member of this.#members) member.receive(undefined);
    for (const member of this.#members) member.receive(partitionsOf(member.clientId));
  }

  #spread(): void {
    const all = Array.from({ length: this.#partitionCount }, (_, partition) => partition);
    const names = this.#members.map(({ clientId }) => clientId);
    this.assign((clientId) =>
      all.filter((partition) => partition % names.length === names.indexOf(clientId)),
    );
  }
}

type MembershipEnds = {
  commit: (position: ReadonlyMap<number, bigint>) => void;
  leave: (member: MemoryMember) => void;
};

class MemoryMember implements GroupMember {
  readonly clientId: string;
  readonly #ends: MembershipEnds;
  readonly #listeners = new Set<() => void>();
  #partitions: readonly number[] | undefined;
  #generation = 0;

  constructor(clientId: string, ends: MembershipEnds) {
    this.clientId = clientId;
    this.#ends = ends;
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

  async commitOffsets(position: ReadonlyMap<number, bigint>): Promise<void> {
    this.#ends.commit(position);
  }

  async leave(): Promise<void> {
    this.#partitions = undefined;
    this.#ends.leave(this);
  }

  /** Undefined: a rebalance has begun. */
  receive(partitions: readonly number[] | undefined): void {
    this.#partitions = partitions;
    if (partitions !== undefined) this.#generation += 1;
    for (const listener of this.#listeners) listener();
  }
}

function storeBatch(baseOffset: bigint, records: readonly MemoryRecord[]): StoredBatch {
  const fields = records.flatMap(({ key, value }) => [key ?? EMPTY, value ?? EMPTY]);
  const bytes = Buffer.concat(fields);
  const count = records.length;
  const baseTimestampMs = records[0]?.timestampMs ?? 0;
  const columns: RecordColumns = {
    bytes,
    count,
    baseOffset,
    baseTimestampMs,
    offsetDelta: Int32Array.from(records, (_, row) => row),
    timestampDeltaMs: Float64Array.from(
      records,
      ({ timestampMs }) => (timestampMs ?? baseTimestampMs) - baseTimestampMs,
    ),
    keyStart: new Int32Array(count),
    keyLength: Int32Array.from(records, ({ key }) => key?.length ?? -1),
    valueStart: new Int32Array(count),
    valueLength: Int32Array.from(records, ({ value }) => value?.length ?? -1),
  };
  let at = 0;
  for (const [row, { key, value }] of records.entries()) {
    columns.keyStart[row] = at;
    at += key?.length ?? 0;
    columns.valueStart[row] = at;
    at += value?.length ?? 0;
  }
  return { columns, lastOffset: baseOffset + BigInt(count) - 1n, sizeBytes: bytes.length };
}

const EMPTY = new Uint8Array(0);

/** A copy without the rows below the offset: what a sink gets is its own only during the call. */
function copyFrom(columns: RecordColumns, nextOffset: bigint): RecordColumns {
  const copy = { ...columns };
  for (const name of ROW_COLUMNS) Object.assign(copy, { [name]: columns[name].slice() });
  keepRows(copy, (row) => copy.baseOffset + BigInt(copy.offsetDelta[row] ?? 0) >= nextOffset);
  return copy;
}

const ROW_COLUMNS = [
  'offsetDelta',
  'timestampDeltaMs',
  'keyStart',
  'keyLength',
  'valueStart',
  'valueLength',
] as const;

/** Drops rows in place; asks from the last row to the first. */
function keepRows(columns: RecordColumns, keeps: (row: number) => boolean): void {
  const kept: number[] = [];
  for (let row = columns.count - 1; row >= 0; row -= 1) if (keeps(row)) kept.push(row);
  kept.reverse();
  for (const name of ROW_COLUMNS) {
    for (const [to, from] of kept.entries()) columns[name][to] = columns[name][from] ?? 0;
  }
  columns.count = kept.length;
}

function realPause(ms: number): Pause {
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const end = (): void => {
    clearTimeout(timer);
    resolve();
  };
  return { done, end };
}
