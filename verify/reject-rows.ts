import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import type { RecordedState } from './recorded.ts';
import type { TableFiles } from './table-files.ts';
import type { ReadFiles, ReadRows, RowBlock } from './table-rows.ts';

/** The two tables of a pipeline and how their rows are read. */
export type TableSource = {
  events: TableMetadata;
  /** Undefined where no dead-letter table exists (yet). */
  deadLetter: TableMetadata | undefined;
  store: ObjectStore;
  /** The files of the current snapshot, read once for each table. */
  listFiles: (metadata: TableMetadata) => Promise<TableFiles>;
  readRows: ReadRows;
  readFiles: ReadFiles;
};

/**
 * Rejects: the live rows of the dead-letter table, and the rows of files that a commit of the events
 * table has decided on but the dead-letter table does not list yet.
 */
export async function* rejectBlocks(
  source: TableSource,
  state: RecordedState,
  columns: readonly string[],
): AsyncGenerator<RowBlock> {
  const live = new Set<string>();
  const { deadLetter } = source;
  if (deadLetter === undefined) return;
  for await (const block of source.readRows(deadLetter, columns)) {
    live.add(block.location);
    yield block;
  }
  const lacking = state.pendingFiles.filter(({ location }) => !live.has(location));
  const locations = lacking.map(({ location }) => location);
  if (locations.length > 0) yield* source.readFiles(deadLetter, locations, columns);
}
