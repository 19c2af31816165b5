import { randomUUID } from 'node:crypto';
// kafkajs is CommonJS: Node finds its classes on the default export only.
import kafkajs from 'kafkajs';
import type { Admin, Consumer, Kafka } from 'kafkajs';
import type { ChangeRecord } from './decode-change.ts';
import { ConnectorsError } from './error.ts';
import { createHostedTopic, whenHosted } from './fresh-topic.ts';
import { findAccessFault } from './kafka-access.ts';
import type { TopicPlan } from './topics.ts';

export type TopicState = {
  partitions: number;
  /** All settings in force, defaults too. */
  settings: ReadonlyMap<string, string>;
};

/** Where records of a key stand. */
type RecordPlace = { topic: string; partition: number; key: Uint8Array };

/** What `apply`, `status` and `resnapshot` need of a Kafka cluster. Errors: `unavailable` where it cannot be reached. */
export interface TopicAdmin {
  /** Topics that do not exist are absent. */
  describeTopics(topics: readonly string[]): Promise<ReadonlyMap<string, TopicState>>;
  createTopic(plan: TopicPlan): Promise<void>;
  /** Changes these settings and keeps all others. */
  alterTopic(topic: string, settings: Readonly<Record<string, string>>): Promise<void>;
  /** Whether anything was ever written to a topic that exists. */
  wasWritten(topic: string): Promise<boolean>;
  /** The records that a topic of one partition holds now, the oldest first; none of a missing topic. */
  readRecords(topic: string): Promise<ChangeRecord[]>;
  /** Appends to a topic of one partition, and returns once its replicas have it. */
  appendRecord(topic: string, record: { key: string; value: string }): Promise<void>;
  /** Appends a record without a value for each key, to the partition that it stands in. */
  appendTombstones(rows: readonly RecordPlace[]): Promise<void>;
  close(): Promise<void>;
}

const requestWaitMsMax = 10_000;
const tombstonesAtOnce = 10_000;
/** For reading a short topic to its end. */
const readWaitMsMax = 30_000;

/** Connects to the brokers through kafkajs. */
export async function openTopicAdmin(options: {
  brokers: readonly string[];
  clientId: string;
}): Promise<TopicAdmin> {
  const kafka = new kafkajs.Kafka({
    brokers: [...options.brokers],
    clientId: options.clientId,
    logLevel: kafkajs.logLevel.NOTHING,
    requestTimeout: requestWaitMsMax,
    retry: { retries: 3 },
  });
  const admin = kafka.admin();
  const ask = reachable(options.brokers);
  await ask(() => admin.connect());
  return {
    describeTopics: (topics) => ask(() => describeTopics(admin, topics)),
    async createTopic({ topic, partitions, replicationFactor, settings }) {
      const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
      const wish = { topic, numPartitions: partitions, replicationFactor, configEntries };
      await ask(() => createHostedTopic(admin, wish));
    },
    alterTopic: (topic, settings) => ask(() => alterTopic(admin, topic, settings)),
    async wasWritten(topic) {
      const bounds = await ask(() => admin.fetchTopicOffsets(topic));
      return bounds.some(({ high }) => high !== '0');
    },
    readRecords: (topic) => ask(() => readRecords(kafka, admin, topic)),
    appendRecord: (topic, record) => ask(() => appendRecord(kafka, topic, record)),
    appendTombstones: (rows) => ask(() => appendTombstones(kafka, rows)),
    close: () => admin.disconnect(),
  };
}

const PLAIN_TEXT =
  'this command speaks plain text without a user: where the brokers want TLS or SASL, name a listener that does not';

function reachable(brokers: readonly string[]): <T>(request: () => Promise<T>) => Promise<T> {
  return async (request) => {
    try {
      return await whenHosted(request);
    } catch (cause) {
      const hint = findAccessFault(cause)?.kind === 'no-answer' ? ` (${PLAIN_TEXT})` : '';
      throw new ConnectorsError(
        'unavailable',
        `Kafka at ${brokers.join(', ')}: ${(cause as Error).message}${hint}`,
        { context: { brokers }, cause },
      );
    }
  };
}

async function describeTopics(
  admin: Admin,
  topics: readonly string[],
): Promise<ReadonlyMap<string, TopicState>> {
  const existing = new Set(await admin.listTopics());
  const present = topics.filter((topic) => existing.has(topic));
  if (present.length === 0) return new Map();
  const { topics: metadata } = await admin.fetchTopicMetadata({ topics: present });
  const entries = await describeSettings(admin, present);
  return new Map(
    metadata.map(({ name, partitions }) => {
      const settings = (entries.get(name) ?? []).map(
        ({ configName, configValue }) => [configName, configValue] as const,
      );
      return [name, { partitions: partitions.length, settings: new Map(settings) }];
    }),
  );
}

type Settings = Awaited<ReturnType<Admin['describeConfigs']>>['resources'][number]['configEntries'];

async function describeSettings(
  admin: Admin,
  topics: readonly string[],
): Promise<ReadonlyMap<string, Settings>> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: topics.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
  });
  return new Map(resources.map(({ resourceName, configEntries }) => [resourceName, configEntries]));
}

/** kafkajs speaks AlterConfigs, which resets what it is not told: the topic's own settings go along. */
async function alterTopic(
  admin: Admin,
  topic: string,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const present = (await describeSettings(admin, [topic])).get(topic) ?? [];
  const own = present.filter(
    ({ configSource }) => configSource === kafkajs.ConfigSource.TOPIC_CONFIG,
  );
  const merged = {
    ...Object.fromEntries(own.map(({ configName, configValue }) => [configName, configValue])),
    ...settings,
  };
  const configEntries = Object.entries(merged).map(([name, value]) => ({ name, value }));
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries }],
  });
}

async function readRecords(kafka: Kafka, admin: Admin, topic: string): Promise<ChangeRecord[]> {
  const existing = await admin.listTopics();
  if (!existing.includes(topic)) return [];
  const [bounds] = await admin.fetchTopicOffsets(topic);
  if (bounds === undefined || bounds.low === bounds.high) return [];
  // kafkajs reads as a member of a group only: one for each reading, which is gone afterwards.
  const groupId = `tributary.${topic}.${randomUUID()}`;
  const consumer = kafka.consumer({ groupId });
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    return await readTo(consumer, BigInt(bounds.high));
  } finally {
    await consumer.disconnect();
    await admin.deleteGroups([groupId]);
  }
}

async function readTo(consumer: Consumer, endOffset: bigint): Promise<ChangeRecord[]> {
  const { promise, resolve, reject } = Promise.withResolvers<ChangeRecord[]>();
  const late = (): void => reject(new Error(`no end of the topic within ${readWaitMsMax} ms`));
  const timer = setTimeout(late, readWaitMsMax);
  const records: ChangeRecord[] = [];
  try {
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message: { key, value, offset } }) => {
        records.push({ key: key ?? null, value });
        if (BigInt(offset) + 1n >= endOffset) resolve(records);
      },
    });
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

async function appendRecord(
  kafka: Kafka,
  topic: string,
  record: { key: string; value: string },
): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  try {
    await producer.send({ topic, acks: -1, messages: [record] });
  } finally {
    await producer.disconnect();
  }
}

async function appendTombstones(kafka: Kafka, rows: readonly RecordPlace[]): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  try {
    for (let at = 0; at < rows.length; at += tombstonesAtOnce) {
      const byTopic = Map.groupBy(rows.slice(at, at + tombstonesAtOnce), ({ topic }) => topic);
      const topicMessages = [...byTopic].map(([topic, places]) => ({
        topic,
        messages: places.map(({ partition, key }) => ({
          partition,
          key: Buffer.from(key),
          value: null,
        })),
      }));
      await producer.sendBatch({ acks: -1, topicMessages });
    }
  } finally {
    await producer.disconnect();
  }
}
