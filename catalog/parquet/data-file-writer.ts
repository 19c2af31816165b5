import type { TableSchema } from '../spec/table-schema.ts';
import type { DataFile } from '../manifest/data-file.ts';
import type { ColumnBatch } from './columns.ts';

/** A Parquet file in memory with the metrics its manifest entry needs. */
export type EncodedFile = { bytes: Uint8Array } & Pick<
  DataFile,
  | 'recordCount'
  | 'columnSizes'
  | 'valueCounts'
  | 'nullValueCounts'
  | 'nanValueCounts'
  | 'lowerBounds'
  | 'upperBounds'
  | 'splitOffsets'
>;

/**
 * Encodes columns as one Parquet file: field ids on every column, zstd, statistics in the footer,
 * dictionary pages where a column comes with a dictionary, row groups of at most `rowGroupRowsMax`.
 */
export interface DataFileWriter {
  /** `rows`: which rows of the batch, in which order; absent means all, as they stand. */
  encode(tableSchema: TableSchema, batch: ColumnBatch, rows?: Int32Array): EncodedFile;
}
