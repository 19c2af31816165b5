import { deserializeTCompactProtocol } from 'hyparquet/src/thrift.js';
import { CatalogError } from '../error.ts';

/** What a Parquet footer says about one column of one row group; bounds are raw plain-encoded bytes. */
export type ColumnChunkFooter = {
  /** Where its first page (dictionary or data) starts in the file. */
  firstPageOffset: bigint;
  compressedBytes: bigint;
  min: Uint8Array | undefined;
  max: Uint8Array | undefined;
};

/** The row groups of a Parquet file, each with its columns in schema order. */
export type Footer = { rowGroups: readonly (readonly ColumnChunkFooter[])[] };

/** Footer structures under their Thrift field numbers. Source: parquet.thrift of parquet-format. */
type RawStatistics = { field_5?: Uint8Array; field_6?: Uint8Array };
type RawColumnMetaData = {
  field_7: bigint;
  field_9: bigint;
  field_11?: bigint;
  field_12?: RawStatistics;
};
type RawRowGroup = { field_1: { field_3: RawColumnMetaData }[] };
type RawFileMetaData = { field_4: RawRowGroup[] };

const FOOTER_TAIL_BYTES = 8;

/**
 * Reads the footer of a whole flat Parquet file that this package has just written. The Thrift
 * structures are read raw because hyparquet's own metadata turns decimal bounds into rounded floats.
 * Errors: `corrupt` for bytes that are no Parquet file.
 */
export function readFooter(file: Uint8Array): Footer {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const tailStart = file.byteLength - FOOTER_TAIL_BYTES;
  if (tailStart < 0) throw new CatalogError('corrupt', 'a Parquet file of fewer than 8 bytes');
  const offset = tailStart - view.getUint32(tailStart, true);
  if (offset < 0) throw new CatalogError('corrupt', 'a Parquet footer longer than its file');
  const metadata = deserializeTCompactProtocol({ view, offset }) as unknown as RawFileMetaData;
  return { rowGroups: metadata.field_4.map(readRowGroup) };
}

function readRowGroup(rowGroup: RawRowGroup): ColumnChunkFooter[] {
  return rowGroup.field_1.map(({ field_3: chunk }) => ({
    firstPageOffset: chunk.field_11 ?? chunk.field_9,
    compressedBytes: chunk.field_7,
    min: chunk.field_12?.field_6,
    max: chunk.field_12?.field_5,
  }));
}
