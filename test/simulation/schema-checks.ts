import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { BROUGHT, NEW_COLUMNS, WIDENED_COLUMNS } from './click-schemas.ts';
import { leavesOf } from './file-rows.ts';
import type { NamedRow } from './table-model.ts';
import type { StreamEntry } from './truth.ts';
import { Violation } from './violation.ts';

type Click = StreamEntry & { kind: 'click' };

type Commit = { before: TableMetadata; after: TableMetadata };

/** The values of the current schema and their types, those within records too, by path. */
function columnsOf({ schemas, currentSchemaId }: TableMetadata): ReadonlyMap<string, string> {
  const current = schemas.find(({ schemaId }) => schemaId === currentSchemaId);
  const columns = new Map<string, string>();
  for (const { path, type } of leavesOf(current?.fields ?? [])) {
    if (columns.has(path.toLowerCase())) {
      throw new Violation(11, `two columns of the table have one name: ${path}`);
    }
    columns.set(path.toLowerCase(), JSON.stringify(type));
  }
  return columns;
}

/** What only producers of the stream bring comes with rows alone, and one name is one column (INVARIANTS.md 11). */
export function checkSchemaByOthers(before: TableMetadata, after: TableMetadata): void {
  const [old, now] = [columnsOf(before), columnsOf(after)];
  for (const name of [...NEW_COLUMNS, ...WIDENED_COLUMNS]) {
    if (old.get(name) === now.get(name)) continue;
    throw new Violation(11, `${name} became ${String(now.get(name))} in a commit without rows`);
  }
}

/** A commit changes the table by what its own rows bring, all of it and nothing else (INVARIANTS.md 11). */
export function checkEvolution(clicks: readonly Click[], { before, after }: Commit): void {
  const [old, now] = [columnsOf(before), columnsOf(after)];
  const { currentSchemaId } = after;
  const isChanged = before.currentSchemaId !== currentSchemaId;
  if (isChanged && after.snapshots.at(-1)?.schemaId !== currentSchemaId) {
    throw new Violation(11, 'a commit names another schema than the one that it leaves');
  }
  const brought = new Set(clicks.flatMap(({ schema }) => Object.keys(BROUGHT[schema])));
  for (const [name, type] of now) {
    if (old.get(name) === type || brought.has(name)) continue;
    // The contract has it, and a table that was made by hand lacks it.
    if (old.get(name) === undefined && !NEW_COLUMNS.includes(name) && clicks.length > 0) continue;
    throw new Violation(11, `${name} became ${type}, and no row of the commit brings that`);
  }
}

/** What a producer wrote stands in the row, and where it wrote nothing stands null (INVARIANTS.md 5). */
export function checkValues(place: string, row: NamedRow, { schema, values }: Click): void {
  for (const name of [...NEW_COLUMNS, ...WIDENED_COLUMNS]) {
    const [found, wanted] = [row[name] ?? null, values[name] ?? null];
    if (String(found) === String(wanted)) continue;
    throw new Violation(
      5,
      `the row ${place} has ${String(found)} as ${name}, its producer wrote ${String(wanted)} (${schema})`,
    );
  }
}
