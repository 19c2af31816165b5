import type { AvroObject, Contract } from './contract.ts';
import type { DecodeFailure } from './row-buffer.ts';
import { createRowDecoder, rejectAll } from './row-decoder.ts';
import type { RowDecoder } from './row-decoder.ts';
import type { SchemaCache } from './schema-cache.ts';

export type CodecCache = {
  /**
   * The decoder of a schema id; `unknown` where the registry has no such Avro schema; undefined where the
   * schema must be loaded first, which is so again some time after an id was unknown.
   * Errors: `config` for a contract that has no columns.
   */
  decoder(schemaId: number): RowDecoder | 'unknown' | undefined;
};

/** Decoders to one contract by the registry's schema id, generated once for each schema. */
export function createCodecCache(options: {
  schemas: Pick<SchemaCache, 'resolve' | 'isUnknown'> & {
    /** Why records of a schema are refused, whatever they hold. */
    refusal?: (avroSchema: AvroObject) => DecodeFailure | undefined;
  };
  contract: Contract;
}): CodecCache {
  const { schemas, contract } = options;
  // As many as the schema cache holds: a decoder goes with its schema.
  const decoders = new WeakMap<object, RowDecoder>();
  return {
    decoder(schemaId) {
      const avroSchema = schemas.resolve(schemaId);
      if (avroSchema === undefined) return schemas.isUnknown(schemaId) ? 'unknown' : undefined;
      const made = decoders.get(avroSchema);
      if (made !== undefined) return made;
      const refusal = schemas.refusal?.(avroSchema);
      const decoder =
        refusal === undefined ? createRowDecoder(contract, avroSchema) : rejectAll(refusal);
      decoders.set(avroSchema, decoder);
      return decoder;
    },
  };
}
