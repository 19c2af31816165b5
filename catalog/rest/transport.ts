import { setTimeout as sleepMs } from 'node:timers/promises';

/** The outside world as the REST client knows it; tests pass their own parts of it. */
export type Transport = {
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Ms since some moment; must not jump with the machine's clock, for tokens age by it. */
  nowMs: () => number;
  /** From 0 up to, not including, 1; spreads the retries of many clients. */
  random: () => number;
  sleep: (ms: number) => Promise<void>;
};

/** The real network and clock. */
export const systemTransport: Transport = {
  fetch: (url, init) => fetch(url, init),
  nowMs: () => performance.now(),
  random: () => Math.random(),
  sleep: async (ms) => {
    await sleepMs(ms);
  },
};

/** One request, its body fixed to the byte. */
export type HttpRequest = {
  method: 'GET' | 'POST' | 'DELETE';
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: Uint8Array<ArrayBuffer>;
  /** From the first byte sent to the last byte received. */
  timeoutMsMax: number;
};

/** A complete answer, or the reason why there is none; the request may have arrived all the same. */
export type HttpOutcome =
  | {
      kind: 'answer';
      status: number;
      text: string;
      /** The `Date` of the answer, epoch ms in whole seconds; undefined where it has none. */
      dateMs?: number | undefined;
    }
  | { kind: 'no-answer'; reason: string; cause: unknown };

/** An answer that arrived whole, whatever its status. */
export type HttpAnswer = Extract<HttpOutcome, { kind: 'answer' }>;

/**
 * One HTTP exchange, never repeated here. Resolves also for time-outs, resets and truncated bodies,
 * because the meaning of silence depends on what was asked. Compressed answers are unpacked.
 *
 * Redirects are followed for GET only: a redirected POST may turn into a GET, whose 200 would look
 * like a successful commit.
 */
export async function exchange(transport: Transport, request: HttpRequest): Promise<HttpOutcome> {
  try {
    const response = await transport.fetch(request.url, {
      method: request.method,
      headers: request.headers,
      redirect: request.method === 'GET' ? 'follow' : 'manual',
      signal: AbortSignal.timeout(request.timeoutMsMax),
      ...(request.body === undefined ? {} : { body: request.body }),
    });
    const dateMs = Date.parse(response.headers.get('date') ?? '');
    return {
      kind: 'answer',
      status: response.status,
      text: await response.text(),
      ...(Number.isNaN(dateMs) ? {} : { dateMs }),
    };
  } catch (cause) {
    return { kind: 'no-answer', reason: reasonOf(cause, request.timeoutMsMax), cause };
  }
}

function reasonOf(cause: unknown, timeoutMsMax: number): string {
  if (!(cause instanceof Error)) return 'the request failed';
  if (cause.name === 'TimeoutError') return `no answer within ${timeoutMsMax} ms`;
  const inner = cause.cause;
  const code = inner instanceof Error && 'code' in inner ? String(inner.code) : undefined;
  return code === undefined ? cause.message : `${cause.message} (${code})`;
}
