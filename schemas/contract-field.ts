import type {
  ListType,
  MapType,
  StructType,
} from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { isScalar, parseAvroType } from './avro-type.ts';
import type { AvroNode, FieldNode, RecordNode, ScalarNode } from './avro-type.ts';
import type { Contract } from './contract.ts';
import { ContractError } from './error.ts';
import { scalarShape } from './scalar-shape.ts';
import type { ScalarShape } from './scalar-shape.ts';

type FieldHead = {
  /** `element`, `key` and `value` for what a list or a map holds. */
  name: string;
  aliases: readonly string[];
  nullable: boolean;
  doc: string | undefined;
  /** `undefined` where the contract gives none; null for a default of null. */
  default: unknown;
};

/** A field that is one cell of a column. */
export type ScalarField = FieldHead & ScalarShape & { type: ScalarNode };

type StructField = FieldHead & {
  column: 'struct';
  fields: readonly ContractField[];
  tableType: StructType;
};
type ListField = FieldHead & { column: 'list'; element: ContractField; tableType: ListType };
type MapField = FieldHead & {
  column: 'map';
  key: ScalarField;
  value: ContractField;
  tableType: MapType;
};

/** A field with columns within its column. All ids in `tableType` are 0: whoever lays out a table numbers them. */
export type NestedContractField = StructField | ListField | MapField;

/** One field of a contract, with everything that the decoder and the table need to know of it. */
export type ContractField = ScalarField | NestedContractField;

/**
 * The fields of a contract in order. Errors: `config` naming the contract, the path of the field, the reason and what to
 * do instead: records that hold themselves, unions other than nullable ones, logical types that no column can hold.
 */
export function contractFields(contract: Contract): ContractField[] {
  const node = parseContract(contract);
  if (node.kind !== 'record') throw refuse(contract, '', `is a ${node.kind}, not a record`);
  if (node.fields.length === 0) throw refuse(contract, '', 'has no fields');
  return structFields({ contract, path: '', within: [] }, node);
}

/** Whether a field is one cell: only such a field can be a key, or be carried from a dimension. */
export function isScalarField(field: ContractField): field is ScalarField {
  return field.column !== 'struct' && field.column !== 'list' && field.column !== 'map';
}

/** The path of what a nested type holds: `a.b` in a record, `a[]` in an array, `a{}` for the values of a map. */
export function pathWithin(
  path: string,
  parent: NestedContractField['column'],
  child: string,
): string {
  switch (parent) {
    case 'struct':
      return path === '' ? child : `${path}.${child}`;
    case 'list':
      return `${path}[]`;
    case 'map':
      return child === 'key' ? `${path}{key}` : `${path}{}`;
  }
}

function parseContract(contract: Contract): AvroNode {
  try {
    return parseAvroType(contract.avroSchema);
  } catch (cause) {
    if (!(cause instanceof ContractError)) throw cause;
    throw refuse(contract, '', `is an ${cause.message}`);
  }
}

/** Where in a contract a type stands; `within` are the records around it. */
type Place = { contract: Contract; path: string; within: readonly RecordNode[] };

function structFields(place: Place, record: RecordNode): ContractField[] {
  const within = [...place.within, record];
  return record.fields.map((field) =>
    contractField({ ...place, path: pathWithin(place.path, 'struct', field.name), within }, field),
  );
}

function contractField(place: Place, field: FieldNode): ContractField {
  const made = typedField(place, field);
  if (made.default === null && !made.nullable) {
    throw refuse(place.contract, place.path, 'has a default of null but is not nullable');
  }
  return made;
}

function typedField(place: Place, field: FieldNode): ContractField {
  const { type, nullable } = unwrapUnion(place, field.type);
  const { name, aliases, doc, default: fallback } = field;
  const head: FieldHead = { name, aliases, nullable, doc, default: fallback };
  if (type.kind === 'record') return structField(place, head, type);
  if (type.kind === 'array') return listField(place, head, type.items);
  if (type.kind === 'map') return mapField(place, head, type.values);
  return scalarField(place, head, type);
}

function structField(place: Place, head: FieldHead, record: RecordNode): StructField {
  const { contract, path, within } = place;
  if (within.includes(record)) {
    const reason =
      `holds the record ${record.name}, which it is part of, and columns cannot go down for ever: ` +
      'give it as many levels as are needed by records of other names, or send it as text';
    throw refuse(contract, path, reason);
  }
  if (record.fields.length === 0) {
    throw refuse(contract, path, 'is a record without fields: give it one, or leave it out');
  }
  const fields = structFields(place, record);
  const columns = fields.map(({ name, nullable, tableType, doc }) => ({
    id: 0,
    name,
    required: !nullable,
    type: tableType,
    ...(doc === undefined ? {} : { doc }),
  }));
  return { ...head, column: 'struct', fields, tableType: { type: 'struct', fields: columns } };
}

function listField(place: Place, head: FieldHead, items: AvroNode): ListField {
  const element = innerField(place, 'list', { name: 'element', type: items });
  const tableType: ListType = {
    type: 'list',
    elementId: 0,
    element: element.tableType,
    elementRequired: !element.nullable,
  };
  return { ...head, column: 'list', element, tableType };
}

function mapField(place: Place, head: FieldHead, values: AvroNode): MapField {
  const value = innerField(place, 'map', { name: 'value', type: values });
  const tableType: MapType = {
    type: 'map',
    keyId: 0,
    key: mapKey.tableType,
    valueId: 0,
    value: value.tableType,
    valueRequired: !value.nullable,
  };
  return { ...head, column: 'map', key: mapKey, value, tableType };
}

const mapKey: ScalarField = {
  name: 'key',
  aliases: [],
  nullable: false,
  doc: undefined,
  default: undefined,
  type: { kind: 'string', logical: {} },
  column: 'bytes',
  meaning: 'text',
  tableType: 'string',
};

function innerField(
  place: Place,
  parent: 'list' | 'map',
  { name, type }: Pick<FieldNode, 'name' | 'type'>,
): ContractField {
  const path = pathWithin(place.path, parent, name);
  const field = { name, type, aliases: [], doc: undefined, default: undefined };
  return typedField({ ...place, path }, field);
}

function scalarField({ contract, path }: Place, head: FieldHead, type: AvroNode): ScalarField {
  if (!isScalar(type))
    throw refuse(contract, path, 'can only be null: give it a type, or leave it out');
  const shape = scalarShape(type);
  if (typeof shape === 'string') throw refuse(contract, path, shape);
  return { ...head, type, ...shape };
}

function unwrapUnion(
  { contract, path }: Place,
  node: AvroNode,
): { type: AvroNode; nullable: boolean } {
  if (node.kind !== 'union') return { type: node, nullable: false };
  const others = node.branches.filter((branch) => branch.kind !== 'null');
  const only = others[0];
  if (node.branches.length !== 2 || others.length !== 1 || only === undefined) {
    const kinds = node.branches.map((branch) => branch.kind).join(', ');
    const reason =
      `is a union of [${kinds}]; only ["null", type] and [type, "null"] can be a column: ` +
      'use a record with an optional field for each of the types';
    throw refuse(contract, path, reason);
  }
  return { type: only, nullable: true };
}

function refuse(contract: Contract, path: string, reason: string): ContractError {
  const subject = path === '' ? 'it' : `field ${path}`;
  return new ContractError('config', `contract ${contract.name}: ${subject} ${reason}`, {
    context: { contract: contract.name, ...(path === '' ? {} : { field: path }) },
  });
}
