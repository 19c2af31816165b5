import { childFields } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import type { TableLayout } from '@iceberg-js/rest-client-shim/write/write-data-files.ts';
import { layoutOf } from '@iceberg-js/rest-client-shim/write/write-data-files.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { IcebergType, NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { pathWithin } from '../../schemas/contract-field.ts';
import { isWithin } from '../../schemas/field-paths.ts';
import type { RefusedChange } from '../../schemas/evolve-fields.ts';
import type { Contract } from '../../schemas/contract.ts';
import { ContractError } from '../../schemas/error.ts';
import { planEvolution } from '../../schemas/plan-evolution.ts';
import type { TableEvolution } from '../../schemas/plan-evolution.ts';
import type { PipelineConfig } from '../config/pipeline-config.ts';
import type { TableColumn } from '../core/join.ts';
import type { Misfit } from '../core/judge-schema.ts';
import { eventFields, formerNames } from './event-fields.ts';

/**
 * Columns, those within others too, beyond which no producer brings another one. A column is 5 to 9 bytes for each row that
 * the batches have room for, 7 to 13 MB as shipped, and each change of the schema stays in the table's metadata with all
 * columns, 2.5 MB once they came one by one: every commit writes that, every query reads it. Contracts may have more.
 */
const EVOLVED_COLUMNS_MAX = 256;

/** How a commit is written to the table as it is, and what becomes of its schema with it. */
export type TablePlan = {
  /** The columns that are written, by name, with the table's ids and types; of nested types what is written of them. */
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
  const leftOut = new Set(plan.refused.map(refusedPath));
  const written = writtenFields({ path: '', leftOut }, plan.tableSchema.fields, columns);
  const isEvolved = plan.updates.length > 0;
  return {
    columns: new Map(written.map(({ id, name, type }) => [name, { id, type }])),
    evolution: isEvolved ? plan : undefined,
    refused: plan.refused,
    left: plan.left,
  };
}

/** What is not written where the table does not take a change: the change's path, or what lacks a field that it requires. */
export function refusedPath({ column, kind }: RefusedChange): string {
  return kind === 'drop-field' ? column.slice(0, Math.max(0, column.lastIndexOf('.'))) : column;
}

type Place = { path: string; leftOut: ReadonlySet<string> };

function writtenFields(
  { path, leftOut }: Place,
  fields: readonly NestedField[],
  wanted: readonly NestedField[],
): NestedField[] {
  const wishes = new Map(wanted.map((field) => [field.name, field]));
  return fields.flatMap((field) => {
    const wish = wishes.get(field.name);
    if (wish === undefined) return [];
    const at = { path: pathWithin(path, 'struct', field.name), leftOut };
    const type = writtenType(at, field.type, wish.type);
    return type === undefined ? [] : [{ ...field, type }];
  });
}

/** The table's type with what is written of it; undefined for nothing. */
function writtenType(
  { path, leftOut }: Place,
  type: IcebergType,
  wanted: IcebergType,
): IcebergType | undefined {
  if (leftOut.has(path)) return undefined;
  if (typeof type === 'string' || typeof wanted === 'string') return type;
  if (type.type === 'struct' && wanted.type === 'struct') {
    const fields = writtenFields({ path, leftOut }, type.fields, wanted.fields);
    return fields.length === 0 ? undefined : { ...type, fields };
  }
  if (type.type === 'list' && wanted.type === 'list') {
    const items = { path: pathWithin(path, 'list', ''), leftOut };
    const element = writtenType(items, type.element, wanted.element);
    return element === undefined ? undefined : { ...type, element };
  }
  if (type.type === 'map' && wanted.type === 'map') {
    if (leftOut.has(pathWithin(path, 'map', 'key'))) return undefined;
    const values = { path: pathWithin(path, 'map', ''), leftOut };
    const value = writtenType(values, type.value, wanted.value);
    return value === undefined ? undefined : { ...type, value };
  }
  return undefined;
}

/**
 * Why what stands at a path in a contract cannot be that of the table, whether no table or the policy refuses; undefined
 * where it can.
 */
export function misfitOf(
  options: Parameters<typeof planTable>[0] & { field: string },
): Misfit | undefined {
  const { field } = options;
  try {
    const { refused, evolution } = planTable(options);
    const isIts = ({ column }: { column: string }): boolean =>
      isWithin(column, field) || isWithin(field, column);
    const refusal = refused.find(isIts);
    if (refusal !== undefined) {
      const reason = `${refusal.column === field ? 'it' : refusal.column} ${refusal.reason}`;
      return { reason, isFull: false };
    }
    return evolution === undefined ? undefined : largeness(evolution, isIts);
  } catch (error) {
    if (error instanceof ContractError) return { reason: error.message, isFull: false };
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

/** Why a table does not take these columns from a producer, as there would be too many; undefined where it does. */
function largeness(
  { tableSchema, changes }: TableEvolution,
  isIts: (change: { column: string }) => boolean,
): Misfit | undefined {
  const added = changes.flatMap((change) =>
    change.kind === 'add-field' && isIts(change) ? 1 + countColumns(childFields(change.type)) : [],
  );
  const count = countColumns(tableSchema.fields);
  if (added.length === 0 || count <= EVOLVED_COLUMNS_MAX) return undefined;
  const reason =
    `the table would have more than ${EVOLVED_COLUMNS_MAX} columns, nested ones counted, which no producer may ` +
    'bring: add it to the contract';
  const others = added.reduce((sum, own) => sum - own, count);
  return { reason, isFull: others >= EVOLVED_COLUMNS_MAX };
}

/** The paths of all columns that stand in a table, as those of a contract are. */
export function columnPaths({ schemas, currentSchemaId }: TableMetadata): ReadonlySet<string> {
  const paths = new Set<string>();
  const add = (path: string, type: IcebergType): void => {
    paths.add(path);
    if (typeof type === 'string') return;
    for (const { name, type: inner } of childFields(type)) {
      add(pathWithin(path, type.type, name), inner);
    }
  };
  const current = schemas.find(({ schemaId }) => schemaId === currentSchemaId);
  for (const { name, type } of current?.fields ?? []) add(name, type);
  return paths;
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
