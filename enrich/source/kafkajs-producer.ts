// kafkajs is CommonJS: Node finds its classes on the default export only.
import kafkajs from 'kafkajs';
import { createHostedTopic } from '../../connectors/fresh-topic.ts';
import { findAccessFault } from '../../connectors/kafka-access.ts';
import { EnrichError } from '../error.ts';
import type { OutgoingRecord, TransactionalProducer } from './transactional-producer.ts';

type KafkajsProducerOptions = {
  brokers: readonly string[];
  /** TLS and SASL; plain text without them. */
  security?: Pick<kafkajs.KafkaConfig, 'ssl' | 'sasl'>;
  clientId: string;
  transactionalId: string;
};

/** What a killed run has left open holds up readers no longer than this. */
const TRANSACTION_MS_MAX = 30_000;
const REQUEST_MS_MAX = 15_000;
/** Kafka's default of `max.message.bytes`. */
const MESSAGE_BYTES_MAX = 1_048_588;
/** Head of a record batch. Source: Kafka protocol, "Record Batch". */
const BATCH_HEAD_BYTES = 61;
/** Error codes of a producer that another one has replaced: INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, PRODUCER_FENCED. */
const FENCED = new Set([47, 48, 90]);
/** MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE. */
const TOO_LARGE = new Set([10, 18]);
/** TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED. */
const REFUSED = new Set([29, 31]);

/** Takes the transactional id over from whoever had it. Errors: `unavailable`; `config` where TLS or the user is refused. */
export async function openKafkajsProducer(
  options: KafkajsProducerOptions,
): Promise<TransactionalProducer> {
  const { brokers, security, clientId, transactionalId } = options;
  const kafka = new kafkajs.Kafka({
    ...security,
    brokers: [...brokers],
    clientId,
    requestTimeout: REQUEST_MS_MAX,
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const producer = kafka.producer({
    transactionalId,
    idempotent: true,
    maxInFlightRequests: 1,
    transactionTimeout: TRANSACTION_MS_MAX,
    // kafkajs leaves out, without a word, records of a partition that the topic does not have.
    createPartitioner:
      () =>
      ({ message, partitionMetadata }) =>
        (message.partition ?? 0) % partitionMetadata.length,
    retry: { retries: 10, initialRetryTime: 100, maxRetryTime: 5_000 },
  });
  await told(async () => {
    await producer.connect();
    // The first transaction takes the name over; there is nothing in it.
    await (await producer.transaction()).abort();
  });
  let failure: unknown;
  return {
    ensureCompactedTopic: (topic) => told(() => ensureTopic(kafka, topic)),
    batchBytesMax: (topic) => told(() => batchBytesMax(kafka, topic)),
    send: (records) =>
      told(async () => {
        if (failure !== undefined) throw failure;
        try {
          await sendAll(producer, records);
        } catch (error) {
          failure = error;
          throw error;
        }
      }),
    close: () => producer.disconnect(),
  };
}

async function sendAll(
  producer: kafkajs.Producer,
  records: readonly OutgoingRecord[],
): Promise<void> {
  const byTopic = Map.groupBy(records, ({ topic }) => topic);
  const topicMessages = [...byTopic].map(([topic, own]) => ({
    topic,
    messages: own.map(messageOf),
  }));
  const transaction = await producer.transaction();
  try {
    await transaction.sendBatch({ acks: -1, topicMessages });
  } catch (error) {
    await transaction.abort().catch(() => undefined);
    throw error;
  }
  await transaction.commit();
}

function messageOf({ partition, key, value, timestampMs, headers }: OutgoingRecord) {
  return {
    partition,
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    ...(timestampMs === undefined ? {} : { timestamp: String(timestampMs) }),
    ...(headers === undefined ? {} : { headers }),
  };
}

async function ensureTopic(kafka: kafkajs.Kafka, topic: string): Promise<void> {
  await withAdmin(kafka, async (admin) => {
    if ((await admin.listTopics()).includes(topic)) return;
    const configEntries = [{ name: 'cleanup.policy', value: 'compact' }];
    await createHostedTopic(admin, {
      topic,
      numPartitions: 1,
      replicationFactor: -1,
      configEntries,
    });
  });
}

async function batchBytesMax(kafka: kafkajs.Kafka, name: string): Promise<number> {
  const type = kafkajs.ConfigResourceTypes.TOPIC;
  const resources = [{ type, name, configNames: ['max.message.bytes'] }];
  return withAdmin(kafka, async (admin) => {
    try {
      const described = await admin.describeConfigs({ resources, includeSynonyms: false });
      const value = Number(described.resources[0]?.configEntries[0]?.configValue);
      return (Number.isInteger(value) ? value : MESSAGE_BYTES_MAX) - BATCH_HEAD_BYTES;
    } catch (error) {
      if (!REFUSED.has((error as { code?: number }).code ?? 0)) throw error;
      return MESSAGE_BYTES_MAX - BATCH_HEAD_BYTES;
    }
  });
}

async function withAdmin<T>(
  kafka: kafkajs.Kafka,
  act: (admin: kafkajs.Admin) => Promise<T>,
): Promise<T> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await act(admin);
  } finally {
    await admin.disconnect();
  }
}

async function told<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    const { code = 0, message } = cause as { code?: number; message: string };
    if (FENCED.has(code)) throw new EnrichError('fenced', `Kafka: ${message}`, { cause });
    const access = findAccessFault(cause);
    const refused = TOO_LARGE.has(code) || access?.kind === 'refused';
    const remedy = access === undefined ? '' : `; ${access.remedy}`;
    throw new EnrichError(refused ? 'config' : 'unavailable', `Kafka: ${message}${remedy}`, {
      cause,
    });
  }
}
