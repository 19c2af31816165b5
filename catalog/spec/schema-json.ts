import { CatalogError } from '../error.ts';
import type { IcebergType, NestedField, PrimitiveType, TableSchema } from './table-schema.ts';
import { parsePrimitiveType } from './type-text.ts';
import {
  booleanAt,
  intAt,
  intsAt,
  objectsAt,
  optionalAt,
  present,
  stringAt,
  wireObject,
  type WireObject,
} from './wire.ts';

/**
 * A table schema from its JSON object. A missing `schema-id` is 0, as in v1 metadata; a primitive
 * type of a later format version keeps its wire name, so that a table can be read about even where
 * it cannot be written. Errors: `corrupt`.
 * Source: Iceberg table spec, appendix C, "Schemas".
 */
export function tableSchemaFromWire(wire: WireObject): TableSchema {
  const identifierFieldIds = intsAt(wire, 'identifier-field-ids');
  return {
    schemaId: optionalAt(wire, 'schema-id', intAt) ?? 0,
    fields: objectsAt(wire, 'fields').map(fieldFromWire),
    ...(identifierFieldIds.length > 0 ? { identifierFieldIds } : {}),
  };
}

/** A table schema as its JSON object. Source: Iceberg table spec, appendix C, "Schemas". */
export function tableSchemaToWire(tableSchema: TableSchema): WireObject {
  return {
    type: 'struct',
    'schema-id': tableSchema.schemaId,
    ...present('identifier-field-ids', tableSchema.identifierFieldIds),
    fields: tableSchema.fields.map(fieldToWire),
  };
}

function fieldFromWire(wire: WireObject): NestedField {
  return {
    id: intAt(wire, 'id'),
    name: stringAt(wire, 'name'),
    required: booleanAt(wire, 'required'),
    type: typeFromWire(wire['type']),
    ...present('doc', optionalAt(wire, 'doc', stringAt)),
  };
}

function fieldToWire(field: NestedField): WireObject {
  return { ...field, type: typeToWire(field.type) };
}

function typeFromWire(wire: unknown): IcebergType {
  if (typeof wire === 'string') return primitiveFromWire(wire);
  const nested = wireObject(wire, 'type');
  const type = stringAt(nested, 'type');
  switch (type) {
    case 'struct':
      return { type, fields: objectsAt(nested, 'fields').map(fieldFromWire) };
    case 'list':
      return {
        type,
        elementId: intAt(nested, 'element-id'),
        element: typeFromWire(nested['element']),
        elementRequired: booleanAt(nested, 'element-required'),
      };
    case 'map':
      return {
        type,
        keyId: intAt(nested, 'key-id'),
        key: typeFromWire(nested['key']),
        valueId: intAt(nested, 'value-id'),
        value: typeFromWire(nested['value']),
        valueRequired: booleanAt(nested, 'value-required'),
      };
    default:
      throw new CatalogError('corrupt', `type: expected struct, list or map, got ${type}`);
  }
}

function primitiveFromWire(text: string): PrimitiveType {
  try {
    return parsePrimitiveType(text);
  } catch (error) {
    if (error instanceof CatalogError) return text as PrimitiveType;
    throw error;
  }
}

function typeToWire(type: IcebergType): unknown {
  if (typeof type === 'string') return type;
  switch (type.type) {
    case 'struct':
      return { type: 'struct', fields: type.fields.map(fieldToWire) };
    case 'list':
      return {
        type: 'list',
        'element-id': type.elementId,
        element: typeToWire(type.element),
        'element-required': type.elementRequired,
      };
    case 'map':
      return {
        type: 'map',
        'key-id': type.keyId,
        key: typeToWire(type.key),
        'value-id': type.valueId,
        value: typeToWire(type.value),
        'value-required': type.valueRequired,
      };
  }
}
