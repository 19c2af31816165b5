import { parseAvroType } from './avro-type.ts';
import type { AvroNode, FieldNode, RecordNode } from './avro-type.ts';
import { contractFields } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import type { AvroObject, Contract } from './contract.ts';
import { matchFields } from './match-fields.ts';
import { printAvroFields } from './print-avro-type.ts';

/**
 * The writer's schema with each field, nested ones too, under the name of the contract's that it is read as, and all others
 * under names that no field has: contracts that grow from this one read its records just as this one does, whatever they
 * come to have. Errors: `config` for a schema that is no record.
 */
export function pinnedSchema(contract: Contract, writerSchema: AvroObject): AvroObject {
  const writer = parseAvroType(writerSchema) as RecordNode;
  const { fields } = pinRecord(contractFields(contract), writer);
  return { ...writerSchema, fields: printAvroFields(fields) };
}

function pinRecord(fields: readonly ContractField[], writer: RecordNode): RecordNode {
  const readers = new Map(
    [...matchFields(fields, writer.fields)].map(([reader, field]) => [field, reader]),
  );
  const pinned = writer.fields.map((field): FieldNode => {
    const reader = readers.get(field);
    return reader === undefined
      ? { ...field, name: `${field.name} (skipped)` }
      : { ...field, name: reader.name, type: pinType(reader, field.type) };
  });
  return { ...writer, fields: pinned };
}

function pinType(reader: ContractField, writer: AvroNode): AvroNode {
  if (writer.kind === 'union') {
    return { ...writer, branches: writer.branches.map((branch) => pinType(reader, branch)) };
  }
  if (reader.column === 'struct' && writer.kind === 'record') {
    return pinRecord(reader.fields, writer);
  }
  if (reader.column === 'list' && writer.kind === 'array') {
    return { ...writer, items: pinType(reader.element, writer.items) };
  }
  if (reader.column === 'map' && writer.kind === 'map') {
    return { ...writer, values: pinType(reader.value, writer.values) };
  }
  return writer;
}
