import type { ConnectClient, ConnectorStatus } from './connect-client.ts';
import type { ConnectorsConfig } from './connectors-config.ts';
import { ConnectorsError } from './error.ts';
import { passwordVariable } from './postgres.ts';
import { slotTrouble } from './replication-slot.ts';
import type { SlotState, SlotTrouble } from './replication-slot.ts';
import type { Unreachable } from './source-client.ts';

/** Time as the caller has it: ms of a clock that nobody sets, and a wait. */
type Clock = { elapsedMs: () => number; sleep: (ms: number) => Promise<void> };

/** What looking at a connector and its replication slot needs. */
export type ConnectorLook = {
  config: ConnectorsConfig;
  connect: ConnectClient;
  /** The replication slot in the database, see `readSlot`. */
  readSlot: (config: ConnectorsConfig) => Promise<SlotState | Unreachable>;
};

/** What waiting for a connector needs. */
export type ConnectorWait = ConnectorLook & {
  clock: Clock;
  /** Told of what is waited for. */
  onProgress: (line: string) => void;
  /** How long the connector may take to run, and Connect to come up; 2 minutes by default. */
  waitMsMax?: number;
};

export const waitMsMaxDefault = 120_000;
const pollMs = 500;
/** Tasks of a fresh configuration take a moment to replace those of the old one. */
const settledPolls = 3;
const traceLinesMax = 6;

/** Connect is a while in coming up, and refuses while its workers rebalance. */
export async function whenReachable<T>(
  options: ConnectorWait,
  attempt: () => Promise<T>,
): Promise<T> {
  const { clock, onProgress, waitMsMax = waitMsMaxDefault } = options;
  const deadline = clock.elapsedMs() + waitMsMax;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const retryable = error instanceof ConnectorsError && error.kind === 'unavailable';
      if (!retryable || clock.elapsedMs() >= deadline) throw error;
      onProgress(`waiting: ${error.message}`);
      await clock.sleep(pollMs * 4);
    }
  }
}

/**
 * Waits until the connector and its tasks run for good; one that was stopped or paused is resumed, one that has
 * failed is restarted once. Errors: `config` with its own words when it fails again, `unavailable` when the wait ends.
 */
export async function waitUntilRunning(options: ConnectorWait): Promise<void> {
  const { config, connect, clock, onProgress, waitMsMax = waitMsMaxDefault } = options;
  const subject = `connector ${config.connector}`;
  const deadline = clock.elapsedMs() + waitMsMax;
  let settled = 0;
  let restarted = false;
  let resumed = false;
  let last = '';
  for (;;) {
    const status = await whenReachable(options, () => connect.readStatus(config.connector));
    const now = describeStatus(status);
    if (now !== last) onProgress(`${subject}: ${now}`);
    last = now;
    settled = isRunning(status) ? settled + 1 : 0;
    if (settled >= settledPolls) return;
    const trace = failureOf(status);
    if (trace !== undefined && restarted) throw await failedConnector(options, trace);
    if (trace !== undefined) {
      // One fresh try: the failure may be that of an earlier configuration.
      await whenReachable(options, () => connect.restartFailed(config.connector));
      restarted = true;
    }
    if (!resumed && isHalted(status)) {
      await whenReachable(options, () => connect.resume(config.connector));
      resumed = true;
    }
    if (clock.elapsedMs() >= deadline) {
      throw new ConnectorsError('unavailable', `${subject} does not run yet: ${now}`, {
        context: { connector: config.connector, waitMsMax },
      });
    }
    await clock.sleep(trace === undefined ? pollMs : pollMs * 4);
  }
}

/** Stops the connector and waits until it has no task any more. Errors: `unavailable` when the wait ends. */
export async function stopConnector(options: ConnectorWait): Promise<void> {
  const { config, connect, clock, waitMsMax = waitMsMaxDefault } = options;
  const deadline = clock.elapsedMs() + waitMsMax;
  await whenReachable(options, () => connect.stop(config.connector));
  for (;;) {
    const status = await whenReachable(options, () => connect.readStatus(config.connector));
    if (status?.connector.state === 'STOPPED' && status.tasks.length === 0) return;
    if (clock.elapsedMs() >= deadline) {
      throw new ConnectorsError('unavailable', `connector ${config.connector} does not stop`);
    }
    await clock.sleep(pollMs);
  }
}

/** The replication slot, and what is wrong with it. Errors: those of `ConnectClient` and of `readSlot`. */
export async function lookAtSlot({
  config,
  connect,
  readSlot,
}: ConnectorLook): Promise<
  { kind: 'seen'; slot: SlotState; trouble: SlotTrouble | undefined } | Unreachable
> {
  const before = await connect.readOffset(config.connector);
  const slot = await readSlot(config);
  if (slot.kind === 'unreachable') return slot;
  const after = await connect.readOffset(config.connector);
  const runs = isRunning(await connect.readStatus(config.connector));
  return { kind: 'seen', slot, trouble: slotTrouble(config, { slot, before, after, runs }) };
}

/** Whether the connector and all of its tasks run, and there is one. */
export function isRunning(status: ConnectorStatus | undefined): boolean {
  return (
    status?.connector.state === 'RUNNING' &&
    status.tasks.length > 0 &&
    status.tasks.every(({ state }) => state === 'RUNNING')
  );
}

function isHalted(status: ConnectorStatus | undefined): boolean {
  return status?.connector.state === 'STOPPED' || status?.connector.state === 'PAUSED';
}

/** Why the connector or one of its tasks has failed; undefined where none has. */
export function failureOf(status: ConnectorStatus | undefined): string | undefined {
  const parts = status === undefined ? [] : [status.connector, ...status.tasks];
  const failed = parts.find(({ state }) => state === 'FAILED');
  return failed === undefined ? undefined : (failed.trace ?? 'no trace');
}

function describeStatus(status: ConnectorStatus | undefined): string {
  if (status === undefined) return 'not known to Connect yet';
  const tasks = status.tasks.map(({ taskId, state }) => `task ${taskId} ${state}`);
  return [status.connector.state, ...tasks].join(', ');
}

/** A slot that has lost its place is a reason that the database tells better than the trace. */
async function failedConnector(options: ConnectorWait, trace: string): Promise<ConnectorsError> {
  const { connector } = options.config;
  const failure = withHint(`connector ${connector} failed: ${shortTrace(options.config, trace)}`);
  const look = await whenReachable(options, () => lookAtSlot(options));
  const reason =
    look.kind === 'seen'
      ? look.trouble?.message
      : `The replication slot was not checked, ${look.message}: if it has lost its place, run ` +
        '`tributary connectors resnapshot --all` where the database can be reached';
  const message = reason === undefined ? failure : `${failure.trimEnd()}\n${reason}`;
  return new ConnectorsError('config', message, { context: { connector } });
}

/** An error of Connect with its secrets masked. */
export function withoutSecrets(config: ConnectorsConfig, subject: string, error: unknown): unknown {
  if (!(error instanceof ConnectorsError)) return error;
  const message = withHint(`${subject}: ${maskSecrets(config, error.message)}`);
  return new ConnectorsError(error.kind, message, { context: error.context });
}

/**
 * The password that Connect uses is the worker's; where there is none, PostgreSQL refuses the variable's name.
 * Connect hands on PostgreSQL's words, and no code.
 */
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
