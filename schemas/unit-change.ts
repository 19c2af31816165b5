import { isScalarField, pathWithin } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import { matchFields } from './match-fields.ts';

/** A time whose column stays the same, while the number that a record holds for it is another. */
export type UnitChange = {
  /** Its path in the newer contract: `a.b` in a record, `a[]` in a list, `a{}` for the values of a map. */
  field: string;
  /** Logical types. */
  from: string;
  to: string;
};

/** The times, those within records too, that one contract counts in another unit than an older one. */
export function unitChanges(
  older: readonly ContractField[],
  newer: readonly ContractField[],
  path = '',
): UnitChange[] {
  return [...matchFields(newer, older)].flatMap(([field, origin]) =>
    changesWithin(origin, field, pathWithin(path, 'struct', field.name)),
  );
}

function changesWithin(older: ContractField, newer: ContractField, path: string): UnitChange[] {
  if (older.column === 'struct' && newer.column === 'struct') {
    return unitChanges(older.fields, newer.fields, path);
  }
  if (older.column === 'list' && newer.column === 'list') {
    return changesWithin(older.element, newer.element, pathWithin(path, 'list', 'element'));
  }
  if (older.column === 'map' && newer.column === 'map') {
    return changesWithin(older.value, newer.value, pathWithin(path, 'map', 'value'));
  }
  const [from, to] = [unitOf(older), unitOf(newer)];
  const isOther = from !== undefined && to !== undefined && from !== to;
  return isOther && older.tableType === newer.tableType ? [{ field: path, from, to }] : [];
}

function unitOf(field: ContractField): string | undefined {
  if (!isScalarField(field)) return undefined;
  const isTime = field.meaning === 'micros' || field.meaning === 'time-of-day';
  return isTime ? (field.type.logical.logicalType ?? field.type.kind) : undefined;
}
