import type { PrimitiveType } from '../../spec/table-schema.ts';
import type { ByteSink } from './byte-sink.ts';

/** Encodings by their numbers in parquet.thrift. */
export const ENCODING = {
  plain: 0,
  rle: 3,
  deltaBinaryPacked: 5,
  deltaLengthByteArray: 6,
  rleDictionary: 8,
} as const;

export type Encoding = (typeof ENCODING)[keyof typeof ENCODING];

/** Values of a column without its nulls, in the order in which they go into pages. */
export type PageValues = {
  count: number;
  /** About as many bytes as they take uncompressed. */
  byteLength: number;
  /** Of `write`. */
  encoding: Encoding;
  /** The smallest and the largest value as PLAIN has them; none where there is none but NaN. */
  bounds: { min: Uint8Array; max: Uint8Array } | undefined;
  /** Of float and double columns only. */
  nanCount?: number;
  /** Writes values `from` to `to` in the encoding that suits them. */
  write(out: ByteSink, from: number, to: number): void;
  /** Writes them all PLAIN, as a dictionary page takes them. */
  writePlain(out: ByteSink): void;
};

/** A field of the table schema whose type is primitive. */
export type PrimitiveField = { id: number; name: string; required: boolean; type: PrimitiveType };
