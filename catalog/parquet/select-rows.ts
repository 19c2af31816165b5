import type { ByteSlices, Column, ColumnBatch, DictionaryValues, Validity } from './columns.ts';

/**
 * A new batch of the given rows in the given order; a row may appear several times. Dictionaries are
 * shared with the source batch, everything else is copied. A negative row selects null.
 */
export function selectRows(batch: ColumnBatch, rows: Int32Array): ColumnBatch {
  const columns = new Map<number, Column>();
  for (const [fieldId, column] of batch.columns) columns.set(fieldId, selectColumn(column, rows));
  return { rowCount: rows.length, columns };
}

/** The given rows of one column; see `selectRows`. */
export function selectColumn(column: Column, rows: Int32Array): Column {
  if (column.kind !== 'dictionary') return selectPlain(column, rows);
  const codes = new Int32Array(rows.length);
  for (let index = 0; index < rows.length; index += 1) {
    const row = rows[index] ?? -1;
    codes[index] = row < 0 ? -1 : (column.codes[row] ?? -1);
  }
  return { kind: 'dictionary', codes, dictionary: column.dictionary };
}

function selectPlain(
  column: DictionaryValues['values'],
  rows: Int32Array,
): DictionaryValues['values'] {
  const valid = selectValidity(column.valid, rows);
  switch (column.kind) {
    case 'int32': {
      const values = new Int32Array(rows.length);
      gather(column.values, rows, values);
      return { kind: 'int32', values, valid };
    }
    case 'int64':
      return { kind: 'int64', values: gatherInt64(column.values, rows), valid };
    case 'float32': {
      const values = new Float32Array(rows.length);
      gather(column.values, rows, values);
      return { kind: 'float32', values, valid };
    }
    case 'float64': {
      const values = new Float64Array(rows.length);
      gather(column.values, rows, values);
      return { kind: 'float64', values, valid };
    }
    case 'boolean': {
      const values = new Uint8Array(rows.length);
      gather(column.values, rows, values);
      return { kind: 'boolean', values, valid };
    }
    case 'bytes':
      return { kind: 'bytes', slices: gatherSlices(column.slices, valid, rows), valid };
  }
}

/**
 * The plain column that a dictionary column stands for. For types that cannot go into a file as a
 * dictionary; text and binary keep theirs.
 */
export function expandDictionary(
  column: Extract<Column, { kind: 'dictionary' }>,
): DictionaryValues['values'] {
  return selectPlain(column.dictionary.values, column.codes);
}

function selectValidity(valid: Validity, rows: Int32Array): Validity {
  const selected = new Uint8Array(rows.length);
  let nulls = 0;
  for (let index = 0; index < rows.length; index += 1) {
    const row = rows[index] ?? -1;
    const value = row < 0 || (valid !== undefined && valid[row] === 0) ? 0 : 1;
    selected[index] = value;
    nulls += 1 - value;
  }
  return nulls === 0 ? undefined : selected;
}

function gather<T extends Int32Array | Float32Array | Float64Array | Uint8Array>(
  source: T,
  rows: Int32Array,
  target: T,
): void {
  for (let index = 0; index < rows.length; index += 1) {
    target[index] = source[rows[index] ?? 0] ?? 0;
  }
}

/** Copies 64-bit values as two 32-bit words: reading a BigInt64Array would make a BigInt for each row. */
function gatherInt64(source: BigInt64Array, rows: Int32Array): BigInt64Array {
  const from = new Int32Array(source.buffer, source.byteOffset, source.length * 2);
  const values = new BigInt64Array(rows.length);
  const to = new Int32Array(values.buffer);
  for (let index = 0; index < rows.length; index += 1) {
    const row = rows[index] ?? 0;
    to[2 * index] = from[2 * row] ?? 0;
    to[2 * index + 1] = from[2 * row + 1] ?? 0;
  }
  return values;
}

/** Null rows come out empty, so that what lay under them cannot reach a file. */
export function gatherSlices(source: ByteSlices, valid: Validity, rows: Int32Array): ByteSlices {
  const offsets = new Int32Array(rows.length + 1);
  let end = 0;
  for (let index = 0; index < rows.length; index += 1) {
    const row = rows[index] ?? 0;
    if (valid === undefined || valid[index] !== 0) {
      end += (source.offsets[row + 1] ?? 0) - (source.offsets[row] ?? 0);
    }
    offsets[index + 1] = end;
  }
  const bytes = new Uint8Array(end);
  for (let index = 0; index < rows.length; index += 1) {
    const start = offsets[index] ?? 0;
    const length = (offsets[index + 1] ?? 0) - start;
    const from = source.offsets[rows[index] ?? 0] ?? 0;
    copyBytes(source.bytes, from, bytes, start, length);
  }
  return { bytes, offsets };
}

/** Below this length a loop is faster than the call into the engine's memory copy. */
const LOOP_COPY_BYTES_MAX = 64;

function copyBytes(
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  to: number,
  length: number,
): void {
  if (length > LOOP_COPY_BYTES_MAX) {
    target.set(source.subarray(from, from + length), to);
    return;
  }
  for (let index = 0; index < length; index += 1) target[to + index] = source[from + index] ?? 0;
}
