import { isDeepStrictEqual } from 'node:util';
import type {
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { NestedField, TableSchema } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { ContractError } from './error.ts';
import { evolveFields } from './evolve-fields.ts';
import type { Draft, LeftField, RefusedChange, TableChange } from './evolve-fields.ts';

export type TableEvolution = {
  /** What the table's schema becomes, with the id that the catalog will give it; the current one if nothing changes. */
  tableSchema: TableSchema;
  lastColumnId: number;
  changes: readonly TableChange[];
  refused: readonly RefusedChange[];
  left: readonly LeftField[];
  /** Nothing where nothing changes. */
  requirements: readonly TableRequirement[];
  updates: readonly TableUpdate[];
};

export type EvolutionWish = {
  table: Pick<TableMetadata, 'schemas' | 'currentSchemaId' | 'lastColumnId'>;
  /** The columns that are to be written; their ids count for nothing. */
  columns: readonly NestedField[];
  /** By column: names that it had before. */
  formerNames?: ReadonlyMap<string, readonly string[]>;
  allows: Draft['allows'];
};

/** On the wire: the schema that this request added last. */
const LAST_ADDED = -1;

/**
 * What becomes of a table that is to hold these columns. New ones come last, numbered from the last id on, and may be
 * null, whatever the contract says: rows of before lack them. Columns that are not among them stay. Ids are never
 * given twice and no file is written again (INVARIANTS.md 11). Errors: `config` for a table without a current schema.
 */
export function planEvolution(wish: EvolutionWish): TableEvolution {
  const { schemas, currentSchemaId, lastColumnId } = wish.table;
  const current = schemas.find(({ schemaId }) => schemaId === currentSchemaId);
  if (current === undefined) throw new ContractError('config', 'the table has no current schema');
  const draft: Draft = {
    lastColumnId,
    identifiers: new Set(current.identifierFieldIds),
    allows: wish.allows,
    changes: [],
    refused: [],
    left: [],
  };
  const { formerNames = new Map<string, readonly string[]>() } = wish;
  const fields = evolveFields(draft, current.fields, wish.columns, { formerNames });
  const { changes, refused, left } = draft;
  const request =
    changes.length === 0
      ? { tableSchema: current, requirements: [], updates: [] }
      : requestOf(wish.table, { ...current, fields }, draft.lastColumnId);
  return { ...request, lastColumnId: draft.lastColumnId, changes, refused, left };
}

/** A schema that the table had before is made current again: catalogs do not take it for an added one. */
function requestOf(
  { schemas, currentSchemaId, lastColumnId }: EvolutionWish['table'],
  evolved: TableSchema,
  newLastColumnId: number,
): Pick<TableEvolution, 'tableSchema' | 'requirements' | 'updates'> {
  const requirements: TableRequirement[] = [
    { type: 'assert-current-schema-id', currentSchemaId },
    { type: 'assert-last-assigned-field-id', lastAssignedFieldId: lastColumnId },
  ];
  const earlier = schemas.find(
    ({ fields, identifierFieldIds }) =>
      isDeepStrictEqual(fields, evolved.fields) &&
      isDeepStrictEqual(new Set(identifierFieldIds), new Set(evolved.identifierFieldIds)),
  );
  if (earlier !== undefined) {
    const { schemaId } = earlier;
    const updates = [{ action: 'set-current-schema', schemaId }] as const;
    return { tableSchema: earlier, requirements, updates };
  }
  const schemaId = 1 + Math.max(...schemas.map((known) => known.schemaId));
  const tableSchema = { ...evolved, schemaId };
  return {
    tableSchema,
    requirements,
    updates: [
      { action: 'add-schema', schema: tableSchema, lastColumnId: newLastColumnId },
      { action: 'set-current-schema', schemaId: LAST_ADDED },
    ],
  };
}
