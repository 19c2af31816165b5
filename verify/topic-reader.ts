import kafkajs from 'kafkajs';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { findAccessFault } from '../connectors/kafka-access.ts';
import { kafkajsLogTo } from '../connectors/kafkajs-log.ts';
import { VerifyError } from './error.ts';

export type TopicRecord = {
  partition: number;
  offset: bigint;
  /** Epoch ms. */
  timestampMs: number;
  key: Buffer | null;
  value: Buffer | null;
};

/**
 * Hands over the records of a topic from its start up to the given next offsets, in order within each
 * partition. Offsets that compaction has removed are left out.
 */
export type ReadTopic = (
  topic: string,
  until: ReadonlyMap<number, bigint>,
  onRecord: (record: TopicRecord) => void | Promise<void>,
) => Promise<void>;

export type TopicReaderOptions = {
  brokers: readonly string[];
  /** TLS and SASL; plain text without them. */
  security?: Pick<kafkajs.KafkaConfig, 'ssl' | 'sasl'>;
  clientId: string;
  /** A consumer group of one's own; it is deleted afterwards. */
  groupId: string;
  log: (line: string) => void;
};

/** Fetches without a record, one after the other, after which no more is expected: 20 s of one broker. */
const EMPTY_FETCHES_MAX = 40;
const FETCH_WAIT_MS = 500;

/**
 * A reader over kafkajs. Errors: `unavailable` when Kafka does not answer or stops answering, and when a
 * partition does not come to its end; `config` when a log ends before it, so that it is another log, and where TLS or the user is refused.
 */
export function openTopicReader(options: TopicReaderOptions): ReadTopic {
  installZstd();
  const kafka = new kafkajs.Kafka({
    ...options.security,
    brokers: [...options.brokers],
    clientId: options.clientId,
    logLevel: kafkajs.logLevel.ERROR,
    logCreator: kafkajsLogTo(options.log),
  });
  return async (topic, until, onRecord) => {
    const groupId = `${options.groupId}-${topic}`;
    try {
      const open = stillToRead(topic, until, await logBounds(kafka, topic));
      if (open.size === 0) return;
      await readUntil(kafka, { topic, groupId, open, onRecord });
    } catch (cause) {
      if (cause instanceof VerifyError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      const access = findAccessFault(cause);
      const kind = access?.kind === 'refused' ? 'config' : 'unavailable';
      const remedy = access === undefined ? '' : `; ${access.remedy}`;
      throw new VerifyError(kind, `cannot read topic ${topic}: ${reason}${remedy}`, { cause });
    }
  };
}

type Reading = {
  topic: string;
  groupId: string;
  /** Partitions that have not been read to their end. */
  open: Map<number, bigint>;
  onRecord: (record: TopicRecord) => void | Promise<void>;
};

export type LogBounds = ReadonlyMap<number, { start: bigint; end: bigint }>;

/**
 * The partitions that have something left to read below the next offsets asked for. What retention or
 * compaction has removed up to there is not waited for. Errors: `config` where a log ends before.
 */
export function stillToRead(
  topic: string,
  until: ReadonlyMap<number, bigint>,
  bounds: LogBounds,
): Map<number, bigint> {
  const open = new Map<number, bigint>();
  for (const [partition, next] of until) {
    if (next <= 0n) continue;
    const { start, end } = bounds.get(partition) ?? { start: 0n, end: 0n };
    if (end < next) {
      throw new VerifyError(
        'config',
        `${topic}-${partition} ends at ${end}, before the recorded position ${next}: it was truncated or ` +
          'recreated, or this is another cluster',
      );
    }
    if (start < next) open.set(partition, next);
  }
  return open;
}

/** The end is that of committed records (the last stable offset): kafkajs asks for it. */
async function logBounds(kafka: kafkajs.Kafka, topic: string): Promise<LogBounds> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const offsets = await admin.fetchTopicOffsets(topic);
    return new Map(
      offsets.map(({ partition, low, high }) => [
        partition,
        { start: BigInt(low), end: BigInt(high) },
      ]),
    );
  } finally {
    await admin.disconnect();
  }
}

async function readUntil(kafka: kafkajs.Kafka, reading: Reading): Promise<void> {
  const { topic, groupId } = reading;
  const consumer = kafka.consumer({
    groupId,
    readUncommitted: false,
    maxWaitTimeInMs: FETCH_WAIT_MS,
    maxBytesPerPartition: 4 << 20,
    retry: { retries: 8 },
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  try {
    await new Promise<void>((resolve, reject) => {
      let emptyFetches = 0;
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
      consumer.on(consumer.events.FETCH, ({ payload }) => {
        emptyFetches = payload.numberOfBatches === 0 ? emptyFetches + 1 : 0;
        if (emptyFetches >= EMPTY_FETCHES_MAX) reject(unfinished(reading));
      });
      const eachBatch = async ({ batch }: kafkajs.EachBatchPayload): Promise<void> => {
        try {
          await takeBatch(reading, batch);
        } catch (error) {
          reject(error);
        }
        if (reading.open.size === 0) resolve();
      };
      consumer.run({ autoCommit: false, eachBatch }).catch(reject);
    });
  } finally {
    await consumer.disconnect();
    await deleteGroup(kafka, groupId);
  }
}

async function takeBatch(reading: Reading, batch: kafkajs.Batch): Promise<void> {
  const { partition } = batch;
  for (const message of batch.messages) {
    const next = reading.open.get(partition);
    if (next === undefined) return;
    const offset = BigInt(message.offset);
    if (offset < next) {
      const { key, value, timestamp } = message;
      await reading.onRecord({ partition, offset, timestampMs: Number(timestamp), key, value });
    }
    if (offset + 1n >= next) reading.open.delete(partition);
  }
  // Behind its last record a batch may have offsets that are none: aborted, or compacted away.
  const next = reading.open.get(partition);
  if (next !== undefined && BigInt(batch.lastOffset()) + 1n >= next) reading.open.delete(partition);
}

function unfinished({ topic, open }: Reading): VerifyError {
  const lacking = Array.from(open, ([partition, next]) => `${partition} (to ${next})`).join(', ');
  return new VerifyError(
    'unavailable',
    `topic ${topic}: nothing more arrives, and these partitions were not read to their end: ${lacking}. ` +
      'Its broker is slow or away',
  );
}

async function deleteGroup(kafka: kafkajs.Kafka, groupId: string): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  // A group that stays behind holds nothing: its offsets were never committed.
  await admin.deleteGroups([groupId]).catch(() => undefined);
  await admin.disconnect();
}

/** kafkajs brings gzip only; Node's own zlib does the rest. */
function installZstd(): void {
  const compress = promisify(zstdCompress);
  const decompress = promisify(zstdDecompress);
  kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
    compress: (encoder: { buffer: Buffer }) => compress(encoder.buffer),
    decompress: (buffer: Buffer) => decompress(buffer),
  });
}
