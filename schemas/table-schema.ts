import type {
  NestedField,
  PrimitiveType,
  TableSchema,
} from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { contractFields } from './contract-field.ts';
import type { Contract } from './contract.ts';
import { ContractError } from './error.ts';

export type DimensionColumns = {
  name: string;
  prefix: string;
  contract: Contract;
  /** Columns carried into the table, by their names in the contract. */
  columns: readonly string[];
};

type Column = Omit<NestedField, 'id'>;

/**
 * The fields of the table that a pipeline writes, numbered from 1 as for a new table: the stream's
 * fields, the carried columns (`prefix + column`, always optional: a click may miss), `_<dimension>_match`
 * for each dimension, then where the record came from and when it was taken in.
 * Errors: `config` for an unknown column or event time, and for two columns of one name.
 */
export function deriveTableSchema(options: {
  streamContract: Contract;
  eventTimeField: string;
  dimensions: readonly DimensionColumns[];
}): NestedField[] {
  const stream = streamColumns(options.streamContract);
  requireEventTime(options.streamContract, stream, options.eventTimeField);
  const columns = [
    ...stream,
    ...options.dimensions.flatMap(carriedColumns),
    ...options.dimensions.map(({ name }) => column(`_${name}_match`, 'string')),
    column('_kafka_partition', 'int', true),
    column('_kafka_offset', 'long', true),
    column('_ingested_at', 'timestamptz', true),
  ];
  return numberColumns(columns);
}

/** A column that dead-letter tables of earlier versions lack: they stay as they are, and it is not written. */
export const topicIdColumn = '_kafka_topic_id';

/** The fields of the dead-letter table: one row for each record that could not become a row. */
export function deriveDeadLetterSchema(): NestedField[] {
  return numberColumns([
    column('_kafka_topic', 'string', true),
    column('_kafka_partition', 'int', true),
    column('_kafka_offset', 'long', true),
    column('_kafka_timestamp', 'timestamptz', true),
    column('_ingested_at', 'timestamptz', true),
    column('schema_id', 'int'),
    column('error_kind', 'string', true),
    column('error_message', 'string', true),
    column('record_key', 'binary'),
    column('record_value', 'binary'),
    column(topicIdColumn, 'string'),
  ]);
}

/**
 * Field ids that an existing table gave to the derived columns, never others (INVARIANTS.md 11), and why it cannot be written to:
 * a missing column, another type than ours, or a required column that we may leave null. Columns of the
 * table that we do not know are left alone: they are written as nulls unless required. `table` is its name in what is told.
 */
export function reconcileFieldIds(
  derived: readonly NestedField[],
  tableSchema: TableSchema,
  table: string,
): { fieldIds: ReadonlyMap<string, number>; differences: readonly string[] } {
  const fieldIds = new Map<string, number>();
  const differences: string[] = [];
  const tableFields = new Map(tableSchema.fields.map((field) => [field.name, field]));
  for (const field of derived) {
    const tableField = tableFields.get(field.name);
    if (tableField !== undefined) fieldIds.set(field.name, tableField.id);
    const difference = differenceOf(field, tableField, table);
    if (difference !== undefined) differences.push(difference);
  }
  const names = new Set(derived.map(({ name }) => name));
  for (const { name, required } of tableSchema.fields) {
    if (required && !names.has(name)) {
      differences.push(`column ${name} of the table is required and nothing writes it`);
    }
  }
  return { fieldIds, differences };
}

function differenceOf(
  field: NestedField,
  tableField: NestedField | undefined,
  table: string,
): string | undefined {
  if (tableField === undefined) {
    return `column ${field.name} (${describe(field)}) is missing from the table`;
  }
  if (tableField.type !== field.type) {
    return `column ${field.name} is ${describe(tableField)} in the table, expected ${describe(field)}`;
  }
  if (tableField.required && !field.required) {
    const statement = `alter table ${table} alter column ${field.name} drop not null`;
    return `column ${field.name} is required in the table but may be null (in Trino: ${statement})`;
  }
  return undefined;
}

function describe({ type }: NestedField): string {
  return typeof type === 'string' ? type : `a ${type.type}`;
}

function streamColumns(contract: Contract): Column[] {
  return contractFields(contract).map(({ name, nullable, tableType, doc }) => ({
    ...column(name, tableType, !nullable),
    ...(doc === undefined ? {} : { doc }),
  }));
}

function requireEventTime(
  contract: Contract,
  columns: readonly Column[],
  eventTimeField: string,
): void {
  const field = columns.find(({ name }) => name === eventTimeField);
  const isTime = field?.type === 'timestamptz' || field?.type === 'timestamp';
  if (field?.required === true && isTime) return;
  throw new ContractError(
    'config',
    field === undefined
      ? `contract ${contract.name} has no field ${eventTimeField} to be the event time`
      : `contract ${contract.name}: the event time ${eventTimeField} must be a required timestamp`,
    { context: { contract: contract.name, field: eventTimeField } },
  );
}

function carriedColumns(dimension: DimensionColumns): Column[] {
  const fields = new Map(contractFields(dimension.contract).map((field) => [field.name, field]));
  return dimension.columns.map((name) => {
    const field = fields.get(name);
    if (field === undefined) {
      throw new ContractError(
        'config',
        `dimension ${dimension.name}: contract ${dimension.contract.name} has no field ${name}; ` +
          `it has ${[...fields.keys()].join(', ')}`,
        { context: { dimension: dimension.name, field: name } },
      );
    }
    return {
      ...column(`${dimension.prefix}${name}`, field.tableType),
      ...(field.doc === undefined ? {} : { doc: field.doc }),
    };
  });
}

function column(name: string, type: PrimitiveType, required = false): Column {
  return { name, required, type };
}

/** Iceberg names are compared without case by Trino: two that differ only in case clash too. */
function numberColumns(columns: readonly Column[]): NestedField[] {
  const seen = new Map<string, string>();
  for (const { name } of columns) {
    const other = seen.get(name.toLowerCase());
    if (other !== undefined) {
      throw new ContractError(
        'config',
        `two columns are named ${name}${other === name ? '' : ` (${other})`}: ` +
          'choose other prefixes for the dimensions',
        { context: { column: name } },
      );
    }
    seen.set(name.toLowerCase(), name);
  }
  return columns.map((field, index) => ({ id: index + 1, ...field }));
}
