/**
 * Columns in memory, the form in which rows reach a data file. No object exists for a row.
 * `valid[i]` is 1 where row i has a value, 0 where it is null; absent means no nulls.
 * Values at null rows are ignored. All arrays hold at least `rowCount` entries.
 */
export type Validity = Uint8Array | undefined;

/** UTF-8 text or raw bytes: entry i is `bytes[offsets[i] .. offsets[i + 1])`; `offsets` has one more entry. */
export type ByteSlices = { bytes: Uint8Array; offsets: Int32Array };

/** One value a row. */
export type PlainColumn =
  /** int, date (days since the epoch) */
  | { kind: 'int32'; values: Int32Array; valid: Validity }
  /** long, time (µs), timestamp and timestamptz (µs since the epoch) */
  | { kind: 'int64'; values: BigInt64Array; valid: Validity }
  | { kind: 'float32'; values: Float32Array; valid: Validity }
  | { kind: 'float64'; values: Float64Array; valid: Validity }
  /** one byte a row, 0 or 1 */
  | { kind: 'boolean'; values: Uint8Array; valid: Validity }
  /** string, binary, fixed, uuid (16 bytes), decimal (big-endian two's complement, any length) */
  | { kind: 'bytes'; slices: ByteSlices; valid: Validity };

/** Any primitive type written from a dictionary: `codes[i]` indexes `dictionary`, -1 is null. */
export type DictionaryColumn = {
  kind: 'dictionary';
  codes: Int32Array;
  dictionary: DictionaryValues;
};

/** Distinct values; unused ones are allowed and do not reach the file's statistics. */
export type DictionaryValues = { size: number; values: PlainColumn };

/** A column of a primitive type. */
export type FlatColumn = PlainColumn | DictionaryColumn;

/** Columns within a column. Whatever stands in them for a row that is null is ignored. */
export type NestedColumn =
  /** Row i is row i of each field; by field id, and an optional field that is absent is written as nulls. */
  | { kind: 'struct'; fields: ReadonlyMap<number, Column>; valid: Validity }
  /** Row i is rows `offsets[i] .. offsets[i + 1]` of the element; `offsets` has one more entry. */
  | { kind: 'list'; offsets: Int32Array; element: Column; valid: Validity }
  | { kind: 'map'; offsets: Int32Array; key: Column; value: Column; valid: Validity };

export type Column = FlatColumn | NestedColumn;

/** Columns by Iceberg field id; a field of the table schema that is absent here is written as nulls. */
export type ColumnBatch = { rowCount: number; columns: ReadonlyMap<number, Column> };
