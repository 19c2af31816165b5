// kafkajs is CommonJS: Node finds its classes on the default export only.
import kafkajs from 'kafkajs';
import type { Admin } from 'kafkajs';
import { ConnectorsError } from './error.ts';
import type { TopicPlan } from './topics.ts';

export type TopicState = {
  partitions: number;
  /** All settings in force, defaults too. */
  settings: ReadonlyMap<string, string>;
};

/** What `apply` and `status` need of a Kafka cluster. Errors: `unavailable` where it cannot be reached. */
export interface TopicAdmin {
  /** Topics that do not exist are absent. */
  describeTopics(topics: readonly string[]): Promise<ReadonlyMap<string, TopicState>>;
  createTopic(plan: TopicPlan): Promise<void>;
  /** Changes these settings and keeps all others. */
  alterTopic(topic: string, settings: Readonly<Record<string, string>>): Promise<void>;
  close(): Promise<void>;
}

const requestWaitMsMax = 10_000;

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
      await ask(() => admin.createTopics({ topics: [wish], waitForLeaders: true }));
    },
    alterTopic: (topic, settings) => ask(() => alterTopic(admin, topic, settings)),
    close: () => admin.disconnect(),
  };
}

function reachable(brokers: readonly string[]): <T>(request: () => Promise<T>) => Promise<T> {
  return async (request) => {
    try {
      return await request();
    } catch (cause) {
      throw new ConnectorsError(
        'unavailable',
        `Kafka at ${brokers.join(', ')}: ${(cause as Error).message}`,
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
