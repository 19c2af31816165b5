import { findErrorBy } from '@platformatic/kafka';
import { EnrichError } from '../error.ts';

/** Error codes of refused permissions: topic, group, cluster. */
export const AUTHORIZATION_FAILED: readonly number[] = [29, 30, 31];

/** A fault that may pass: the caller backs off and tries again. */
export function unavailable(message: string, cause?: unknown): EnrichError {
  return new EnrichError('unavailable', message, { cause });
}

/** Refused credentials and permissions are `config`, everything else about a broker may pass. */
export function fromClientError(where: string, error: unknown): EnrichError {
  if (error instanceof EnrichError) return error;
  const known = error instanceof Error ? error : new Error(String(error));
  const refused = AUTHORIZATION_FAILED.some((code) => findErrorBy(known, 'apiCode', code) !== null);
  if (refused || isAuthenticationError(known)) {
    const fix = 'check kafka.sasl and the permissions of its user';
    return new EnrichError('config', `${where}: ${known.message}; ${fix}`, { cause: known });
  }
  return unavailable(`${where}: ${known.message}`, known);
}

/** SASL_AUTHENTICATION_FAILED arrives wrapped in network errors. */
function isAuthenticationError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    findErrorBy(error, 'apiId', 'SASL_AUTHENTICATION_FAILED') !== null ||
    isAuthenticationError(error.cause)
  );
}
