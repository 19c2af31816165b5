import {
  Compression,
  Encoding,
  Table,
  writeParquet,
  type WriterProperties,
  WriterPropertiesBuilder,
} from 'parquet-wasm';
import { CatalogError } from '../error.ts';
import type { NestedField, TableSchema } from '../spec/table-schema.ts';
import {
  type ArrowColumn,
  type PrimitiveField,
  toArrowColumn,
  toIpcStream,
} from './arrow-columns.ts';
import type { ColumnBatch } from './columns.ts';
import type { DataFileWriter, EncodedFile } from './data-file-writer.ts';
import { fileMetrics } from './file-metrics.ts';
import { readFooter } from './footer.ts';

export const ROW_GROUP_ROWS_MAX_DEFAULT = 250_000;

/** parquet-wasm has no setting for the level and compresses at this one. */
const ZSTD_LEVEL = 1;

export type ParquetWriterOptions = {
  rowGroupRowsMax: number;
  /** 1: parquet-wasm knows no other. */
  zstdLevel: number;
};

/**
 * A writer on parquet-wasm. Optional columns that the batch lacks are left out of the file, which
 * readers of Iceberg take for nulls; a required one is an error. Encoding is synchronous and holds
 * the batch twice in WASM memory, which never shrinks: bound the rows of a batch.
 * Errors: `config` for options or columns that cannot be written (see `toArrowColumn`), and for
 * nested columns.
 */
export function createParquetWriter(options: ParquetWriterOptions): DataFileWriter {
  const { rowGroupRowsMax, zstdLevel } = options;
  if (zstdLevel !== ZSTD_LEVEL) {
    throw new CatalogError(
      'config',
      `zstd level ${zstdLevel} is not available, only ${ZSTD_LEVEL}`,
    );
  }
  if (!Number.isInteger(rowGroupRowsMax) || rowGroupRowsMax < 1) {
    throw new CatalogError('config', `a row group cannot have ${rowGroupRowsMax} rows at most`);
  }
  return {
    encode: (tableSchema, batch) => encode(tableSchema, batch, rowGroupRowsMax),
  };
}

function encode(
  tableSchema: TableSchema,
  batch: ColumnBatch,
  rowGroupRowsMax: number,
): EncodedFile {
  const { rowCount } = batch;
  const columns: ArrowColumn[] = [];
  const absentFieldIds: number[] = [];
  for (const field of tableSchema.fields) {
    const column = batch.columns.get(field.id);
    if (column !== undefined) {
      columns.push(toArrowColumn(primitiveField(field), column, rowCount));
    } else if (field.required) {
      throw new CatalogError('config', `the rows lack the required column "${field.name}"`, {
        context: { fieldId: field.id },
      });
    } else {
      absentFieldIds.push(field.id);
    }
  }
  const bytes = writeColumns(columns, rowCount, rowGroupRowsMax);
  const counts = columns.map(({ field, nullCount, nanCount }) => ({
    fieldId: field.id,
    type: field.type,
    nullCount,
    nanCount,
  }));
  return { bytes, ...fileMetrics(readFooter(bytes), rowCount, counts, absentFieldIds) };
}

function primitiveField(field: NestedField): PrimitiveField {
  const { type } = field;
  if (typeof type === 'string') return { ...field, type };
  throw new CatalogError('config', `column "${field.name}" is a ${type.type}: not supported`, {
    context: { fieldId: field.id },
  });
}

/** `writeParquet` consumes the table and the properties, also when it throws: nothing is left to free. */
function writeColumns(
  columns: readonly ArrowColumn[],
  rowCount: number,
  rowGroupRowsMax: number,
): Uint8Array {
  if (columns.length === 0) {
    throw new CatalogError('config', 'the rows have no column of the table');
  }
  try {
    const table = Table.fromIPCStream(toIpcStream(columns, rowCount));
    return writeParquet(table, writerProperties(columns, rowGroupRowsMax));
  } catch (cause) {
    throw new CatalogError('config', `cannot encode the rows as Parquet: ${String(cause)}`, {
      cause,
      context: { rowCount },
    });
  }
}

/**
 * Plain integers are packed as deltas: on half a million times or ids that took a fifth of the CPU and
 * two thirds of the bytes of trying a dictionary first. Text keeps the dictionary and, once that is
 * full, falls back to lengths followed by bytes.
 */
function writerProperties(
  columns: readonly ArrowColumn[],
  rowGroupRowsMax: number,
): WriterProperties {
  let builder = new WriterPropertiesBuilder()
    .setCompression(Compression.ZSTD)
    .setMaxRowGroupSize(rowGroupRowsMax);
  for (const { field, kind } of columns) {
    if (kind === 'int32' || kind === 'int64') {
      builder = builder
        .setColumnDictionaryEnabled(field.name, false)
        .setColumnEncoding(field.name, Encoding.DELTA_BINARY_PACKED);
    } else if (field.type === 'string' || field.type === 'binary') {
      builder = builder.setColumnEncoding(field.name, Encoding.DELTA_LENGTH_BYTE_ARRAY);
    }
  }
  return builder.build();
}
