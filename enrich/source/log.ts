/**
 * The log of records that the pipeline reads: Kafka in production, an in-memory twin in tests, both
 * under one contract suite. Record batches arrive as bytes; no object exists for a record.
 */

export type TopicDescription = {
  topic: string;
  /** Kafka's own id of the topic: a recreated topic has another one. */
  topicId: string;
  clusterId: string;
  partitionCount: number;
};

/**
 * The records of one batch as columns over its bytes. Valid only during the call that hands it over.
 * `keyLength` and `valueLength` are -1 for null. Control records, records of aborted transactions and
 * records below the asked offset are left out already.
 */
export type RecordColumns = {
  bytes: Uint8Array;
  count: number;
  baseOffset: bigint;
  /** Epoch ms of the batch; a record's own timestamp is `baseTimestampMs + timestampDeltaMs[i]`. */
  baseTimestampMs: number;
  offsetDelta: Int32Array;
  timestampDeltaMs: Float64Array;
  keyStart: Int32Array;
  keyLength: Int32Array;
  valueStart: Int32Array;
  valueLength: Int32Array;
};

export type PartitionProgress = {
  topic: string;
  partition: number;
  /** The next offset to read, past control and aborted batches too. */
  nextOffset: bigint;
  /** End of what a read-committed reader may see (last stable offset). */
  endOffset: bigint;
};

export type RecordSink = (topic: string, partition: number, records: RecordColumns) => void;

/** Reads partitions from given offsets without a group. One poll at a time. */
export interface LogReader {
  /** Replaces what is read. Offsets must exist: below the log's start is `fenced` at the next poll. */
  assign(positions: readonly { topic: string; partition: number; nextOffset: bigint }[]): void;
  /** Waits up to `waitMsMax` for records; calls `sink` synchronously, once for each batch. */
  poll(
    sink: RecordSink,
    limits: { waitMsMax: number; bytesMax: number },
  ): Promise<readonly PartitionProgress[]>;
  close(): Promise<void>;
}

/** Membership in a consumer group: who reads which partitions. Committed group offsets are for displays only. */
export interface GroupMember {
  /**
   * Partitions assigned to us now; undefined while a rebalance is under way. Throws once membership has
   * ended for good: `fenced` where another process took this one's name, `config` for a refused permission.
   */
  assignment(): readonly number[] | undefined;
  /** Increases with each assignment. */
  generation(): number;
  onChange(listener: () => void): void;
  commitOffsets(position: ReadonlyMap<number, bigint>): Promise<void>;
  leave(): Promise<void>;
}

export interface Log {
  describeTopic(topic: string): Promise<TopicDescription | undefined>;
  /**
   * How long compaction keeps a tombstone of the topic for readers that are behind: for ever where the topic is not
   * compacted, undefined where we are not allowed to see its settings.
   */
  deleteRetentionMs(topic: string): Promise<number | undefined>;
  /** First retained offset, and last stable offset, of each partition. */
  bounds(topic: string): Promise<ReadonlyMap<number, { startOffset: bigint; endOffset: bigint }>>;
  openReader(): Promise<LogReader>;
  joinGroup(options: {
    groupId: string;
    topic: string;
    clientId: string;
    /**
     * Names the member beyond the life of its process: a process that joins under the name of a killed one
     * takes its partitions over at once, where others wait for the session of the dead to end. Source: KIP-345.
     */
    instanceId?: string;
  }): Promise<GroupMember>;
  close(): Promise<void>;
}

/** A position: the next offset of each partition of one topic. */
export type Position = ReadonlyMap<number, bigint>;
