import { typeText } from '@iceberg-js/rest-client-shim/spec/type-text.ts';
import type { ColumnChange } from './column-change.ts';
import type { ContractFinding } from './contract-finding.ts';

type Told = Omit<ContractFinding, 'field' | 'rule' | 'against'>;

/** Where the column stands. */
export type ColumnPlace = {
  /** The table's name in what is told. */
  table: string;
  /** The column of a field. */
  columnOf: (field: string) => string;
  against: string;
};

/** What follows for the table and those who query it, in plain words. */
export function explainColumnChange(change: ColumnChange, place: ColumnPlace): ContractFinding {
  const { field, change: rule } = change;
  return { ...tell(change, place), field, rule, against: place.against };
}

function tell(change: ColumnChange, { table, columnOf }: ColumnPlace): Told {
  const column = columnOf(change.field);
  switch (change.change) {
    case 'added':
      return note(
        `the table needs a column ${column} (${typeText(change.to)}); it is null in the rows of before`,
      );
    case 'removed':
      return change.required ? removedRequired(column) : removed(column);
    case 'renamed':
      return breaking(
        'queries',
        `was named ${change.from}: queries and views that name the column ${columnOf(change.from)} fail or miss new rows`,
        'keep the old field, and add the new name as a field of its own beside it',
      );
    case 'made-optional':
      return note(
        `column ${column} may become null: where the table requires it, ${dropNotNull(table, column)}`,
      );
    case 'widened':
      return note(
        `column ${column} becomes ${typeText(change.to)} from ${typeText(change.from)}, which the table can take; no value changes`,
      );
    case 'retyped':
      return breaking(
        'the table',
        `column ${column} is ${typeText(change.from)} in the table and cannot become ${typeText(change.to)}`,
        'keep the field as it is and add one with the new type under another name',
      );
    case 'unit':
      return breaking(
        'old readers',
        `was ${change.from} and is ${change.to} now: the same column, but another number in each record, which readers ` +
          'that take the number as it is cannot tell',
        'keep the field as it is and add one in the new unit under another name',
      );
  }
}

function removed(column: string): Told {
  return note(`is gone: column ${column} stays in the table and is null in new rows`);
}

function removedRequired(column: string): Told {
  return breaking(
    'the table',
    `is gone, but column ${column} is required in the table, and nothing fills it`,
    'keep the field; or first make it optional, in a change of its own, and then let it go',
  );
}

/** Trino has a statement for columns only. */
function dropNotNull(table: string, column: string): string {
  return /[.[{]/.test(column)
    ? 'change that with Spark: Trino cannot within a column'
    : `in Trino: alter table ${table} alter column ${column} drop not null`;
}

function note(message: string): Told {
  return { severity: 'note', breaks: 'nobody', message, instead: '' };
}

function breaking(breaks: ContractFinding['breaks'], message: string, instead: string): Told {
  return { severity: 'breaking', breaks, message, instead };
}
