import type { PartitionValue } from '../manifest/data-file.ts';
import { columnValue } from '../parquet/column-value.ts';
import type { DictionaryColumn, FlatColumn, PlainColumn } from '../parquet/columns.ts';
import { isValid } from '../parquet/validity.ts';
import { murmur3, murmur3Int64 } from '../spec/murmur3.ts';
import type { PrimitiveType } from '../spec/table-schema.ts';
import {
  applyTransform,
  bucketOfHash,
  floorDivide,
  monthOfDay,
  parseTransform,
  yearOfDay,
} from '../spec/transform.ts';
import { decimalShape } from '../spec/type-text.ts';

/** Rows by their value under a transform: `values[codes[row]]`, the values distinct. */
export type RowGroups = { codes: Int32Array; values: PartitionValue[] };

/** What a row groups by: a column (absent: all null) of a type, under a transform. */
export type GroupKey = {
  column: FlatColumn | undefined;
  type: PrimitiveType;
  transform: string;
};

const MICROS_PER_HOUR = 3_600_000_000;
const MICROS_PER_DAY = 86_400_000_000;
const WORD = 4_294_967_296;
/** Beyond this high word a 64-bit integer is no exact double. */
const EXACT_HIGH_MAX = 2 ** 20;

/**
 * Groups rows by a transformed column. Time transforms, buckets and 32-bit identities run on numbers
 * without allocation; a dictionary is transformed once a code; anything else once a row.
 * Errors: `config` where the transform does not apply to the type.
 */
export function groupRows({ column, type, transform }: GroupKey, rowCount: number): RowGroups {
  if (column === undefined || parseTransform(transform).kind === 'void') {
    return { codes: new Int32Array(rowCount), values: [null] };
  }
  if (column.kind === 'dictionary') return groupDictionary(column, type, transform, rowCount);
  const ordinal = ordinalReader(column, type, transform);
  return ordinal === undefined
    ? groupByValue(rowCount, (row) =>
        applyTransform(transform, type, columnValue(column, type, row)),
      )
    : groupByOrdinal(rowCount, column, ordinal);
}

/** Rows by several keys at once: the groups of the pairs, the triples and so on. */
export function groupRowsByAll(
  keys: readonly GroupKey[],
  rowCount: number,
): { codes: Int32Array; tuples: PartitionValue[][] } {
  let codes = new Int32Array(rowCount);
  let tuples: PartitionValue[][] = [[]];
  for (const key of keys) {
    const groups = groupRows(key, rowCount);
    if (groups.values.length === 1) {
      tuples = tuples.map((tuple) => [...tuple, groups.values[0] ?? null]);
      continue;
    }
    const stride = groups.values.length;
    const interner = createInterner<number>();
    for (let row = 0; row < rowCount; row += 1) {
      codes[row] = interner.codeOf((codes[row] ?? 0) * stride + (groups.codes[row] ?? 0));
    }
    const before = tuples;
    tuples = interner.values.map((pair) => [
      ...(before[Math.floor(pair / stride)] ?? []),
      groups.values[pair % stride] ?? null,
    ]);
  }
  return { codes, tuples };
}

function groupDictionary(
  column: DictionaryColumn,
  type: PrimitiveType,
  transform: string,
  rowCount: number,
): RowGroups {
  const interner = createValueInterner();
  const groupOfCode = new Map<number, number>();
  const codes = new Int32Array(rowCount);
  for (let row = 0; row < rowCount; row += 1) {
    const code = column.codes[row] ?? -1;
    let group = groupOfCode.get(code);
    if (group === undefined) {
      group = interner.codeOf(applyTransform(transform, type, columnValue(column, type, row)));
      groupOfCode.set(code, group);
    }
    codes[row] = group;
  }
  return { codes, values: interner.values };
}

function groupByValue(rowCount: number, valueAt: (row: number) => PartitionValue): RowGroups {
  const interner = createValueInterner();
  const codes = new Int32Array(rowCount);
  for (let row = 0; row < rowCount; row += 1) codes[row] = interner.codeOf(valueAt(row));
  return { codes, values: interner.values };
}

function groupByOrdinal(
  rowCount: number,
  { valid }: PlainColumn,
  ordinal: (row: number) => number,
): RowGroups {
  const interner = createInterner<number | null>();
  const codes = new Int32Array(rowCount);
  for (let row = 0; row < rowCount; row += 1) {
    codes[row] = interner.codeOf(isValid(valid, row) ? ordinal(row) : null);
  }
  return { codes, values: interner.values };
}

type Interner<T> = { values: T[]; codeOf: (value: T) => number };

/** Numbers distinct values in order of appearance; neighbouring rows mostly repeat the last one. */
function createInterner<T extends PartitionValue>(): Interner<T> {
  const codes = new Map<T, number>();
  const values: T[] = [];
  let last: T | undefined;
  let lastCode = -1;
  return {
    values,
    codeOf: (value) => {
      if (value === last) return lastCode;
      let code = codes.get(value);
      if (code === undefined) {
        code = values.length;
        codes.set(value, code);
        values.push(value);
      }
      last = value;
      lastCode = code;
      return code;
    },
  };
}

/** As `createInterner`, but bytes are the same value when their content is. */
function createValueInterner(): Interner<PartitionValue> {
  const byIdentity = createInterner<PartitionValue>();
  const values: PartitionValue[] = [];
  return {
    values,
    codeOf: (value) => {
      const isBytes = value instanceof Uint8Array;
      const code = byIdentity.codeOf(isBytes ? Buffer.from(value).toString('latin1') : value);
      if (code === values.length) values.push(value);
      return code;
    },
  };
}

/** A transform whose result is a 32-bit number, as a function of the row; undefined for all others. */
function ordinalReader(
  column: PlainColumn,
  type: PrimitiveType,
  transform: string,
): ((row: number) => number) | undefined {
  const parsed = parseTransform(transform);
  switch (parsed.kind) {
    case 'year':
    case 'month':
    case 'day': {
      const day = dayReader(column);
      if (day === undefined || parsed.kind === 'day') return day;
      return memoised(day, parsed.kind === 'month' ? monthOfDay : yearOfDay);
    }
    case 'hour':
      return column.kind === 'int64' ? int64Divider(column.values, MICROS_PER_HOUR) : undefined;
    case 'bucket':
      return bucketReader(column, type, parsed.buckets);
    case 'identity':
      return column.kind === 'int32' ? (row) => column.values[row] ?? 0 : undefined;
    case 'truncate':
    case 'void':
      return undefined;
  }
}

function dayReader(column: PlainColumn): ((row: number) => number) | undefined {
  if (column.kind === 'int64') return int64Divider(column.values, MICROS_PER_DAY);
  return column.kind === 'int32' ? (row) => column.values[row] ?? 0 : undefined;
}

/** `floor(value / divisor)` of 64-bit values without a BigInt, but for those that a double cannot hold. */
function int64Divider(values: BigInt64Array, divisor: number): (row: number) => number {
  const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  return (row) => {
    const high = words[2 * row + 1] ?? 0;
    if (high >= EXACT_HIGH_MAX || high < -EXACT_HIGH_MAX) {
      return Number(floorDivide(values[row] ?? 0n, BigInt(divisor)));
    }
    return Math.floor((high * WORD + ((words[2 * row] ?? 0) >>> 0)) / divisor);
  };
}

function memoised(day: (row: number) => number, ofDay: (day: number) => number) {
  const known = new Map<number, number>();
  return (row: number): number => {
    const key = day(row);
    let value = known.get(key);
    if (value === undefined) {
      value = ofDay(key);
      known.set(key, value);
    }
    return value;
  };
}

function bucketReader(
  column: PlainColumn,
  type: PrimitiveType,
  buckets: number,
): ((row: number) => number) | undefined {
  if (column.kind === 'int32') {
    return (row) => {
      const value = column.values[row] ?? 0;
      return bucketOfHash(murmur3Int64(value, value >> 31), buckets);
    };
  }
  if (column.kind === 'int64') {
    const { buffer, byteOffset, length } = column.values;
    const words = new Int32Array(buffer, byteOffset, length * 2);
    return (row) =>
      bucketOfHash(murmur3Int64(words[2 * row] ?? 0, words[2 * row + 1] ?? 0), buckets);
  }
  if (column.kind !== 'bytes' || decimalShape(type) !== undefined) return undefined;
  const { bytes, offsets } = column.slices;
  return (row) => bucketOfHash(murmur3(bytes, offsets[row], offsets[row + 1]), buckets);
}
