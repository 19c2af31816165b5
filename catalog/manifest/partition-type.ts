import { CatalogError } from '../error.ts';
import { fieldsById } from '../spec/field-ids.ts';
import type { PartitionSpec } from '../spec/table-metadata.ts';
import type { PrimitiveType, TableSchema } from '../spec/table-schema.ts';
import { transformResultType } from '../spec/transform.ts';

/** One field of a partition tuple. */
export type PartitionFieldType = { fieldId: number; name: string; type: PrimitiveType };

/**
 * The fields of a spec's partition tuples, in the spec's order, typed by what each transform yields.
 * Errors: `config` where a source column is not in the schema or no primitive.
 */
export function partitionFieldTypes(
  spec: PartitionSpec,
  tableSchema: TableSchema,
): readonly PartitionFieldType[] {
  const columns = fieldsById(tableSchema);
  return spec.fields.map(({ fieldId, name, sourceId, transform }) => {
    const sourceType = columns.get(sourceId)?.type;
    if (typeof sourceType !== 'string') {
      throw new CatalogError('config', `partition field ${name} has no primitive source column`, {
        context: { specId: spec.specId, sourceId, schemaId: tableSchema.schemaId },
      });
    }
    return { fieldId, name, type: transformResultType(transform, sourceType) };
  });
}
