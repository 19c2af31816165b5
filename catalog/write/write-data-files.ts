import { setImmediate as nextTurn } from 'node:timers/promises';
import { CatalogError } from '../error.ts';
import type { DataFile, PartitionValue } from '../manifest/data-file.ts';
import type { ColumnBatch, FlatColumn } from '../parquet/columns.ts';
import type { DataFileWriter } from '../parquet/data-file-writer.ts';
import type { PartitionSpec, SortOrder, TableMetadata } from '../spec/table-metadata.ts';
import type { PrimitiveType, TableSchema } from '../spec/table-schema.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { groupRowsByAll } from './group-rows.ts';
import { partitionPath } from './partition-path.ts';
import { sortRows } from './sort-rows.ts';

/** The part of a table's metadata that says how its files look and where they go: all but its history. */
export type TableLayout = Pick<
  TableMetadata,
  | 'schemas'
  | 'currentSchemaId'
  | 'partitionSpecs'
  | 'defaultSpecId'
  | 'sortOrders'
  | 'defaultSortOrderId'
  | 'properties'
  | 'location'
>;

/** Leaves the history out, which grows with every commit: for whoever writes files far from the catalog. */
export function layoutOf(metadata: TableMetadata): TableLayout {
  const { schemas, currentSchemaId, partitionSpecs, defaultSpecId } = metadata;
  const { sortOrders, defaultSortOrderId, properties, location } = metadata;
  return {
    schemas,
    currentSchemaId,
    partitionSpecs,
    defaultSpecId,
    sortOrders,
    defaultSortOrderId,
    properties,
    location,
  };
}

export type WriteDataFilesOptions = {
  metadata: TableLayout;
  batch: ColumnBatch;
  writer: DataFileWriter;
  store: ObjectStore;
  /** A name that no other file of the table has, without folder and extension. */
  newFileName: () => string;
  /** Uploads in flight at most; also bounds the encoded files in memory. */
  uploadsMax: number;
};

/** The batch cut by partition tuple; `rows` is absent where a part is the whole batch as it stands. */
export type BatchPart = { partitionTuple: PartitionValue[]; rows: Int32Array | undefined };

/** Where data files lie unless they should not lie under the table's location. */
const DATA_PATH_PROPERTY = 'write.data.path';

/**
 * Writes a batch as Parquet files under the table's current schema, default partition spec and default
 * sort order: one file for each partition tuple, its rows sorted. The files are invisible until a
 * commit names them (INVARIANTS.md 10). Gives the event loop a turn between files, since encoding is synchronous.
 * Errors: as the writer and the store raise them; after any failure the uploads in flight are awaited, and
 * what was uploaded stays as orphans. `corrupt` for metadata that names what it does not have.
 */
export async function writeDataFiles(options: WriteDataFilesOptions): Promise<DataFile[]> {
  const { metadata, batch, writer, store } = options;
  const table = currentTable(metadata);
  const uploads = createUploads(options.uploadsMax);
  const dataFiles: DataFile[] = [];
  try {
    for (const { partitionTuple, rows } of splitBatch(table, batch)) {
      await uploads.slot();
      if (uploads.hasFailed()) break;
      const { bytes, ...metrics } = writer.encode(table.tableSchema, batch, rows);
      const location = fileLocation(table, partitionTuple, options.newFileName());
      uploads.start(store.put(location, bytes));
      dataFiles.push({
        location,
        format: 'PARQUET',
        specId: table.spec.specId,
        partitionTuple,
        fileSizeBytes: BigInt(bytes.byteLength),
        sortOrderId: table.sortOrder.orderId,
        ...metrics,
      });
      await nextTurn();
    }
  } finally {
    await uploads.settled();
  }
  uploads.throwFirst();
  return dataFiles;
}

/** What of a table's metadata decides how its files look. */
export type WriteTarget = {
  tableSchema: TableSchema;
  spec: PartitionSpec;
  sortOrder: SortOrder;
  dataPath: string;
};

/** The current schema, default spec, default sort order and data folder. Errors: `corrupt` when one is missing. */
export function currentTable(metadata: TableLayout): WriteTarget {
  const { schemas, partitionSpecs, sortOrders, properties, location } = metadata;
  const dataPath = properties[DATA_PATH_PROPERTY] ?? `${location.replace(/\/+$/, '')}/data`;
  return {
    tableSchema: named('schema', metadata.currentSchemaId, schemas, ({ schemaId }) => schemaId),
    spec: named('partition spec', metadata.defaultSpecId, partitionSpecs, ({ specId }) => specId),
    sortOrder: named(
      'sort order',
      metadata.defaultSortOrderId,
      sortOrders,
      ({ orderId }) => orderId,
    ),
    dataPath: dataPath.replace(/\/+$/, ''),
  };
}

function named<T>(what: string, id: number, all: readonly T[], idOf: (one: T) => number): T {
  const found = all.find((one) => idOf(one) === id);
  if (found !== undefined) return found;
  throw new CatalogError('corrupt', `the table metadata lacks its ${what} ${id}`);
}

/**
 * Cuts a batch by partition tuple, the rows of each part in the table's sort order. An empty batch has
 * no parts; rows that are in order and share one tuple are one part without a copy.
 */
export function splitBatch(target: WriteTarget, batch: ColumnBatch): BatchPart[] {
  const { rowCount } = batch;
  if (rowCount === 0) return [];
  const source = (sourceId: number): { column: FlatColumn | undefined; type: PrimitiveType } => ({
    column: sourceColumn(batch, sourceId),
    type: sourceType(target.tableSchema, sourceId),
  });
  const order = sortRows(
    target.sortOrder.fields.map((field) => ({ ...source(field.sourceId), field })),
    rowCount,
  );
  const { codes, tuples } = groupRowsByAll(
    target.spec.fields.map(({ sourceId, transform }) => ({ ...source(sourceId), transform })),
    rowCount,
  );
  const [onlyTuple] = tuples;
  if (onlyTuple !== undefined && tuples.length === 1) {
    return [{ partitionTuple: onlyTuple, rows: order }];
  }
  const rowsOf = rowsByCode(codes, tuples.length, order);
  return tuples.map((partitionTuple, code) => ({ partitionTuple, rows: rowsOf[code] }));
}

/** The rows of each code, in the given order of rows. */
function rowsByCode(
  codes: Int32Array,
  codeCount: number,
  order: Int32Array | undefined,
): Int32Array[] {
  const counts = new Int32Array(codeCount);
  for (const code of codes) counts[code] = (counts[code] ?? 0) + 1;
  const rowsOf = Array.from(counts, (count) => new Int32Array(count));
  const filled = new Int32Array(codeCount);
  for (let index = 0; index < codes.length; index += 1) {
    const row = order === undefined ? index : (order[index] ?? 0);
    const code = codes[row] ?? 0;
    const rows = rowsOf[code];
    const at = filled[code] ?? 0;
    if (rows !== undefined) rows[at] = row;
    filled[code] = at + 1;
  }
  return rowsOf;
}

function sourceType(tableSchema: TableSchema, sourceId: number): PrimitiveType {
  const type = tableSchema.fields.find(({ id }) => id === sourceId)?.type;
  if (typeof type === 'string') return type;
  throw unusableSource(sourceId);
}

function sourceColumn(batch: ColumnBatch, sourceId: number): FlatColumn | undefined {
  const column = batch.columns.get(sourceId);
  if (column?.kind === 'struct' || column?.kind === 'list' || column?.kind === 'map') {
    throw unusableSource(sourceId);
  }
  return column;
}

function unusableSource(sourceId: number): CatalogError {
  return new CatalogError('config', `cannot partition or sort by field ${sourceId}`, {
    context: { sourceId },
  });
}

function fileLocation(target: WriteTarget, tuple: PartitionValue[], fileName: string): string {
  const { spec, tableSchema, dataPath } = target;
  const types = spec.fields.map(({ sourceId }) => sourceType(tableSchema, sourceId));
  const folder = partitionPath(spec, types, tuple);
  return [dataPath, ...(folder === '' ? [] : [folder]), `${fileName}.parquet`].join('/');
}

/** Uploads with a bound. A rejection is kept until `throwFirst`, which throws the first. */
function createUploads(uploadsMax: number) {
  const inFlight = new Set<Promise<void>>();
  const failures: unknown[] = [];
  return {
    hasFailed: () => failures.length > 0,
    slot: async (): Promise<void> => {
      while (inFlight.size >= uploadsMax) await Promise.race(inFlight);
    },
    start: (put: Promise<void>): void => {
      const upload = put
        .catch((cause: unknown) => {
          failures.push(cause);
        })
        .finally(() => {
          inFlight.delete(upload);
        });
      inFlight.add(upload);
    },
    settled: async (): Promise<void> => {
      await Promise.all(inFlight);
    },
    throwFirst: (): void => {
      if (failures.length > 0) throw failures[0];
    },
  };
}
