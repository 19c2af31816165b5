import type { SourceCheck } from './check-source.ts';
import {
  waitMsMaxDefault,
  waitUntilRunning,
  whenReachable,
  withoutSecrets,
} from './connector-runs.ts';
import type { ConnectorWait } from './connector-runs.ts';
import type { ConnectorsConfig } from './connectors-config.ts';
import { ConnectorsError } from './error.ts';
import { findUnread, loadTables } from './first-loads.ts';
import type { TopicAdmin, TopicState } from './kafka-admin.ts';
import { refuseDue } from './new-slot.ts';
import { capturedTables, changedSettings, debeziumPostgresConfig } from './postgres.ts';
import type { ConnectorConfig } from './postgres.ts';
import { freeSubjects } from './subject-levels.ts';
import type { SubjectLevels } from './subject-levels.ts';
import { planTopics, tableTopic } from './topics.ts';
import type { TopicPlan } from './topics.ts';

/** One thing that `apply` looked at. `differs` is what it must not change by itself. */
export type ApplyStep = {
  subject: string;
  outcome: 'created' | 'changed' | 'unchanged' | 'unchecked' | 'running' | 'loaded' | 'differs';
  message: string;
};

export type ApplyOptions = ConnectorWait & {
  topics: TopicAdmin;
  /** Looks at the database before Connect does, see `checkSource`. */
  checkSource: (config: ConnectorsConfig) => Promise<SourceCheck>;
  /** The Avro schema behind an id: Debezium's notifications tell which tables were read. */
  loadSchema: (schemaId: number) => Promise<object | undefined>;
  /** Of the registry that the connector's converter writes to. */
  levels: SubjectLevels;
};

/**
 * Makes the topics, the registry's levels and the connector be as configured, waits until the connector runs, and has it read
 * the rows of tables that were added after its initial snapshot. Idempotent: a second call changes
 * nothing, and one after a call that was cut short does the rest. The number of partitions of a topic that exists is told, never
 * changed: the keys' places depend on it.
 * Errors: `config` for what Connect refuses or a connector that failed, with its own words and without
 * secrets; `unavailable` where Kafka or Connect stay out of reach, or the wait ends.
 */
export async function applyConnectors(options: ApplyOptions): Promise<ApplyStep[]> {
  const steps: ApplyStep[] = [];
  const report = (step: ApplyStep): void => {
    steps.push(step);
    options.onProgress(step.message);
  };
  for (const step of await checkTables(options)) report(step);
  await refuseUnsafe(options);
  for (const step of await applyTopics(options.topics, planTopics(options.config))) report(step);
  for (const step of await applyLevels(options)) report(step);
  const { step, added } = await applyConfig(options);
  report(step);
  await waitUntilRunning(options);
  const connector = `connector ${options.config.connector}`;
  report({ subject: connector, outcome: 'running', message: `${connector}: runs` });
  report(await readEarlierRows(options, added));
  return steps;
}

/** A connector reads the rows of the tables that it starts with; those of later ones it is asked for. */
async function readEarlierRows(
  options: ApplyOptions,
  added: readonly string[],
): Promise<ApplyStep> {
  const { onProgress, waitMsMax = waitMsMaxDefault } = options;
  const subject = 'rows';
  const unread = await findUnread({ ...options, waitMsMax }, added);
  if (unread.length === 0) {
    return { subject, outcome: 'unchanged', message: 'rows: no table was added' };
  }
  onProgress(`rows: ${unread.join(', ')} came after the initial snapshot and will be read now`);
  await loadTables({ ...options, waitMsMax }, unread);
  return { subject, outcome: 'loaded', message: `rows: ${unread.join(', ')} read` };
}

async function checkTables(options: ApplyOptions): Promise<ApplyStep[]> {
  const { config, checkSource } = options;
  const subject = 'source';
  const check = await whenReachable(options, () => checkSource(config));
  if (check.kind !== 'ready') {
    return [{ subject, outcome: 'unchecked', message: `source: not checked, ${check.message}` }];
  }
  const message = `source: ${config.tables.length} tables published`;
  return [
    { subject, outcome: 'unchanged', message },
    ...check.warnings.map((warning) => ({
      subject,
      outcome: 'differs' as const,
      message: `source: ${warning}`,
    })),
  ];
}

async function refuseUnsafe(options: ApplyOptions): Promise<void> {
  const { config, connect } = options;
  const present = await whenReachable(options, () => connect.readConfig(config.connector));
  if (present === undefined) return;
  refuseDue(config, present);
  await refuseReturned(options, present);
}

/**
 * Changes that a table saw while it was not captured are lost: its topic still holds rows as they were,
 * and one that was deleted meanwhile would stay for ever.
 */
async function refuseReturned(
  { config, topics }: ApplyOptions,
  present: ConnectorConfig,
): Promise<void> {
  const captured = capturedTables(present);
  const added = config.tables.filter((table) => !captured.has(table));
  const states = await topics.describeTopics(added.map((table) => tableTopic(config, table)));
  for (const topic of states.keys()) {
    if (!(await topics.wasWritten(topic))) continue;
    throw new ConnectorsError(
      'config',
      `topic ${topic} is of a table that was captured before and then left out: the changes since are ` +
        'missing from it. Stop the pipeline, delete the topic, apply again, delete state.directory and start the pipeline',
      { context: { topic, connector: config.connector } },
    );
  }
}

async function applyTopics(admin: TopicAdmin, plans: readonly TopicPlan[]): Promise<ApplyStep[]> {
  const states = await admin.describeTopics(plans.map(({ topic }) => topic));
  const steps: ApplyStep[] = [];
  for (const plan of plans) steps.push(...(await applyTopic(admin, plan, states.get(plan.topic))));
  return steps;
}

async function applyTopic(
  admin: TopicAdmin,
  plan: TopicPlan,
  state: TopicState | undefined,
): Promise<ApplyStep[]> {
  const subject = `topic ${plan.topic}`;
  if (state === undefined) {
    await admin.createTopic(plan);
    const message = `${subject}: created with ${plan.partitions} partitions`;
    return [{ subject, outcome: 'created', message }];
  }
  const drifted = Object.entries(plan.settings).filter(
    ([name, value]) => state.settings.get(name) !== value,
  );
  const steps: ApplyStep[] = [];
  if (drifted.length > 0) {
    await admin.alterTopic(plan.topic, Object.fromEntries(drifted));
    const changes = drifted.map(
      ([name, value]) => `${name} ${state.settings.get(name) ?? 'unset'} -> ${value}`,
    );
    const message = `${subject}: corrected ${changes.join(', ')}`;
    steps.push({ subject, outcome: 'changed', message });
  }
  if (state.partitions !== plan.partitions) {
    const message =
      `${subject}: has ${state.partitions} partitions, configured are ${plan.partitions}. ` +
      'It is left as it is: keys would move to other partitions';
    steps.push({ subject, outcome: 'differs', message });
  }
  return steps.length > 0
    ? steps
    : [{ subject, outcome: 'unchanged', message: `${subject}: unchanged` }];
}

async function applyLevels({ config, levels }: ApplyOptions): Promise<ApplyStep[]> {
  return (await freeSubjects(config, levels)).map(({ subject, before }) => ({
    subject: `subject ${subject}`,
    outcome: 'changed',
    message: `subject ${subject}: level ${before} -> NONE, the registry takes what the table becomes`,
  }));
}

/** `added` are the tables that the connector did not capture before. */
async function applyConfig(
  options: ApplyOptions,
): Promise<{ step: ApplyStep; added: readonly string[] }> {
  const { config, connect } = options;
  const subject = `connector ${config.connector}`;
  const wanted = debeziumPostgresConfig(config);
  const present = await whenReachable(options, () => connect.readConfig(config.connector));
  const changed = changedSettings(present ?? {}, wanted);
  if (changed.length === 0) {
    return {
      step: { subject, outcome: 'unchanged', message: `${subject}: unchanged` },
      added: [],
    };
  }
  try {
    await whenReachable(options, () => connect.writeConfig(config.connector, wanted));
  } catch (error) {
    throw withoutSecrets(config, subject, error);
  }
  if (present === undefined) {
    const step: ApplyStep = { subject, outcome: 'created', message: `${subject}: created` };
    return { step, added: [] };
  }
  const captured = capturedTables(present);
  const message = `${subject}: changed ${changed.join(', ')}`;
  return {
    step: { subject, outcome: 'changed', message },
    added: config.tables.filter((table) => !captured.has(table)),
  };
}
