import kafkajs from 'kafkajs';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { createHostedTopic } from '../connectors/fresh-topic.ts';
import { findAccessFault } from '../connectors/kafka-access.ts';
import { kafkajsLogTo } from '../connectors/kafkajs-log.ts';
import { GenerateError } from './error.ts';

export type CompressionName = 'none' | 'gzip' | 'zstd';

export type ProducerRecord = {
  partition: number;
  key: string | Buffer | null;
  value: Buffer | null;
  /** Epoch ms as decimal text. */
  timestamp: string;
};

/** Writes records to topics, idempotent, acknowledged by all replicas. One `send` at a time. */
export type RecordProducer = {
  clusterId: string;
  /** Makes the topic unless it exists; settings of an existing one stay as they are. */
  ensureTopic(topic: string, partitions: number, config: Record<string, string>): Promise<void>;
  /** Errors: `config` for a topic that does not exist. */
  partitionCount(topic: string): Promise<number>;
  /**
   * Resolves once all records are acknowledged, to the offset of the first record of each partition:
   * the others of that partition follow it without a gap, in the order given.
   * Rejects with `unavailable` when the outcome is not known: the records may be in the topic.
   */
  send(topic: string, records: readonly ProducerRecord[]): Promise<ReadonlyMap<number, bigint>>;
  close(): Promise<void>;
};

export type ProducerOptions = {
  brokers: readonly string[];
  /** TLS and SASL; plain text without them. */
  security?: Pick<kafkajs.KafkaConfig, 'ssl' | 'sasl'>;
  clientId: string;
  compression: CompressionName;
  log: (line: string) => void;
};

/**
 * A producer over kafkajs. Only one `send` may be under way: after a failure kafkajs resends with the
 * old sequence numbers, and a second send in between would take them.
 * Errors: `unavailable` when no broker answers, `config` where TLS or the user is refused.
 */
export async function openKafkaProducer(options: ProducerOptions): Promise<RecordProducer> {
  installZstd();
  const kafka = new kafkajs.Kafka({
    ...options.security,
    brokers: [...options.brokers],
    clientId: options.clientId,
    logLevel: kafkajs.logLevel.ERROR,
    logCreator: kafkajsLogTo(options.log),
  });
  const admin = kafka.admin();
  const producer = kafka.producer({
    idempotent: true,
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition ?? 0,
    // Time-outs are retried by kafkajs itself; beyond this the outcome counts as unknown.
    retry: { retries: 12, initialRetryTime: 100, maxRetryTime: 10_000 },
  });
  const clusterId = await unavailableOnFailure('connect to Kafka', async () => {
    await admin.connect();
    await producer.connect();
    return (await admin.describeCluster()).clusterId;
  });
  return {
    clusterId,
    ensureTopic: (topic, partitions, config) =>
      unavailableOnFailure(`create topic ${topic}`, async () => {
        if ((await admin.listTopics()).includes(topic)) return;
        const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
        const wish = { topic, numPartitions: partitions, replicationFactor: -1, configEntries };
        await createHostedTopic(admin, wish);
      }),
    partitionCount: (topic) =>
      unavailableOnFailure(`describe topic ${topic}`, async () => {
        if (!(await admin.listTopics()).includes(topic)) {
          throw new GenerateError('config', `there is no topic ${topic}: create it first`);
        }
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
        return topics[0]?.partitions.length ?? 0;
      }),
    send: (topic, records) =>
      unavailableOnFailure(`write to topic ${topic}`, async () => {
        const acks = await producer.send({
          topic,
          acks: -1,
          compression: compressionTypes[options.compression],
          messages: records as kafkajs.Message[],
        });
        return new Map(acks.map((ack) => [ack.partition, BigInt(ack.baseOffset ?? '-1')]));
      }),
    close: async () => {
      await producer.disconnect();
      await admin.disconnect();
    },
  };
}

const compressionTypes: Record<CompressionName, kafkajs.CompressionTypes> = {
  none: kafkajs.CompressionTypes.None,
  gzip: kafkajs.CompressionTypes.GZIP,
  zstd: kafkajs.CompressionTypes.ZSTD,
};

/** kafkajs brings gzip only; Node's own zlib does the rest. */
function installZstd(): void {
  const compress = promisify(zstdCompress);
  const decompress = promisify(zstdDecompress);
  kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
    compress: (encoder: { buffer: Buffer }) => compress(encoder.buffer),
    decompress: (buffer: Buffer) => decompress(buffer),
  });
}

async function unavailableOnFailure<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    if (cause instanceof GenerateError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const access = findAccessFault(cause);
    const kind = access?.kind === 'refused' ? 'config' : 'unavailable';
    const remedy = access === undefined ? '' : `; ${access.remedy}`;
    throw new GenerateError(kind, `cannot ${what}: ${reason}${remedy}`, { cause });
  }
}
