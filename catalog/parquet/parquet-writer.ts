import { CatalogError } from '../error.ts';
import type { DataFileWriter, EncodedFile } from './data-file-writer.ts';
import { ByteSink } from './encoding/byte-sink.ts';
import { ChunkEncoder, type ColumnChunk } from './encoding/column-chunk.ts';
import type { PrimitiveField } from './encoding/page-values.ts';
import { shred } from './encoding/shred.ts';
import { everyRow } from './every-row.ts';
import { type FileField, type FileFields, layOutFile } from './file-field.ts';
import { fileMetrics } from './file-metrics.ts';
import { type FileContent, writeFooter } from './write-footer.ts';

export type ParquetWriterOptions = {
  rowGroupRowsMax: number;
  zstdLevel: number;
  /** About as many bytes as a data page has uncompressed; default 1 MiB. */
  pageBytesMax?: number;
};

const PAGE_BYTES_MAX = 1024 ** 2;
const MAGIC = new TextEncoder().encode('PAR1');
const ZSTD_LEVEL_MAX = 22;
/** A first guess: the memory of a file grows as needed. */
const FILE_BYTES_PER_ROW = 64;

/**
 * A writer of Parquet files. Optional columns that the batch lacks are left out of the file, which readers of Iceberg
 * take for nulls; a required one is an error. Lists and maps have the three levels of parquet-format's LogicalTypes.md.
 * Encoding is synchronous.
 * Errors: `config` for options or columns that cannot be written (see `columnValues`, `layOutFile`), and a null in a
 * required column.
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
      encode(encoder, layOutFile(tableSchema, batch), rows, rowGroupRowsMax),
  };
}

function encode(
  encoder: ChunkEncoder,
  { fields, absentFieldIds }: FileFields,
  rows: Int32Array,
  rowGroupRowsMax: number,
): EncodedFile {
  const file = new ByteSink(MAGIC.length + rows.length * FILE_BYTES_PER_ROW);
  file.append(MAGIC);
  const rowGroups: FileContent['rowGroups'][number][] = [];
  for (let from = 0; from < rows.length; from += rowGroupRowsMax) {
    const groupRows = rows.subarray(from, from + rowGroupRowsMax);
    const chunks = fields.flatMap((field) => encodeField(encoder, file, field, groupRows));
    rowGroups.push({ rowCount: groupRows.length, chunks });
  }
  const content = { fields, rowGroups, rowCount: rows.length };
  writeFooter(file, content);
  file.append(MAGIC);
  return { bytes: file.view(), ...fileMetrics(content, absentFieldIds) };
}

/** The chunks of a field's leaves, in their order. */
function encodeField(
  encoder: ChunkEncoder,
  file: ByteSink,
  field: FileField,
  rows: Int32Array,
): ColumnChunk[] {
  if (field.kind === 'leaf') {
    const chunk = encoder.encode(file, field.field, field.column, rows);
    if (field.field.required && chunk.nullCount > 0) throw nullsInRequired(field.field, chunk);
    return [chunk];
  }
  const chunks: ColumnChunk[] = [];
  for (const { leaf, entries } of shred(field, rows)) {
    chunks.push(encoder.encodeEntries(file, leaf.field, leaf.column, entries));
  }
  return chunks;
}

function nullsInRequired(field: PrimitiveField, { nullCount }: ColumnChunk): CatalogError {
  return new CatalogError('config', `required column "${field.name}" has ${nullCount} nulls`, {
    context: { fieldId: field.id },
  });
}
