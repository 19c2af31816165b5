import kafkajs from 'kafkajs';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { VerifyError } from './error.ts';

export type TopicRecord = {
  partition: number;
  offset: bigint;
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

/** Fetches without a record, one after the other, that mean the end of what there is. */
const EMPTY_FETCHES_MAX = 6;
const FETCH_WAIT_MS = 500;

/** A reader over kafkajs. Errors: `unavailable` when Kafka does not answer or stops answering. */
export function openTopicReader(options: TopicReaderOptions): ReadTopic {
  installZstd();
  const kafka = new kafkajs.Kafka({
    ...options.security,
    brokers: [...options.brokers],
    clientId: options.clientId,
    logLevel: kafkajs.logLevel.ERROR,
    logCreator:
      () =>
      ({ log }) =>
        options.log(log.message),
  });
  return async (topic, until, onRecord) => {
    const open = new Map([...until].filter(([, next]) => next > 0n));
    if (open.size === 0) return;
    const groupId = `${options.groupId}-${topic}`;
    try {
      await readUntil(kafka, { topic, groupId, open, onRecord });
    } catch (cause) {
      if (cause instanceof VerifyError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new VerifyError('unavailable', `cannot read topic ${topic}: ${reason}`, { cause });
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
        // What is still open then has been compacted away up to its end.
        if (emptyFetches >= EMPTY_FETCHES_MAX) resolve();
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
      await reading.onRecord({ partition, offset, key: message.key, value: message.value });
    }
    if (offset + 1n >= next) reading.open.delete(partition);
  }
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
