import { parseAvroType } from './avro-type.ts';
import type { AvroNode } from './avro-type.ts';
import { contractFields, pathWithin } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import type { AvroObject, Contract } from './contract.ts';
import { matchFields } from './match-fields.ts';

/**
 * The paths of all that a contract has columns for: `x`, `x.zip`, `x[]`, `x{}`, `x{key}`; where a writer's schema is given, of
 * what that fills alone. Errors: `config` for either.
 */
export function fieldPaths(contract: Contract, writerSchema?: AvroObject): ReadonlySet<string> {
  const paths = new Set<string>();
  const writers = writerSchema === undefined ? undefined : [parseAvroType(writerSchema)];
  addFields(paths, '', contractFields(contract), writers);
  return paths;
}

/** Whether a path is another or leads to something within it. */
export function isWithin(path: string, outer: string): boolean {
  return path.startsWith(outer) && ['', '.', '[', '{'].includes(path.charAt(outer.length));
}

/** What stands in one place, in any of its forms; undefined where all of the contract counts. */
type Writers = readonly AvroNode[] | undefined;

function addFields(
  paths: Set<string>,
  path: string,
  fields: readonly ContractField[],
  writers: Writers,
): void {
  const matches = writers?.flatMap((writer) =>
    writer.kind === 'record' ? [matchFields(fields, writer.fields)] : [],
  );
  for (const field of fields) {
    const types = matches?.flatMap((match) => match.get(field)?.type ?? []);
    addPlace(paths, pathWithin(path, 'struct', field.name), field, types);
  }
}

function addPlace(paths: Set<string>, path: string, field: ContractField, writers: Writers): void {
  if (writers?.length === 0) return;
  paths.add(path);
  const values = writers?.flatMap((writer) => (writer.kind === 'union' ? writer.branches : writer));
  switch (field.column) {
    case 'struct':
      addFields(paths, path, field.fields, values);
      return;
    case 'list': {
      const items = values?.flatMap((value) => (value.kind === 'array' ? value.items : []));
      addPlace(paths, pathWithin(path, 'list', ''), field.element, items);
      return;
    }
    case 'map': {
      const inner = values?.flatMap((value) => (value.kind === 'map' ? value.values : []));
      paths.add(pathWithin(path, 'map', 'key'));
      addPlace(paths, pathWithin(path, 'map', ''), field.value, inner);
      return;
    }
    case 'int32':
    case 'int64':
    case 'float32':
    case 'float64':
    case 'boolean':
    case 'bytes':
  }
}
