/** A record on its way to a topic. */
export type OutgoingRecord = {
  topic: string;
  partition: number;
  key: Uint8Array | null;
  value: Uint8Array | null;
  /** Epoch ms; the time of sending without it. */
  timestampMs?: number;
  headers?: Readonly<Record<string, string>>;
};

/**
 * Sends records under a name that one producer holds at a time: whoever opens it last has it, what an older one
 * had begun has then ended, committed or aborted, and what that one sends later is `fenced`.
 * Kafka in production, an in-memory twin in tests, both under one contract suite.
 * Source: KIP-98, "Transactional Guarantees".
 */
export interface TransactionalProducer {
  /** Makes a compacted topic of one partition unless there is one of this name. Errors: `unavailable`. */
  ensureCompactedTopic(topic: string): Promise<void>;
  /**
   * How many bytes, counted by `recordBytes`, a topic takes of one partition in one `send`. Where we may not
   * ask for its `max.message.bytes`, the broker's default is assumed. Errors: `unavailable`.
   */
  batchBytesMax(topic: string): Promise<number>;
  /**
   * All of these records are there for readers of committed ones, or none is. Partitions are counted round: a topic
   * that was made anew may have fewer than the records stood in. After an error nothing more can
   * be sent: sequence numbers may be out of step with the broker's. Errors: `fenced`; `config` where a topic
   * takes no batch of this size; `unavailable`, where the records may be there or not.
   */
  send(records: readonly OutgoingRecord[]): Promise<void>;
  close(): Promise<void>;
}

/** Lengths, deltas and attributes of a record, at most. Source: Kafka protocol, "Record Batch". */
const RECORD_FRAME_BYTES_MAX = 32;

/** The most bytes that a record takes in a batch that is not compressed. */
export function recordBytes({ key, value, headers = {} }: OutgoingRecord): number {
  let bytes = RECORD_FRAME_BYTES_MAX + (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, text] of Object.entries(headers)) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(text) + 2 * 5;
  }
  return bytes;
}
