import { ContractError } from './error.ts';

/**
 * An Avro schema with every name resolved: what `*.avsc` files and registry answers become before
 * anything looks at them. Recursive schemas give a cyclic graph.
 */
export type AvroNode =
  | { kind: 'null' }
  | ScalarNode
  | { kind: 'array'; items: AvroNode }
  | { kind: 'map'; values: AvroNode }
  | { kind: 'union'; branches: readonly AvroNode[] }
  | RecordNode;

/** A type that one cell of a column can hold. */
export type ScalarNode = PrimitiveNode | FixedNode | EnumNode;

type PrimitiveKind = 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string';

type Logical = { logicalType?: string; precision?: number; scale?: number };

type PrimitiveNode = { kind: PrimitiveKind; logical: Logical };
type FixedNode = {
  kind: 'fixed';
  name: string;
  aliases: readonly string[];
  size: number;
  logical: Logical;
};
export type EnumNode = {
  kind: 'enum';
  name: string;
  aliases: readonly string[];
  symbols: readonly string[];
  default?: string;
  logical: Logical;
};
/** Names and aliases of named types are full names. */
export type RecordNode = {
  kind: 'record';
  name: string;
  aliases: readonly string[];
  fields: FieldNode[];
};

export type FieldNode = {
  name: string;
  aliases: readonly string[];
  type: AvroNode;
  doc: string | undefined;
  /** `undefined` where the field has none; a default of null is null. */
  default: unknown;
};

type Names = Map<string, AvroNode>;
type Attributes = Readonly<Record<string, unknown>>;

const primitiveKinds: ReadonlySet<string> = new Set<PrimitiveKind>([
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
]);

/**
 * Resolves names and checks the form of an Avro schema given as JSON.
 * Errors: `config`, naming what is wrong. Source: Avro specification 1.12, "Schema Declaration".
 */
export function parseAvroType(avroSchema: unknown): AvroNode {
  assertShallow(avroSchema, 0);
  return parse(avroSchema, '', new Map());
}

/** Objects and arrays of JSON within each other; an array or a map is one, an optional record four. */
const LEVELS_MAX = 400;

/** Whoever walks a type does so by recursion. */
function assertShallow(value: unknown, level: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (level > LEVELS_MAX) {
    throw invalid(`types are nested too deeply, in more than ${LEVELS_MAX} levels of JSON`);
  }
  for (const inner of Object.values(value)) assertShallow(inner, level + 1);
}

/** Whether values of the type fit one cell: neither null alone nor nested. */
export function isScalar(node: AvroNode): node is ScalarNode {
  return primitiveKinds.has(node.kind) || node.kind === 'fixed' || node.kind === 'enum';
}

/** The type of an optional value where it is there: the first branch of a union that is not null. */
export function withoutNull(node: AvroNode): AvroNode {
  if (node.kind !== 'union') return node;
  return node.branches.find(({ kind }) => kind !== 'null') ?? node;
}

function parse(type: unknown, namespace: string, names: Names): AvroNode {
  if (typeof type === 'string') return parseName(type, namespace, names);
  if (Array.isArray(type)) {
    return { kind: 'union', branches: type.map((branch) => parse(branch, namespace, names)) };
  }
  if (typeof type !== 'object' || type === null) {
    throw invalid(`an Avro type is a name, an object or a union, got ${JSON.stringify(type)}`);
  }
  return parseObject(type as Attributes, namespace, names);
}

function parseName(name: string, namespace: string, names: Names): AvroNode {
  if (name === 'null') return { kind: 'null' };
  if (primitiveKinds.has(name)) return { kind: name as PrimitiveKind, logical: {} };
  const known = names.get(fullName(name, namespace)) ?? names.get(name);
  if (known === undefined) throw invalid(`the type ${name} is not defined`);
  return known;
}

function parseObject(attributes: Attributes, namespace: string, names: Names): AvroNode {
  const { type } = attributes;
  const logical = logicalOf(attributes);
  switch (type) {
    case 'record':
    case 'error':
      return parseRecord(attributes, namespace, names);
    case 'enum':
      return parseEnum(attributes, namespace, names, logical);
    case 'fixed':
      return parseFixed(attributes, namespace, names, logical);
    case 'array':
      return { kind: 'array', items: parse(attributes['items'], namespace, names) };
    case 'map':
      return { kind: 'map', values: parse(attributes['values'], namespace, names) };
    default:
      return typeof type === 'string' && primitiveKinds.has(type)
        ? { kind: type as PrimitiveKind, logical }
        : parse(type, namespace, names);
  }
}

function parseRecord(attributes: Attributes, namespace: string, names: Names): RecordNode {
  const name = fullName(stringOf(attributes, 'name'), namespaceOf(attributes, namespace));
  const record: RecordNode = {
    kind: 'record',
    name,
    aliases: aliasesOf(attributes, name),
    fields: [],
  };
  names.set(name, record);
  const inner = namespaceIn(name);
  const { fields } = attributes;
  if (!Array.isArray(fields)) throw invalid(`record ${name} has no fields`);
  for (const field of fields as Attributes[]) record.fields.push(parseField(field, inner, names));
  const seen = new Set(record.fields.map((field) => field.name));
  if (seen.size !== record.fields.length) throw invalid(`record ${name} names a field twice`);
  return record;
}

function parseField(field: Attributes, namespace: string, names: Names): FieldNode {
  const name = stringOf(field, 'name');
  const { aliases, doc } = field;
  return {
    name,
    aliases: Array.isArray(aliases) ? (aliases as string[]) : [],
    type: parse(field['type'], namespace, names),
    doc: typeof doc === 'string' ? doc : undefined,
    default: field['default'],
  };
}

function parseEnum(
  attributes: Attributes,
  namespace: string,
  names: Names,
  logical: Logical,
): EnumNode {
  const name = fullName(stringOf(attributes, 'name'), namespaceOf(attributes, namespace));
  const { symbols, default: fallback } = attributes;
  if (!Array.isArray(symbols) || symbols.some((symbol) => typeof symbol !== 'string')) {
    throw invalid(`enum ${name} has no symbols`);
  }
  const node: EnumNode = {
    kind: 'enum',
    name,
    aliases: aliasesOf(attributes, name),
    symbols: symbols as string[],
    logical,
  };
  if (typeof fallback === 'string') node.default = fallback;
  names.set(name, node);
  return node;
}

function parseFixed(
  attributes: Attributes,
  namespace: string,
  names: Names,
  logical: Logical,
): FixedNode {
  const name = fullName(stringOf(attributes, 'name'), namespaceOf(attributes, namespace));
  const { size } = attributes;
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 0) {
    throw invalid(`fixed ${name} has no size`);
  }
  const node: FixedNode = {
    kind: 'fixed',
    name,
    aliases: aliasesOf(attributes, name),
    size,
    logical,
  };
  names.set(name, node);
  return node;
}

function logicalOf(attributes: Attributes): Logical {
  const { logicalType, precision, scale } = attributes;
  if (typeof logicalType !== 'string') return {};
  return {
    logicalType,
    ...(typeof precision === 'number' ? { precision } : {}),
    ...(typeof scale === 'number' ? { scale } : {}),
  };
}

function namespaceOf(attributes: Attributes, enclosing: string): string {
  const { namespace } = attributes;
  return typeof namespace === 'string' ? namespace : enclosing;
}

/** An alias stands in the namespace of the name that it is an alias of. */
function aliasesOf({ aliases }: Attributes, name: string): readonly string[] {
  const namespace = namespaceIn(name);
  return Array.isArray(aliases) ? aliases.map((alias) => fullName(String(alias), namespace)) : [];
}

function namespaceIn(name: string): string {
  return name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '';
}

function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;
}

function stringOf(attributes: Attributes, property: string): string {
  const value = attributes?.[property];
  if (typeof value !== 'string') throw invalid(`an Avro type or field lacks its ${property}`);
  return value;
}

function invalid(message: string): ContractError {
  return new ContractError('config', `invalid Avro schema: ${message}`);
}
