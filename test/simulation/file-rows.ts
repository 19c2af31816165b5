import type { PartitionValue } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import { columnValue } from '@iceberg-js/rest-client-shim/parquet/column-value.ts';
import type { ColumnBatch } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import type {
  DataFileWriter,
  EncodedFile,
} from '@iceberg-js/rest-client-shim/parquet/data-file-writer.ts';
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
    encode(tableSchema, batch) {
      onEncode(tableSchema, batch);
      const file = inner.encode(tableSchema, batch);
      encoded.set(file.bytes, rowsOfBatch(tableSchema, batch));
      return file;
    },
  };
  return { writer, rowsOf: (bytes) => encoded.get(bytes) };
}

function rowsOfBatch(tableSchema: TableSchema, batch: ColumnBatch): FileRows {
  const fields = tableSchema.fields.filter(({ id }) => batch.columns.has(id));
  const rows = Array.from({ length: batch.rowCount }, (_, row) =>
    fields.map(({ id, type }) => {
      const column = batch.columns.get(id);
      return column === undefined ? null : columnValue(column, type as PrimitiveType, row);
    }),
  );
  return { fieldIds: fields.map(({ id }) => id), rows };
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
    encode(tableSchema, batch): EncodedFile {
      const missing = tableSchema.fields.find(
        ({ id, required }) => required && !batch.columns.has(id),
      );
      if (missing !== undefined) throw new Error(`the rows lack the column ${missing.name}`);
      const bytes = new Uint8Array(HEADER.length + 4 + batch.rowCount * BYTES_PER_ROW);
      bytes.set(HEADER);
      new DataView(bytes.buffer).setUint32(HEADER.length, files++);
      return { bytes, ...metricsOf(tableSchema, batch) };
    },
  };
}

function metricsOf(tableSchema: TableSchema, batch: ColumnBatch): Omit<EncodedFile, 'bytes'> {
  const rows = BigInt(batch.rowCount);
  const valueCounts = new Map<number, bigint>();
  const lowerBounds = new Map<number, Uint8Array>();
  const upperBounds = new Map<number, Uint8Array>();
  for (const { id, type } of tableSchema.fields) {
    valueCounts.set(id, rows);
    const column = batch.columns.get(id);
    if (column === undefined || !BOUNDED.has(type)) continue;
    const primitive = type as PrimitiveType;
    let lowest: PrimitiveValue | undefined;
    let highest: PrimitiveValue | undefined;
    for (let row = 0; row < batch.rowCount; row += 1) {
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
    recordCount: rows,
    columnSizes: new Map(),
    valueCounts,
    nullValueCounts: new Map(),
    nanValueCounts: new Map(),
    lowerBounds,
    upperBounds,
    splitOffsets: [BigInt(HEADER.length)],
  };
}
