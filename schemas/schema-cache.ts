import { isDeepStrictEqual } from 'node:util';
import type { AvroObject } from './contract.ts';
import { ContractError } from './error.ts';
import type { Registry } from './registry.ts';

/** Avro schemas by registry id. */
export type SchemaCache = {
  /** The same object for an id each time; undefined where it is unknown, or not loaded. */
  resolve(schemaId: number): AvroObject | undefined;
  /** True for a while after the registry has said that it has no such Avro schema. */
  isUnknown(schemaId: number): boolean;
  /** Asks the registry; calls for one id at a time share one request. Errors: `unavailable`, `config`. */
  load(schemaId: number): Promise<void>;
};

/** Schemas that outlive the process: those of one registry, whose ids mean nothing to another. */
export type KeptSchemas = {
  get(schemaId: number): AvroObject | undefined;
  put(schemaId: number, avroSchema: AvroObject): void;
};

/** More than all versions of a stream's values and all tables' keys and values. The oldest goes first. */
const schemasMax = 10_000;
/** Ids held as unknown: damaged records can name any id. */
const unknownIdsMax = 10_000;
/** A schema may be registered after its first record was met. */
const unknownRetryMs = 30_000;
/** How long the registry may take where the answer is kept already. */
const keptWaitMsMax = 1_000;

/**
 * Asks the registry once for each id and remembers. The registry's word comes first: what was kept counts
 * where it is away, or has forgotten the id. That it has no such schema holds for 30 s, for a schema may be
 * registered late. `now` gives epoch ms.
 */
export function createSchemaCache(options: {
  registry: Pick<Registry, 'schemaById'>;
  now: () => number;
  kept?: KeptSchemas;
  sleep?: (ms: number) => Promise<void>;
  /** Told of an id whose schema is not the one that was kept: the registry is another one. */
  onReplaced?: (schemaId: number) => void;
}): SchemaCache {
  const { registry, now, kept, sleep, onReplaced } = options;
  const known = new Map<number, AvroObject>();
  const unknownSinceMs = new Map<number, number>();
  const loading = new Map<number, Promise<void>>();
  const ask = async (schemaId: number): Promise<void> => {
    const before = kept?.get(schemaId);
    const asked = registry.schemaById(schemaId);
    const answer = before === undefined ? await asked : await orKept(asked, before, sleep);
    unknownSinceMs.delete(schemaId);
    if (answer === 'unknown') {
      unknownSinceMs.set(schemaId, now());
      dropOldest(unknownSinceMs, unknownIdsMax);
      return;
    }
    known.set(schemaId, answer);
    dropOldest(known, schemasMax);
    if (answer === before || isDeepStrictEqual(answer, before)) return;
    if (before !== undefined) onReplaced?.(schemaId);
    kept?.put(schemaId, answer);
  };
  return {
    resolve: (schemaId) => known.get(schemaId),
    isUnknown(schemaId) {
      const sinceMs = unknownSinceMs.get(schemaId);
      return sinceMs !== undefined && now() - sinceMs < unknownRetryMs;
    },
    load(schemaId) {
      const underWay = loading.get(schemaId);
      if (underWay !== undefined) return underWay;
      const asked = ask(schemaId).finally(() => loading.delete(schemaId));
      loading.set(schemaId, asked);
      return asked;
    },
  };
}

/** The registry's answer, or the kept one where it has none, or none in time. Ids are never given out twice. */
async function orKept(
  asked: Promise<AvroObject | 'unknown'>,
  kept: AvroObject,
  sleep: (ms: number) => Promise<void> = () => new Promise(() => undefined),
): Promise<AvroObject> {
  const answered = asked.then(
    (answer) => (answer === 'unknown' ? kept : answer),
    (error: unknown) => {
      if (error instanceof ContractError && error.kind === 'unavailable') return kept;
      throw error;
    },
  );
  return Promise.race([answered, sleep(keptWaitMsMax).then(() => kept)]);
}

function dropOldest(map: Map<number, unknown>, sizeMax: number): void {
  const oldest = map.size > sizeMax ? map.keys().next().value : undefined;
  if (oldest !== undefined) map.delete(oldest);
}
