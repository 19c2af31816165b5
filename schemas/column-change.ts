import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { isPromotion } from '@iceberg-js/rest-client-shim/spec/type-promotion.ts';
import type { ContractField } from './contract-field.ts';

/** What the change of a contract means for the column of one field. `field` is its name in the newer contract. */
export type ColumnChange = { field: string } & (
  | { change: 'added'; to: PrimitiveType }
  /** `required`: whether the older contract had it so, and with it perhaps the table. */
  | { change: 'removed'; required: boolean }
  | { change: 'renamed'; from: string }
  | { change: 'made-optional' }
  /** To a type that Iceberg takes for the column as it stands. */
  | { change: 'widened'; from: PrimitiveType; to: PrimitiveType }
  | { change: 'retyped'; from: PrimitiveType; to: PrimitiveType }
  /** The column is the same; the number that a record holds for it is another. */
  | { change: 'unit'; from: string; to: string }
);

/**
 * How the columns of one contract become those of another, in its order and then what is gone. A field is an older one by
 * its name, else by the first of its aliases that is.
 */
export function columnChanges(
  older: readonly ContractField[],
  newer: readonly ContractField[],
): ColumnChange[] {
  const origins = new Map<ContractField, ContractField>();
  const byName = new Map(older.map((field) => [field.name, field]));
  const taken = new Set(newer.map(({ name }) => name));
  for (const field of newer) {
    const free = field.aliases.filter((alias) => !taken.has(alias));
    const name = [field.name, ...free].find((candidate) => byName.has(candidate));
    const origin = name === undefined ? undefined : byName.get(name);
    if (origin !== undefined) origins.set(field, origin);
  }
  const kept = new Set(origins.values());
  return [
    ...newer.flatMap((field) => fieldChanges(origins.get(field), field)),
    ...older
      .filter((field) => !kept.has(field))
      .map(({ name, nullable }): ColumnChange => {
        return { field: name, change: 'removed', required: !nullable };
      }),
  ];
}

function fieldChanges(older: ContractField | undefined, newer: ContractField): ColumnChange[] {
  const { name: field, tableType: to } = newer;
  if (older === undefined) return [{ field, change: 'added', to }];
  const changes: ColumnChange[] = [];
  const { name, tableType: from } = older;
  if (name !== field) changes.push({ field, change: 'renamed', from: name });
  if (!older.nullable && newer.nullable) changes.push({ field, change: 'made-optional' });
  if (from !== to) {
    changes.push({ field, change: isPromotion(from, to) ? 'widened' : 'retyped', from, to });
  }
  const units = [older, newer].map(({ type }) => type.logical.logicalType ?? type.kind);
  const [unitBefore = '', unitNow = ''] = units;
  if (from === to && isTime(newer) && unitBefore !== unitNow) {
    changes.push({ field, change: 'unit', from: unitBefore, to: unitNow });
  }
  return changes;
}

function isTime({ meaning }: ContractField): boolean {
  return meaning === 'micros' || meaning === 'time-of-day';
}
