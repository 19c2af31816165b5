import type { ChangeRecord } from './decode-change.ts';
import type { TopicAdmin, TopicState } from './kafka-admin.ts';

/** Topics in memory, under the same contract tests as a real cluster. Unset settings have no default. */
export function createMemoryTopicAdmin(): TopicAdmin {
  const topics = new Map<string, TopicState>();
  const records = new Map<string, ChangeRecord[]>();
  return {
    async describeTopics(names) {
      const entries = names.map((name) => [name, topics.get(name)] as const);
      return new Map(
        entries.filter((entry): entry is [string, TopicState] => entry[1] !== undefined),
      );
    },
    async createTopic({ topic, partitions, settings }) {
      topics.set(topic, { partitions, settings: new Map(Object.entries(settings)) });
    },
    async alterTopic(topic, settings) {
      const state = topics.get(topic);
      if (state === undefined) throw new Error(`expected a topic, got none named ${topic}`);
      const merged = new Map([...state.settings, ...Object.entries(settings)]);
      topics.set(topic, { ...state, settings: merged });
    },
    wasWritten: async (topic) => records.has(topic),
    readRecords: async (topic) => [...(records.get(topic) ?? [])],
    async appendRecord(topic, { key, value }) {
      const record = { key: Buffer.from(key), value: Buffer.from(value) };
      records.set(topic, [...(records.get(topic) ?? []), record]);
    },
    async appendTombstones(rows) {
      for (const { topic, key } of rows) {
        records.set(topic, [...(records.get(topic) ?? []), { key, value: null }]);
      }
    },
    close: async () => {},
  };
}
