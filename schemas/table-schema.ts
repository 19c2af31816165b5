import { childFields, renumberFields } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import type {
  IcebergType,
  NestedField,
  TableSchema,
} from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { typeText } from '@iceberg-js/rest-client-shim/spec/type-text.ts';
import { contractFields, isScalarField, pathWithin } from './contract-field.ts';
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
 * The fields of the table that a pipeline writes, numbered from 1 as for a new table, nested ones last: the stream's
 * fields, the carried columns (`prefix + column`, always optional: a click may miss), `_<dimension>_match`
 * for each dimension, then where the record came from and when it was taken in.
 * Errors: `config` for an unknown column or event time, a nested column of a dimension, and two columns of one name.
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
 * Field ids that an existing table gave to the derived columns, never others (INVARIANTS.md 11), by their paths, such as
 * `address.lines[].text`; and why it cannot be written to: a missing column, another type than ours, or a required
 * column that we may leave null. Columns of the table that we do not know are left alone: they are written as nulls
 * unless required. `table` is its name in what is told.
 */
export function reconcileFieldIds(
  derived: readonly NestedField[],
  tableSchema: TableSchema,
  table: string,
): { fieldIds: ReadonlyMap<string, number>; differences: readonly string[] } {
  const fieldIds = new Map<string, number>();
  const differences: string[] = [];
  const into = { fieldIds, differences, table };
  const { fields } = tableSchema;
  reconcile(into, '', { type: 'struct', fields: derived }, { type: 'struct', fields });
  return { fieldIds, differences };
}

type Reconciled = { fieldIds: Map<string, number>; differences: string[]; table: string };

/** What two nested types of one kind are made of, by name. */
function reconcile(into: Reconciled, path: string, ours: IcebergType, theirs: IcebergType): void {
  if (typeof ours === 'string') return;
  const pathOf = ({ name }: NestedField): string => pathWithin(path, ours.type, name);
  const tableFields = new Map(childFields(theirs).map((field) => [field.name, field]));
  const names = new Set<string>();
  for (const field of childFields(ours)) {
    const tableField = tableFields.get(field.name);
    names.add(field.name);
    if (tableField !== undefined) into.fieldIds.set(pathOf(field), tableField.id);
    const difference = differenceOf(pathOf(field), field, tableField, into.table);
    if (difference !== undefined) into.differences.push(difference);
    else if (tableField !== undefined) {
      reconcile(into, pathOf(field), field.type, tableField.type);
    }
  }
  for (const field of tableFields.values()) {
    if (!field.required || names.has(field.name)) continue;
    into.differences.push(`column ${pathOf(field)} of the table is required and nothing writes it`);
  }
}

function differenceOf(
  path: string,
  field: NestedField,
  tableField: NestedField | undefined,
  table: string,
): string | undefined {
  if (tableField === undefined) {
    return `column ${path} (${typeText(field.type)}) is missing from the table`;
  }
  if (kindOf(tableField.type) !== kindOf(field.type)) {
    return `column ${path} is ${typeText(tableField.type)} in the table, expected ${typeText(field.type)}`;
  }
  if (tableField.required && !field.required) {
    const statement = `alter table ${table} alter column ${path} drop not null`;
    const remedy = path === field.name ? ` (in Trino: ${statement})` : '';
    return `column ${path} is required in the table but may be null${remedy}`;
  }
  return undefined;
}

/** Nested types of one kind are compared by what they are made of. */
function kindOf(type: IcebergType): string {
  return typeof type === 'string' ? type : type.type;
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
    const refuse = (problem: string): ContractError =>
      new ContractError(
        'config',
        `dimension ${dimension.name}: contract ${dimension.contract.name} ${problem}`,
        { context: { dimension: dimension.name, field: name } },
      );
    if (field === undefined) {
      throw refuse(`has no field ${name}; it has ${[...fields.keys()].join(', ')}`);
    }
    if (!isScalarField(field)) {
      throw refuse(
        `has the ${field.column} ${name}, and a dimension's row is kept one cell a column: carry a flat field, or ` +
          'give the source a column for each part that is needed',
      );
    }
    return {
      ...column(`${dimension.prefix}${name}`, field.tableType),
      ...(field.doc === undefined ? {} : { doc: field.doc }),
    };
  });
}

function column(name: string, type: IcebergType, required = false): Column {
  return { name, required, type };
}

function numberColumns(columns: readonly Column[]): NestedField[] {
  const fields = columns.map((field) => ({ id: 0, ...field }));
  requireDistinct('', { type: 'struct', fields }, new Map());
  let lastId = 0;
  return renumberFields(fields, () => (lastId += 1));
}

/** Iceberg names are compared without case by Trino: two that differ only in case clash too. */
function requireDistinct(path: string, type: IcebergType, seen: Map<string, string>): void {
  if (typeof type === 'string') return;
  for (const field of childFields(type)) {
    const name = pathWithin(path, type.type, field.name);
    const other = seen.get(name.toLowerCase());
    if (other !== undefined) {
      throw new ContractError(
        'config',
        `two columns are named ${name}${other === name ? '' : ` (${other})`}: ` +
          'choose other prefixes for the dimensions, or other names in the contract',
        { context: { column: name } },
      );
    }
    seen.set(name.toLowerCase(), name);
    requireDistinct(name, field.type, seen);
  }
}
