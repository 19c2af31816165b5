import { contractFields } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import type { Contract } from './contract.ts';

/** One value a row, in memory of its own. */
export type ScalarColumn =
  | { kind: 'int32'; name: string; values: Int32Array; valid: Uint8Array }
  | { kind: 'int64'; name: string; words: Int32Array; valid: Uint8Array }
  | { kind: 'float32'; name: string; values: Float32Array; valid: Uint8Array }
  | { kind: 'float64'; name: string; values: Float64Array; valid: Uint8Array }
  | { kind: 'boolean'; name: string; values: Uint8Array; valid: Uint8Array }
  /** Row i is `bytes[offsets[i] .. offsets[i + 1])`. */
  | { kind: 'bytes'; name: string; bytes: Uint8Array; offsets: Int32Array; valid: Uint8Array };

/** Columns within a column: what a row holds of them stands in rows of theirs. */
export type NestedColumn =
  /** Row i is row i of each field, also where the struct is null: its fields are null there. */
  | { kind: 'struct'; name: string; fields: BufferColumn[]; valid: Uint8Array }
  /** Row i is rows `offsets[i] .. offsets[i + 1]` of the element, none where the list is null. */
  | { kind: 'list'; name: string; element: BufferColumn; offsets: Int32Array; valid: Uint8Array }
  | {
      kind: 'map';
      name: string;
      key: BytesColumn;
      value: BufferColumn;
      offsets: Int32Array;
      valid: Uint8Array;
    };

/**
 * Growable columns that a decoder appends rows to. A row counts only once `rowCount` is raised, so a
 * decoder that fails in the middle of a record leaves nothing behind: the next row overwrites it, and what
 * is longer than a row (bytes, lists, maps) begins again where the row before has ended.
 *
 * `int64` values are pairs of 32-bit words (low, high), the memory layout of a BigInt64Array, so that
 * exact 64-bit values need no BigInt on the hot path. `valid` is one byte a row.
 */
export type BufferColumn = ScalarColumn | NestedColumn;

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
    | 'contract-violation'
    | 'schema-change';
  message: string;
};

/** Bound of one bytes column, and of the rows within lists and maps: offsets are 32-bit. Callers flush by size before. */
export const columnBytesMax = 1 << 30;

const innerRowsInitial = 1024;

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

/**
 * A record needs more of a column than a column may have. Only what stands in lists and maps can: an item of one byte may
 * be a long symbol, or bring long defaults.
 */
export class ColumnFull extends Error {
  constructor(column: string) {
    super(
      `its ${column} would be longer than a column can be, which is ${columnBytesMax} bytes or rows`,
    );
  }
}

/** Makes room for `bytesNeeded` in a bytes column and returns its new memory. Throws `ColumnFull`. */
export function growColumn(column: BytesColumn, bytesNeeded: number): Uint8Array {
  if (bytesNeeded > columnBytesMax) throw new ColumnFull(column.name);
  const grown = new Uint8Array(
    Math.min(columnBytesMax, Math.max(bytesNeeded, column.bytes.length * 2)),
  );
  grown.set(column.bytes);
  column.bytes = grown;
  return grown;
}

/** Makes room for so many rows in what a list or a map holds. Throws `ColumnFull`. */
export function growRows(column: BufferColumn, rowsNeeded: number): void {
  if (rowsNeeded > columnBytesMax) throw new ColumnFull(column.name);
  resize(column, Math.min(columnBytesMax, Math.max(rowsNeeded, column.valid.length * 2)));
}

function resize(column: BufferColumn, rows: number): void {
  column.valid = copyInto(new Uint8Array(rows), column.valid);
  switch (column.kind) {
    case 'int32':
      column.values = copyInto(new Int32Array(rows), column.values);
      return;
    case 'int64':
      column.words = copyInto(new Int32Array(rows * 2), column.words);
      return;
    case 'float32':
      column.values = copyInto(new Float32Array(rows), column.values);
      return;
    case 'float64':
      column.values = copyInto(new Float64Array(rows), column.values);
      return;
    case 'boolean':
      column.values = copyInto(new Uint8Array(rows), column.values);
      return;
    case 'struct':
      for (const field of column.fields) resize(field, rows);
      return;
    case 'bytes':
    case 'list':
    case 'map':
      column.offsets = copyInto(new Int32Array(rows + 1), column.offsets);
  }
}

function copyInto<T extends { set(source: T): void }>(target: T, source: T): T {
  target.set(source);
  return target;
}

/** An empty column with room for so many rows. */
export function createColumn(field: ContractField, rowsMax: number): BufferColumn {
  const { name } = field;
  const valid = new Uint8Array(rowsMax);
  const innerRows = Math.min(rowsMax, innerRowsInitial);
  switch (field.column) {
    case 'struct': {
      const fields = field.fields.map((inner) => createColumn(inner, rowsMax));
      return { kind: 'struct', name, fields, valid };
    }
    case 'list': {
      const element = createColumn(field.element, innerRows);
      return { kind: 'list', name, element, offsets: new Int32Array(rowsMax + 1), valid };
    }
    case 'map': {
      const offsets = new Int32Array(rowsMax + 1);
      const value = createColumn(field.value, innerRows);
      return { kind: 'map', name, key: bytesColumn('key', innerRows), value, offsets, valid };
    }
    case 'int32':
      return { kind: field.column, name, values: new Int32Array(rowsMax), valid };
    case 'int64':
      return { kind: field.column, name, words: new Int32Array(rowsMax * 2), valid };
    case 'float32':
      return { kind: field.column, name, values: new Float32Array(rowsMax), valid };
    case 'float64':
      return { kind: field.column, name, values: new Float64Array(rowsMax), valid };
    case 'boolean':
      return { kind: field.column, name, values: new Uint8Array(rowsMax), valid };
    case 'bytes':
      return bytesColumn(name, rowsMax);
  }
}

function bytesColumn(name: string, rowsMax: number): BytesColumn {
  return {
    kind: 'bytes',
    name,
    bytes: new Uint8Array(Math.min(columnBytesInitial, rowsMax * rowBytesInitial)),
    offsets: new Int32Array(rowsMax + 1),
    valid: new Uint8Array(rowsMax),
  };
}
