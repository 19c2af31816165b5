import { CatalogError } from '../error.ts';
import { lowerBound, upperBound } from '../spec/single-value.ts';
import type { NestedField, TableSchema } from '../spec/table-schema.ts';
import type { Column, ColumnBatch } from './columns.ts';
import type { DataFileWriter, EncodedFile } from './data-file-writer.ts';
import { ByteSink } from './encoding/byte-sink.ts';
import { ChunkEncoder, type ColumnChunk } from './encoding/column-chunk.ts';
import { CompactThrift } from './encoding/compact-thrift.ts';
import type { PrimitiveField } from './encoding/page-values.ts';
import { parquetType } from './encoding/parquet-type.ts';
import { everyRow } from './every-row.ts';
import { fileMetrics, type WrittenFile } from './file-metrics.ts';

export type ParquetWriterOptions = {
  rowGroupRowsMax: number;
  zstdLevel: number;
  /** About as many bytes as a data page has uncompressed; default 1 MiB. */
  pageBytesMax?: number;
};

const PAGE_BYTES_MAX = 1024 ** 2;
const MAGIC = new TextEncoder().encode('PAR1');
const FORMAT_VERSION = 2;
/** Readers take it apart: a name and a version. */
const CREATED_BY = 'tributary version 1';
const REQUIRED = 0;
const OPTIONAL = 1;
const ZSTD = 6;
const ZSTD_LEVEL_MAX = 22;
/** A first guess: the memory of a file grows as needed. */
const FILE_BYTES_PER_ROW = 64;

type WrittenColumn = { field: PrimitiveField; column: Column };
/** What a file has of the table's columns, and what it lacks. */
type FileColumns = { columns: readonly WrittenColumn[]; absentFieldIds: readonly number[] };

/**
 * A writer of Parquet files. Optional columns that the batch lacks are left out of the file, which readers of Iceberg
 * take for nulls; a required one is an error. Encoding is synchronous.
 * Errors: `config` for options or columns that cannot be written (see `columnValues`), a null in a required column,
 * and nested columns.
 */
export function createParquetWriter(options: ParquetWriterOptions): DataFileWriter {
  const { rowGroupRowsMax, zstdLevel, pageBytesMax = PAGE_BYTES_MAX } = options;
  if (!Number.isInteger(rowGroupRowsMax) || rowGroupRowsMax < 1) {
    throw new CatalogError('config', `a row group cannot have ${rowGroupRowsMax} rows at most`);
  }
  if (!Number.isInteger(zstdLevel) || zstdLevel < 1 || zstdLevel > ZSTD_LEVEL_MAX) {
    throw new CatalogError('config', `there is no zstd level ${zstdLevel}`);
  }
  const encoder = new ChunkEncoder({ zstdLevel, pageBytesMax });
  return {
    encode: (tableSchema, batch, rows = everyRow(batch.rowCount)) =>
      encode(encoder, splitFields(tableSchema, batch), rows, rowGroupRowsMax),
  };
}

function encode(
  encoder: ChunkEncoder,
  { columns, absentFieldIds }: FileColumns,
  rows: Int32Array,
  rowGroupRowsMax: number,
): EncodedFile {
  const file = new ByteSink(MAGIC.length + rows.length * FILE_BYTES_PER_ROW);
  file.append(MAGIC);
  const rowGroups: ColumnChunk[][] = [];
  for (let from = 0; from < rows.length; from += rowGroupRowsMax) {
    const groupRows = rows.subarray(from, from + rowGroupRowsMax);
    const chunks = columns.map(({ field, column }) => {
      const chunk = encoder.encode(file, field, column, groupRows);
      if (field.required && chunk.nullCount > 0) throw nullsInRequired(field, chunk.nullCount);
      return chunk;
    });
    rowGroups.push(chunks);
  }
  const written: WrittenFile = {
    fields: columns.map(({ field }) => field),
    rowGroups,
    rowCount: rows.length,
    absentFieldIds,
  };
  writeFooter(file, written, rowGroupRowsMax);
  return { bytes: file.view(), ...fileMetrics(written) };
}

function splitFields(tableSchema: TableSchema, batch: ColumnBatch): FileColumns {
  const columns: WrittenColumn[] = [];
  const absentFieldIds: number[] = [];
  for (const field of tableSchema.fields) {
    const column = batch.columns.get(field.id);
    if (column !== undefined) columns.push({ field: primitiveField(field), column });
    else if (field.required) {
      throw new CatalogError('config', `the rows lack the required column "${field.name}"`, {
        context: { fieldId: field.id },
      });
    } else absentFieldIds.push(field.id);
  }
  if (columns.length === 0) {
    throw new CatalogError('config', 'the rows have no column of the table');
  }
  return { columns, absentFieldIds };
}

function primitiveField(field: NestedField): PrimitiveField {
  const { type } = field;
  if (typeof type === 'string') return { ...field, type };
  throw new CatalogError('config', `column "${field.name}" is a ${type.type}: not supported`, {
    context: { fieldId: field.id },
  });
}

function nullsInRequired(field: PrimitiveField, nullCount: number): CatalogError {
  return new CatalogError('config', `required column "${field.name}" has ${nullCount} nulls`, {
    context: { fieldId: field.id },
  });
}

/** FileMetaData of parquet.thrift, its length and the magic. */
function writeFooter(file: ByteSink, written: WrittenFile, rowGroupRowsMax: number): void {
  const { fields, rowGroups, rowCount } = written;
  const thrift = new CompactThrift();
  thrift.int32(1, FORMAT_VERSION);
  thrift.structs(2, [undefined, ...fields], (field) => {
    if (field === undefined) {
      thrift.string(4, 'schema');
      thrift.int32(5, fields.length);
    } else writeSchemaElement(thrift, field);
  });
  thrift.int64(3, rowCount);
  thrift.structs(4, [...rowGroups.entries()], ([index, chunks]) => {
    const before = index * rowGroupRowsMax;
    writeRowGroup(thrift, fields, chunks, Math.min(rowGroupRowsMax, rowCount - before));
  });
  thrift.string(6, CREATED_BY);
  // The order of each column's values, without which readers ignore the bounds: that of its type.
  thrift.structs(7, fields, () => thrift.struct(1, () => {}));
  thrift.end();
  file.append(thrift.bytes);
  file.int32(thrift.bytes.length);
  file.append(MAGIC);
}

function writeSchemaElement(thrift: CompactThrift, field: PrimitiveField): void {
  const { physical, length, converted, decimal, logical } = parquetType(field.type);
  thrift.int32(1, physical);
  thrift.int32(2, length);
  thrift.int32(3, field.required ? REQUIRED : OPTIONAL);
  thrift.string(4, field.name);
  thrift.int32(6, converted);
  thrift.int32(7, decimal?.scale);
  thrift.int32(8, decimal?.precision);
  thrift.int32(9, field.id);
  if (logical !== undefined) thrift.struct(10, () => logical(thrift));
}

function writeRowGroup(
  thrift: CompactThrift,
  fields: readonly PrimitiveField[],
  chunks: readonly ColumnChunk[],
  rowCount: number,
): void {
  const start = chunks[0]?.start ?? 0;
  const pairs = fields.flatMap((field, index) => {
    const chunk = chunks[index];
    return chunk === undefined ? [] : [{ field, chunk }];
  });
  thrift.structs(1, pairs, ({ field, chunk }) => {
    thrift.int64(2, 0);
    thrift.struct(3, () => writeColumnMetaData(thrift, field, chunk, rowCount));
  });
  thrift.int64(
    2,
    chunks.reduce((sum, { uncompressedBytes }) => sum + uncompressedBytes, 0),
  );
  thrift.int64(3, rowCount);
  thrift.int64(5, start);
  thrift.int64(6, (chunks.at(-1)?.end ?? 0) - start);
}

function writeColumnMetaData(
  thrift: CompactThrift,
  field: PrimitiveField,
  chunk: ColumnChunk,
  rowCount: number,
): void {
  const { start, dataStart, end, bounds } = chunk;
  thrift.int32(1, parquetType(field.type).physical);
  thrift.int32s(2, chunk.encodings);
  thrift.strings(3, [field.name]);
  thrift.int32(4, ZSTD);
  thrift.int64(5, rowCount);
  thrift.int64(6, chunk.uncompressedBytes);
  thrift.int64(7, end - start);
  thrift.int64(9, dataStart);
  thrift.int64(11, dataStart === start ? undefined : start);
  thrift.struct(12, () => {
    thrift.int64(3, chunk.nullCount);
    if (bounds === undefined) return;
    // Long text is cut, as in a manifest.
    const min = lowerBound(field.type, bounds.min);
    const max = upperBound(field.type, bounds.max);
    thrift.binary(5, max);
    thrift.binary(6, min);
    if (max !== undefined)
      thrift.bool(7, max.length === bounds.max.length && isSame(max, bounds.max));
    thrift.bool(8, min.length === bounds.min.length);
  });
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.every((byte, index) => byte === right[index]);
}
