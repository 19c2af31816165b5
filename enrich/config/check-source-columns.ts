import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { SourceColumn, SourceForm } from '../../connectors/source-columns.ts';
import { contractFields, isScalarField } from '../../schemas/contract-field.ts';
import type { ScalarField } from '../../schemas/contract-field.ts';
import type { ContractFinding } from '../../schemas/contract-finding.ts';
import type { Contract } from '../../schemas/contract.ts';
import type { DimensionConfig } from './pipeline-config.ts';

/** Forms of which every value fits, and forms of which some may not, by the column's type (see `column-codec.ts`). */
type Takes = { all: readonly SourceForm[]; some: readonly SourceForm[] };

const wholeNumbers: readonly SourceForm[] = ['int', 'long'];

function takesOf(type: PrimitiveType): Takes {
  switch (type) {
    case 'string':
      return { all: ['text', 'uuid'], some: [] };
    case 'boolean':
      return { all: ['boolean'], some: [] };
    case 'int':
      return { all: ['int'], some: ['long'] };
    case 'long':
      return { all: wholeNumbers, some: [] };
    case 'float':
    case 'double':
      return { all: ['real', 'int'], some: [] };
    case 'date':
      return { all: ['date', 'int'], some: ['long'] };
    case 'time':
      return { all: ['time-of-day', ...wholeNumbers], some: [] };
    case 'timestamp':
    case 'timestamptz':
      return { all: ['instant', ...wholeNumbers], some: [] };
    case 'uuid':
      return { all: ['uuid'], some: ['text', 'bytes'] };
    case 'binary':
      return { all: ['bytes'], some: [] };
    default:
      return type.startsWith('fixed')
        ? { all: [], some: ['bytes'] }
        : { all: ['decimal'], some: ['text', ...wholeNumbers] };
  }
}

/**
 * Whether the rows that Debezium writes hold what pipeline.yaml takes from them by the contract: the keys and the carried
 * columns. `against` names the registered version in what is told.
 */
export function checkSourceColumns(options: {
  dimension: DimensionConfig;
  contract: Contract;
  columns: readonly SourceColumn[];
  against: string;
}): ContractFinding[] {
  const { dimension, contract, columns, against } = options;
  const { primaryKey, joinKey } = dimension;
  const used = new Set([primaryKey, joinKey, ...dimension.columns]);
  return contractFields(contract)
    .filter(isScalarField)
    .filter(({ name }) => used.has(name))
    .flatMap((field) => {
      const column = columns.find(({ name }) => name === field.name);
      const told =
        column === undefined ? missing(dimension, field) : misfit(dimension, field, column);
      const rule = column === undefined ? 'missing-column' : 'type';
      return told === undefined ? [] : [{ ...told, field: field.name, rule, against }];
    });
}

type Told = Pick<ContractFinding, 'severity' | 'breaks' | 'message' | 'instead'>;

function missing(dimension: DimensionConfig, { name }: ScalarField): Told {
  const { primaryKey, joinKey, prefix, topic } = dimension;
  const isKey = name === primaryKey || name === joinKey;
  return {
    severity: 'breaking',
    breaks: isKey ? 'the dimension' : 'the table',
    message: isKey
      ? `is a key, and the rows of ${topic} have no such column: no change of it can be taken`
      : `is not among the columns of ${topic}: column ${prefix}${name} stays null in every row`,
    instead:
      'give the field the name that the source has, or add the column at the source; a new column is registered with ' +
      'the first change after it',
  };
}

/** How much of what a source column may hold a column of the table takes (see `column-codec.ts`). */
export type Fit =
  | 'every'
  /** Every value of the right form, such as text that is a uuid. */
  | 'some'
  /** The source has room for numbers, or digits, that the column has none for. */
  | 'narrower'
  | 'none';

export function fitOf(type: PrimitiveType, column: SourceColumn): Fit {
  const { all, some } = takesOf(type);
  if (!all.includes(column.form) && !some.includes(column.form)) return 'none';
  if (narrows(type, column)) return 'narrower';
  return some.includes(column.form) ? 'some' : 'every';
}

/** Whether a column that is narrower than the source's can be widened to it as it stands. Source: Iceberg table spec. */
export function widens(
  type: PrimitiveType,
  { form, type: sourceType, digits }: SourceColumn,
): boolean {
  if (type === 'int') return form === 'long';
  if (type === 'float') return sourceType === 'double';
  const [, precision, scale] = decimalForm.exec(type) ?? [];
  if (precision === undefined || digits === undefined) return false;
  return digits.scale === Number(scale) && digits.precision <= decimalPrecisionMax;
}

/** As whoever writes a contract knows it, else as Debezium names it. */
export function sourceTypeText({ digits, type }: SourceColumn): string {
  return digits === undefined ? type : `decimal(${digits.precision}, ${digits.scale})`;
}

function misfit(
  dimension: DimensionConfig,
  field: ScalarField,
  column: SourceColumn,
): Told | undefined {
  const type = sourceTypeText(column);
  const message = `is ${field.tableType} by the contract and ${type} at the source`;
  const rejects = `${message}: a change with a value that does not fit is a reject`;
  switch (fitOf(field.tableType, column)) {
    case 'none':
      return {
        severity: 'breaking',
        breaks: 'the dimension',
        message: `${message}: every change with a value in it is a reject`,
        instead: `change the column at the source, or ${followed(dimension, field)}`,
      };
    case 'narrower':
      return {
        severity: 'breaking',
        breaks: 'the dimension',
        message: field.tableType === 'float' ? `${message}: values are rounded to it` : rejects,
        instead: widens(field.tableType, column)
          ? `make the field ${type}, as it is at the source: the table can follow`
          : `change the column at the source, or ${followed(dimension, field)}`,
      };
    case 'some':
      return { severity: 'note', breaks: 'nobody', message: rejects, instead: '' };
    case 'every':
      return undefined;
  }
}

/** What leads to a column of the source's type where the table's cannot become that. */
function followed({ columns, prefix }: DimensionConfig, { name }: ScalarField): string {
  if (!columns.includes(name)) return 'give the field the type that it has there';
  return (
    'give the source a column of that type under another name, and carry that: where the table has ' +
    `${prefix}${name} already, that cannot become another type`
  );
}

function narrows(type: PrimitiveType, column: SourceColumn): boolean {
  if (type === 'int' || type === 'date') return column.form === 'long';
  if (type === 'float') return column.type === 'double';
  return losesDigits(type, column);
}

const decimalForm = /^decimal\((\d+), (\d+)\)$/;
const decimalPrecisionMax = 38;

function losesDigits(type: PrimitiveType, { digits }: SourceColumn): boolean {
  const [, precision, scale] = decimalForm.exec(type) ?? [];
  if (precision === undefined || digits === undefined) return false;
  const whole = Number(precision) - Number(scale);
  return digits.scale > Number(scale) || digits.precision - digits.scale > whole;
}
