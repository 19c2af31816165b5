import { CatalogError } from '../error.ts';
import { childFields } from '../spec/field-ids.ts';
import type { NestedField, TableSchema } from '../spec/table-schema.ts';
import type { Column, ColumnBatch, FlatColumn, NestedColumn } from './columns.ts';
import type { PrimitiveField } from './encoding/page-values.ts';

/** A field of the table as a file has it, with what of it the rows have. */
export type FileField = LeafField | GroupField;

/** A field with values. `path`: the names from the file's root to it. */
export type LeafField = {
  kind: 'leaf';
  field: PrimitiveField;
  column: FlatColumn;
  path: readonly string[];
  /** Whether it is within a list or a map: a row has any number of values. */
  isRepeated: boolean;
};

/** A field that is made of others: of one for a list, of key and value for a map. */
export type GroupField = {
  kind: NestedColumn['kind'];
  field: NestedField;
  column: NestedColumn;
  children: readonly FileField[];
};

/** What a file has of the table's fields, and the ids of the fields with values that it leaves out. */
export type FileFields = { fields: readonly FileField[]; absentFieldIds: readonly number[] };

/**
 * Lays out a file for the columns of a batch. Optional fields that the batch lacks are left out. Errors: `config` for a
 * required field that it lacks, a column of another kind than its field, and where nothing is left.
 */
export function layOutFile(tableSchema: TableSchema, batch: ColumnBatch): FileFields {
  const absentFieldIds: number[] = [];
  const root: Parent = { path: [], name: '', isRepeated: false, absentFieldIds };
  const fields = presentFields(root, tableSchema.fields, batch.columns);
  if (fields.length === 0) {
    throw new CatalogError('config', 'the rows have no column of the table');
  }
  return { fields, absentFieldIds };
}

/** The leaves of a field from left to right, which is the order of the columns in a file. */
export function leavesOf(field: FileField): readonly LeafField[] {
  return field.kind === 'leaf' ? [field] : field.children.flatMap(leavesOf);
}

/** `path`: in the file; `name`: as people write it. */
type Parent = {
  path: readonly string[];
  name: string;
  isRepeated: boolean;
  absentFieldIds: number[];
};

function presentFields(
  parent: Parent,
  fields: readonly NestedField[],
  columns: ReadonlyMap<number, Column>,
): FileField[] {
  return fields.flatMap((field) => {
    const column = columns.get(field.id);
    if (column !== undefined) return [fileField(parent, field, column)];
    if (field.required) {
      const name = `${parent.name}${field.name}`;
      throw refused(field, `the rows lack the required column "${name}"`);
    }
    if (!parent.isRepeated) parent.absentFieldIds.push(...singleLeafIds(field));
    return [];
  });
}

function fileField(parent: Parent, field: NestedField, column: Column): FileField {
  const { type } = field;
  const name = `${parent.name}${field.name}`;
  if (typeof type === 'string') {
    if (isNested(column))
      throw refused(field, `column "${name}" holds a ${column.kind}, not ${type}`);
    const path = [...parent.path, field.name];
    const { isRepeated } = parent;
    return { kind: 'leaf', field: { ...field, name, type }, column, path, isRepeated };
  }
  if (!isNested(column) || column.kind !== type.type) {
    throw refused(field, `column "${name}" holds ${column.kind}, not a ${type.type}`);
  }
  const children = childrenOf({ ...parent, name: `${name}.` }, { field, column });
  if (children.length === 0) throw refused(field, `the rows have no field of "${name}"`);
  return { kind: column.kind, field, column, children };
}

/** Repeated groups of a list and a map have these names in a file. Source: parquet-format, LogicalTypes.md. */
export const REPEATED_GROUP = { list: 'list', map: 'key_value' } as const;

function childrenOf(
  parent: Parent,
  { field, column }: { field: NestedField; column: NestedColumn },
): FileField[] {
  const fields = childFields(field.type);
  const path = [...parent.path, field.name];
  if (column.kind === 'struct') return presentFields({ ...parent, path }, fields, column.fields);
  const parts = column.kind === 'list' ? [column.element] : [column.key, column.value];
  const inner = { ...parent, path: [...path, REPEATED_GROUP[column.kind]], isRepeated: true };
  return fields.flatMap((child, index) => {
    const part = parts[index];
    return part === undefined ? [] : [fileField(inner, child, part)];
  });
}

/** Fields with one value for each row, which a count of nulls says something about. */
function singleLeafIds({ id, type }: NestedField): number[] {
  if (typeof type === 'string') return [id];
  return type.type === 'struct' ? type.fields.flatMap(singleLeafIds) : [];
}

function isNested(column: Column): column is NestedColumn {
  return column.kind === 'struct' || column.kind === 'list' || column.kind === 'map';
}

function refused({ id }: NestedField, message: string): CatalogError {
  return new CatalogError('config', message, { context: { fieldId: id } });
}
