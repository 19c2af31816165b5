import type { Registry } from '../../schemas/registry.ts';

/** Writer schemas of change topics by registry id; ids that the registry does not have stay unknown. */
export type SchemaCache = {
  resolve(schemaId: number): object | undefined;
  isUnknown(schemaId: number): boolean;
  /** Asks the registry once. Errors: `unavailable`. */
  load(schemaId: number): Promise<void>;
};

/** More than all versions of all tables' keys and values. */
const SCHEMAS_MAX = 10_000;

export function createSchemaCache(registry: Pick<Registry, 'schemaById'>): SchemaCache {
  const known = new Map<number, object | 'unknown'>();
  return {
    resolve(schemaId) {
      const schema = known.get(schemaId);
      return schema === 'unknown' ? undefined : schema;
    },
    isUnknown: (schemaId) => known.get(schemaId) === 'unknown',
    async load(schemaId) {
      const schema = await registry.schemaById(schemaId);
      const oldest = known.keys().next().value;
      if (known.size >= SCHEMAS_MAX && oldest !== undefined) known.delete(oldest);
      known.set(schemaId, schema);
    },
  };
}
