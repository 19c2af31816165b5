import { contractFields } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import type { Contract } from './contract.ts';

/** What the columns of one buffer have grown by, in bytes, beyond what they start with. */
export type GrownMemory = { bytes: number };

type AnyColumn = { name: string; valid: Uint8Array; grown: GrownMemory };

/** One value a row, in memory of its own. */
export type ScalarColumn = AnyColumn &
  (
    | { kind: 'int32'; values: Int32Array }
    | { kind: 'int64'; words: Int32Array }
    | { kind: 'float32'; values: Float32Array }
    | { kind: 'float64'; values: Float64Array }
    | { kind: 'boolean'; values: Uint8Array }
    /** Row i is `bytes[offsets[i] .. offsets[i + 1])`. */
    | { kind: 'bytes'; bytes: Uint8Array; offsets: Int32Array }
  );

/** Columns within a column: what a row holds of them stands in rows of theirs. */
export type NestedColumn = AnyColumn &
  (
    | /** Row i is row i of each field, also where the struct is null: its fields are null there. */
      { kind: 'struct'; fields: BufferColumn[] }
      /** Row i is rows `offsets[i] .. offsets[i + 1]` of the element, none where the list is null. */
    | { kind: 'list'; element: BufferColumn; offsets: Int32Array }
    | { kind: 'map'; key: BytesColumn; value: BufferColumn; offsets: Int32Array }
  );

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

export type RowBuffer = {
  rowCount: number;
  columns: BufferColumn[];
  grown: GrownMemory;
  /** What the columns are for, and the rows that they have room for. */
  contract: Contract;
  rowsMax: number;
};

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

/**
 * Bound of what the columns of one buffer grow by, in bytes, and so of each of them: offsets are 32-bit. Callers flush
 * by size before; a few bytes of a record may be far more than that in lists and maps (INVARIANTS.md 12).
 */
export const columnBytesMax = 1 << 30;

/** What an empty buffer keeps of it for the next rows: what was grown for one large record is given back. */
const keptBytesMax = columnBytesMax / 2;

/** The rows that what a list or a map holds has room for at first. */
export const innerRowsInitial = 1024;

/** What a bytes column starts with: this, or so much for each row where that is less. */
const columnBytesInitial = 1 << 16;
const rowBytesInitial = 64;

/**
 * Empty columns for the fields of a contract, in its order, with room for `rowsMax` rows. Bytes columns, and what
 * lists and maps hold, start small and grow by `columnBytesMax` together. Errors: `config` for a contract that has no
 * columns.
 */
export function createRowBuffer(contract: Contract, rowsMax: number): RowBuffer {
  if (!Number.isInteger(rowsMax) || rowsMax < 1) {
    throw new Error(`a row buffer holds at least one row: expected rowsMax >= 1, got ${rowsMax}`);
  }
  const grown: GrownMemory = { bytes: 0 };
  const columns = contractFields(contract).map((field) => createColumn(field, rowsMax, grown));
  return { rowCount: 0, columns, grown, contract, rowsMax };
}

/** Forgets the rows and keeps their memory, unless it is more than most rows need. */
export function clearRows(rows: RowBuffer): void {
  rows.rowCount = 0;
  if (rows.grown.bytes > keptBytesMax) startOver(rows);
}

/** Makes a buffer what it was when it was created: empty, and without what its columns have grown by. */
export function startOver(rows: RowBuffer): void {
  Object.assign(rows, createRowBuffer(rows.contract, rows.rowsMax));
}

/** A record needs more memory than the columns of a buffer may have beside what they hold already. */
export class ColumnFull extends Error {
  constructor(column: string) {
    super(
      `with its ${column} it would take more memory than a batch may have, which is ${columnBytesMax} bytes`,
    );
  }
}

/** Makes room for `bytesNeeded` in a bytes column and returns its new memory. Throws `ColumnFull`. */
export function growColumn(column: BytesColumn, bytesNeeded: number): Uint8Array {
  const size = sizeFor(bytesNeeded);
  claim(column, size - column.bytes.length);
  column.bytes = copyInto(new Uint8Array(size), column.bytes);
  return column.bytes;
}

/** Makes room for so many rows in what a list or a map holds. Throws `ColumnFull`. */
export function growRows(column: BufferColumn, rowsNeeded: number): void {
  const rows = sizeFor(rowsNeeded);
  claim(column, (rows - column.valid.length) * bytesOfRow(column));
  resize(column, rows);
}

/** Depends on nothing but the need, so that what fits a small buffer fits every empty one. */
function sizeFor(needed: number): number {
  return 2 ** Math.ceil(Math.log2(needed));
}

/** Before any memory is taken: where it cannot be had, nobody could go on. */
function claim({ name, grown }: BufferColumn, bytes: number): void {
  if (grown.bytes + bytes > columnBytesMax) throw new ColumnFull(name);
  grown.bytes += bytes;
}

/** The bytes that a row takes in a column, beside those of texts and of what is in lists and maps. */
export function bytesOfRow(column: BufferColumn): number {
  switch (column.kind) {
    case 'boolean':
      return 2;
    case 'int32':
    case 'float32':
    case 'bytes':
    case 'list':
    case 'map':
      return 5;
    case 'int64':
    case 'float64':
      return 9;
    case 'struct':
      return column.fields.reduce((bytes, field) => bytes + bytesOfRow(field), 1);
  }
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

/** An empty column with room for so many rows; `grown` is that of its buffer. */
export function createColumn(
  field: ContractField,
  rowsMax: number,
  grown: GrownMemory,
): BufferColumn {
  const { name } = field;
  const own = { name, valid: new Uint8Array(rowsMax), grown };
  switch (field.column) {
    case 'struct': {
      const fields = field.fields.map((inner) => createColumn(inner, rowsMax, grown));
      return { kind: 'struct', ...own, fields };
    }
    case 'list': {
      const element = createColumn(field.element, innerRowsInitial, grown);
      return { kind: 'list', ...own, element, offsets: new Int32Array(rowsMax + 1) };
    }
    case 'map': {
      const offsets = new Int32Array(rowsMax + 1);
      const value = createColumn(field.value, innerRowsInitial, grown);
      return {
        kind: 'map',
        ...own,
        key: bytesColumn('key', innerRowsInitial, grown),
        value,
        offsets,
      };
    }
    case 'int32':
      return { kind: field.column, ...own, values: new Int32Array(rowsMax) };
    case 'int64':
      return { kind: field.column, ...own, words: new Int32Array(rowsMax * 2) };
    case 'float32':
      return { kind: field.column, ...own, values: new Float32Array(rowsMax) };
    case 'float64':
      return { kind: field.column, ...own, values: new Float64Array(rowsMax) };
    case 'boolean':
      return { kind: field.column, ...own, values: new Uint8Array(rowsMax) };
    case 'bytes':
      return bytesColumn(name, rowsMax, grown);
  }
}

function bytesColumn(name: string, rowsMax: number, grown: GrownMemory): BytesColumn {
  return {
    kind: 'bytes',
    name,
    bytes: new Uint8Array(Math.min(columnBytesInitial, rowsMax * rowBytesInitial)),
    offsets: new Int32Array(rowsMax + 1),
    valid: new Uint8Array(rowsMax),
    grown,
  };
}
