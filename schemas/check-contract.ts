import { parseAvroType } from './avro-type.ts';
import { columnChanges } from './column-change.ts';
import type { ColumnChange } from './column-change.ts';
import { checkLevel } from './compatibility-level.ts';
import { contractFields } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import type { ContractFinding } from './contract-finding.ts';
import type { AvroObject, Contract } from './contract.ts';
import { ContractError } from './error.ts';
import { explainColumnChange } from './explain-column-change.ts';
import type { ColumnPlace } from './explain-column-change.ts';
import { explainIncompatibility } from './explain-incompatibility.ts';
import type { CompatibilityLevel } from './registry.ts';

/** An older state of a contract; `label` names it in what is told. */
export type OlderContract = { label: string; avroSchema: AvroObject };

/**
 * What the level forbids of a contract that records are written with, given the older versions, the oldest first. Nothing
 * under NONE. Errors: `config` for an older version that is not Avro.
 */
export function checkRecords(
  contract: Contract,
  older: readonly OlderContract[],
  level: CompatibilityLevel,
): ContractFinding[] {
  const versions = older.map(({ label, avroSchema }) => ({
    label,
    type: parseAvroType(avroSchema),
  }));
  return checkLevel(level, parseAvroType(contract.avroSchema), versions).map(
    explainIncompatibility,
  );
}

/**
 * What becomes of the columns of a table when an older contract becomes this one. With `carried`, those fields alone are
 * columns, and each may be null whatever the contract says. An older schema that could not be columns tells nothing.
 */
export function checkColumns(
  contract: Contract,
  older: OlderContract,
  { carried, ...place }: Omit<ColumnPlace, 'against'> & { carried?: readonly string[] },
): ContractFinding[] {
  const before = columnsOf({ name: contract.name, avroSchema: older.avroSchema });
  if (before === undefined) return [];
  const now = contractFields(contract);
  const changes =
    carried === undefined ? columnChanges(before, now) : carriedChanges(before, now, carried);
  return changes.map((change) => explainColumnChange(change, { ...place, against: older.label }));
}

/** No record is written with these contracts, so that a unit is the same as another. */
function carriedChanges(
  before: readonly ContractField[],
  now: readonly ContractField[],
  carried: readonly string[],
): ColumnChange[] {
  const next = now.filter(({ name }) => carried.includes(name));
  const names = new Set(next.flatMap(({ name, aliases }) => [name, ...aliases]));
  const then = before.filter(({ name }) => names.has(name));
  return columnChanges(then.map(optional), next.map(optional)).filter(
    ({ change }) => change !== 'unit',
  );
}

function optional(field: ContractField): ContractField {
  return { ...field, nullable: true };
}

function columnsOf(of: { name: string; avroSchema: AvroObject }): ContractField[] | undefined {
  const { fields = [] } = of.avroSchema;
  try {
    return contractFields({ name: of.name, avroSchema: { ...of.avroSchema, fields } });
  } catch (error) {
    if (error instanceof ContractError) return undefined;
    throw error;
  }
}
