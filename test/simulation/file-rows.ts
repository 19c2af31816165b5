import type { PartitionValue } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import { columnValue } from '@iceberg-js/rest-client-shim/parquet/column-value.ts';
import type {
  Column,
  ColumnBatch,
  FlatColumn,
} from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import type {
  DataFileWriter,
  EncodedFile,
} from '@iceberg-js/rest-client-shim/parquet/data-file-writer.ts';
import { everyRow } from '@iceberg-js/rest-client-shim/parquet/every-row.ts';
import { childFields } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import {
  compareValues,
  encodeSingleValue,
} from '@iceberg-js/rest-client-shim/spec/single-value.ts';
import type { PrimitiveValue } from '@iceberg-js/rest-client-shim/spec/single-value.ts';
import type {
  NestedField,
  PrimitiveType,
  TableSchema,
} from '@iceberg-js/rest-client-shim/spec/table-schema.ts';

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
  const columns = flatColumns(batch.columns);
  const leaves = leavesOf(tableSchema.fields).filter(({ id }) => columns.has(id));
  const rows = Array.from(wanted, (row) =>
    leaves.map(({ id, type }) => {
      const column = columns.get(id);
      return column === undefined ? null : columnValue(column, type, row);
    }),
  );
  return { fieldIds: leaves.map(({ id }) => id), rows };
}

/** The values of a table, those within records too: the simulated contracts have no lists or maps. */
export function leavesOf(
  fields: readonly NestedField[],
  within = '',
): { id: number; path: string; type: PrimitiveType }[] {
  return fields.flatMap(({ id, name, type }) => {
    const path = `${within}${name}`;
    if (typeof type === 'string') return [{ id, path, type }];
    return leavesOf(childFields(type), `${path}.`);
  });
}

function flatColumns(columns: ReadonlyMap<number, Column>): Map<number, FlatColumn> {
  return new Map(
    [...columns].flatMap(([id, column]): (readonly [number, FlatColumn])[] => {
      if (column.kind === 'struct') return [...flatColumns(column.fields)];
      if (column.kind === 'list' || column.kind === 'map') return [];
      return [[id, column]];
    }),
  );
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
  const columns = flatColumns(batch.columns);
  for (const { id, type } of leavesOf(tableSchema.fields)) {
    valueCounts.set(id, rowCount);
    const column = columns.get(id);
    if (column === undefined || !BOUNDED.has(type)) continue;
    let lowest: PrimitiveValue | undefined;
    let highest: PrimitiveValue | undefined;
    for (const row of rows) {
      const value = columnValue(column, type, row);
      if (value === null) continue;
      if (lowest === undefined || compareValues(value, lowest) < 0) lowest = value;
      if (highest === undefined || compareValues(value, highest) > 0) highest = value;
    }
    if (lowest === undefined || highest === undefined) continue;
    lowerBounds.set(id, encodeSingleValue(type, lowest));
    upperBounds.set(id, encodeSingleValue(type, highest));
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
