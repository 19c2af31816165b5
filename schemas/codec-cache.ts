import type { AvroObject, Contract } from './contract.ts';
import type { Registry } from './registry.ts';
import { createRowDecoder } from './row-decoder.ts';
import type { RowDecoder } from './row-decoder.ts';

/** What the cache knows of one id, as plain JSON: it lets known ids work while the registry is away. */
type CodecCacheEntry = { schemaId: number; avroSchema: AvroObject };

export type CodecCache = {
  /**
   * The decoder of a schema id; `unknown` where the registry has no such Avro schema; undefined where
   * `load` must be called first, which is so again some time after an id was unknown.
   */
  decoder(schemaId: number): RowDecoder | 'unknown' | undefined;
  /** Asks the registry; calls for one id at a time share one request. Errors: `unavailable`, `config`. */
  load(schemaId: number): Promise<void>;
  snapshotEntries(): CodecCacheEntry[];
  restore(entries: readonly CodecCacheEntry[]): void;
};

/** Writer schemas held at once: more than any topic has versions. The oldest goes first. */
const decodersMax = 1_000;
/** Ids held as unknown: damaged records can name any id. */
const unknownIdsMax = 10_000;
/** A schema may be registered after its first record was met. */
const unknownRetryMs = 30_000;

type Codec = { avroSchema: AvroObject; decoder: RowDecoder };

/**
 * Decoders to one contract by the registry's schema id, generated once each. `now` gives epoch ms.
 * Errors: `config` at the first load for a contract that has no columns.
 */
export function createCodecCache(options: {
  registry: Pick<Registry, 'schemaById'>;
  contract: Contract;
  now: () => number;
}): CodecCache {
  const { registry, contract, now } = options;
  const codecs = new Map<number, Codec>();
  const unknownSinceMs = new Map<number, number>();
  const loading = new Map<number, Promise<void>>();
  const keep = (schemaId: number, avroSchema: AvroObject): void => {
    unknownSinceMs.delete(schemaId);
    codecs.set(schemaId, { avroSchema, decoder: createRowDecoder(contract, avroSchema) });
    dropOldest(codecs, decodersMax);
  };
  const ask = async (schemaId: number): Promise<void> => {
    const avroSchema = await registry.schemaById(schemaId);
    if (avroSchema !== 'unknown') return keep(schemaId, avroSchema);
    unknownSinceMs.delete(schemaId);
    unknownSinceMs.set(schemaId, now());
    dropOldest(unknownSinceMs, unknownIdsMax);
  };
  return {
    decoder(schemaId) {
      const codec = codecs.get(schemaId);
      if (codec !== undefined) return codec.decoder;
      const sinceMs = unknownSinceMs.get(schemaId);
      return sinceMs !== undefined && now() - sinceMs < unknownRetryMs ? 'unknown' : undefined;
    },
    load(schemaId) {
      const underWay = loading.get(schemaId);
      if (underWay !== undefined) return underWay;
      const asked = ask(schemaId).finally(() => loading.delete(schemaId));
      loading.set(schemaId, asked);
      return asked;
    },
    snapshotEntries: () =>
      [...codecs].map(([schemaId, { avroSchema }]) => ({ schemaId, avroSchema })),
    restore(entries) {
      for (const { schemaId, avroSchema } of entries) keep(schemaId, avroSchema);
    },
  };
}

function dropOldest(map: Map<number, unknown>, sizeMax: number): void {
  const oldest = map.size > sizeMax ? map.keys().next().value : undefined;
  if (oldest !== undefined) map.delete(oldest);
}
