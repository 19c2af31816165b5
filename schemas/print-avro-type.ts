import type { AvroNode, FieldNode, RecordNode, ScalarNode } from './avro-type.ts';
import type { AvroField, AvroObject, AvroType } from './contract.ts';
import { ContractError } from './error.ts';

/**
 * A resolved type as JSON that stands for itself: whatever it names is written out where it stands, so that it can be
 * put into another schema. Errors: `config` for a record that holds itself, which has no such form.
 */
export function printAvroType(node: AvroNode): AvroType {
  return print(node, []);
}

function print(node: AvroNode, within: readonly RecordNode[]): AvroType {
  switch (node.kind) {
    case 'null':
      return 'null';
    case 'union':
      return node.branches.map((branch) => print(branch, within));
    case 'array':
      return { type: 'array', items: print(node.items, within) };
    case 'map':
      return { type: 'map', values: print(node.values, within) };
    case 'record':
      return printRecord(node, within);
    case 'enum':
    case 'fixed':
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'bytes':
    case 'string':
      return printScalar(node);
  }
}

function printRecord(node: RecordNode, within: readonly RecordNode[]): AvroObject {
  if (within.includes(node)) throw new ContractError('config', `record ${node.name} holds itself`);
  const { name, aliases } = node;
  const fields = node.fields.map((field) => printField(field, [...within, node]));
  return { type: 'record', name, ...listed(aliases), fields };
}

function printField(field: FieldNode, within: readonly RecordNode[]): AvroField {
  const { name, aliases, doc, default: fallback } = field;
  return {
    name,
    type: print(field.type, within),
    ...listed(aliases),
    ...(doc === undefined ? {} : { doc }),
    ...(fallback === undefined ? {} : { default: fallback }),
  };
}

function printScalar(node: ScalarNode): AvroType {
  if (node.kind === 'fixed') {
    const { name, aliases, size, logical } = node;
    return { type: 'fixed', name, ...listed(aliases), size, ...logical };
  }
  if (node.kind === 'enum') {
    const { name, aliases, symbols, logical } = node;
    const fallback = node.default === undefined ? {} : { default: node.default };
    return { type: 'enum', name, ...listed(aliases), symbols, ...fallback, ...logical };
  }
  return { type: node.kind, ...node.logical };
}

function listed(aliases: readonly string[]): { aliases?: readonly string[] } {
  return aliases.length === 0 ? {} : { aliases };
}
