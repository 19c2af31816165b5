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
  const error = bodyOf(answer)['error'];
  if (typeof error !== 'object' || error === null) return undefined;
  const { type, message } = error as { type?: unknown; message?: unknown };
  return { type: shortText(type), message: shortText(message) };
}

/** What a server says without Iceberg's error object, as the catalog's own web server does of a failure inside. */
function otherErrorOf(answer: HttpAnswer): ServerError | undefined {
  const { message } = bodyOf(answer);
  return typeof message === 'string' ? { type: '', message: shortText(message) } : undefined;
}

/** Token servers have an error of their own. Source: RFC 6749, section 5.2. */
function tokenErrorOf(answer: HttpAnswer): ServerError | undefined {
  const { error, error_description: description } = bodyOf(answer);
  return typeof error === 'string'
    ? { type: shortText(error), message: shortText(description) }
    : undefined;
}

function bodyOf(answer: HttpAnswer): Readonly<Record<string, unknown>> {
  try {
    const body = parseJson(answer.text);
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function shortText(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, SERVER_MESSAGE_CHARS_MAX) : '';
}

/** Whether asking again may help: the answer is missing, or says that the server is not well. */
export function isPassing(outcome: HttpOutcome): boolean {
  if (outcome.kind === 'no-answer') return true;
  return outcome.status >= 500 || outcome.status === 408 || outcome.status === 429;
}

/**
 * The catalog itself says that the table, or its namespace, is not there. A bare 404 says nothing: a proxy
 * gives one while the server behind it restarts. Source: Iceberg REST spec, 404 answers of tables.
 */
export function isMissing(outcome: HttpOutcome): boolean {
  if (outcome.kind === 'no-answer' || outcome.status !== 404) return false;
  return /^NoSuch(?:Table|Namespace)/.test(serverErrorOf(outcome)?.type ?? '');
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
 * The same for requests about namespaces and tables, once the configuration was read: the address is
 * right then, and a 404 without an error object of Iceberg is not the catalog's word.
 */
export function tableFailureKind(outcome: HttpOutcome): CatalogErrorKind {
  const isBare404 =
    outcome.kind === 'answer' && outcome.status === 404 && serverErrorOf(outcome) === undefined;
  return isBare404 ? 'unavailable' : requestFailureKind(outcome);
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
      return isMissing(outcome) ? 'fenced' : 'commit-unknown';
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
  const server = serverErrorOf(outcome) ?? tokenErrorOf(outcome) ?? otherErrorOf(outcome);
  const said = [server?.type, server?.message].filter((part) => part !== undefined && part !== '');
  const text = [`${options.doing}: HTTP ${outcome.status}`, ...said].join(': ');
  return new CatalogError(kind, options.redact(text), {
    context: {
      status: outcome.status,
      ...(server === undefined ? {} : { serverType: options.redact(server.type) }),
    },
  });
}
