import { CatalogError } from '@iceberg-js/rest-client-shim/error.ts';
import type { CatalogErrorKind } from '@iceberg-js/rest-client-shim/error.ts';
import { ContractError } from '../../schemas/error.ts';
import type { ContractErrorKind } from '../../schemas/error.ts';
import { EnrichError } from '../error.ts';
import type { EnrichErrorKind } from '../error.ts';

/** Deeper causes are left out. */
const CAUSES_MAX = 8;

/** An error in a form that can be copied between threads: a copy of the error itself would lose its kind and class. */
export type ErrorMessage = {
  name: string;
  message: string;
  stack: string | undefined;
  kind: string | undefined;
  context: Record<string, unknown>;
  cause: ErrorMessage | undefined;
};

export function errorToMessage(error: unknown, depth = 0): ErrorMessage {
  if (!(error instanceof Error)) return errorToMessage(new Error(String(error)), depth);
  const { name, message, stack, cause } = error;
  const { kind, context } = error as { kind?: unknown; context?: unknown };
  return {
    name,
    message,
    stack,
    kind: typeof kind === 'string' ? kind : undefined,
    context: cloneable(context),
    cause:
      cause === undefined || depth >= CAUSES_MAX ? undefined : errorToMessage(cause, depth + 1),
  };
}

/** The error again, of its class where that is one of ours, with kind, context, causes and the stack of its thread. */
export function errorFromMessage(from: ErrorMessage): Error {
  const cause = from.cause === undefined ? undefined : errorFromMessage(from.cause);
  const error = createError(from, cause);
  if (from.stack !== undefined) error.stack = from.stack;
  return error;
}

function createError(
  { name, message, kind, context }: ErrorMessage,
  cause: Error | undefined,
): Error {
  const options = { context, ...(cause === undefined ? {} : { cause }) };
  switch (name) {
    case 'EnrichError':
      return new EnrichError(kind as EnrichErrorKind, message, options);
    case 'CatalogError':
      return new CatalogError(kind as CatalogErrorKind, message, options);
    case 'ContractError':
      return new ContractError(kind as ContractErrorKind, message, options);
    default:
      return Object.assign(new Error(message, cause === undefined ? {} : { cause }), { name });
  }
}

/** Entries that cannot be copied as they are become text. */
function cloneable(context: unknown): Record<string, unknown> {
  if (typeof context !== 'object' || context === null) return {};
  return Object.fromEntries(
    Object.entries(context).map(([key, value]: [string, unknown]) => {
      try {
        return [key, structuredClone(value)];
      } catch {
        return [key, String(value)];
      }
    }),
  );
}
