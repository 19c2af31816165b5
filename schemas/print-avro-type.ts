import type { AvroNode, FieldNode, RecordNode } from './avro-type.ts';
import type { AvroField, AvroObject, AvroType } from './contract.ts';
import { ContractError } from './error.ts';

/**
 * A field with its resolved type as JSON that stands for itself: whatever it names is written out where it stands, so that
 * it can be put into another schema. Errors: `config` for a record that holds itself, which has no such form.
 */
export function printAvroField(field: FieldNode): AvroField {
  return printField(field, { within: [] });
}

/**
 * The fields of one schema: a type that stands in them several times is written out once and named then, a record that
 * holds itself too. Types get names of their own where several have one, without a namespace.
 */
export function printAvroFields(fields: readonly FieldNode[]): AvroField[] {
  const scope = { names: new Map<AvroNode, string>(), taken: new Set<string>() };
  return fields.map((field) => printField(field, scope));
}

/** Names of what is written out already; or the records around, where everything is written out. */
type Scope =
  { names: Map<AvroNode, string>; taken: Set<string> } | { within: readonly RecordNode[] };

function print(node: AvroNode, scope: Scope): AvroType {
  switch (node.kind) {
    case 'null':
      return 'null';
    case 'union':
      return node.branches.map((branch) => print(branch, scope));
    case 'array':
      return { type: 'array', items: print(node.items, scope) };
    case 'map':
      return { type: 'map', values: print(node.values, scope) };
    case 'record':
    case 'enum':
    case 'fixed':
      return printNamed(node, scope);
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'bytes':
    case 'string':
      return { type: node.kind, ...node.logical };
  }
}

type NamedNode = Extract<AvroNode, { name: string }>;

function printNamed(node: NamedNode, scope: Scope): AvroType {
  if ('within' in scope) return define(node, node.name, scope);
  const { names, taken } = scope;
  const known = names.get(node);
  if (known !== undefined) return known;
  const own = node.name.slice(node.name.lastIndexOf('.') + 1);
  let name = own;
  for (let number = taken.size; taken.has(name); number += 1) name = `${own}_${number}`;
  names.set(node, name);
  taken.add(name);
  return define(node, name, scope);
}

function define(node: NamedNode, name: string, scope: Scope): AvroObject {
  const aliases = listed(node.aliases);
  switch (node.kind) {
    case 'record': {
      const inner = 'within' in scope ? { within: entered(scope.within, node) } : scope;
      const fields = node.fields.map((field) => printField(field, inner));
      return { type: 'record', name, ...aliases, fields };
    }
    case 'fixed':
      return { type: 'fixed', name, ...aliases, size: node.size, ...node.logical };
    case 'enum': {
      const fallback = node.default === undefined ? {} : { default: node.default };
      return {
        type: 'enum',
        name,
        ...aliases,
        symbols: node.symbols,
        ...fallback,
        ...node.logical,
      };
    }
  }
}

function entered(within: readonly RecordNode[], node: RecordNode): readonly RecordNode[] {
  if (within.includes(node)) throw new ContractError('config', `record ${node.name} holds itself`);
  return [...within, node];
}

function printField(field: FieldNode, scope: Scope): AvroField {
  const { name, aliases, doc, default: fallback } = field;
  return {
    name,
    type: print(field.type, scope),
    ...listed(aliases),
    ...(doc === undefined ? {} : { doc }),
    ...(fallback === undefined ? {} : { default: fallback }),
  };
}

function listed(aliases: readonly string[]): { aliases?: readonly string[] } {
  return aliases.length === 0 ? {} : { aliases };
}
