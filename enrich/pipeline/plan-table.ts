import { childFields } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import type { TableLayout } from '@iceberg-js/rest-client-shim/write/write-data-files.ts';
import { layoutOf } from '@iceberg-js/rest-client-shim/write/write-data-files.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { outermost } from '../../schemas/evolve-fields.ts';
import type { TableChange } from '../../schemas/evolve-fields.ts';
import type { Contract } from '../../schemas/contract.ts';
import { ContractError } from '../../schemas/error.ts';
import { planEvolution } from '../../schemas/plan-evolution.ts';
import type { TableEvolution } from '../../schemas/plan-evolution.ts';
import type { PipelineConfig } from '../config/pipeline-config.ts';
import type { TableColumn } from '../core/join.ts';
import { eventFields, formerNames } from './event-fields.ts';

/**
 * Columns, those within others too, beyond which no producer brings another one. A column is 5 to 9 bytes for each row that
 * the batches have room for, 7 to 13 MB as shipped, and each change of the schema stays in the table's metadata with all
 * columns, 2.5 MB once they came one by one: every commit writes that, every query reads it. Contracts may have more.
 */
const EVOLVED_COLUMNS_MAX = 256;

/** How a commit is written to the table as it is, and what becomes of its schema with it. */
export type TablePlan = {
  /** The columns that are written, by name, with the table's ids and types. */
  columns: ReadonlyMap<string, TableColumn>;
  /** What becomes of the table; undefined where it stays as it is. */
  evolution: TableEvolution | undefined;
  /** Columns that the table does not get, and why. */
  refused: TableEvolution['refused'];
  /** Columns, and fields within them, that nothing writes. */
  left: TableEvolution['left'];
};

/**
 * Plans what this configuration writes with a contract of the stream against the newest metadata. What is wider in the
 * table is written as it is there. Errors: `config` for contracts that make no table.
 */
export function planTable(options: {
  config: PipelineConfig;
  stream: Contract;
  dimensions: ReadonlyMap<string, Contract>;
  metadata: TableMetadata;
}): TablePlan {
  const { config, metadata } = options;
  const columns = eventFields(options);
  const plan = planEvolution({
    table: metadata,
    columns,
    formerNames: formerNames(options),
    allows: allowedBy(config),
  });
  const refused = new Set(plan.refused.map(({ column }) => outermost(column)));
  const wanted = new Set(columns.map(({ name }) => name));
  const { fields } = plan.tableSchema;
  const written = fields.filter(({ name }) => wanted.has(name) && !refused.has(name));
  const isEvolved = plan.updates.length > 0;
  return {
    columns: new Map(written.map(({ id, name, type }) => [name, { id, type }])),
    evolution: isEvolved ? plan : undefined,
    refused: plan.refused,
    left: plan.left,
  };
}

/** Why a field of a contract cannot be the table's column, whether no table or the policy refuses; undefined where it can. */
export function misfitOf(
  options: Parameters<typeof planTable>[0] & { field: string },
): string | undefined {
  const { field } = options;
  try {
    const { refused, evolution } = planTable(options);
    const isIts = ({ column }: { column: string }): boolean => outermost(column) === field;
    const refusal = refused.find(isIts);
    if (refusal !== undefined) {
      return `${refusal.column === field ? 'it' : refusal.column} ${refusal.reason}`;
    }
    const isAdded = (change: TableChange): boolean => change.kind === 'add-field' && isIts(change);
    return evolution?.changes.some(isAdded) === true ? largeness(evolution) : undefined;
  } catch (error) {
    if (error instanceof ContractError) return error.message;
    throw error;
  }
}

/** How files of the plan look: with the evolved schema as the current one. */
export function plannedLayout({ evolution }: TablePlan, metadata: TableMetadata): TableLayout {
  const layout = layoutOf(metadata);
  if (evolution === undefined) return layout;
  const { tableSchema } = evolution;
  const schemas = [...layout.schemas, tableSchema];
  return { ...layout, schemas, currentSchemaId: tableSchema.schemaId };
}

/** Whether files of one plan are right under another: each column has the same id and type. */
export function isSamePlan(one: TablePlan, other: TablePlan): boolean {
  if (one === other) return true;
  if (one.columns.size !== other.columns.size) return false;
  return [...one.columns].every(([name, { id, type }]) => {
    const column = other.columns.get(name);
    return column?.id === id && JSON.stringify(column.type) === JSON.stringify(type);
  });
}

/** Why a table takes no column more from a producer; undefined where it does. */
function largeness({ tableSchema }: TableEvolution): string | undefined {
  if (countColumns(tableSchema.fields) <= EVOLVED_COLUMNS_MAX) return undefined;
  return (
    `the table would have more than ${EVOLVED_COLUMNS_MAX} columns, nested ones counted, which no producer may ` +
    'bring: add it to the contract'
  );
}

function countColumns(fields: readonly NestedField[]): number {
  return fields.reduce((sum, { type }) => sum + 1 + countColumns(childFields(type)), 0);
}

/**
 * A dimension says what becomes of the columns that it brings, the stream of all others. What producers may drop may be
 * null from then on.
 */
function allowedBy({
  stream,
  dimensions,
}: PipelineConfig): Parameters<typeof planEvolution>[0]['allows'] {
  const owners = new Map(
    dimensions.flatMap(({ name, prefix, columns, evolution }) =>
      [`_${name}_match`, ...columns.map((column) => `${prefix}${column}`)].map(
        (column) => [column, evolution] as const,
      ),
    ),
  );
  return (column, kind) => {
    const { allow } = owners.get(column) ?? stream.evolution;
    return allow.has(kind) || (kind === 'make-optional' && allow.has('drop-field'));
  };
}
