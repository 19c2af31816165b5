import { ConnectorsError } from './error.ts';
import type { ConnectorConfig } from './postgres.ts';

export type ConnectorState =
  'UNASSIGNED' | 'RUNNING' | 'PAUSED' | 'FAILED' | 'RESTARTING' | 'STOPPED';

export type ConnectorStatus = {
  connector: { state: ConnectorState; trace: string | undefined };
  tasks: readonly { taskId: number; state: ConnectorState; trace: string | undefined }[];
};

/**
 * Kafka Connect's REST interface. Errors: `unavailable` where the worker cannot be reached or is
 * rebalancing, `config` where it refuses a configuration.
 */
export interface ConnectClient {
  /** Undefined for an unknown connector. */
  readConfig(connector: string): Promise<ConnectorConfig | undefined>;
  /** Creates or replaces. Connect validates first: a wrong password shows here. */
  writeConfig(connector: string, config: ConnectorConfig): Promise<void>;
  readStatus(connector: string): Promise<ConnectorStatus | undefined>;
  /** Restarts the connector and those of its tasks that failed. */
  restartFailed(connector: string): Promise<void>;
}

/** Validation connects to the database, which may take its time to refuse. */
const requestWaitMsMax = 60_000;

/** A client of one worker; any worker of a cluster answers for all. Nothing is asked yet. */
export function openConnectClient(url: string): ConnectClient {
  const base = `${url.replace(/\/+$/, '')}/connectors`;
  const path = (connector: string, rest: string): string =>
    `${base}/${encodeURIComponent(connector)}/${rest}`;
  return {
    async readConfig(connector) {
      return (await request(path(connector, 'config'))) as ConnectorConfig | undefined;
    },
    async writeConfig(connector, config) {
      await request(path(connector, 'config'), { method: 'PUT', body: config });
    },
    async readStatus(connector) {
      const body = await request(path(connector, 'status'));
      return body === undefined ? undefined : statusOf(body as WireStatus);
    },
    async restartFailed(connector) {
      const query = 'restart?includeTasks=true&onlyFailed=true';
      await request(path(connector, query), { method: 'POST' });
    },
  };
}

type WireState = { state: ConnectorState; trace?: string };
type WireStatus = { connector: WireState; tasks: readonly (WireState & { id: number })[] };

function statusOf({ connector, tasks }: WireStatus): ConnectorStatus {
  return {
    connector: { state: connector.state, trace: connector.trace },
    tasks: tasks.map(({ id, state, trace }) => ({ taskId: id, state, trace })),
  };
}

async function request(
  url: string,
  options: { method?: string; body?: unknown } = {},
): Promise<unknown> {
  const response = await send(url, options);
  if (response.ok) return response.text === '' ? undefined : JSON.parse(response.text);
  if (response.status === 404) return undefined;
  throw new ConnectorsError(
    response.status === 400 ? 'config' : 'unavailable',
    `Kafka Connect answered ${response.status}: ${messageOf(response.text)}`,
    { context: { url, status: response.status } },
  );
}

async function send(
  url: string,
  { method = 'GET', body }: { method?: string; body?: unknown },
): Promise<{ ok: boolean; status: number; text: string }> {
  try {
    const response = await fetch(url, {
      method,
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(requestWaitMsMax),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { ok: response.ok, status: response.status, text: await response.text() };
  } catch (cause) {
    throw new ConnectorsError('unavailable', `Kafka Connect at ${url} is unreachable`, {
      context: { url },
      cause,
    });
  }
}

function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === 'string' ? message : text;
  } catch {
    return text.slice(0, 300);
  }
}
