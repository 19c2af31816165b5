import type { ConnectorState } from './connect-client.ts';
import { isRunning, lookAtSlot, shortTrace } from './connector-runs.ts';
import type { ConnectorLook } from './connector-runs.ts';
import type { ConnectorsConfig } from './connectors-config.ts';
import type { TopicAdmin } from './kafka-admin.ts';
import { dueMessage, dueTables } from './new-slot.ts';
import { changedSettings, debeziumPostgresConfig } from './postgres.ts';
import type { SlotState } from './replication-slot.ts';
import { planTopics } from './topics.ts';

/** What runs and what differs from connectors.yaml, for `status`. */
export type ConnectorsReport = {
  connector: string;
  /** `MISSING` where Connect does not know the connector. */
  state: ConnectorState | 'MISSING';
  tasks: readonly { taskId: number; state: ConnectorState }[];
  /** Settings of the connector that are not as connectors.yaml wants them, by name. */
  differences: readonly string[];
  /** Why it failed, without stack frames and secrets. */
  failure: string | undefined;
  topics: readonly {
    topic: string;
    partitions: number | undefined;
    differences: readonly string[];
  }[];
  /** The replication slot's own account; undefined where the database is out of reach from here. */
  slot: SlotState | undefined;
  /** Changes that may be in no topic, and what to do, in words. */
  missed: readonly string[];
  /** The connector and all of its tasks run, nothing differs and nothing was missed. */
  asWanted: boolean;
};

/** Errors: `unavailable` where Kafka or Connect cannot be reached. */
export async function readConnectorsStatus(
  options: ConnectorLook & { topics: TopicAdmin },
): Promise<ConnectorsReport> {
  const { config, connect } = options;
  const status = await connect.readStatus(config.connector);
  const parts = status === undefined ? [] : [status.connector, ...status.tasks];
  const trace = parts.find(({ state }) => state === 'FAILED')?.trace;
  const present = await connect.readConfig(config.connector);
  const due = dueTables(config, present);
  const differences =
    // While a resnapshot is due, the connector has settings of its own.
    present === undefined || due.length > 0
      ? []
      : changedSettings(present, debeziumPostgresConfig(config));
  const topics = await readTopics(options);
  const look = await lookAtSlot(options);
  const seen = look.kind === 'seen' ? look : undefined;
  const missed = [
    ...(due.length > 0 ? [dueMessage(due)] : []),
    ...(seen?.trouble === undefined ? [] : [seen.trouble.message]),
  ];
  return {
    connector: config.connector,
    state: status?.connector.state ?? 'MISSING',
    tasks: (status?.tasks ?? []).map(({ taskId, state }) => ({ taskId, state })),
    failure: trace === undefined ? undefined : shortTrace(config, trace),
    differences,
    topics,
    slot: seen?.slot,
    missed,
    asWanted:
      isRunning(status) &&
      missed.length === 0 &&
      differences.length === 0 &&
      topics.every((topic) => topic.differences.length === 0),
  };
}

async function readTopics(options: {
  config: ConnectorsConfig;
  topics: TopicAdmin;
}): Promise<ConnectorsReport['topics']> {
  const plans = planTopics(options.config);
  const states = await options.topics.describeTopics(plans.map(({ topic }) => topic));
  return plans.map(({ topic, partitions, settings }) => {
    const state = states.get(topic);
    if (state === undefined) return { topic, partitions: undefined, differences: ['missing'] };
    const drifted = Object.entries(settings)
      .filter(([name, value]) => state.settings.get(name) !== value)
      .map(([name, value]) => `${name} is ${state.settings.get(name)}, expected ${value}`);
    const resized =
      state.partitions === partitions
        ? []
        : [`${state.partitions} partitions, expected ${partitions}`];
    return { topic, partitions: state.partitions, differences: [...resized, ...drifted] };
  });
}
