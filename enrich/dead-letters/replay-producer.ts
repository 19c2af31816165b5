// kafkajs is CommonJS: Node finds its classes on the default export only.
import kafkajs from 'kafkajs';
import { EnrichError } from '../error.ts';
import type { RawDeadLetter } from './read-dead-letters.ts';
import { markOf, marksTopic } from './replay-marks.ts';

/** Sends dead letters back to their topics, each batch with its marks or not at all. */
export type ReplayProducer = {
  send(batch: readonly RawDeadLetter[]): Promise<void>;
  close(): Promise<void>;
};

export type ReplayProducerOptions = {
  brokers: readonly string[];
  /** TLS and SASL; plain text without them. */
  security?: Pick<kafkajs.KafkaConfig, 'ssl' | 'sasl'>;
  clientId: string;
  pipeline: string;
  nowMs: () => number;
};

/** What a killed run has left open holds up readers no longer than this. */
const TRANSACTION_MS_MAX = 30_000;
const REQUEST_MS_MAX = 15_000;
/** Header that says where a record stood before. */
const ORIGIN_HEADER = 'tributary-replay-of';
/** Error codes of a producer that another one has replaced: INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, PRODUCER_FENCED. */
const FENCED = new Set([47, 48, 90]);

/**
 * Opens the one transactional producer of a pipeline's replays, and makes the topic of marks unless it is
 * there. From then on an older one fails, and what it had begun has ended, committed or aborted: marks that
 * are read now are all there are (KIP-98, "Transactional Guarantees").
 *
 * Errors: `unavailable` where Kafka does not answer, and where another replay has begun since; a batch may
 * then be there or not, and its marks say which.
 */
export async function openReplayProducer(options: ReplayProducerOptions): Promise<ReplayProducer> {
  const { brokers, clientId, pipeline, nowMs } = options;
  const kafka = new kafkajs.Kafka({
    ...options.security,
    brokers: [...brokers],
    clientId,
    requestTimeout: REQUEST_MS_MAX,
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const topic = marksTopic(pipeline);
  const producer = kafka.producer({
    transactionalId: `tributary-replay-${pipeline}`,
    idempotent: true,
    maxInFlightRequests: 1,
    transactionTimeout: TRANSACTION_MS_MAX,
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition ?? 0,
    retry: { retries: 10, initialRetryTime: 100, maxRetryTime: 5_000 },
  });
  await told(async () => {
    await ensureTopic(kafka, topic);
    await producer.connect();
    // The first transaction takes the name over; there is nothing in it.
    await (await producer.transaction()).abort();
  });
  return {
    send: (batch) =>
      told(async () => {
        const transaction = await producer.transaction();
        try {
          await transaction.sendBatch({
            acks: -1,
            topicMessages: messagesOf(batch, topic, nowMs()),
          });
        } catch (error) {
          await transaction.abort().catch(() => undefined);
          throw error;
        }
        await transaction.commit();
      }),
    close: () => producer.disconnect(),
  };
}

function messagesOf(
  batch: readonly RawDeadLetter[],
  marks: string,
  nowMs: number,
): kafkajs.TopicMessages[] {
  const byTopic = Map.groupBy(batch, (letter) => letter.topic);
  const records = [...byTopic].map(([topic, letters]) => ({
    topic,
    messages: letters.map(({ partition, offset, timestampUs, key, value }) => ({
      partition,
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
      timestamp: String(timestampUs / 1000n),
      headers: { [ORIGIN_HEADER]: `${topic}/${partition}/${offset}` },
    })),
  }));
  const done = JSON.stringify({ replayed_at_ms: nowMs });
  const messages = batch.map((letter) => ({ partition: 0, key: markOf(letter), value: done }));
  return [...records, { topic: marks, messages }];
}

async function ensureTopic(kafka: kafkajs.Kafka, topic: string): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    if ((await admin.listTopics()).includes(topic)) return;
    const configEntries = [{ name: 'cleanup.policy', value: 'compact' }];
    const topics = [{ topic, numPartitions: 1, replicationFactor: -1, configEntries }];
    await admin.createTopics({ topics, waitForLeaders: true });
  } finally {
    await admin.disconnect();
  }
}

async function told(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (cause) {
    const { code, message } = cause as { code?: number; message: string };
    const reason = FENCED.has(code ?? 0)
      ? 'another replay of this pipeline has begun and takes care of the rest'
      : `Kafka: ${message}; what was sent is marked: run the replay again`;
    throw new EnrichError('unavailable', reason, { cause });
  }
}
