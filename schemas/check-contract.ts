import { parseAvroType } from './avro-type.ts';
import { checkLevel } from './compatibility-level.ts';
import { contractFields } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import type { ContractFinding } from './contract-finding.ts';
import type { AvroObject, Contract } from './contract.ts';
import { ContractError } from './error.ts';
import { explainIncompatibility } from './explain-incompatibility.ts';
import type { CompatibilityLevel } from './registry.ts';
import { schemaChanges } from './schema-change.ts';
import { unitChanges } from './unit-change.ts';

/** An older state of a contract; `label` names it in what is told. */
export type OlderContract = { label: string; avroSchema: AvroObject };

/**
 * What the level forbids of a contract that records are written with, given the older versions, the oldest first; and what
 * Avro's rules do not see: a meaning that the newest version gives otherwise. Nothing under NONE. Errors: `config` for an
 * older version that is not Avro.
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
  const found = checkLevel(level, parseAvroType(contract.avroSchema), versions).map(
    explainIncompatibility,
  );
  const newest = older.at(-1);
  if (level === 'NONE' || newest === undefined) return found;
  const told = new Set(found.map(({ field }) => field));
  const unread = level.startsWith('FORWARD') ? [] : unreadable(contract, newest);
  return [
    ...found,
    ...unread.filter(({ field }) => !told.has(field)),
    ...otherUnits(contract, newest),
  ];
}

/** Logical types decide what bytes mean: what the decoder would refuse, all of it or some, though Avro takes it. */
function unreadable(contract: Contract, { label, avroSchema }: OlderContract): ContractFinding[] {
  const changes = schemaChanges(contract, avroSchema) ?? [];
  return changes.flatMap(({ kind, field, what }): ContractFinding[] => {
    const finding = { breaks: 'old data', field, rule: 'meaning', against: label } as const;
    if (kind === 'change-type') {
      const message = `in old records ${what}`;
      const instead = 'keep the field as it is and add one with the new type under another name';
      return [{ ...finding, severity: 'breaking', message, instead }];
    }
    if (kind !== 'widen-type') return [];
    const message = `in old records ${what}: values that do not fit are refused, or an enum's become its default`;
    return [{ ...finding, severity: 'note', message, instead: '' }];
  });
}

function otherUnits(contract: Contract, { label, avroSchema }: OlderContract): ContractFinding[] {
  const before = fieldsOf({ name: contract.name, avroSchema });
  return unitChanges(before, contractFields(contract)).map(({ field, from, to }) => ({
    severity: 'breaking',
    breaks: 'old readers',
    field,
    rule: 'unit',
    against: label,
    message:
      `was ${from} and is ${to} now: the same column, but another number in each record, which readers that take ` +
      'the number as it is cannot tell',
    instead: 'keep the field as it is and add one in the new unit under another name',
  }));
}

/** An older schema that could be no columns has no times to compare. */
function fieldsOf({ name, avroSchema }: { name: string; avroSchema: AvroObject }): ContractField[] {
  const { fields = [] } = avroSchema;
  try {
    return contractFields({ name, avroSchema: { ...avroSchema, fields } });
  } catch (error) {
    if (error instanceof ContractError) return [];
    throw error;
  }
}
