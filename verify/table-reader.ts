import { scanDataFiles, type ScannedFile } from '@iceberg-js/rest-client-shim/commit/scan.ts';
import { dropDeletedRows } from '@iceberg-js/rest-client-shim/read/position-deletes.ts';
import { readDataFile, type FileColumns } from '@iceberg-js/rest-client-shim/read/read-columns.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { VerifyError } from './error.ts';
import { currentSchema, readDeletes } from './scan-rows.ts';
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
      const entries = new Map(
        files.flatMap(({ deletes: some }) => some).map((one) => [one.dataFile.location, one]),
      );
      const deletes = await readDeletes(store, [...entries.values()]);
      for (const { dataFile, snapshotId } of files) {
        const columns = await readDataFile({ store, dataFile, tableSchema, columnNames });
        const { location } = dataFile;
        yield blockOf({ location, snapshotId }, dropDeletedRows(columns, location, deletes));
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
        yield blockOf({ location, snapshotId: undefined }, columns);
      }
    },
  };
}

function blockOf(
  file: Pick<RowBlock, 'location' | 'snapshotId'>,
  { rowCount, columns }: FileColumns,
): RowBlock {
  return {
    ...file,
    rowCount,
    column(name) {
      const cells = columns.get(name);
      if (cells === undefined) throw new TypeError(`column ${name} was not asked for`);
      return cells;
    },
  };
}
