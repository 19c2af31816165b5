import {
  isAvroName,
  isFullName,
  wrongAliases,
  wrongEnum,
  wrongNamespace,
  wrongScale,
} from './avro-rules.ts';
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
/** What a type is where all that it names is written out: how many types within each other, and how many in all. */
type Extent = { levels: number; types: number };
type Scope = {
  namespace: string;
  names: Names;
  /** Of each record that is read whole. */
  extents: Map<AvroNode, Extent>;
  /** Types around. */
  level: number;
  /** Of the field: `a.b`, `a[]` for what an array holds, `a{}` for the values of a map; empty for the schema itself. */
  path: string;
  strict: boolean;
};
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
 * Resolves names and checks the form of an Avro schema given as JSON, as far as it must be right for its records to be
 * read: what others have registered and written may have odd names.
 * Errors: `config`, naming the field and what is wrong. Source: Avro specification 1.12, "Schema Declaration".
 */
export function parseAvroType(avroSchema: unknown): AvroNode {
  assertShallow(avroSchema, 0);
  return parse(avroSchema, topScope(false));
}

/**
 * Checks that a schema is Avro to the letter, but for defaults of fields and logical types: names, namespaces, symbols,
 * aliases, each type defined once and before it is named. Registries and libraries of all languages take such a schema.
 * Errors: `config`, naming the field, what is wrong and what to do. Source: Avro specification 1.12, "Schema Declaration".
 */
export function assertAvro(avroSchema: unknown): void {
  assertShallow(avroSchema, 0);
  parse(avroSchema, topScope(true));
}

function topScope(strict: boolean): Scope {
  return { namespace: '', names: new Map(), extents: new Map(), level: 0, path: '', strict };
}

/**
 * Types within each other, and objects and arrays of JSON that say them: an array or a map is one, an optional record
 * four. Avro for Java reads 1000 levels of JSON.
 */
const LEVELS_MAX = 400;

/** Whoever walks a type does so by recursion. */
function assertShallow(value: unknown, level: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (level > LEVELS_MAX) throw tooDeep({ path: '' });
  for (const inner of Object.values(value)) assertShallow(inner, level + 1);
}

/** Far beyond any table; a change of this many is judged within a second. */
const TYPES_MAX = 100_000;

/** Named types make a short text deep and large. A record that is not read whole yet holds itself, and ends there. */
function extentOf(node: AvroNode, extents: Scope['extents']): Extent {
  if (node.kind === 'array') return around([node.items], extents);
  if (node.kind === 'map') return around([node.values], extents);
  if (node.kind === 'union') return around(node.branches, extents);
  return extents.get(node) ?? { levels: 0, types: 1 };
}

function around(nodes: readonly AvroNode[], extents: Scope['extents']): Extent {
  const [extent, inner] = [{ levels: 1, types: 1 }, nodes.map((node) => extentOf(node, extents))];
  for (const { levels, types } of inner) {
    extent.levels = Math.max(extent.levels, levels + 1);
    extent.types += types;
  }
  return extent;
}

function tooDeep(scope: Pick<Scope, 'path'>): ContractError {
  const remedy = 'send fewer levels, or text';
  return invalid(
    scope,
    `types are nested too deeply, in more than ${LEVELS_MAX} levels: ${remedy}`,
  );
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

function parse(type: unknown, scope: Scope): AvroNode {
  if (typeof type === 'string') return parseName(type, scope);
  if (Array.isArray(type)) return parseUnion(type, scope);
  if (typeof type !== 'object' || type === null) {
    const got = type === undefined ? 'nothing' : JSON.stringify(type);
    throw invalid(scope, `an Avro type is a name, an object or a union, got ${got}`);
  }
  return parseObject(type as Attributes, scope);
}

function parseName(name: string, scope: Scope): AvroNode {
  const { namespace, names, extents, level, strict } = scope;
  if (name === 'null') return { kind: 'null' };
  if (primitiveKinds.has(name)) return { kind: name as PrimitiveKind, logical: {} };
  const full = fullName(name, namespace);
  const known = names.get(full) ?? (strict ? undefined : names.get(name));
  if (known !== undefined) {
    if (level + extentOf(known, extents).levels > LEVELS_MAX) throw tooDeep(scope);
    return known;
  }
  const remedy = 'correct its name, or define it where it first stands';
  throw invalid(scope, `the type ${full} is not defined: ${remedy}`);
}

function parseUnion(types: readonly unknown[], scope: Scope): AvroNode {
  const branches = types.map((branch) => parse(branch, within(scope, '')));
  if (scope.strict && branches.some(({ kind }) => kind === 'union')) {
    throw invalid(scope, 'a union holds a union: write the types of both into one');
  }
  return { kind: 'union', branches };
}

function parseObject(attributes: Attributes, scope: Scope): AvroNode {
  const { type } = attributes;
  const logical = logicalOf(attributes);
  if (scope.strict) assertNone(scope, wrongScale(attributes));
  switch (type) {
    case 'record':
    case 'error':
      return parseRecord(attributes, scope);
    case 'enum':
      return parseEnum(attributes, scope, logical);
    case 'fixed':
      return parseFixed(attributes, scope, logical);
    case 'array':
      return { kind: 'array', items: parse(attributes['items'], within(scope, '[]')) };
    case 'map':
      return { kind: 'map', values: parse(attributes['values'], within(scope, '{}')) };
    default:
      return parseWrapped(type, scope, logical);
  }
}

/** An object around a primitive type; writers have other types in it too. */
function parseWrapped(type: unknown, scope: Scope, logical: Logical): AvroNode {
  if (typeof type === 'string' && primitiveKinds.has(type)) {
    return { kind: type as PrimitiveKind, logical };
  }
  const node = parse(type, scope);
  if (scope.strict && type !== 'null') {
    const written = typeof type === 'string' ? type : 'a type';
    const remedy = 'write what its type is in place of the object';
    throw invalid(scope, `an object has ${written} as its type and adds nothing: ${remedy}`);
  }
  return node;
}

function parseRecord(attributes: Attributes, scope: Scope): RecordNode {
  const head = headOf(attributes, scope);
  const { name } = head;
  const record: RecordNode = { kind: 'record', ...head, fields: [] };
  define(record, scope);
  const inner = { ...scope, namespace: namespaceIn(name) };
  const { fields } = attributes;
  if (!Array.isArray(fields))
    throw invalid(scope, `record ${name} has no fields: give it a list of them`);
  const seen = new Set<string>();
  for (const attributesOf of fields as Attributes[]) {
    const field = parseField(attributesOf, inner, record);
    if (seen.has(field.name)) {
      const remedy = 'rename one of them, or take it away';
      throw invalid(scope, `record ${name} names a field twice, ${field.name}: ${remedy}`);
    }
    seen.add(field.name);
    record.fields.push(field);
  }
  measure(record, scope);
  return record;
}

function measure(record: RecordNode, scope: Scope): void {
  const extent = around(
    record.fields.map(({ type }) => type),
    scope.extents,
  );
  if (extent.types > TYPES_MAX) {
    const what = `record ${record.name} holds more than ${TYPES_MAX} types`;
    throw invalid(
      scope,
      `${what}, with those that it names written out: send fewer fields, or text`,
    );
  }
  scope.extents.set(record, extent);
}

const orders: ReadonlySet<unknown> = new Set([undefined, 'ascending', 'descending', 'ignore']);

function parseField(field: Attributes, scope: Scope, record: RecordNode): FieldNode {
  const name = stringOf(field, 'name', scope);
  const { aliases, doc, order } = field;
  if (scope.strict && !isAvroName(name)) {
    throw invalid(scope, `record ${record.name} has a field named ${named(name)}`);
  }
  const inner = within(scope, scope.path === '' ? name : `.${name}`);
  const type = parse(field['type'], inner);
  if (scope.strict) {
    assertNone(inner, wrongAliases(aliases));
    if (!orders.has(order)) {
      const remedy = 'write ascending, descending or ignore, or leave it out';
      throw invalid(inner, `its order is ${JSON.stringify(order)}: ${remedy}`);
    }
  }
  return {
    name,
    aliases: Array.isArray(aliases) ? (aliases as string[]) : [],
    type,
    doc: typeof doc === 'string' ? doc : undefined,
    default: field['default'],
  };
}

function parseEnum(attributes: Attributes, scope: Scope, logical: Logical): EnumNode {
  const head = headOf(attributes, scope);
  const { symbols, default: fallback } = attributes;
  if (!Array.isArray(symbols) || symbols.some((symbol) => typeof symbol !== 'string')) {
    throw invalid(scope, `enum ${head.name} has no symbols: give it a list of texts`);
  }
  if (scope.strict) assertNone(scope, wrongEnum(head.name, symbols as string[], fallback));
  const node: EnumNode = { kind: 'enum', ...head, symbols: symbols as string[], logical };
  if (typeof fallback === 'string') node.default = fallback;
  define(node, scope);
  return node;
}

/** As Avro counts: an int. */
const FIXED_SIZE_MAX = 2 ** 31 - 1;

function parseFixed(attributes: Attributes, scope: Scope, logical: Logical): FixedNode {
  const head = headOf(attributes, scope);
  const { size } = attributes;
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || size > FIXED_SIZE_MAX) {
    throw invalid(
      scope,
      `fixed ${head.name} has no size: give it one of 0 to ${FIXED_SIZE_MAX} bytes`,
    );
  }
  const node: FixedNode = { kind: 'fixed', ...head, size, logical };
  define(node, scope);
  return node;
}

function headOf(
  attributes: Attributes,
  scope: Scope,
): { name: string; aliases: readonly string[] } {
  const own = stringOf(attributes, 'name', scope);
  const name = fullName(own, namespaceOf(attributes, scope.namespace));
  if (scope.strict) {
    assertNone(scope, wrongNamespace(attributes['namespace']));
    const kind = String(attributes['type']);
    if (!isFullName(own)) throw invalid(scope, `the ${kind} is named ${named(own)}`);
    const last = own.slice(own.lastIndexOf('.') + 1);
    if (last === 'null' || primitiveKinds.has(last)) {
      throw invalid(scope, `the ${kind} has the name of a type of Avro's own, ${last}: rename it`);
    }
    assertNone(scope, wrongAliases(attributes['aliases'], isFullName));
  }
  return { name, aliases: aliasesOf(attributes, name) };
}

function define(node: RecordNode | EnumNode | FixedNode, scope: Scope): void {
  const { name } = node;
  if (scope.strict && scope.names.has(name)) {
    const remedy = `write "${name}" alone where it stands again, or rename one of the two`;
    throw invalid(scope, `the type ${name} is defined before: ${remedy}`);
  }
  scope.names.set(name, node);
}

function within(scope: Scope, step: string): Scope {
  return { ...scope, path: `${scope.path}${step}`, level: scope.level + 1 };
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

function stringOf(attributes: Attributes, property: string, scope: Scope): string {
  const value = attributes?.[property];
  if (typeof value !== 'string') {
    throw invalid(scope, `an Avro type or field lacks its ${property}: give it one`);
  }
  return value;
}

function named(name: string): string {
  const rule = 'a name has letters from A to Z, digits and _, and no digit first';
  return `${JSON.stringify(name)}, and ${rule}: rename it`;
}

function assertNone(scope: Scope, wrong: string | undefined): void {
  if (wrong !== undefined) throw invalid(scope, wrong);
}

function invalid({ path }: Pick<Scope, 'path'>, message: string): ContractError {
  const place = path === '' ? '' : `field ${path}: `;
  return new ContractError('config', `invalid Avro schema: ${place}${message}`);
}
