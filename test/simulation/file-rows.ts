import type { PartitionValue } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import { columnValue } from '@iceberg-js/rest-client-shim/parquet/column-value.ts';
import type { ColumnBatch, FlatColumn } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import type {
  DataFileWriter,
  EncodedFile,
} from '@iceberg-js/rest-client-shim/parquet/data-file-writer.ts';
import { everyRow } from '@iceberg-js/rest-client-shim/parquet/every-row.ts';
import {
  compareValues,
  encodeSingleValue,
} from '@iceberg-js/rest-client-shim/spec/single-value.ts';
import type { PrimitiveValue } from '@iceberg-js/rest-client-shim/spec/single-value.ts';
import type { PrimitiveType, TableSchema } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';

/** The rows of a data file: `rows[i][j]` is the value of the field `fieldIds[j]`. */
export type FileRows = {
  fieldIds: readonly number[];
  rows: readonly (readonly PartitionValue[])[];
};

/** Remembers the rows of each file from its encoding to its upload, so that checks need not decode it. */
export type FileRowsRecorder = {
  writer: DataFileWriter;
  /** What was encoded as these very bytes. */
  rowsOf: (bytes: Uint8Array) => FileRows | undefined;
};

/** Records what a writer is given, and tells of each encoding first. */
export function recordRows(
  inner: DataFileWriter,
  onEncode: (tableSchema: TableSchema, batch: ColumnBatch) => void,
): FileRowsRecorder {
  const encoded = new WeakMap<Uint8Array, FileRows>();
  const writer: DataFileWriter = {
    encode(tableSchema, batch, rows) {
      onEncode(tableSchema, batch);
      const file = inner.encode(tableSchema, batch, rows);
      encoded.set(file.bytes, rowsOfBatch(tableSchema, batch, rows ?? everyRow(batch.rowCount)));
      return file;
    },
  };
  return { writer, rowsOf: (bytes) => encoded.get(bytes) };
}

function rowsOfBatch(tableSchema: TableSchema, batch: ColumnBatch, wanted: Int32Array): FileRows {
  const fields = tableSchema.fields.filter(({ id }) => batch.columns.has(id));
  const rows = Array.from(wanted, (row) =>
    fields.map(({ id, type }) => {
      const column = flatColumn(batch, id);
      return column === undefined ? null : columnValue(column, type as PrimitiveType, row);
    }),
  );
  return { fieldIds: fields.map(({ id }) => id), rows };
}

/** The simulated contracts are flat. */
function flatColumn(batch: ColumnBatch, id: number): FlatColumn | undefined {
  return batch.columns.get(id) as FlatColumn | undefined;
}

const HEADER = Buffer.from('TWIN');
const BYTES_PER_ROW = 8;
const BOUNDED: ReadonlySet<unknown> = new Set(['int', 'long', 'timestamptz']);

/**
 * The twin of the Parquet writer, a hundred times cheaper: bytes of no meaning, as many as there are rows, with
 * the counts and the bounds that a manifest entry may have. Refuses what the real one refuses: rows without a
 * required column.
 */
export function createTwinWriter(): DataFileWriter {
  let files = 0;
  return {
    encode(tableSchema, batch, rows = everyRow(batch.rowCount)): EncodedFile {
      const missing = tableSchema.fields.find(
        ({ id, required }) => required && !batch.columns.has(id),
      );
      if (missing !== undefined) throw new Error(`the rows lack the column ${missing.name}`);
      const bytes = new Uint8Array(HEADER.length + 4 + rows.length * BYTES_PER_ROW);
      bytes.set(HEADER);
      new DataView(bytes.buffer).setUint32(HEADER.length, files++);
      return { bytes, ...metricsOf(tableSchema, batch, rows) };
    },
  };
}

function metricsOf(
  tableSchema: TableSchema,
  batch: ColumnBatch,
  rows: Int32Array,
): Omit<EncodedFile, 'bytes'> {
  const rowCount = BigInt(rows.length);
  const valueCounts = new Map<number, bigint>();
  const lowerBounds = new Map<number, Uint8Array>();
  const upperBounds = new Map<number, Uint8Array>();
  for (const { id, type } of tableSchema.fields) {
    valueCounts.set(id, rowCount);
    const column = flatColumn(batch, id);
    if (column === undefined || !BOUNDED.has(type)) continue;
    const primitive = type as PrimitiveType;
    let lowest: PrimitiveValue | undefined;
    let highest: PrimitiveValue | undefined;
    for (const row of rows) {
      const value = columnValue(column, primitive, row);
      if (value === null) continue;
      if (lowest === undefined || compareValues(value, lowest) < 0) lowest = value;
      if (highest === undefined || compareValues(value, highest) > 0) highest = value;
    }
    if (lowest === undefined || highest === undefined) continue;
    lowerBounds.set(id, encodeSingleValue(primitive, lowest));
    upperBounds.set(id, encodeSingleValue(primitive, highest));
  }
  return {
    recordCount: rowCount,
    columnSizes: new Map(),
    valueCounts,
    nullValueCounts: new Map(),
    nanValueCounts: new Map(),
    lowerBounds,
    upperBounds,
    splitOffsets: [BigInt(HEADER.length)],
  };
}
