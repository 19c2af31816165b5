import { ContractError } from './error.ts';

export type RegistryOptions = {
  /** Base of the API, for example `http://127.0.0.1:18080/apis/ccompat/v7`. */
  url: string;
  username?: string;
  password?: { reveal: () => string };
  /** Once it is aborted nothing more is asked: what is under way fails. */
  signal?: AbortSignal;
  /** Waits before the second, third, ... attempt. */
  retryWaitsMs?: readonly number[];
  sleep?: (ms: number) => Promise<void>;
};

const defaultRetryWaitsMs: readonly number[] = [100, 400, 1600];
const requestWaitMsMax = 10_000;
const notFound = 404;
/** Confluent's codes for an unknown subject, version and schema id. */
const unknownCodes: ReadonlySet<unknown> = new Set([40401, 40402, 40403, 40408]);

type Body = Readonly<Record<string, unknown>>;

/** Requests to a registry, each retried while the registry is unavailable. */
export type RegistryHttp = {
  /** GET, or POST of a body; undefined where the registry says, in its own words, that there is no such thing. */
  find(path: string, body?: unknown): Promise<Body | undefined>;
  send(method: string, path: string, body: unknown): Promise<Body>;
  retry<T>(attempt: () => Promise<T>): Promise<T>;
};

/** Errors: `unavailable` when faults outlast the retries, `config` for what no retry can mend. */
export function createHttp(options: RegistryOptions): RegistryHttp {
  const base = trimSlash(options.url);
  const waits = options.retryWaitsMs ?? defaultRetryWaitsMs;
  const sleep = options.sleep ?? defaultSleep;
  const headers = requestHeaders(options);
  const retry = async <T>(attempt: () => Promise<T>): Promise<T> => {
    for (const waitMs of waits) {
      options.signal?.throwIfAborted();
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof ContractError) || error.kind !== 'unavailable') throw error;
        await sleep(waitMs);
      }
    }
    options.signal?.throwIfAborted();
    return attempt();
  };
  const request = (method: string, path: string, body?: unknown): Promise<Body | undefined> =>
    retry(() => requestOnce({ base, method, path, headers, body, signal: options.signal }));
  return {
    retry,
    find: (path, body) => request(body === undefined ? 'GET' : 'POST', path, body),
    async send(method, path, body) {
      const answer = await request(method, path, body);
      if (answer !== undefined) return answer;
      throw new ContractError('config', `the schema registry knows nothing at ${method} ${path}`);
    },
  };
}

type HttpRequest = {
  base: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: unknown;
  signal: AbortSignal | undefined;
};

async function requestOnce(of: HttpRequest): Promise<Body | undefined> {
  const { status, text } = await fetchText(of);
  const body = parseBody(text);
  if (status >= 200 && status < 300 && body !== undefined) return body;
  if (status === notFound && unknownCodes.has(body?.['error_code'])) return undefined;
  throw statusError(of, status, text);
}

async function fetchText(of: HttpRequest): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(`${of.base}${of.path}`, {
      method: of.method,
      headers: of.headers,
      signal: AbortSignal.any([
        AbortSignal.timeout(requestWaitMsMax),
        ...(of.signal ? [of.signal] : []),
      ]),
      ...(of.body === undefined ? {} : { body: JSON.stringify(of.body) }),
    });
    return { status: response.status, text: await response.text() };
  } catch (cause) {
    throw new ContractError('unavailable', `the schema registry ${of.base} is unreachable`, {
      context: { url: of.base, path: of.path },
      cause,
    });
  }
}

function statusError(of: HttpRequest, status: number, text: string): ContractError {
  const refused = status === 401 || status === 403 || status === 409 || status === 422;
  const hint = status === 401 || status === 403 ? ' (check registry.username and password)' : '';
  return new ContractError(
    refused ? 'config' : 'unavailable',
    `the schema registry answered ${status} to ${of.method} ${of.path}${hint}: ${text.slice(0, 300)}`,
    { context: { url: of.base, path: of.path, status } },
  );
}

function parseBody(text: string): Body | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Body) : undefined;
  } catch {
    return undefined;
  }
}

function requestHeaders({ username, password }: RegistryOptions): Record<string, string> {
  const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' };
  if (username === undefined) return headers;
  const credentials = Buffer.from(`${username}:${password?.reveal() ?? ''}`).toString('base64');
  return { ...headers, authorization: `Basic ${credentials}` };
}

/** A base address without its last slashes. */
export function trimSlash(url: string): string {
  return url.replace(/\/+$/, '');
}

function defaultSleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
