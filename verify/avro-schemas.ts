import type { FetchAvroSchema } from './envelope.ts';
import { VerifyError } from './error.ts';

const TIMEOUT_MS = 15_000;

/**
 * Looks Avro schemas up by id in a registry with Confluent's API (`GET /schemas/ids/{id}`).
 * Errors: `unavailable`; `corrupt` for an id that the registry does not know; `config` where it refuses.
 */
export function openAvroSchemaFetch(registryUrl: string, authorization?: string): FetchAvroSchema {
  const headers: Record<string, string> =
    authorization === undefined ? {} : { Authorization: authorization };
  return async (schemaId) => {
    const url = `${registryUrl.replace(/\/+$/, '')}/schemas/ids/${schemaId}`;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, { headers, signal }).catch((cause: unknown) => {
      throw new VerifyError('unavailable', `no answer from the registry at ${url}`, { cause });
    });
    if (!response.ok) {
      const kind =
        response.status === 404 ? 'corrupt' : response.status < 500 ? 'config' : 'unavailable';
      throw new VerifyError(kind, `the registry answered ${response.status} for ${url}`);
    }
    return JSON.parse(((await response.json()) as { schema: string }).schema) as unknown;
  };
}
