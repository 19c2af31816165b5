import type { PartitionValue } from '../manifest/data-file.ts';
import type { TableSchema } from '../spec/table-schema.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { type FileColumns, readDataFile, type StoredFile } from './read-columns.ts';

/** Deleted row positions (from 0) by the location of the data file that they are deleted from. */
export type PositionDeletes = ReadonlyMap<string, ReadonlySet<bigint>>;

/** Source: Iceberg table spec, "Position Delete Files" and "Reserved Field IDs". */
const DELETE_SCHEMA: TableSchema = {
  schemaId: 0,
  fields: [
    { id: 2_147_483_546, name: 'file_path', required: true, type: 'string' },
    { id: 2_147_483_545, name: 'pos', required: true, type: 'long' },
  ],
};

/**
 * Reads Parquet position delete files (manifest content 1) once for all data files. A delete file
 * names only data files that were there before it, so no sequence numbers need comparing.
 * Errors: as `readDataFile`.
 */
export async function readPositionDeletes(options: {
  store: ObjectStore;
  deleteFiles: readonly StoredFile[];
}): Promise<PositionDeletes> {
  const deleted = new Map<string, Set<bigint>>();
  for (const dataFile of options.deleteFiles) {
    const { columns } = await readDataFile({
      store: options.store,
      dataFile,
      tableSchema: DELETE_SCHEMA,
      columnNames: ['file_path', 'pos'],
    });
    const positions = columns.get('pos') ?? [];
    columns.get('file_path')?.forEach((location, row) => {
      addDelete(deleted, location, positions[row] ?? null);
    });
  }
  return deleted;
}

function addDelete(
  deleted: Map<string, Set<bigint>>,
  location: PartitionValue,
  position: PartitionValue,
): void {
  if (typeof location !== 'string' || typeof position !== 'bigint') return;
  const positions = deleted.get(location);
  if (positions === undefined) deleted.set(location, new Set([position]));
  else positions.add(position);
}

/** The rows of a data file that its position deletes leave, in the file's order. */
export function dropDeletedRows(
  file: FileColumns,
  location: string,
  deletes: PositionDeletes,
): FileColumns {
  const positions = deletes.get(location);
  if (positions === undefined) return file;
  const isKept = (_value: PartitionValue, row: number): boolean => !positions.has(BigInt(row));
  const columns = new Map<string, readonly PartitionValue[]>();
  for (const [name, values] of file.columns) columns.set(name, values.filter(isKept));
  let rowCount = 0;
  for (let row = 0; row < file.rowCount; row += 1) rowCount += isKept(null, row) ? 1 : 0;
  return { rowCount, columns };
}
