import type { IcebergType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { isPromotion } from '@iceberg-js/rest-client-shim/spec/type-promotion.ts';
import { isScalarField, pathWithin } from './contract-field.ts';
import type { ContractField, ScalarField } from './contract-field.ts';
import { matchFields } from './match-fields.ts';

/**
 * What the change of a contract means for the column of one field. `field` is its path in the newer contract: its name, or
 * names joined by dots, with `[]` for the items of a list and `{}` for the values of a map. Ids in types are 0.
 */
export type ColumnChange = { field: string } & (
  | { change: 'added'; to: IcebergType }
  /** `required`: whether the older contract had it so, and with it perhaps the table. */
  | { change: 'removed'; required: boolean }
  /** `from` is a path too. */
  | { change: 'renamed'; from: string }
  | { change: 'made-optional' }
  /** To a type that Iceberg takes for the column as it stands. */
  | { change: 'widened'; from: IcebergType; to: IcebergType }
  | { change: 'retyped'; from: IcebergType; to: IcebergType }
  /** The column is the same; the number that a record holds for it is another. */
  | { change: 'unit'; from: string; to: string }
);

/**
 * How the columns of one contract become those of another, in its order and then what is gone; of a record within it
 * too.
 */
export function columnChanges(
  older: readonly ContractField[],
  newer: readonly ContractField[],
  path = '',
): ColumnChange[] {
  const origins = matchFields(newer, older);
  const kept = new Set(origins.values());
  const pathOf = ({ name }: ContractField): string => pathWithin(path, 'struct', name);
  return [
    ...newer.flatMap((field) => {
      const origin = origins.get(field);
      if (origin === undefined) {
        return [{ field: pathOf(field), change: 'added' as const, to: field.tableType }];
      }
      return fieldChanges(origin, field, { from: pathOf(origin), field: pathOf(field) });
    }),
    ...older
      .filter((field) => !kept.has(field))
      .map((field): ColumnChange => {
        return { field: pathOf(field), change: 'removed', required: !field.nullable };
      }),
  ];
}

function fieldChanges(
  older: ContractField,
  newer: ContractField,
  { from, field }: { from: string; field: string },
): ColumnChange[] {
  const changes: ColumnChange[] = [];
  if (from !== field) changes.push({ field, change: 'renamed', from });
  if (!older.nullable && newer.nullable) changes.push({ field, change: 'made-optional' });
  return [...changes, ...typeChanges(older, newer, field)];
}

function typeChanges(older: ContractField, newer: ContractField, field: string): ColumnChange[] {
  if (isScalarField(older) && isScalarField(newer)) return scalarChanges(older, newer, field);
  if (older.column === 'struct' && newer.column === 'struct') {
    return columnChanges(older.fields, newer.fields, field);
  }
  const inner = pathWithin(field, newer.column === 'map' ? 'map' : 'list', '');
  if (older.column === 'list' && newer.column === 'list') {
    return fieldChanges(older.element, newer.element, { from: inner, field: inner });
  }
  if (older.column === 'map' && newer.column === 'map') {
    return fieldChanges(older.value, newer.value, { from: inner, field: inner });
  }
  return [{ field, change: 'retyped', from: older.tableType, to: newer.tableType }];
}

function scalarChanges(older: ScalarField, newer: ScalarField, field: string): ColumnChange[] {
  const [from, to] = [older.tableType, newer.tableType];
  if (from !== to) {
    return [{ field, change: isPromotion(from, to) ? 'widened' : 'retyped', from, to }];
  }
  const [unitBefore = '', unitNow = ''] = [older, newer].map(
    ({ type }) => type.logical.logicalType ?? type.kind,
  );
  if (!isTime(newer) || unitBefore === unitNow) return [];
  return [{ field, change: 'unit', from: unitBefore, to: unitNow }];
}

function isTime({ meaning }: ScalarField): boolean {
  return meaning === 'micros' || meaning === 'time-of-day';
}
