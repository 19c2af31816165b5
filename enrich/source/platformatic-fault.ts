import { findErrorBy } from '@platformatic/kafka';
import { findAccessFault } from '../../connectors/kafka-access.ts';
import { EnrichError } from '../error.ts';

/** Error codes of refused permissions: topic, group, cluster. */
export const AUTHORIZATION_FAILED: readonly number[] = [29, 30, 31];

/** A fault that may pass: the caller backs off and tries again. */
export function unavailable(message: string, cause?: unknown): EnrichError {
  return new EnrichError('unavailable', message, { cause });
}

/** Refused certificates, users and permissions are `config`, everything else about a broker may pass. */
export function fromClientError(where: string, error: unknown): EnrichError {
  if (error instanceof EnrichError) return error;
  const known = error instanceof Error ? error : new Error(String(error));
  const refused = AUTHORIZATION_FAILED.some((code) => findErrorBy(known, 'apiCode', code) !== null);
  if (refused) {
    const fix = 'check the permissions of the user of kafka.sasl';
    return new EnrichError('config', `${where}: ${known.message}; ${fix}`, { cause: known });
  }
  const fault = findAccessFault(known);
  if (fault?.kind === 'refused') {
    return new EnrichError('config', `${where}: ${fault.reason}; ${fault.remedy}`, {
      cause: known,
    });
  }
  return unavailable(`${where}: ${known.message}`, known);
}
