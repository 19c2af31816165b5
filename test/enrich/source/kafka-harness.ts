import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { Admin, Producer, ProduceAcks } from '@platformatic/kafka';
import kafkajs, {
  type Admin as KafkajsAdmin,
  type KafkaConfig,
  type Producer as KafkajsProducer,
  type ProducerConfig,
  type SASLOptions,
} from 'kafkajs';
import snappy from 'kafkajs-snappy';
import { endpoints } from '../../stack/endpoints.ts';
import type { Codec, LogHarness, WrittenRecord } from './log-contract.ts';
import type { Log } from '../../../enrich/source/log.ts';

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;

/** kafkajs writes all codecs but lz4, which the broker refuses from it. */
const COMPRESSION = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  zstd: CompressionTypes.ZSTD,
} as const;

function installCodecs(): void {
  CompressionCodecs[CompressionTypes.Snappy] = snappy;
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: ({ buffer }: { buffer: Buffer }) => promisify(zstdCompress)(buffer),
    decompress: (buffer: Buffer) => promisify(zstdDecompress)(buffer),
  });
}

/** How a broker is reached; plain text without `tls`. */
export type BrokerAccess = {
  brokers: readonly string[];
  tls?: { ca?: string };
  sasl?: {
    mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
    username: string;
    password: string;
  };
};

/** The same, as kafkajs wants it. */
export function kafkajsAccess({ brokers, tls, sasl }: BrokerAccess): KafkaConfig {
  const mechanism = sasl?.mechanism.toLowerCase();
  return {
    brokers: [...brokers],
    ...(tls === undefined ? {} : { ssl: tls }),
    ...(sasl === undefined ? {} : { sasl: { ...sasl, mechanism } as SASLOptions }),
  };
}

/**
 * A real broker, that of the stack unless another is named, driven with another client than the one under test.
 * Topics are named `source-…`, so that runs side by side do not meet.
 */
export async function openKafkaHarness(
  openLog: () => Promise<Log>,
  access: BrokerAccess = { brokers: endpoints.kafkaBrokers },
): Promise<LogHarness> {
  installCodecs();
  const kafka = new Kafka({
    ...kafkajsAccess(access),
    clientId: 'source-test',
    logLevel: logLevel.NOTHING,
  });
  const { brokers, ...security } = access;
  const options = { clientId: 'source-test', bootstrapBrokers: [...brokers], ...security };
  const lz4Producer = new Producer(options);
  const recordsAdmin = new Admin(options);
  const run = Date.now().toString(36);
  // A kafkajs client asks for every topic that it ever used, and fails for ever once one is deleted: a
  // producer for each topic, an admin for each call.
  const producers = new Map<string, KafkajsProducer>();
  let topics = 0;

  const harness: LogHarness = {
    open: openLog,
    topicName: () => `source-${run}-${process.pid}-${++topics}`,
    createTopic: async (topic, numPartitions, deleteRetentionMs) => {
      const settings = { 'cleanup.policy': 'compact', 'delete.retention.ms': deleteRetentionMs };
      const configEntries =
        deleteRetentionMs === undefined
          ? []
          : Object.entries(settings).map(([name, value]) => ({ name, value: String(value) }));
      // A deleted topic of the same name may still be on its way out.
      await retry(() =>
        administer((admin) =>
          admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] }),
        ),
      );
      await retry(() => administer((admin) => admin.fetchTopicOffsets(topic)));
    },
    deleteTopic: async (topic) => {
      for (const name of [topic, `${topic}-tx`]) {
        await producers.get(name)?.disconnect();
        producers.delete(name);
      }
      await administer(async (admin) => {
        if (!(await admin.listTopics()).includes(topic)) return;
        await admin.deleteTopics({ topics: [topic] });
        await retry(async () => {
          if ((await admin.listTopics()).includes(topic))
            throw new Error(`${topic} is still there`);
        });
      });
    },
    append: async (topic, partition, records, codec = 'none') => {
      if (codec === 'lz4') {
        await lz4Producer.send({
          acks: ProduceAcks.ALL,
          compression: codec,
          messages: records.map(({ key, value }) => ({
            topic,
            partition,
            key: Buffer.from(key ?? ''),
            value: Buffer.from(value ?? ''),
          })),
        });
        return;
      }
      const producer = await openProducer(topic, {});
      await producer.send({ topic, ...batch(partition, records, codec) });
    },
    transact: async (topic, partitions, value, outcome) => {
      const transactionalId = `${topic}-tx`;
      const producer = await openProducer(transactionalId, {
        transactionalId,
        maxInFlightRequests: 1,
      });
      const transaction = await producer.transaction();
      for (const partition of partitions) {
        await transaction.send({ topic, messages: [{ partition, key: null, value }] });
      }
      await transaction[outcome]();
    },
    truncate: async (topic, partition, offset) => {
      await recordsAdmin.deleteRecords({
        topics: [{ name: topic, partitions: [{ partition, offset }] }],
      });
    },
    compact: async (topic, partition) => compactTopic(topic, partition),
    committedOffsets: async (groupId, topic) => {
      const [offsets] = await administer((admin) =>
        admin.fetchOffsets({ groupId, topics: [topic] }),
      );
      return new Map(
        (offsets?.partitions ?? []).map(({ partition, offset }) => [partition, BigInt(offset)]),
      );
    },
    close: async () => {
      await Promise.all([...producers.values()].map((one) => one.disconnect()));
      await Promise.all([lz4Producer.close(), recordsAdmin.close()]);
    },
  };

  async function openProducer(name: string, config: ProducerConfig): Promise<KafkajsProducer> {
    const known = producers.get(name);
    if (known !== undefined) return known;
    const opened = kafka.producer(config);
    await opened.connect();
    producers.set(name, opened);
    return opened;
  }

  async function administer<T>(action: (admin: KafkajsAdmin) => Promise<T>): Promise<T> {
    const admin = kafka.admin();
    await admin.connect();
    try {
      return await action(admin);
    } finally {
      await admin.disconnect();
    }
  }

  /**
   * Lets the broker's cleaner run: it wakes every 15 s and leaves the active segment alone, so a last
   * batch rolls it. Done when the log has become shorter.
   */
  async function compactTopic(topic: string, partition: number): Promise<void> {
    const configEntries = [
      { name: 'cleanup.policy', value: 'compact' },
      { name: 'min.cleanable.dirty.ratio', value: '0.0001' },
      { name: 'min.compaction.lag.ms', value: '0' },
      { name: 'segment.ms', value: '100' },
    ];
    const type = kafkajs.ConfigResourceTypes.TOPIC;
    const resources = [{ type, name: topic, configEntries }];
    await administer((admin) => admin.alterConfigs({ validateOnly: false, resources }));
    await sleep(300);
    await harness.append(topic, partition, [{ key: 'roll', value: 'roll' }]);
    await retry(async () => {
      const count = await countRecords(topic, partition);
      if (count > 13) throw new Error(`the cleaner has not run: ${count} records are left`);
    }, 80);
  }

  /** Counts with the other client's consumer. */
  async function countRecords(topic: string, partition: number): Promise<number> {
    const consumer = kafka.consumer({ groupId: `${topic}-count-${++topics}` });
    const ends = await administer((admin) => admin.fetchTopicOffsets(topic));
    const end = ends.find((one) => one.partition === partition);
    let count = 0;
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      consumer
        .run({
          eachMessage: async ({ message }) => {
            count += 1;
            if (BigInt(message.offset) + 1n === BigInt(end?.high ?? 0)) resolve();
          },
        })
        .catch(reject);
    });
    await consumer.disconnect();
    return count;
  }

  return harness;
}

function batch(
  partition: number,
  records: readonly WrittenRecord[],
  codec: keyof typeof COMPRESSION,
) {
  return {
    compression: COMPRESSION[codec],
    messages: records.map(({ key, value, timestampMs, headers }) => ({
      partition,
      key,
      value,
      ...(timestampMs === undefined ? {} : { timestamp: String(timestampMs) }),
      ...(headers === undefined ? {} : { headers }),
    })),
  };
}

export const ALL_CODECS: readonly Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** Tries every quarter of a second. */
async function retry<T>(action: () => Promise<T>, triesMax = 20): Promise<T> {
  for (let left = triesMax; ; left -= 1) {
    try {
      return await action();
    } catch (error) {
      if (left === 0) throw error;
      await sleep(250);
    }
  }
}
