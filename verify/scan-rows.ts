import { CatalogError } from '@iceberg-js/rest-client-shim/error.ts';
import type { ManifestEntry } from '@iceberg-js/rest-client-shim/manifest/manifest.ts';
import {
  readPositionDeletes,
  type PositionDeletes,
} from '@iceberg-js/rest-client-shim/read/position-deletes.ts';
import { openDataFile } from '@iceberg-js/rest-client-shim/read/read-columns.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { TableSchema } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { VerifyError } from './error.ts';
import { inParallel } from './in-parallel.ts';
import type { LiveFile } from './table-files.ts';
import type { Cell } from './table-rows.ts';

/** What it takes to scan a file. */
export type ScannedFile = Pick<LiveFile, 'location' | 'recordCount' | 'fileSizeBytes'>;

/** Some rows of one file, at most a row group; `isLive` is false for a row that was deleted. */
export type ScannedBlock = {
  rowCount: number;
  isLive: (row: number) => boolean;
  column: (name: string) => readonly Cell[];
};

/** Takes the blocks of one file, in their order. */
export type FileSink = {
  take(block: ScannedBlock): void;
  /** After the last block; `rowCount` is what the file's footer says. */
  end(rowCount: number): void;
  /** Instead of the end: the file is not there, or cannot be read on. */
  fail(state: 'missing' | 'unreadable', reason: string): void;
};

/** Files read at a time: requests wait while other files are decoded. Each holds one row group at most. */
const FILES_CONCURRENT = 4;

/**
 * Reads columns of many files, several at a time, row group by row group; blocks of different files come
 * in any order. A damaged file is told to its sink. Memory: the columns of four row groups.
 * Errors: the store's, but for `corrupt`.
 */
export async function scanRows<F extends ScannedFile>(options: {
  store: ObjectStore;
  metadata: TableMetadata;
  files: readonly F[];
  deleted: PositionDeletes;
  columns: readonly string[];
  sinkOf: (file: F) => FileSink;
}): Promise<void> {
  const { store, files, deleted, columns, sinkOf } = options;
  const tableSchema = currentSchema(options.metadata);
  await inParallel(files, FILES_CONCURRENT, async (file) => {
    const sink = sinkOf(file);
    const gone = deleted.get(file.location);
    try {
      const opened = await openDataFile({
        store,
        dataFile: file,
        tableSchema,
        columnNames: columns,
      });
      for await (const { firstRow, rowCount, columns: cells } of opened.rowGroups) {
        sink.take({
          rowCount,
          isLive: (row) => gone === undefined || !gone.has(BigInt(firstRow + row)),
          column: (name) => cells.get(name) ?? [],
        });
      }
      sink.end(opened.rowCount);
    } catch (error) {
      if (!(error instanceof CatalogError) || error.kind !== 'corrupt') throw error;
      const isThere = (await store.size(file.location)) !== undefined;
      sink.fail(isThere ? 'unreadable' : 'missing', error.message);
    }
  });
}

/** The rows that delete files take away. Errors: `config` for equality deletes; the store's; `corrupt`. */
export function readDeletes(
  store: ObjectStore,
  deletes: readonly ManifestEntry[],
): Promise<PositionDeletes> {
  if (deletes.some(({ content }) => content === 'equality-deletes')) {
    throw new VerifyError('config', 'the table has equality deletes, which are not understood');
  }
  return readPositionDeletes({ store, deleteFiles: deletes.map(({ dataFile }) => dataFile) });
}

/** Errors: `corrupt`. */
export function currentSchema(metadata: TableMetadata): TableSchema {
  const found = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  if (found === undefined) throw new VerifyError('corrupt', 'the table lacks its current schema');
  return found;
}
