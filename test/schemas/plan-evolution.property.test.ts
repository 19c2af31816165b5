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

it('a plan refuses something, or leaves a table that takes every row of the columns', () => {
  const seen = { refused: 0, taken: 0 };
  fc.assert(
    fc.property(fieldsOf(type), fieldsOf(type), (first, columns) => {
      const { tableSchema, refused } = planEvolution({
        table: newTable(first),
        columns,
        allows: () => true,
      });
      expect(takesFields(tableSchema.fields, columns)).toBe(refused.length === 0);
      seen[refused.length > 0 ? 'refused' : 'taken'] += 1;
    }),
    { numRuns: 400 },
  );
  expect(Math.min(seen.refused, seen.taken)).toBeGreaterThan(20);
});

const rename = fc.record({ to: fc.constantFrom('a', 'A', 'b', 'B', 'x'), from: fc.nat(4) });

it('columns that take former ones under their own names are never two of one name, whatever the case', () => {
  let renamed = 0;
  fc.assert(
    fc.property(fieldsOf(primitive), fieldsOf(primitive), fc.array(rename), (first, kept, more) => {
      const columns = new Map(kept.map((column) => [column.name.toLowerCase(), column]));
      const formerNames = new Map<string, string[]>();
      for (const { to, from } of more) {
        const { name, type: own } = first[from % first.length] as NestedField;
        columns.set(to.toLowerCase(), { id: 0, name: to, required: false, type: own });
        formerNames.set(to, [...(formerNames.get(to) ?? []), name]);
      }
      const { tableSchema, changes } = planEvolution({
        table: newTable(first),
        columns: [...columns.values()],
        formerNames,
        allows: () => true,
      });
      const names = tableSchema.fields.map(({ name }) => name.toLowerCase());
      expect(new Set(names).size).toBe(names.length);
      const ids = tableSchema.fields.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      renamed += changes.filter(({ kind }) => kind === 'rename-field').length;
    }),
    { numRuns: 400 },
  );
  expect(renamed).toBeGreaterThan(20);
});

/** Whether rows of these fields can be written to those of the table. */
function takesFields(table: readonly NestedField[], fields: readonly NestedField[]): boolean {
  const written = new Map(fields.map((field) => [field.name, field]));
  const names = new Set(table.map(({ name }) => name));
  const takes = ({ name, required, type: own }: NestedField): boolean => {
    const field = written.get(name);
    if (field === undefined) return !required;
    return (field.required || !required) && takesType(own, field.type);
  };
  return fields.every(({ name }) => names.has(name)) && table.every(takes);
}

function takesType(table: IcebergType, own: IcebergType): boolean {
  if (typeof table === 'string' || typeof own === 'string') {
    if (typeof table !== 'string' || typeof own !== 'string') return false;
    return table === own || isPromotion(own, table);
  }
  if (table.type === 'struct')
    return own.type === 'struct' && takesFields(table.fields, own.fields);
  if (table.type !== 'list' || own.type !== 'list') return false;
  return (own.elementRequired || !table.elementRequired) && takesType(table.element, own.element);
}

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
