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
  /**
   * Asks the registry; calls for one id at a time share one request. `kept` says that the registry had no answer,
   * none in time, or has forgotten the id, and that what was kept counts until `confirm` says otherwise.
   * Errors: `unavailable`; `config`, also for another schema than the one that was kept.
   */
  load(schemaId: number): Promise<'answered' | 'kept'>;
  /**
   * Asks the registry about an id that `load` gave as `kept`; false while it has none of that id.
   * Errors: `unavailable`; `config`, also where its schema is another one.
   */
  confirm(schemaId: number): Promise<boolean>;
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
 * Asks the registry once for each id and remembers. What was kept counts where the registry is away, is slow, or has
 * forgotten the id; where it has another schema, records under that id mean two things, and nobody can tell which:
 * that is an error. That it has no such schema holds for 30 s, for a schema may be registered late.
 * `elapsedMs` is a monotonic clock, `sleep` one that waits.
 */
export function createSchemaCache(options: {
  registry: Pick<Registry, 'schemaById'>;
  elapsedMs: () => number;
  kept?: KeptSchemas;
  sleep?: (ms: number) => Promise<void>;
}): SchemaCache {
  const { registry, elapsedMs, kept, sleep } = options;
  const known = new Map<number, AvroObject>();
  const unknownSinceMs = new Map<number, number>();
  const loading = new Map<number, Promise<'answered' | 'kept'>>();
  const ask = async (schemaId: number): Promise<'answered' | 'kept'> => {
    const before = kept?.get(schemaId);
    const asked = registry.schemaById(schemaId);
    const answer = before === undefined ? await asked : await inTime(asked, sleep);
    unknownSinceMs.delete(schemaId);
    const counts = answer === 'none' || answer === 'unknown' ? before : answer;
    if (counts === undefined) {
      unknownSinceMs.set(schemaId, elapsedMs());
      dropOldest(unknownSinceMs, unknownIdsMax);
      return 'answered';
    }
    assertSame(schemaId, before, counts);
    known.set(schemaId, counts);
    dropOldest(known, schemasMax);
    if (before === undefined) kept?.put(schemaId, counts);
    return counts === answer ? 'answered' : 'kept';
  };
  return {
    resolve: (schemaId) => known.get(schemaId),
    isUnknown(schemaId) {
      const sinceMs = unknownSinceMs.get(schemaId);
      return sinceMs !== undefined && elapsedMs() - sinceMs < unknownRetryMs;
    },
    load(schemaId) {
      const underWay = loading.get(schemaId);
      if (underWay !== undefined) return underWay;
      const asked = ask(schemaId).finally(() => loading.delete(schemaId));
      loading.set(schemaId, asked);
      return asked;
    },
    async confirm(schemaId) {
      const answer = await registry.schemaById(schemaId);
      if (answer !== 'unknown') assertSame(schemaId, known.get(schemaId), answer);
      return answer !== 'unknown';
    },
  };
}

/** The registry's answer; `none` where it has none, or none in time. */
async function inTime(
  asked: Promise<AvroObject | 'unknown'>,
  sleep: (ms: number) => Promise<void> = () => new Promise(() => undefined),
): Promise<AvroObject | 'unknown' | 'none'> {
  const answered = asked.catch((error: unknown) => {
    if (error instanceof ContractError && error.kind === 'unavailable') return 'none' as const;
    throw error;
  });
  return Promise.race([answered, sleep(keptWaitMsMax).then(() => 'none' as const)]);
}

function assertSame(schemaId: number, before: AvroObject | undefined, now: AvroObject): void {
  if (before === undefined || isDeepStrictEqual(before, now)) return;
  throw new ContractError(
    'config',
    `the schema registry has another schema for id ${schemaId} than the one that records were read by: it was ` +
      'recreated, or is another one. Bring its schemas back under their ids. If it was recreated on purpose, ' +
      'recreate the topics too, whose records name its ids, and start with an empty state directory',
    { context: { schemaId } },
  );
}

function dropOldest(map: Map<number, unknown>, sizeMax: number): void {
  const oldest = map.size > sizeMax ? map.keys().next().value : undefined;
  if (oldest !== undefined) map.delete(oldest);
}
