import { VerifyError } from './error.ts';

export type TrinoOptions = {
  url: string;
  user: string;
  catalog?: string;
  schema?: string;
  /** For one whole query, waiting in Trino's queue included. */
  timeoutMs?: number;
};

type TrinoResult = {
  columns: readonly { name: string; type: string }[];
  /** Values as Trino's JSON has them; whole numbers beyond 2^53 are bigints. */
  rows: readonly (readonly unknown[])[];
};

export type Trino = { query(sql: string): Promise<TrinoResult> };

const TIMEOUT_MS = 120_000;
const REQUEST_TIMEOUT_MS = 30_000;
const RETRIES_MAX = 5;
const RETRY_WAIT_MS = 200;

type StatementResponse = {
  id: string;
  nextUri?: string;
  columns?: { name: string; type: string }[];
  data?: unknown[][];
  error?: { message: string; errorName: string; errorLocation?: unknown };
};

/**
 * A client of Trino's HTTP protocol: one statement a call, all of its rows at once.
 * Errors: `config` for what Trino says about the statement, with its error name; `unavailable` when
 * Trino cannot be reached or the time is over (the query is then cancelled).
 * Source: Trino, "Client REST API".
 */
export function openTrino(options: TrinoOptions): Trino {
  return { query: (sql) => runStatement(options, sql) };
}

async function runStatement(options: TrinoOptions, sql: string): Promise<TrinoResult> {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const overall = AbortSignal.timeout(timeoutMs);
  const headers = headersOf(options);
  const first = `${options.url.replace(/\/+$/, '')}/v1/statement`;
  let response = await request(first, { method: 'POST', headers, body: sql }, overall);
  let columns: TrinoResult['columns'] = [];
  const rows: unknown[][] = [];
  for (;;) {
    if (response.error !== undefined) throw statementError(response, sql);
    if (response.columns !== undefined) {
      columns = response.columns.map(({ name, type }) => ({ name, type }));
    }
    for (const row of response.data ?? []) rows.push(row);
    if (response.nextUri === undefined) return { columns, rows };
    const next = response.nextUri;
    try {
      response = await request(next, { headers }, overall);
    } catch (error) {
      if (overall.aborted) await cancel(next, headers);
      throw error;
    }
  }
}

function headersOf({ user, catalog, schema }: TrinoOptions): Record<string, string> {
  return {
    'X-Trino-User': user,
    'X-Trino-Source': 'tributary',
    // Without it Trino cuts timestamps to milliseconds.
    'X-Trino-Client-Capabilities': 'PARAMETRIC_DATETIME',
    ...(catalog !== undefined && { 'X-Trino-Catalog': catalog }),
    ...(schema !== undefined && { 'X-Trino-Schema': schema }),
  };
}

async function request(
  url: string,
  init: RequestInit,
  overall: AbortSignal,
): Promise<StatementResponse> {
  for (let attempt = 1; ; attempt += 1) {
    const signal = AbortSignal.any([overall, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
    try {
      const response = await fetch(url, { ...init, signal });
      // The protocol asks to repeat exactly these.
      const busy = [429, 502, 503, 504].includes(response.status);
      if (busy && attempt < RETRIES_MAX) {
        await response.body?.cancel();
        await new Promise((resolve) => setTimeout(resolve, RETRY_WAIT_MS * attempt));
        continue;
      }
      const text = await response.text();
      if (!response.ok) {
        const said = `Trino answered ${response.status}: ${text.slice(0, 300)}`;
        throw new VerifyError(response.status < 500 ? 'config' : 'unavailable', said);
      }
      return parseJson(text) as StatementResponse;
    } catch (cause) {
      if (cause instanceof VerifyError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      const why = overall.aborted ? 'the query took too long' : reason;
      throw new VerifyError('unavailable', `no answer from Trino at ${url}: ${why}`, { cause });
    }
  }
}

async function cancel(nextUri: string, headers: Record<string, string>): Promise<void> {
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  // Trino drops a query that nobody asks for any more; a failure here changes nothing.
  await fetch(nextUri, { method: 'DELETE', headers, signal }).catch(() => undefined);
}

function statementError({ id, error }: StatementResponse, sql: string): VerifyError {
  const name = error?.errorName ?? 'unknown error';
  return new VerifyError('config', `Trino: ${name}: ${error?.message ?? ''}`, {
    context: { queryId: id, sql: sql.slice(0, 500), location: error?.errorLocation },
  });
}

/** Whole numbers that a double cannot hold become bigints. */
function parseJson(text: string): unknown {
  return JSON.parse(text, exactNumber);
}

/** A `JSON.parse` reviver that looks at the source text of a number. */
function exactNumber(_key: string, value: unknown, context?: { source: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return context !== undefined && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}
