import { applyUpdates } from '@iceberg-js/rest-client-shim/spec/apply-updates.ts';
import { fieldsById } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import { newTableMetadata } from '@iceberg-js/rest-client-shim/spec/new-table.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type {
  IcebergType,
  NestedField,
  PrimitiveType,
} from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { isPromotion } from '@iceberg-js/rest-client-shim/spec/type-promotion.ts';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { planEvolution } from '../../schemas/plan-evolution.ts';
import { reconcileFieldIds } from '../../schemas/table-schema.ts';

const nowMs = 1_795_380_549_287;

const primitive = fc.constantFrom<PrimitiveType>(
  'int',
  'long',
  'float',
  'double',
  'string',
  'decimal(9, 2)',
  'decimal(12, 2)',
);

/** Few names, so that fields of one contract meet those of another. */
const fieldsOf = (type: fc.Arbitrary<IcebergType>): fc.Arbitrary<NestedField[]> =>
  fc.uniqueArray(
    fc.record({
      id: fc.constant(0),
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      required: fc.boolean(),
      type,
    }),
    { selector: ({ name }) => name, minLength: 1, maxLength: 5 },
  );

const { type } = fc.letrec<{ type: IcebergType }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    primitive,
    fieldsOf(tie('type')).map((fields): IcebergType => ({ type: 'struct', fields })),
    fc.record({
      type: fc.constant('list' as const),
      elementId: fc.constant(0),
      element: tie('type'),
      elementRequired: fc.boolean(),
    }),
  ),
}));

const contracts = fc.array(fieldsOf(type), { minLength: 2, maxLength: 5 });

function newTable(fields: readonly NestedField[]): TableMetadata {
  const request = {
    identifier: { namespace: ['lake'], name: 't' },
    schema: { schemaId: 0, fields },
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  };
  const tableUuid = 'a1d72a34-de37-4625-914a-2d6b0963c011';
  return newTableMetadata(request, { location: 'memory://lake/t', tableUuid, nowMs });
}

it('a table that contracts come and go over keeps every field: ids, names, and types that only grow', () => {
  fc.assert(
    fc.property(contracts, ([first = [], ...later]) => {
      let table = newTable(first);
      for (const columns of later) {
        const { updates, tableSchema, lastColumnId, refused } = planEvolution({
          table,
          columns,
          allows: () => true,
        });
        const before = fieldsById(currentOf(table));
        const after = fieldsById(tableSchema);
        for (const [id, field] of before) expect(isSuccessor(field, after.get(id))).toBe(true);
        for (const [id] of after) {
          expect(before.has(id) || (id > table.lastColumnId && id <= lastColumnId)).toBe(true);
        }
        table = applyUpdates(table, updates, nowMs);
        expect(currentOf(table)).toEqual(tableSchema);
        expect(planEvolution({ table, columns, allows: () => true })).toMatchObject({
          changes: [],
          refused,
        });
      }
    }),
  );
});

it('a plan with nothing refused leaves a table that the pipeline may write flat columns to', () => {
  fc.assert(
    fc.property(fieldsOf(primitive), fieldsOf(primitive), (first, columns) => {
      const table = newTable(first);
      const { tableSchema, refused } = planEvolution({ table, columns, allows: () => true });
      const { differences } = reconcileFieldIds(columns, tableSchema, 'lake.t');
      expect(differences.length > 0).toBe(refused.length > 0);
    }),
  );
});

function currentOf({ schemas, currentSchemaId }: TableMetadata) {
  const current = schemas.find(({ schemaId }) => schemaId === currentSchemaId);
  if (current === undefined) throw new Error('expected a current schema');
  return current;
}

/** What files of before hold stays readable as what the field is now. */
function isSuccessor(before: NestedField, after: NestedField | undefined): boolean {
  if (after === undefined || after.name !== before.name) return false;
  if (after.required && !before.required) return false;
  const { type: from } = before;
  const { type: to } = after;
  if (typeof from === 'string') {
    return from === to || (typeof to === 'string' && isPromotion(from, to));
  }
  return typeof to !== 'string' && to.type === from.type;
}
