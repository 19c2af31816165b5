import { emptyRow } from './avro-reader.ts';
import { normaliserFor } from './canonical-value.ts';
import type { CanonicalValue, Normalise, Semantics } from './canonical-value.ts';

/** The columns of a decoded struct and how their values become canonical. */
export type RowColumns = readonly { name: string; normalise: Normalise | undefined }[];

export type CanonicalRow = Readonly<Record<string, CanonicalValue>>;

type Attributes = Readonly<Record<string, unknown>>;

/** Debezium's stand-in for a large value that an update did not touch. */
const placeholder = '__debezium_unavailable_value';
const placeholderBytes = Buffer.from(placeholder);
/** As Connect's JSON carries bytes. */
const placeholderBase64 = placeholderBytes.toString('base64');

/** Lengths of text that may be the placeholder. */
export const placeholderLengths: readonly number[] = [placeholder.length, placeholderBase64.length];

/** Avro's own names for meanings, for converters that write no `connect.name`. */
const nameByLogicalType: ReadonlyMap<string, string> = new Map(
  Object.entries({
    date: 'io.debezium.time.Date',
    'time-millis': 'io.debezium.time.Time',
    'time-micros': 'io.debezium.time.MicroTime',
    'timestamp-millis': 'io.debezium.time.Timestamp',
    'timestamp-micros': 'io.debezium.time.MicroTimestamp',
    'local-timestamp-millis': 'io.debezium.time.Timestamp',
    'local-timestamp-micros': 'io.debezium.time.MicroTimestamp',
    decimal: 'org.apache.kafka.connect.data.Decimal',
  }),
);

/** Converts a decoded struct; columns whose value is unchanged TOAST are named instead. */
export function toCanonicalRow(
  columns: RowColumns,
  struct: Attributes,
): { row: CanonicalRow; unavailable: readonly string[] } {
  const row = emptyRow<CanonicalValue>();
  const unavailable: string[] = [];
  for (const { name, normalise } of columns) {
    const value = Object.hasOwn(struct, name) ? struct[name] : undefined;
    if (isPlaceholder(value)) unavailable.push(name);
    else if (value === null || value === undefined) row[name] = null;
    else row[name] = normalise === undefined ? (value as CanonicalValue) : normalise(value);
  }
  return { row, unavailable };
}

/** Whether a value is Debezium's stand-in for unchanged TOAST. */
export function isPlaceholder(value: unknown): boolean {
  if (typeof value === 'string') return value === placeholder || value === placeholderBase64;
  if (value instanceof Uint8Array) return placeholderBytes.equals(value);
  if (!Array.isArray(value)) return false;
  if (value.length === 1) return value[0] === placeholder;
  // Arrays of numbers carry the placeholder's bytes as their items.
  return (
    value.length === placeholderBytes.length &&
    value.every((item, index) => Number(item) === placeholderBytes[index])
  );
}

/**
 * The columns of the record that an Avro schema, or the named field of it, holds.
 * `wanted` leaves out all others.
 */
export function avroColumns(
  avroSchema: unknown,
  options: { field?: string; wanted?: readonly string[] | undefined } = {},
): RowColumns {
  return avroFields(avroSchema, options.field)
    .filter(({ name }) => options.wanted === undefined || options.wanted.includes(name))
    .map(({ name, semantics }) => ({ name, normalise: normaliserFor(semantics) }));
}

/** A field of a record: Avro's type beneath null and names, and what it says of the values. */
type AvroField = { name: string; kind: string; semantics: Semantics; precision?: number };

/** The fields of the record that an Avro schema, or the named field of it, holds; none where it holds no record. */
export function avroFields(avroSchema: unknown, field?: string): AvroField[] {
  const named = new Map<string, Attributes>();
  collectNames(avroSchema, '', named);
  const root = resolve(avroSchema, '', named);
  const start = field === undefined ? root : fieldType(root, field, named);
  return fieldsOf(start.type).map(({ name, type }) => {
    const attributes = resolve(type, start.namespace, named).type;
    const { precision } = attributes;
    return {
      name: String(name),
      kind: String(attributes['type']),
      semantics: avroSemantics(attributes),
      ...(typeof precision === 'number' ? { precision } : {}),
    };
  });
}

/**
 * The schema with other names for columns of the record that it, or the named field of it, holds: its bytes are read by
 * place, so that they mean the same. `renamed` gives new names by old ones, and is told all of the old ones.
 */
export function renameFields(
  avroSchema: object,
  field: string | undefined,
  renamed: (names: readonly string[]) => ReadonlyMap<string, string>,
): object {
  const named = new Map<string, Attributes>();
  collectNames(avroSchema, '', named);
  const root = resolve(avroSchema, '', named);
  const { type: record } = field === undefined ? root : fieldType(root, field, named);
  const names = renamed(fieldsOf(record).map(({ name }) => String(name)));
  if (names.size === 0) return avroSchema;
  const fields = fieldsOf(record).map((one) => ({
    ...one,
    name: names.get(String(one['name'])) ?? one['name'],
  }));
  const copy = (part: unknown): unknown => {
    if (part === record) return { ...record, fields };
    if (Array.isArray(part)) return part.map(copy);
    if (typeof part !== 'object' || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, copy(value)]));
  };
  return copy(avroSchema) as object;
}

type Resolved = { type: Attributes; namespace: string };

function fieldType(of: Resolved, name: string, named: ReadonlyMap<string, Attributes>): Resolved {
  const field = fieldsOf(of.type).find((candidate) => candidate['name'] === name);
  return resolve(field?.['type'], of.namespace, named);
}

/** The definition behind a type: the branch that is not null, the record behind a name. */
function resolve(
  type: unknown,
  namespace: string,
  named: ReadonlyMap<string, Attributes>,
): Resolved {
  if (Array.isArray(type)) {
    return resolve(
      type.find((branch) => branch !== 'null'),
      namespace,
      named,
    );
  }
  if (typeof type === 'string') {
    const known = named.get(fullName(type, namespace)) ?? named.get(type);
    return known === undefined
      ? { type: { type }, namespace }
      : { type: known, namespace: namespaceOf(known, namespace) };
  }
  const attributes = (type ?? {}) as Attributes;
  const inner = attributes['type'];
  return typeof inner === 'object' && inner !== null
    ? resolve(inner, namespace, named)
    : { type: attributes, namespace: namespaceOf(attributes, namespace) };
}

function collectNames(type: unknown, namespace: string, into: Map<string, Attributes>): void {
  if (Array.isArray(type)) {
    for (const branch of type) collectNames(branch, namespace, into);
    return;
  }
  if (typeof type !== 'object' || type === null) return;
  const attributes = type as Attributes;
  const inner = namespaceOf(attributes, namespace);
  const { name } = attributes;
  if (typeof name === 'string') into.set(fullName(name, inner), attributes);
  for (const part of ['type', 'items', 'values']) collectNames(attributes[part], inner, into);
  for (const field of fieldsOf(attributes)) collectNames(field['type'], inner, into);
}

function fieldsOf(attributes: Attributes): readonly Attributes[] {
  const { fields } = attributes;
  return Array.isArray(fields) ? (fields as Attributes[]) : [];
}

function namespaceOf({ name, namespace }: Attributes, enclosing: string): string {
  if (typeof name === 'string' && name.includes('.')) return name.slice(0, name.lastIndexOf('.'));
  return typeof namespace === 'string' ? namespace : enclosing;
}

function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;
}

function avroSemantics(attributes: Attributes): Semantics {
  const { logicalType, scale } = attributes;
  const connectName = attributes['connect.name'];
  const parameters = attributes['connect.parameters'] as Attributes | undefined;
  const byLogicalType = nameByLogicalType.get(String(logicalType));
  return {
    name: typeof connectName === 'string' ? connectName : byLogicalType,
    scale: Number(scale ?? parameters?.['scale'] ?? 0),
  };
}

/**
 * The columns of a struct in the schema that Connect's JSON converter sends along.
 * 64-bit integers become bigint, base64 becomes bytes, then meanings apply as for Avro.
 */
export function jsonColumns(
  struct: unknown,
  options: { wanted?: readonly string[] | undefined } = {},
): RowColumns {
  return fieldsOf((struct ?? {}) as Attributes)
    .filter(({ field }) => options.wanted === undefined || options.wanted.includes(String(field)))
    .map((field) => ({ name: String(field['field']), normalise: jsonNormaliser(field) }));
}

function jsonNormaliser(field: Attributes): Normalise | undefined {
  const parameters = field['parameters'] as Attributes | undefined;
  const name = typeof field['name'] === 'string' ? field['name'] : undefined;
  const meaning = normaliserFor({ name, scale: Number(parameters?.['scale'] ?? 0) });
  const physical = jsonPhysical(field);
  if (physical === undefined || meaning === undefined) return meaning ?? physical;
  return (value) => meaning(physical(value));
}

function jsonPhysical(field: Attributes): Normalise | undefined {
  switch (field['type']) {
    case 'int64':
      return (value) => BigInt(value as number);
    case 'bytes':
      return (value) => new Uint8Array(Buffer.from(String(value), 'base64'));
    case 'struct':
      return (value) => structFromJson(field, value as Attributes);
    default:
      return undefined;
  }
}

function structFromJson(struct: Attributes, value: Attributes): CanonicalValue {
  return toCanonicalRow(jsonColumns(struct), value).row;
}
