import * as fc from 'fast-check';
import type { Column, ColumnBatch } from '../../../catalog/parquet/columns.ts';
import { childFields, renumberFields } from '../../../catalog/spec/field-ids.ts';
import type {
  IcebergType,
  NestedField,
  PrimitiveType,
  TableSchema,
} from '../../../catalog/spec/table-schema.ts';
import { dictionaryColumn, plainColumn } from './build-batch.ts';

/** A struct is an object by name, a list an array, a map an array of its entries. */
export type NestedValue = null | boolean | number | bigint | string | NestedValue[] | NestedStruct;
export type NestedStruct = { [name: string]: NestedValue };

/** Rows as objects by column name: the model that columns and files are compared with. */
export type NestedModel = { tableSchema: TableSchema; rows: NestedStruct[]; batch: ColumnBatch };

type Typed = { type: IcebergType; value: fc.Arbitrary<NestedValue> };

/** Types that all readers hand out as they are: those of values are tried without nesting. */
const leaves: Typed[] = [
  { type: 'int', value: fc.integer() },
  { type: 'long', value: fc.bigInt({ min: -(2n ** 61n), max: 2n ** 61n }) },
  { type: 'double', value: fc.double({ noNaN: true }).map((value) => (value === 0 ? 0 : value)) },
  { type: 'boolean', value: fc.boolean() },
  { type: 'string', value: fc.string({ unit: 'grapheme', maxLength: 8 }) },
];

function typed(depth: number): fc.Arbitrary<Typed> {
  const leaf = fc.constantFrom(...leaves);
  if (depth === 0) return leaf;
  return fc.oneof(leaf, structOf(depth), listOf(depth), mapOf(depth));
}

type FieldOf = { field: Omit<NestedField, 'name' | 'id'>; value: fc.Arbitrary<NestedValue> };

/** Required, or with nulls among its values. */
function fieldOf(depth: number): fc.Arbitrary<FieldOf> {
  return fc.tuple(typed(depth), fc.boolean()).map(([{ type, value }, required]) => ({
    field: { required, type },
    value: required ? value : fc.option(value, { freq: 3 }),
  }));
}

function structOf(depth: number): fc.Arbitrary<Typed> {
  return fc.array(fieldOf(depth - 1), { minLength: 1, maxLength: 3 }).map((parts) => ({
    type: {
      type: 'struct',
      fields: parts.map(({ field }, index) => ({ id: 0, name: `f${index}`, ...field })),
    },
    value: fc
      .tuple(...parts.map(({ value }) => value))
      .map((values) => Object.fromEntries(values.map((value, index) => [`f${index}`, value]))),
  }));
}

function listOf(depth: number): fc.Arbitrary<Typed> {
  return fieldOf(depth - 1).map(({ field, value }) => ({
    type: { type: 'list', elementId: 0, element: field.type, elementRequired: field.required },
    value: fc.array(value, { maxLength: 4 }),
  }));
}

function mapOf(depth: number): fc.Arbitrary<Typed> {
  return fieldOf(depth - 1).map(({ field, value }) => ({
    type: {
      type: 'map',
      keyId: 0,
      key: 'string',
      valueId: 0,
      value: field.type,
      valueRequired: field.required,
    },
    value: fc
      .dictionary(fc.string({ unit: 'grapheme-ascii', maxLength: 4 }), value, { maxKeys: 3 })
      .map((entries) => Object.entries(entries).filter(([key]) => key !== '__proto__')),
  }));
}

/** Columns of one value and columns that are made of others, of up to three levels. */
export function nestedModels(rowsMax: number): fc.Arbitrary<NestedModel> {
  return fc
    .tuple(fieldOf(0), fieldOf(3), fieldOf(2))
    .chain((parts) => {
      const row = fc
        .tuple(...parts.map(({ value }) => value))
        .map((values) => Object.fromEntries(values.map((value, index) => [`c${index}`, value])));
      const fields = parts.map(({ field }, index) => ({ id: 0, name: `c${index}`, ...field }));
      return fc.record({
        fields: fc.constant(fields),
        rows: fc.array(row, { minLength: 1, maxLength: rowsMax }),
        asDictionary: fc.boolean(),
      });
    })
    .map(({ fields, rows, asDictionary }) => modelOf(fields, rows, asDictionary));
}

/** The model of these rows, its fields numbered as those of a new table. */
function modelOf(
  fields: readonly NestedField[],
  rows: NestedStruct[],
  asDictionary = false,
): NestedModel {
  let lastId = 0;
  const numbered = renumberFields(fields, () => (lastId += 1));
  const columns = numbered.map(({ id, name, type }) => {
    const values = rows.map((row) => row[name] ?? null);
    return [id, columnOf(type, values, asDictionary)] as const;
  });
  return {
    tableSchema: { schemaId: 0, fields: numbered },
    rows,
    batch: { rowCount: rows.length, columns: new Map(columns) },
  };
}

function columnOf(
  type: IcebergType,
  values: readonly NestedValue[],
  asDictionary: boolean,
): Column {
  if (typeof type === 'string') return flatColumn(type, values, asDictionary);
  const valid = values.includes(null)
    ? Uint8Array.from(values, (value) => (value === null ? 0 : 1))
    : undefined;
  const partOf = (part: IcebergType, of: readonly NestedValue[]): Column =>
    columnOf(part, of, asDictionary);
  if (type.type === 'struct') {
    const fields = type.fields.map(({ id, name, type: inner }) => {
      // A null struct's fields are null in memory, also where they are required.
      const own = values.map((value) => (value as NestedStruct | null)?.[name] ?? null);
      return [id, partOf(inner, own)] as const;
    });
    return { kind: 'struct', fields: new Map(fields), valid };
  }
  // What lies under a null must not reach a file.
  const rubbish: NestedValue[] = type.type === 'list' ? [null] : [[null, null]];
  const items = values.map((value) => (value ?? rubbish) as NestedValue[]);
  const offsets = new Int32Array(values.length + 1);
  for (const [index, each] of items.entries()) {
    offsets[index + 1] = (offsets[index] ?? 0) + each.length;
  }
  if (type.type === 'list') {
    return { kind: 'list', offsets, element: partOf(type.element, items.flat(1)), valid };
  }
  const entries = items.flat(1) as [NestedValue, NestedValue][];
  const key = partOf(
    type.key,
    entries.map(([one]) => one),
  );
  const value = partOf(
    type.value,
    entries.map(([, one]) => one),
  );
  return { kind: 'map', offsets, key, value, valid };
}

function flatColumn(type: PrimitiveType, values: readonly NestedValue[], asDictionary: boolean) {
  const cells = values as readonly (null | boolean | number | bigint | string)[];
  return asDictionary ? dictionaryColumn(type, cells, []) : plainColumn(type, cells);
}

type LeafCounts = { id: number; type: PrimitiveType; isRepeated: boolean } & {
  /** One for each value, null, and list or map that has no items or is null. */
  entries: number;
  values: NestedValue[];
};

/** What a file must count of each field with values, by walking the rows. */
export function leafCounts({ tableSchema }: NestedModel, rows: readonly NestedStruct[]) {
  const found: LeafCounts[] = [];
  const walk = (field: NestedField, cells: readonly NestedValue[], isRepeated: boolean): void => {
    const { id, type } = field;
    if (typeof type === 'string') {
      const values = cells.filter((cell) => cell !== null);
      found.push({ id, type, isRepeated, entries: cells.length, values });
      return;
    }
    for (const [at, child] of childFields(type).entries()) {
      const inner = cells.flatMap((cell): NestedValue[] => {
        if (type.type === 'struct') return [(cell as NestedStruct | null)?.[child.name] ?? null];
        const items = (cell ?? []) as NestedValue[];
        if (items.length === 0) return [null];
        return type.type === 'list'
          ? items
          : items.map((entry) => (entry as NestedValue[])[at] ?? null);
      });
      walk(child, inner, isRepeated || type.type !== 'struct');
    }
  };
  for (const field of tableSchema.fields) {
    walk(
      field,
      rows.map((row) => row[field.name] ?? null),
      false,
    );
  }
  return found;
}
