import { ConnectorsError } from './error.ts';
import type { ConnectorConfig } from './postgres.ts';

export type ConnectorState =
  'UNASSIGNED' | 'RUNNING' | 'PAUSED' | 'FAILED' | 'RESTARTING' | 'STOPPED';

export type ConnectorStatus = {
  connector: { state: ConnectorState; trace: string | undefined };
  tasks: readonly { taskId: number; state: ConnectorState; trace: string | undefined }[];
};

/**
 * Kafka Connect's REST interface. Errors: `unavailable` where the worker cannot be reached, is
 * rebalancing or has a fault (5xx); `config` for all else that is no success: a configuration that it
 * refuses, missing rights, an address that is not Connect's.
 */
export interface ConnectClient {
  /** Undefined for an unknown connector. */
  readConfig(connector: string): Promise<ConnectorConfig | undefined>;
  /** Creates or replaces. Connect validates first: a wrong password shows here. */
  writeConfig(connector: string, config: ConnectorConfig): Promise<void>;
  readStatus(connector: string): Promise<ConnectorStatus | undefined>;
  /** Restarts the connector and those of its tasks that failed. */
  restartFailed(connector: string): Promise<void>;
  /** Starts the connector and all of its tasks anew. */
  restart(connector: string): Promise<void>;
  /** Ends the connector's tasks and keeps its configuration and offsets; `resume` starts them again. */
  stop(connector: string): Promise<void>;
  resume(connector: string): Promise<void>;
  /** How far its tasks have come, as they have stored it; undefined before they have stored anything. */
  readOffset(connector: string): Promise<SourceOffset | undefined>;
  /** Forgets how far the tasks of a stopped connector have come. */
  resetOffsets(connector: string): Promise<void>;
}

/** What Debezium stores of its place in the source; the names are Debezium's. */
export type SourceOffset = Readonly<Record<string, unknown>>;

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
    async restart(connector) {
      await request(path(connector, 'restart?includeTasks=true'), { method: 'POST' });
    },
    async stop(connector) {
      await request(path(connector, 'stop'), { method: 'PUT' });
    },
    async resume(connector) {
      await request(path(connector, 'resume'), { method: 'PUT' });
    },
    async readOffset(connector) {
      const body = (await request(path(connector, 'offsets'))) as WireOffsets | undefined;
      const offset = body?.offsets[0]?.offset ?? {};
      return Object.keys(offset).length === 0 ? undefined : offset;
    },
    async resetOffsets(connector) {
      await request(path(connector, 'offsets'), { method: 'DELETE' });
    },
  };
}

type WireOffsets = { offsets: readonly { offset: SourceOffset | null }[] };
type WireState = { state: ConnectorState; trace?: string };
type WireStatus = { connector: WireState; tasks: readonly (WireState & { id: number })[] };

function statusOf({ connector, tasks }: WireStatus): ConnectorStatus {
  return {
    connector: { state: connector.state, trace: connector.trace },
    tasks: tasks.map(({ id, state, trace }) => ({ taskId: id, state, trace })),
  };
}

/** Undefined for an empty answer, and for a GET of what Connect itself calls unknown. */
async function request(
  url: string,
  options: { method?: string; body?: unknown } = {},
): Promise<unknown> {
  const { ok, status, text } = await send(url, options);
  const body = parseJson(text);
  if (ok && (text === '' || body !== undefined)) return body;
  const isConnects = body?.error_code === status;
  if (status === 404 && isConnects && options.method === undefined) return undefined;
  const context = { url, status };
  const said = isConnects ? `: ${String(body.message)}` : '';
  // 409: the workers are sharing out their tasks.
  if (status >= 500 || (status === 409 && isConnects)) {
    throw new ConnectorsError('unavailable', `Kafka Connect answered ${status}${said}`, {
      context,
    });
  }
  if (status === 400 && isConnects) {
    throw new ConnectorsError('config', `Kafka Connect refuses${said}`, { context });
  }
  throw new ConnectorsError(
    'config',
    `${url} answered ${status}${said || `, and not as Kafka Connect does: ${text.slice(0, 200)}`}; ` +
      'see connect.url in connectors.yaml (CONNECT_URL)',
    { context },
  );
}

function parseJson(text: string): { error_code?: unknown; message?: unknown } | undefined {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? body : undefined;
  } catch {
    return undefined;
  }
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
