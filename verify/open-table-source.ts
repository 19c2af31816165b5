import type { Catalog, TableIdentifier } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { VerifyError } from './error.ts';
import type { TableSource } from './reject-rows.ts';
import { readTableFiles, type TableFiles } from './table-files.ts';
import { openTableReader } from './table-reader.ts';

/** Commits that may fall between the two loads before we give up on a moment without one. */
const ATTEMPTS_MAX = 20;

/**
 * Loads the events table and the dead-letter table as of one moment: no commit of the events table lies
 * between the two. All checks of one run share it, so they speak about the same rows.
 * Errors: `config` where the events table is missing; `unavailable` where commits come too fast; the
 * catalog's own.
 */
export async function openTableSource(options: {
  catalog: Catalog;
  store: ObjectStore;
  table: TableIdentifier;
  deadLetter: TableIdentifier;
}): Promise<TableSource> {
  const { catalog, store, table, deadLetter } = options;
  let events = await loadEvents(catalog, table);
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const rejects = await catalog.loadTable(deadLetter);
    const again = await loadEvents(catalog, table);
    if (again.currentSnapshotId === events.currentSnapshotId) {
      const deadLetterMetadata = rejects?.metadata;
      const listFiles = openListing(store);
      return {
        events,
        deadLetter: deadLetterMetadata,
        store,
        listFiles,
        ...openTableReader(store),
      };
    }
    events = again;
  }
  throw new VerifyError('unavailable', `table ${table.name} is being committed to all the time`);
}

/** Manifests are read once for all checks. */
function openListing(store: ObjectStore): TableSource['listFiles'] {
  const listed = new WeakMap<TableMetadata, Promise<TableFiles>>();
  return (metadata) => {
    const known = listed.get(metadata) ?? readTableFiles(store, metadata);
    listed.set(metadata, known);
    return known;
  };
}

async function loadEvents(catalog: Catalog, table: TableIdentifier): Promise<TableMetadata> {
  const loaded = await catalog.loadTable(table);
  if (loaded === undefined) {
    const name = [...table.namespace, table.name].join('.');
    throw new VerifyError('config', `there is no table ${name}: nothing has been committed yet`);
  }
  return loaded.metadata;
}
