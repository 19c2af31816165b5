import { scanDataFiles, type ScannedFile } from '@iceberg-js/rest-client-shim/commit/scan.ts';
import {
  dropDeletedRows,
  readPositionDeletes,
  type PositionDeletes,
} from '@iceberg-js/rest-client-shim/read/position-deletes.ts';
import { readDataFile, type FileColumns } from '@iceberg-js/rest-client-shim/read/read-columns.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { TableSchema } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { VerifyError } from './error.ts';
import type { ReadFiles, ReadRows, RowBlock } from './table-rows.ts';

/**
 * Reads tables from their files: position deletes are applied, equality deletes are `config`.
 * Memory: the wanted columns of one data file, the deleted positions and the list of files.
 * Errors otherwise: those of the store; `corrupt`.
 */
export function openTableReader(store: ObjectStore): { readRows: ReadRows; readFiles: ReadFiles } {
  return {
    async *readRows(metadata, columnNames) {
      const tableSchema = currentSchema(metadata);
      const files: ScannedFile[] = [];
      for await (const file of scanDataFiles({ store, metadata })) files.push(file);
      const deletes = await deletesOf(store, files);
      for (const { dataFile } of files) {
        const columns = await readDataFile({ store, dataFile, tableSchema, columnNames });
        const { location } = dataFile;
        yield blockOf(location, dropDeletedRows(columns, location, deletes));
      }
    },
    async *readFiles(metadata, locations, columnNames) {
      const tableSchema = currentSchema(metadata);
      for (const location of locations) {
        const sizeBytes = await store.size(location);
        if (sizeBytes === undefined) {
          throw new VerifyError('corrupt', `${location} is named by the table, but is not there`);
        }
        const dataFile = { location, fileSizeBytes: BigInt(sizeBytes) };
        const columns = await readDataFile({ store, dataFile, tableSchema, columnNames });
        yield blockOf(location, columns);
      }
    },
  };
}

async function deletesOf(
  store: ObjectStore,
  files: readonly ScannedFile[],
): Promise<PositionDeletes> {
  const entries = files.flatMap(({ deletes }) => deletes);
  if (entries.some(({ content }) => content === 'equality-deletes')) {
    throw new VerifyError('config', 'the table has equality deletes, which are not understood');
  }
  const byLocation = new Map(entries.map(({ dataFile }) => [dataFile.location, dataFile]));
  return readPositionDeletes({ store, deleteFiles: [...byLocation.values()] });
}

function currentSchema(metadata: TableMetadata): TableSchema {
  const found = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  if (found === undefined) throw new VerifyError('corrupt', 'the table lacks its current schema');
  return found;
}

function blockOf(location: string, { rowCount, columns }: FileColumns): RowBlock {
  return {
    location,
    rowCount,
    column(name) {
      const cells = columns.get(name);
      if (cells === undefined) throw new TypeError(`column ${name} was not asked for`);
      return cells;
    },
  };
}
