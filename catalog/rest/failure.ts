import { CatalogError, type CatalogErrorKind } from '../error.ts';
import { parseJson } from './json.ts';
import type { HttpAnswer, HttpOutcome } from './transport.ts';

/** What the server said about an error, as far as it can be read. */
export type ServerError = { type: string; message: string };

/** Servers put whole stack traces into messages. */
const SERVER_MESSAGE_CHARS_MAX = 500;

/**
 * The error object of an answer, or undefined where the answer is not from an Iceberg catalog (a
 * proxy's page, say). Source: Iceberg REST spec, `IcebergErrorResponse`.
 */
export function serverErrorOf(answer: HttpAnswer): ServerError | undefined {
  try {
    const body = parseJson(answer.text) as { error?: { type?: unknown; message?: unknown } } | null;
    if (typeof body?.error !== 'object' || body.error === null) return undefined;
    const { type, message } = body.error;
    return {
      type: typeof type === 'string' ? type : '',
      message: typeof message === 'string' ? message.slice(0, SERVER_MESSAGE_CHARS_MAX) : '',
    };
  } catch {
    return undefined;
  }
}

/** Whether asking again may help: the answer is missing, or says that the server is not well. */
export function isPassing(outcome: HttpOutcome): boolean {
  if (outcome.kind === 'no-answer') return true;
  return outcome.status >= 500 || outcome.status === 408 || outcome.status === 429;
}

/** The kind of anything but success, for requests whose loss does no harm: reads, creates, drops. */
export function requestFailureKind(outcome: HttpOutcome): CatalogErrorKind {
  if (outcome.kind === 'no-answer' || isPassing(outcome)) return 'unavailable';
  switch (outcome.status) {
    case 401:
    case 419:
      return 'unauthorized';
    case 409:
      return 'conflict';
    default:
      return 'config';
  }
}

/**
 * The kind of anything but success, for a commit. Whatever does not say for certain that the commit
 * was refused leaves its outcome open: some servers answer 503 after they have applied it, and some
 * put lasting refusals into 500.
 */
export function commitFailureKind(outcome: HttpOutcome): CatalogErrorKind {
  if (outcome.kind === 'no-answer') return 'commit-unknown';
  switch (outcome.status) {
    case 401:
    case 419:
      return 'unauthorized';
    case 403:
      return 'config';
    case 404:
      return 'fenced';
    case 409:
      return 'conflict';
    default:
      return 'commit-unknown';
  }
}

/**
 * An error for an outcome that is not a success. `doing` says what was tried ("load table a.b").
 * The text comes from the server, so `redact` takes our secrets out of it.
 */
export function failureOf(
  kind: CatalogErrorKind,
  outcome: HttpOutcome,
  options: { doing: string; redact: (text: string) => string },
): CatalogError {
  if (outcome.kind === 'no-answer') {
    return new CatalogError(kind, options.redact(`${options.doing}: ${outcome.reason}`), {
      cause: outcome.cause,
    });
  }
  const server = serverErrorOf(outcome);
  const said = [server?.type, server?.message].filter((part) => part !== undefined && part !== '');
  const text = [`${options.doing}: HTTP ${outcome.status}`, ...said].join(': ');
  return new CatalogError(kind, options.redact(text), {
    context: {
      status: outcome.status,
      ...(server === undefined ? {} : { serverType: options.redact(server.type) }),
    },
  });
}
