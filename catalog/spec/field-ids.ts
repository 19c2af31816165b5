import type { IcebergType, NestedField, TableSchema } from './table-schema.ts';

/** Every field of a schema by id, nested ones too (list elements and map keys and values excepted). */
export function fieldsById(tableSchema: TableSchema): Map<number, NestedField> {
  const found = new Map<number, NestedField>();
  const visit = (type: IcebergType): void => {
    for (const field of structFieldsOf(type)) {
      found.set(field.id, field);
      visit(field.type);
    }
    for (const child of elementTypesOf(type)) visit(child);
  };
  visit({ type: 'struct', fields: tableSchema.fields });
  return found;
}

/** The highest id that a schema uses for a field, a list element, or a map key or value; 0 for none. */
export function highestFieldId(tableSchema: TableSchema): number {
  const highestIn = (type: IcebergType): number =>
    Math.max(
      0,
      ...ownIdsOf(type),
      ...structFieldsOf(type).map((field) => highestIn(field.type)),
      ...elementTypesOf(type).map(highestIn),
    );
  return highestIn({ type: 'struct', fields: tableSchema.fields });
}

function structFieldsOf(type: IcebergType): readonly NestedField[] {
  return typeof type === 'object' && type.type === 'struct' ? type.fields : [];
}

function elementTypesOf(type: IcebergType): readonly IcebergType[] {
  if (typeof type === 'string' || type.type === 'struct') return [];
  return type.type === 'list' ? [type.element] : [type.key, type.value];
}

function ownIdsOf(type: IcebergType): readonly number[] {
  if (typeof type === 'string') return [];
  switch (type.type) {
    case 'struct':
      return type.fields.map((field) => field.id);
    case 'list':
      return [type.elementId];
    case 'map':
      return [type.keyId, type.valueId];
  }
}
