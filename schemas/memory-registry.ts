import { isDeepStrictEqual } from 'node:util';
import { parseAvroType } from './avro-type.ts';
import type { AvroObject } from './contract.ts';
import type { CompatibilityLevel, RegisteredSchema, Registry } from './registry.ts';

/**
 * A registry in memory, under the same contract tests as the real one. It checks that a schema is
 * Avro, not that it is compatible with older versions.
 */
export function createMemoryRegistry(): Registry {
  const schemas: AvroObject[] = [];
  const subjects = new Map<string, RegisteredSchema[]>();
  const levels = new Map<string, CompatibilityLevel>();
  const idOf = (avroSchema: AvroObject): number => {
    const known = schemas.findIndex((candidate) => isDeepStrictEqual(candidate, avroSchema));
    return known >= 0 ? known + 1 : schemas.push(structuredClone(avroSchema));
  };
  return {
    schemaById: async (schemaId) => schemas[schemaId - 1] ?? 'unknown',
    async register(subject, avroSchema) {
      parseAvroType(avroSchema);
      const schemaId = idOf(avroSchema);
      const versions = subjects.get(subject) ?? [];
      subjects.set(subject, versions);
      const known = versions.find((registered) => registered.schemaId === schemaId);
      if (known !== undefined) return known;
      const registered = { schemaId, version: versions.length + 1, avroSchema };
      versions.push(registered);
      return registered;
    },
    find: async (subject, avroSchema) =>
      subjects.get(subject)?.find((known) => isDeepStrictEqual(known.avroSchema, avroSchema)),
    latest: async (subject) => subjects.get(subject)?.at(-1),
    versions: async (subject) => [...(subjects.get(subject) ?? [])],
    compatibility: async (subject) => levels.get(subject) ?? 'NONE',
    setCompatibility: async (subject, level) => {
      levels.set(subject, level);
    },
  };
}
