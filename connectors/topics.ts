import type { ConnectorsConfig } from './connectors-config.ts';

export type TopicPlan = {
  topic: string;
  partitions: number;
  replicationFactor: number;
  /** Settings that we insist on; all others are left as they are. */
  settings: Readonly<Record<string, string>>;
};

const dayMs = 86_400_000;

/** A reader that was away shorter than this still meets every delete. */
const deleteRetentionMs = 7 * dayMs;
/** Fresh changes stay uncompacted, so that a reader close to the end sees each one. */
const compactionLagMs = 60_000;
/** Clicks are kept long enough to repair a pipeline over a long weekend and to replay a table. */
const streamRetentionMs = 7 * dayMs;

/** Where Debezium writes the changes of a table named `schema.table`. */
export function tableTopic(config: ConnectorsConfig, table: string): string {
  return `${config.topics.prefix}.${table}`;
}

/** Where Debezium writes its heartbeats. */
export function heartbeatTopic(config: ConnectorsConfig): string {
  return `__debezium-heartbeat.${config.topics.prefix}`;
}

/** Where Debezium tells of the progress of snapshots; pipeline.yaml names the same topic. */
export function notificationTopic(config: ConnectorsConfig): string {
  return `__debezium-notifications.${config.topics.prefix}`;
}

/** Where Debezium takes orders from, such as to read a table that was added later. */
export function signalTopic(config: ConnectorsConfig): string {
  return `__debezium-signals.${config.topics.prefix}`;
}

/** Settings of a topic that holds the newest change of each row, for creation by us and by Connect. */
export const changelogSettings: Readonly<Record<string, string>> = {
  'cleanup.policy': 'compact',
  'min.compaction.lag.ms': String(compactionLagMs),
  'delete.retention.ms': String(deleteRetentionMs),
};

/**
 * Every topic that the stack needs. Tables without rows have no topic until someone makes it, and the
 * pipeline waits for all of them, so that none is left to Connect.
 * Notifications are kept for ever: they are few, and one of them says that the snapshot is complete.
 */
export function planTopics(config: ConnectorsConfig): TopicPlan[] {
  const { partitions, replicationFactor, stream, streamPartitions } = config.topics;
  return [
    ...config.tables.map((table) => ({
      topic: tableTopic(config, table),
      partitions,
      replicationFactor,
      settings: changelogSettings,
    })),
    {
      topic: heartbeatTopic(config),
      partitions: 1,
      replicationFactor,
      settings: { 'cleanup.policy': 'compact' },
    },
    {
      topic: notificationTopic(config),
      partitions: 1,
      replicationFactor,
      settings: { 'cleanup.policy': 'delete', 'retention.ms': '-1' },
    },
    {
      topic: signalTopic(config),
      // Debezium reads partition 0 only.
      partitions: 1,
      replicationFactor,
      settings: { 'cleanup.policy': 'delete', 'retention.ms': String(7 * dayMs) },
    },
    {
      topic: stream,
      partitions: streamPartitions,
      replicationFactor,
      settings: { 'cleanup.policy': 'delete', 'retention.ms': String(streamRetentionMs) },
    },
  ];
}
