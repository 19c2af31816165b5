import { requirementToWire, updateToWire } from '@iceberg-js/rest-client-shim/spec/commit-json.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { typeText } from '@iceberg-js/rest-client-shim/spec/type-text.ts';
import type { WireObject } from '@iceberg-js/rest-client-shim/spec/wire.ts';
import { outermost } from '../schemas/evolve-fields.ts';
import type { LeftField, RefusedChange, TableChange } from '../schemas/evolve-fields.ts';
import type { TableEvolution } from '../schemas/plan-evolution.ts';

/** What becomes of one column, and of the queries that name it. */
export type ColumnOutcome = {
  column: string;
  /** Undefined for what the table does not get. */
  fieldId?: number;
  outcome: 'added' | 'widened' | 'made optional' | 'renamed' | 'left' | 'refused';
  /** Of what is refused it completes the sentence that begins with the column. */
  what: string;
  queries: string;
  /** How to come by what is refused; empty elsewhere. */
  instead: string;
};

/** What the contracts would do to a table. */
export type TablePreview = {
  table: string;
  /** Where the table was looked up: `the catalog`, or a ref of git. */
  from: string;
  /** False where the first start of the pipeline makes it. */
  exists: boolean;
  columns: readonly ColumnOutcome[];
  unchanged: readonly string[];
  /** What follows for views that Trino keeps, whole sentences. */
  views: readonly string[];
  /** What the commit would carry beside the requirements and updates of every commit; nothing where nothing changes. */
  requirements: readonly WireObject[];
  updates: readonly WireObject[];
};

type Plan = Pick<TableEvolution, 'changes' | 'refused' | 'left' | 'requirements' | 'updates'>;

/**
 * Puts a plan into words. `columns` are those that the contracts make; where new fields are taken, producers fill others
 * too.
 */
export function previewTable(of: {
  table: string;
  from: string;
  metadata: Pick<TableMetadata, 'schemas' | 'currentSchemaId'>;
  columns: readonly NestedField[];
  plan: Plan;
  takesNewFields: boolean;
}): TablePreview {
  const { table, from, metadata, columns, plan, takesNewFields } = of;
  const { changes, refused, left, requirements, updates } = plan;
  const current = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  const present = current?.fields ?? [];
  const written = new Set(columns.map(({ name }) => name));
  const unfilled = `go on; null in ${takesNewFields ? 'rows whose record lacks it' : 'new rows'}`;
  const outcomes = [
    ...changes.map((change) => outcomeOf(change, { table, unfilled })),
    ...left.map((field) => leave(field, unfilled)),
    ...refused.map(refuse),
  ];
  const touched = new Set(outcomes.map(({ column }) => outermost(column)));
  return {
    table,
    from,
    exists: true,
    columns: outcomes,
    unchanged: present
      .map(({ name }) => name)
      .filter((name) => written.has(name) && !touched.has(name)),
    views: viewsOf(changes),
    requirements: requirements.map(requirementToWire),
    updates: updates.map(updateToWire),
  };
}

/** A table that is not there yet gets every column as the contracts have it. */
export function previewNewTable(of: {
  table: string;
  from: string;
  columns: readonly NestedField[];
}): TablePreview {
  const { table, from, columns } = of;
  return {
    table,
    from,
    exists: false,
    columns: columns.map(({ name, type, required }) => ({
      column: name,
      outcome: 'added',
      what: `${typeText(type)}${required ? ', required' : ''}`,
      queries: '',
      instead: '',
    })),
    unchanged: [],
    views: [],
    requirements: [],
    updates: [],
  };
}

/** Trino keeps the columns of a view as they were when it was made. */
function viewsOf(changes: readonly TableChange[]): string[] {
  const isNew = changes.some(
    ({ kind, column }) => kind === 'rename-field' || (kind === 'add-field' && isColumn(column)),
  );
  const isWider = changes.some(({ kind }) => kind === 'widen-type');
  return [
    ...(isNew ? ['a Trino view of select * is stale until it is created again'] : []),
    ...(isWider
      ? [
          'a Trino view keeps the narrow type, and fails at a value beyond it, until it is created again',
        ]
      : []),
  ];
}

function isColumn(path: string): boolean {
  return outermost(path) === path;
}

function outcomeOf(
  change: TableChange,
  { table, unfilled }: { table: string; unfilled: string },
): ColumnOutcome {
  const { column, fieldId } = change;
  return { column, fieldId, ...tell(change, { table, unfilled }), instead: '' };
}

function tell(
  change: TableChange,
  { table, unfilled }: { table: string; unfilled: string },
): Pick<ColumnOutcome, 'outcome' | 'what' | 'queries'> {
  switch (change.kind) {
    case 'add-field': {
      const beside =
        change.besides === undefined
          ? ''
          : `; ${change.besides} stays a column beside it, null in new rows: rename-field is not allowed`;
      return {
        outcome: 'added',
        what: `${typeText(change.type)}, optional`,
        queries: `null in the rows of before${beside}`,
      };
    }
    case 'widen-type':
      return {
        outcome: 'widened',
        what: `${change.from} becomes ${change.to}; no file is written again`,
        queries: 'go on, with the wider type',
      };
    case 'make-optional':
      return {
        outcome: 'made optional',
        what: 'was required',
        queries: 'go on, and may meet null',
      };
    case 'rename-field':
      return {
        outcome: 'renamed',
        what: `was ${change.from}; the id stays, and so do the values of before`,
        queries: `that name ${change.from} fail in Trino: Column '${change.from}' cannot be resolved`,
      };
    case 'drop-field':
      return {
        outcome: 'left',
        what: `no contract has it any more; it stays in ${table} and becomes optional`,
        queries: unfilled,
      };
  }
}

function leave({ column, fieldId }: LeftField, queries: string): ColumnOutcome {
  const what = 'no contract has it; it stays as it is';
  return { column, fieldId, outcome: 'left', what, queries, instead: '' };
}

function refuse({ column, kind, by, reason }: RefusedChange): ColumnOutcome {
  const [why, instead] =
    by === 'policy'
      ? [', and pipeline.yaml does not allow that', `add ${kind} to evolution.allow`]
      : ['', remedyOf(kind)];
  return { column, outcome: 'refused', what: `${reason}${why}`, queries: '', instead };
}

function remedyOf(kind: RefusedChange['kind']): string {
  return kind === 'change-type'
    ? 'keep the field as it is and add one with the new type under another name'
    : 'choose another name, or keep what the table has';
}
