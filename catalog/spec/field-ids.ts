import type { IcebergType, NestedField, TableSchema } from './table-schema.ts';

/** Every field of a schema by id, nested ones too (list elements and map keys and values excepted). */
export function fieldsById(tableSchema: TableSchema): Map<number, NestedField> {
  const found = new Map<number, NestedField>();
  const visit = (type: IcebergType): void => {
    const isStruct = typeof type === 'object' && type.type === 'struct';
    for (const field of childFields(type)) {
      if (isStruct) found.set(field.id, field);
      visit(field.type);
    }
  };
  visit({ type: 'struct', fields: tableSchema.fields });
  return found;
}

/** The highest id that a schema uses for a field, a list element, or a map key or value; 0 for none. */
export function highestFieldId(tableSchema: TableSchema): number {
  const highestIn = (type: IcebergType): number =>
    Math.max(0, ...childFields(type).flatMap((field) => [field.id, highestIn(field.type)]));
  return highestIn({ type: 'struct', fields: tableSchema.fields });
}

/**
 * What a type is made of: the fields of a struct, the `element` of a list, the `key` and the `value` of a map, under the names
 * that files have for them; nothing of a primitive type.
 */
export function childFields(type: IcebergType): readonly NestedField[] {
  if (typeof type === 'string') return [];
  switch (type.type) {
    case 'struct':
      return type.fields;
    case 'list': {
      const { elementId: id, element, elementRequired: required } = type;
      return [{ id, name: 'element', required, type: element }];
    }
    case 'map': {
      const { keyId, key, valueId, value, valueRequired } = type;
      return [
        { id: keyId, name: 'key', required: true, type: key },
        { id: valueId, name: 'value', required: valueRequired, type: value },
      ];
    }
  }
}

/**
 * The same fields with an id from `assign` for each of them and all that they are made of: siblings first, then their
 * children, the order in which catalogs number a new table.
 */
export function renumberFields(
  fields: readonly NestedField[],
  assign: (requestedId: number) => number,
): NestedField[] {
  const ids = fields.map((field) => assign(field.id));
  return fields.map((field, index) => ({
    ...field,
    id: ids[index] ?? field.id,
    type: renumberType(field.type, assign),
  }));
}

/** The same for all that a type is made of. */
export function renumberType(
  type: IcebergType,
  assign: (requestedId: number) => number,
): IcebergType {
  if (typeof type === 'string') return type;
  switch (type.type) {
    case 'struct':
      return { ...type, fields: renumberFields(type.fields, assign) };
    case 'list': {
      const elementId = assign(type.elementId);
      return { ...type, elementId, element: renumberType(type.element, assign) };
    }
    case 'map': {
      const keyId = assign(type.keyId);
      const valueId = assign(type.valueId);
      const key = renumberType(type.key, assign);
      return { ...type, keyId, valueId, key, value: renumberType(type.value, assign) };
    }
  }
}
