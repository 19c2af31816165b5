/**
 * Growable columns that a decoder appends rows to. A row counts only once `rowCount` is raised, so a
 * decoder that fails in the middle of a record leaves nothing behind: the next row overwrites it.
 *
 * `int64` values are pairs of 32-bit words (low, high), the memory layout of a BigInt64Array, so that
 * exact 64-bit values need no BigInt on the hot path. `valid` is one byte a row.
 */
export type BufferColumn =
  | { kind: 'int32'; name: string; values: Int32Array; valid: Uint8Array }
  | { kind: 'int64'; name: string; words: Int32Array; valid: Uint8Array }
  | { kind: 'float32'; name: string; values: Float32Array; valid: Uint8Array }
  | { kind: 'float64'; name: string; values: Float64Array; valid: Uint8Array }
  | { kind: 'boolean'; name: string; values: Uint8Array; valid: Uint8Array }
  /** Row i is `bytes[offsets[i] .. offsets[i + 1])`. */
  | { kind: 'bytes'; name: string; bytes: Uint8Array; offsets: Int32Array; valid: Uint8Array };

export type RowBuffer = { rowCount: number; columns: BufferColumn[] };

/** Why a record is a reject. `kind` is stable and stands in the dead-letter table. */
export type DecodeFailure = {
  kind:
    | 'null-value'
    | 'no-magic-byte'
    | 'unknown-schema-id'
    | 'truncated'
    | 'malformed'
    | 'invalid-utf8'
    | 'out-of-range'
    | 'contract-violation';
  message: string;
};
