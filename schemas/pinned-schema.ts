import { parseAvroType } from './avro-type.ts';
import type { AvroNode, FieldNode, RecordNode } from './avro-type.ts';
import { contractFields, pathWithin } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import type { AvroObject, Contract } from './contract.ts';
import { matchFields } from './match-fields.ts';
import { printAvroFields } from './print-avro-type.ts';

/**
 * The writer's schema with each field, nested ones too, under the name of the contract's that it is read as, and all others
 * under names that no field has: contracts that grow from this one read its records just as this one does, whatever they
 * come to have. What stands at a path that is skipped is among the others. Errors: `config` for a schema that is no record.
 */
export function pinnedSchema(
  contract: Contract,
  writerSchema: AvroObject,
  isSkipped: (path: string) => boolean = () => false,
): AvroObject {
  const writer = parseAvroType(writerSchema) as RecordNode;
  const { fields } = pinRecord({ path: '', isSkipped }, contractFields(contract), writer);
  return { ...writerSchema, fields: printAvroFields(fields) };
}

type Place = { path: string; isSkipped: (path: string) => boolean };

function pinRecord(
  { path, isSkipped }: Place,
  fields: readonly ContractField[],
  writer: RecordNode,
): RecordNode {
  const readers = new Map(
    [...matchFields(fields, writer.fields)].map(([reader, field]) => [field, reader]),
  );
  const pinned = writer.fields.map((field): FieldNode => {
    const reader = readers.get(field);
    const at = pathWithin(path, 'struct', reader?.name ?? field.name);
    return reader === undefined || isSkipped(at)
      ? { ...field, name: `${field.name} (skipped)` }
      : {
          ...field,
          name: reader.name,
          type: pinType({ path: at, isSkipped }, reader, field.type),
        };
  });
  return { ...writer, fields: pinned };
}

function pinType(place: Place, reader: ContractField, writer: AvroNode): AvroNode {
  const { path, isSkipped } = place;
  if (writer.kind === 'union') {
    const branches = writer.branches.map((branch) => pinType(place, reader, branch));
    return { ...writer, branches };
  }
  if (reader.column === 'struct' && writer.kind === 'record') {
    return pinRecord(place, reader.fields, writer);
  }
  if (reader.column === 'list' && writer.kind === 'array') {
    const items = { path: pathWithin(path, 'list', ''), isSkipped };
    return { ...writer, items: pinType(items, reader.element, writer.items) };
  }
  if (reader.column === 'map' && writer.kind === 'map') {
    const values = { path: pathWithin(path, 'map', ''), isSkipped };
    return { ...writer, values: pinType(values, reader.value, writer.values) };
  }
  return writer;
}
