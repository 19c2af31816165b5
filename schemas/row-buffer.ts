import { contractFields } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import type { Contract } from './contract.ts';

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

export type BytesColumn = Extract<BufferColumn, { kind: 'bytes' }>;

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

/** Bound of one bytes column: offsets are 32-bit. Callers flush by size before it is reached. */
export const columnBytesMax = 1 << 30;

/** What a bytes column starts with: this, or so much for each row where that is less. */
const columnBytesInitial = 1 << 16;
const rowBytesInitial = 64;

/**
 * Empty columns for the fields of a contract, in its order, with room for `rowsMax` rows. Bytes columns
 * start small and grow up to `columnBytesMax`. Errors: `config` for a contract that has no columns.
 */
export function createRowBuffer(contract: Contract, rowsMax: number): RowBuffer {
  if (!Number.isInteger(rowsMax) || rowsMax < 1) {
    throw new Error(`a row buffer holds at least one row: expected rowsMax >= 1, got ${rowsMax}`);
  }
  return {
    rowCount: 0,
    columns: contractFields(contract).map((field) => createColumn(field, rowsMax)),
  };
}

/** Makes room for `bytesNeeded` in a bytes column and returns its new memory. */
export function growColumn(column: BytesColumn, bytesNeeded: number): Uint8Array {
  if (bytesNeeded > columnBytesMax) {
    throw new Error(
      `column ${column.name} is full: expected a flush below ${columnBytesMax} bytes, got ${bytesNeeded}`,
    );
  }
  const grown = new Uint8Array(
    Math.min(columnBytesMax, Math.max(bytesNeeded, column.bytes.length * 2)),
  );
  grown.set(column.bytes);
  column.bytes = grown;
  return grown;
}

function createColumn(field: ContractField, rowsMax: number): BufferColumn {
  const { column: kind, name } = field;
  const valid = new Uint8Array(rowsMax);
  switch (kind) {
    case 'int32':
      return { kind, name, values: new Int32Array(rowsMax), valid };
    case 'int64':
      return { kind, name, words: new Int32Array(rowsMax * 2), valid };
    case 'float32':
      return { kind, name, values: new Float32Array(rowsMax), valid };
    case 'float64':
      return { kind, name, values: new Float64Array(rowsMax), valid };
    case 'boolean':
      return { kind, name, values: new Uint8Array(rowsMax), valid };
    case 'bytes':
      return {
        kind,
        name,
        bytes: new Uint8Array(Math.min(columnBytesInitial, rowsMax * rowBytesInitial)),
        offsets: new Int32Array(rowsMax + 1),
        valid,
      };
  }
}
