import { isUtf8 } from 'node:buffer';
import type avsc from 'avsc';
import { createValueReader } from './avro-reader.ts';
import { dayMax, dayMin, toDays } from './canonical-value.ts';
import type { Normalise } from './canonical-value.ts';
import { isPlaceholder, placeholderLengths } from './row-columns.ts';
import {
  BOOLEAN_SLOT,
  DOUBLE_SLOT,
  INT_SLOT,
  LONG_SLOT,
  OTHER_SLOT,
  TEXT_SLOT,
} from './row-slots.ts';
import type { RowSlots } from './row-slots.ts';

/** What of a change stands outside its row. */
export type EnvelopeWords = {
  hasAfter: boolean;
  /** The character code of a one-letter `op`, else 0. */
  op: number;
  hasLsn: boolean;
  lsnLow: number;
  lsnHigh: number;
  /** The row was read by an incremental snapshot. */
  isIncremental: boolean;
};

/**
 * Reads `bytes[start .. end)` into the slots and words. True only where the strict reader would take the record
 * too, and give these very values; false for all else, whatever is the matter with it.
 */
export type RowReader = (
  bytes: Buffer,
  range: { start: number; end: number },
  into: { slots: RowSlots; words: EnvelopeWords },
) => boolean;

/** What becomes of a value: which code reads it, or steps over it where there is none. */
export type Use =
  | { kind: 'slot'; slot: number; normalise: Normalise | undefined }
  | { kind: 'fields'; of: ReadonlyMap<string, Use>; isAfter?: boolean }
  | { kind: 'lsn' | 'snapshot' | 'op' };

/** How deep records may nest here: far below the strict reader's bound. */
const nestingMax = 16;

class Unusual extends Error {}

/**
 * Generates a reader of records of one schema, which keeps what `use` names and steps over the rest. Undefined
 * where the schema is so unusual that the strict reader alone is to read it.
 *
 *   p   next position       n   last length or index      w   last 64-bit integer
 *
 * Positions only grow and are compared with the end of the record once, at its end: reads beyond it give other
 * bytes, never harm. Source: Avro specification 1.12, "Binary Encoding".
 */
export function generateRowReader(type: avsc.Type, use: Use): RowReader | undefined {
  const constants: unknown[] = [];
  const constant = (value: unknown): string => `constants[${constants.push(value) - 1}]`;
  try {
    const body = code({ constant, depth: 0 }, type, use);
    const source = `'use strict';
const { w, readLong, isCarriedText, readOther } = runtime;
return function read(bytes, { start, end }, { slots, words }) {
  const { kinds, low, high, doubles, others } = slots;
  let p = start, n = 0;
  ${body}
  return p === end;
};`;
    // eslint-disable-next-line typescript/no-implied-eval -- the source is made here, of names and numbers alone.
    const make = new Function('runtime', 'constants', source) as (
      runtime: object,
      constants: readonly unknown[],
    ) => RowReader;
    return make(runtime, constants);
  } catch (error) {
    if (error instanceof Unusual) return undefined;
    throw error;
  }
}

type Emit = { constant: (value: unknown) => string; depth: number };

function code(emit: Emit, type: avsc.Type, use: Use | undefined): string {
  const { typeName } = type;
  if (typeName === 'record' || typeName === 'error') {
    return recordCode(emit, type as avsc.types.RecordType, use);
  }
  if (typeName.startsWith('union:')) {
    return unionCode(emit, type as avsc.types.UnwrappedUnionType, use);
  }
  if (use === undefined) return skipCode(emit, type);
  if (use.kind === 'slot') return slotCode(emit, type, use);
  // An envelope without `after` or `source` has a null in their place, which keeps nothing.
  if (typeName === 'null') return '';
  return wordsCode(typeName, use.kind);
}

function recordCode(emit: Emit, type: avsc.types.RecordType, use: Use | undefined): string {
  if (emit.depth === nestingMax) throw new Unusual();
  if (use !== undefined && use.kind !== 'fields') return otherCode(emit, type, use);
  const inner = { ...emit, depth: emit.depth + 1 };
  const body = type.fields.map((field) => code(inner, field.type, use?.of.get(field.name)));
  return [use?.isAfter === true ? 'words.hasAfter = true;' : '', ...body].join('\n  ');
}

function unionCode(emit: Emit, type: avsc.types.UnwrappedUnionType, use: Use | undefined): string {
  // The codes of indexes above 63 take two bytes.
  if (type.types.length > 64) throw new Unusual();
  const cases = type.types.map(
    (branch, index) => `case ${2 * index}: ${code(emit, branch, use)} break;`,
  );
  return `switch (bytes[p++]) { ${cases.join(' ')} default: return false; }`;
}

const readWord = 'p = readLong(bytes, p); if (p < 0) return false;';
const readInt = `${readWord} if (w.high !== w.low >> 31) return false;`;
const readSize = `n = bytes[p++];
  if (n < 0x80) { if (n & 1) return false; n >>>= 1; }
  else { p = readLong(bytes, p - 1); if (p < 0 || w.high !== 0 || w.low < 0) return false; n = w.low; }`;

function skipCode(emit: Emit, type: avsc.Type): string {
  switch (type.typeName) {
    case 'null':
      return '';
    case 'boolean':
      return 'if (bytes[p++] > 1) return false;';
    case 'int':
      return readInt;
    case 'long':
      return readWord;
    case 'float':
      return 'p += 4;';
    case 'double':
      return 'p += 8;';
    case 'bytes':
    case 'string':
      return `${readSize} p += n;`;
    default:
      return otherCode(emit, type, undefined);
  }
}

function slotCode(emit: Emit, type: avsc.Type, use: Use & { kind: 'slot' }): string {
  const { slot, normalise } = use;
  if (type.typeName === 'null') return '';
  if (normalise === toDays && type.typeName === 'int') {
    const days = `Math.min(Math.max(w.low, ${dayMin}), ${dayMax})`;
    return `${readInt} kinds[${slot}] = ${INT_SLOT}; low[${slot}] = ${days};`;
  }
  if (normalise !== undefined) return otherCode(emit, type, use);
  switch (type.typeName) {
    case 'boolean':
      return `if (bytes[p] > 1) return false; kinds[${slot}] = ${BOOLEAN_SLOT}; low[${slot}] = bytes[p++];`;
    case 'int':
      return `${readInt} kinds[${slot}] = ${INT_SLOT}; low[${slot}] = w.low;`;
    case 'long':
      return `${readWord} kinds[${slot}] = ${LONG_SLOT}; low[${slot}] = w.low; high[${slot}] = w.high;`;
    case 'float':
      return `if (end - p < 4) return false; kinds[${slot}] = ${DOUBLE_SLOT}; doubles[${slot}] = bytes.readFloatLE(p); p += 4;`;
    case 'double':
      return `if (end - p < 8) return false; kinds[${slot}] = ${DOUBLE_SLOT}; doubles[${slot}] = bytes.readDoubleLE(p); p += 8;`;
    case 'string':
      return `${readSize} if (n > end - p || !isCarriedText(bytes, p, n)) return false;
  kinds[${slot}] = ${TEXT_SLOT}; low[${slot}] = p; high[${slot}] = n; p += n;`;
    default:
      return otherCode(emit, type, use);
  }
}

/** Whatever has no code of its own is left to the strict reader. */
function otherCode(emit: Emit, type: avsc.Type, use: Use | undefined): string {
  if (use !== undefined && use.kind !== 'slot') throw new Unusual();
  const read = createValueReader(type, use !== undefined);
  const reader = emit.constant({ read, normalise: use?.normalise, depth: emit.depth });
  const call = `p = readOther(${reader}, bytes, p, end); if (p < 0) return false;`;
  if (use === undefined) return call;
  return `${call} kinds[${use.slot}] = ${OTHER_SLOT}; others[${use.slot}] = w.other;`;
}

function wordsCode(typeName: string, kind: 'lsn' | 'snapshot' | 'op' | 'fields'): string {
  if (kind === 'lsn' && (typeName === 'long' || typeName === 'int')) {
    const read = typeName === 'int' ? readInt : readWord;
    return `${read} words.hasLsn = true; words.lsnLow = w.low; words.lsnHigh = w.high;`;
  }
  if (kind === 'snapshot' && typeName === 'string') {
    return `${readSize} if (n > end - p || !isCarriedText(bytes, p, n)) return false;
  words.isIncremental = n === 11 && bytes.latin1Slice(p, p + n) === 'incremental'; p += n;`;
  }
  if (kind === 'op' && typeName === 'string') {
    return `${readSize} if (n !== 1) return false; words.op = bytes[p++];`;
  }
  throw new Unusual();
}

/** What the generated code calls; what it reads beside a position is left in `w`. */
const w = { low: 0, high: 0, other: null as unknown };
const runtime = { w, readLong, isCarriedText, readOther };

/** Reads a zigzag varint of at most 64 bits into `w`, and returns where it ends, or -1. */
function readLong(bytes: Buffer, start: number): number {
  let at = start;
  let byte = bytes[at++] as number;
  if (byte < 0x80) {
    w.low = (byte >>> 1) ^ -(byte & 1);
    w.high = -(byte & 1);
    return at;
  }
  let bits = byte & 0x7f;
  let upper = 0;
  for (let shift = 7; ; shift += 7) {
    byte = bytes[at++] as number;
    const group = byte & 0x7f;
    if (shift < 28) bits |= group << shift;
    else if (shift === 28) {
      bits |= group << 28;
      upper = group >>> 4;
    } else upper |= group << (shift - 32);
    if (byte < 0x80) break;
    // Also beyond the end of all bytes, where there is no byte.
    if (shift >= 63 || at >= bytes.length) return -1;
  }
  if (at - start === 10 && byte > 1) return -1;
  const sign = -(bits & 1);
  w.low = ((bits >>> 1) | (upper << 31)) ^ sign;
  w.high = (upper >>> 1) ^ sign;
  return at;
}

/** Whether it is text that a row carries as it is: UTF-8, and no stand-in for a value. */
function isCarriedText(bytes: Buffer, start: number, length: number): boolean {
  const end = start + length;
  let at = start;
  while (at < end && (bytes[at] as number) < 0x80) at++;
  if (at < end && !isUtf8(bytes.subarray(start, end))) return false;
  return !placeholderLengths.includes(length) || !isPlaceholder(bytes.toString('utf8', start, end));
}

type OtherReader = {
  read: ReturnType<typeof createValueReader>;
  normalise: Normalise | undefined;
  depth: number;
};

/** Reads a value by the strict reader into `w`, and returns where it ends, or -1. */
function readOther(reader: OtherReader, bytes: Buffer, start: number, end: number): number {
  const cursor = { bytes, at: start, end, depth: reader.depth, field: '' };
  try {
    const value = reader.read(cursor);
    if (isPlaceholder(value)) return -1;
    const isPlain = value === null || value === undefined || reader.normalise === undefined;
    w.other = isPlain ? (value ?? null) : reader.normalise?.(value);
    return cursor.at;
  } catch {
    return -1;
  }
}
