import type { FlatColumn } from '../parquet/columns.ts';
import { everyRow } from '../parquet/every-row.ts';
import { isValid } from '../parquet/validity.ts';
import { compareValues } from '../spec/single-value.ts';
import type { PrimitiveType } from '../spec/table-schema.ts';
import type { SortField } from '../spec/table-metadata.ts';
import { groupRows } from './group-rows.ts';

/** A sort field with the column that it sorts by; absent means all null. */
export type SortKey = { column: FlatColumn | undefined; type: PrimitiveType; field: SortField };

/**
 * Words that order rows when compared as unsigned numbers, the last word most significant. Every sort
 * field contributes some; direction and null order are folded in.
 */
type SortWords = Uint32Array[];

const SIGN = 0x80000000;
const DIGIT_BITS = 16;
const DIGITS = 1 << DIGIT_BITS;
/** Up to so many rows, comparing them is cheaper than clearing the counters of a pass. */
const COMPARED_ROWS_MAX = 4_096;

/**
 * The stable order of rows under a sort order, or undefined when they are in order already. Numbers
 * sort by their bits (floats in IEEE total order, -0 before 0, NaN last), anything else by the rank
 * of its distinct values. A radix sort but for few rows: no comparison function, no BigInt.
 */
export function sortRows(keys: readonly SortKey[], rowCount: number): Int32Array | undefined {
  const words = keys.toReversed().flatMap((key) => sortWords(key, rowCount));
  if (isSorted(words, rowCount)) return undefined;
  let order = everyRow(rowCount);
  if (rowCount <= COMPARED_ROWS_MAX) return order.toSorted((a, b) => compareRows(words, a, b));
  let spare = new Int32Array(rowCount);
  for (const word of words) {
    for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
      if (sortByDigit(word, shift, order, spare)) [order, spare] = [spare, order];
    }
  }
  return order;
}

/** One counting pass; false when all rows have the same digit and nothing was moved. */
function sortByDigit(
  word: Uint32Array,
  shift: number,
  order: Int32Array,
  target: Int32Array,
): boolean {
  const starts = new Int32Array(DIGITS + 1);
  for (const value of word) {
    const digit = (value >>> shift) & (DIGITS - 1);
    starts[digit + 1] = (starts[digit + 1] ?? 0) + 1;
  }
  const first = ((word[0] ?? 0) >>> shift) & (DIGITS - 1);
  if (starts[first + 1] === word.length) return false;
  for (let digit = 0; digit < DIGITS; digit += 1) {
    starts[digit + 1] = (starts[digit + 1] ?? 0) + (starts[digit] ?? 0);
  }
  for (const row of order) {
    const digit = ((word[row] ?? 0) >>> shift) & (DIGITS - 1);
    const at = starts[digit] ?? 0;
    target[at] = row;
    starts[digit] = at + 1;
  }
  return true;
}

function isSorted(words: SortWords, rowCount: number): boolean {
  for (let row = 1; row < rowCount; row += 1) {
    if (compareRows(words, row - 1, row) > 0) return false;
  }
  return true;
}

function compareRows(words: SortWords, a: number, b: number): number {
  for (let index = words.length - 1; index >= 0; index -= 1) {
    const difference = (words[index]?.[a] ?? 0) - (words[index]?.[b] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function sortWords({ column, type, field }: SortKey, rowCount: number): SortWords {
  if (column === undefined) return [];
  const direct = field.transform === 'identity' ? bitWords(column, rowCount) : undefined;
  const { words, isNull } = direct ?? rankWords(column, type, field.transform, rowCount);
  if (field.direction === 'desc') {
    for (const word of words) {
      for (let row = 0; row < rowCount; row += 1) word[row] = ~(word[row] ?? 0);
    }
  }
  return isNull === undefined ? words : [...clearNulls(words, isNull), nullWord(isNull, field)];
}

type Words = { words: SortWords; isNull: Uint8Array | undefined };

/** Values under nulls must not order the nulls among themselves. */
function clearNulls(words: SortWords, isNull: Uint8Array): SortWords {
  for (const word of words) {
    for (let row = 0; row < isNull.length; row += 1) if (isNull[row] === 1) word[row] = 0;
  }
  return words;
}

function nullWord(isNull: Uint8Array, field: SortField): Uint32Array {
  const nullRank = field.nullOrder === 'nulls-first' ? 0 : 1;
  return Uint32Array.from(isNull, (bit) => (bit === 1 ? nullRank : 1 - nullRank));
}

/** Order-preserving bits of a number column; undefined for the kinds that need ranks. */
function bitWords(column: FlatColumn, rowCount: number): Words | undefined {
  switch (column.kind) {
    case 'int32':
      return numberWords(column, rowCount, { words: 1, isFloat: false });
    case 'int64':
      return numberWords(column, rowCount, { words: 2, isFloat: false });
    case 'float32':
      return numberWords(column, rowCount, { words: 1, isFloat: true });
    case 'float64':
      return numberWords(column, rowCount, { words: 2, isFloat: true });
    case 'boolean':
    case 'bytes':
    case 'dictionary':
      return undefined;
  }
}

type NumberColumn = Extract<FlatColumn, { kind: 'int32' | 'int64' | 'float32' | 'float64' }>;

function numberWords(
  { values, valid }: NumberColumn,
  rowCount: number,
  shape: { words: 1 | 2; isFloat: boolean },
): Words {
  const source = new Uint32Array(values.buffer, values.byteOffset, values.length * shape.words);
  const high = new Uint32Array(rowCount);
  const low = shape.words === 2 ? new Uint32Array(rowCount) : undefined;
  for (let row = 0; row < rowCount; row += 1) {
    const top = source[row * shape.words + shape.words - 1] ?? 0;
    const flip = shape.isFloat && top >= SIGN ? 0xffffffff : 0;
    high[row] = top ^ flip ^ (flip === 0 ? SIGN : 0);
    if (low !== undefined) low[row] = (source[row * 2] ?? 0) ^ flip;
  }
  const words = low === undefined ? [high] : [low, high];
  return { words, isNull: nullBytes(valid, rowCount) };
}

/** 1 where a row is null; undefined where none is. */
function nullBytes(valid: Uint8Array | undefined, rowCount: number): Uint8Array | undefined {
  if (valid === undefined) return undefined;
  const isNull = new Uint8Array(rowCount);
  let nulls = 0;
  for (let row = 0; row < rowCount; row += 1) {
    const bit = isValid(valid, row) ? 0 : 1;
    isNull[row] = bit;
    nulls += bit;
  }
  return nulls === 0 ? undefined : isNull;
}

/** The rank of each row's transformed value among the distinct ones. */
function rankWords(
  column: FlatColumn,
  type: PrimitiveType,
  transform: string,
  rowCount: number,
): Words {
  const { codes, values } = groupRows({ column, type, transform }, rowCount);
  const ranks = new Uint32Array(values.length);
  const present = values.flatMap((value, code) => (value === null ? [] : [{ value, code }]));
  present
    .toSorted((left, right) => compareValues(left.value, right.value))
    .forEach(({ code }, rank) => {
      ranks[code] = rank;
    });
  const nullCode = values.indexOf(null);
  return {
    words: [Uint32Array.from(codes, (code) => ranks[code] ?? 0)],
    isNull:
      nullCode < 0 ? undefined : Uint8Array.from(codes, (code) => (code === nullCode ? 1 : 0)),
  };
}
