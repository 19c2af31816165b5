import type { SourceCheck } from './check-source.ts';
import type { ConnectClient, ConnectorStatus } from './connect-client.ts';
import type { ConnectorsConfig } from './connectors-config.ts';
import { ConnectorsError } from './error.ts';
import { findUnread, loadTables } from './first-loads.ts';
import type { TopicAdmin, TopicState } from './kafka-admin.ts';
import {
  capturedTables,
  changedSettings,
  debeziumPostgresConfig,
  passwordVariable,
} from './postgres.ts';
import { planTopics, tableTopic } from './topics.ts';
import type { TopicPlan } from './topics.ts';

/** Time as the caller has it: epoch ms, and a wait. */
type Clock = { now: () => number; sleep: (ms: number) => Promise<void> };

/** One thing that `apply` looked at. `differs` is what it must not change by itself. */
export type ApplyStep = {
  subject: string;
  outcome: 'created' | 'changed' | 'unchanged' | 'unchecked' | 'running' | 'loaded' | 'differs';
  message: string;
};

export type ApplyOptions = {
  config: ConnectorsConfig;
  connect: ConnectClient;
  topics: TopicAdmin;
  /** Looks at the database before Connect does, see `checkSource`. */
  checkSource: (config: ConnectorsConfig) => Promise<SourceCheck>;
  /** The Avro schema behind an id: Debezium's notifications tell which tables were read. */
  loadSchema: (schemaId: number) => Promise<object | undefined>;
  clock: Clock;
  /** Told of each step as it happens, and of what is waited for. */
  onProgress: (line: string) => void;
  /** How long the connector may take to run, and Connect to come up. */
  waitMsMax?: number;
};

const waitMsMaxDefault = 120_000;
const pollMs = 500;
/** Tasks of a fresh configuration take a moment to replace those of the old one. */
const settledPolls = 3;
const traceLinesMax = 6;

/**
 * Makes the topics and the connector be as configured, waits until the connector runs, and has it read
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
  report(await checkTables(options));
  await refuseReturned(options);
  for (const step of await applyTopics(options.topics, planTopics(options.config))) report(step);
  const { step, added } = await applyConfig(options);
  report(step);
  report(await waitUntilRunning(options));
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

async function checkTables({ config, checkSource }: ApplyOptions): Promise<ApplyStep> {
  const subject = 'source';
  const check = await checkSource(config);
  return check.kind === 'ready'
    ? { subject, outcome: 'unchanged', message: `source: ${config.tables.length} tables published` }
    : { subject, outcome: 'unchecked', message: `source: not checked, ${check.message}` };
}

/**
 * Changes that a table saw while it was not captured are lost: its topic still holds rows as they were,
 * and one that was deleted meanwhile would stay for ever.
 */
async function refuseReturned(options: ApplyOptions): Promise<void> {
  const { config, connect, topics } = options;
  const present = await whenReachable(options, () => connect.readConfig(config.connector));
  if (present === undefined) return;
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

/** Connect is a while in coming up, and refuses while its workers rebalance. */
async function whenReachable<T>(options: ApplyOptions, attempt: () => Promise<T>): Promise<T> {
  const { clock, onProgress, waitMsMax = waitMsMaxDefault } = options;
  const deadline = clock.now() + waitMsMax;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const retryable = error instanceof ConnectorsError && error.kind === 'unavailable';
      if (!retryable || clock.now() >= deadline) throw error;
      onProgress(`waiting: ${error.message}`);
      await clock.sleep(pollMs * 4);
    }
  }
}

async function waitUntilRunning(options: ApplyOptions): Promise<ApplyStep> {
  const { config, connect, clock, onProgress, waitMsMax = waitMsMaxDefault } = options;
  const subject = `connector ${config.connector}`;
  const deadline = clock.now() + waitMsMax;
  let settled = 0;
  let restarted = false;
  let last = '';
  for (;;) {
    const status = await whenReachable(options, () => connect.readStatus(config.connector));
    const now = describeStatus(status);
    if (now !== last) onProgress(`${subject}: ${now}`);
    last = now;
    settled = isRunning(status) ? settled + 1 : 0;
    if (settled >= settledPolls)
      return { subject, outcome: 'running', message: `${subject}: runs` };
    const trace = failureOf(status);
    if (trace !== undefined && restarted) throw failedConnector(config, trace);
    if (trace !== undefined) {
      // One fresh try: the failure may be that of an earlier configuration.
      await whenReachable(options, () => connect.restartFailed(config.connector));
      restarted = true;
    }
    if (clock.now() >= deadline) {
      throw new ConnectorsError('unavailable', `${subject} does not run yet: ${now}`, {
        context: { connector: config.connector, waitMsMax },
      });
    }
    await clock.sleep(trace === undefined ? pollMs : pollMs * 4);
  }
}

/** Whether the connector and all of its tasks run, and there is one. */
export function isRunning(status: ConnectorStatus | undefined): boolean {
  return (
    status?.connector.state === 'RUNNING' &&
    status.tasks.length > 0 &&
    status.tasks.every(({ state }) => state === 'RUNNING')
  );
}

function failureOf(status: ConnectorStatus | undefined): string | undefined {
  const parts = status === undefined ? [] : [status.connector, ...status.tasks];
  const failed = parts.find(({ state }) => state === 'FAILED');
  return failed === undefined ? undefined : (failed.trace ?? 'no trace');
}

function describeStatus(status: ConnectorStatus | undefined): string {
  if (status === undefined) return 'not known to Connect yet';
  const tasks = status.tasks.map(({ taskId, state }) => `task ${taskId} ${state}`);
  return [status.connector.state, ...tasks].join(', ');
}

function failedConnector(config: ConnectorsConfig, trace: string): ConnectorsError {
  return new ConnectorsError(
    'config',
    withHint(`connector ${config.connector} failed: ${shortTrace(config, trace)}`),
    { context: { connector: config.connector } },
  );
}

function withoutSecrets(config: ConnectorsConfig, subject: string, error: unknown): unknown {
  if (!(error instanceof ConnectorsError)) return error;
  const message = withHint(`${subject}: ${maskSecrets(config, error.message)}`);
  return new ConnectorsError(error.kind, message, { context: error.context });
}

/** The password that Connect uses is the worker's; where there is none, PostgreSQL refuses the variable's name. */
function withHint(message: string): string {
  if (!/password authentication failed/i.test(message)) return message;
  return (
    `${message.trimEnd()}\nKafka Connect takes the password from the environment of its worker: ` +
    `give the worker ${passwordVariable} and start it again`
  );
}

/** The first lines of a Java trace that say something: messages, no frames, no secrets. */
export function shortTrace(config: ConnectorsConfig, trace: string): string {
  const lines = trace.split('\n').filter((line) => !/^\s*(at |\.\.\. \d+ more)/.test(line));
  return maskSecrets(config, lines.slice(0, traceLinesMax).join('\n'));
}

function maskSecrets(config: ConnectorsConfig, text: string): string {
  const password = config.database.password.reveal();
  const masked = text.replace(/(password\S*\s*[=:]\s*)\S+/gi, '$1***');
  // A password as short as a word of the message would take the message with it.
  return password.length < 6 ? masked : masked.replaceAll(password, '***');
}
