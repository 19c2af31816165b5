import { CatalogError } from '../error.ts';
import type { PartitionValue } from '../manifest/data-file.ts';
import type { PrimitiveType } from './table-schema.ts';

/** A value that is not null, in the form that `applyTransform` documents. */
export type PrimitiveValue = Exclude<PartitionValue, null>;

/** Bounds of strings (in code points) and of binary (in bytes) are cut to this length. */
const BOUND_LENGTH_MAX = 16;

const CODE_POINT_MAX = 0x10ffff;
const SURROGATE_FIRST = 0xd800;
const SURROGATE_LAST = 0xdfff;

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The binary form in which bounds and partition summaries stand in manifests: little-endian numbers,
 * UTF-8 text, raw bytes, a decimal's unscaled value as the shortest big-endian two's complement.
 * Values as in `applyTransform`. Source: Iceberg table spec, appendix D, "Binary single-value".
 */
export function encodeSingleValue(type: PrimitiveType, value: PrimitiveValue): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'boolean') return Uint8Array.of(value ? 1 : 0);
  if (typeof value === 'string') return utf8.encode(value);
  if (typeof value === 'number') return encodeNumber(type, value);
  return isDecimal(type) ? twosComplement(value) : encodeInt64(value);
}

/**
 * The inverse of `encodeSingleValue`. An int that was promoted to long, or a float to double, is read
 * at the width it was written with. Errors: `corrupt` for bytes that are no value of the type.
 */
export function decodeSingleValue(type: PrimitiveType, bytes: Uint8Array): PrimitiveValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case 'boolean':
      expectLength(type, bytes, 1);
      return bytes[0] !== 0;
    case 'int':
    case 'date':
      expectLength(type, bytes, 4);
      return view.getInt32(0, true);
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      if (type === 'long' && bytes.length === 4) return BigInt(view.getInt32(0, true));
      expectLength(type, bytes, 8);
      return view.getBigInt64(0, true);
    case 'float':
      expectLength(type, bytes, 4);
      return view.getFloat32(0, true);
    case 'double':
      if (bytes.length === 4) return view.getFloat32(0, true);
      expectLength(type, bytes, 8);
      return view.getFloat64(0, true);
    case 'string':
      return decodeText(bytes);
    case 'uuid':
      expectLength(type, bytes, 16);
      return bytes;
    case 'binary':
      return bytes;
    default:
      return isDecimal(type) ? fromTwosComplement(bytes) : bytes;
  }
}

/**
 * The lower bound to store for a smallest value in single-value form: strings cut to 16 code points,
 * binary to 16 bytes, everything else as it is.
 */
export function lowerBound(type: PrimitiveType, smallest: Uint8Array): Uint8Array {
  if (!isTruncatable(type)) return smallest;
  return smallest.slice(0, boundEnd(type, smallest));
}

/**
 * The upper bound to store for a largest value in single-value form: cut like a lower bound and then
 * rounded up, so that it stays at or above every value. Undefined where no such bound exists (all
 * bytes 0xff, all code points U+10FFFF): the column then has no upper bound.
 */
export function upperBound(type: PrimitiveType, largest: Uint8Array): Uint8Array | undefined {
  if (!isTruncatable(type)) return largest;
  const end = boundEnd(type, largest);
  if (end === largest.length) return largest.slice();
  return type === 'string'
    ? nextText(largest.subarray(0, end))
    : nextBytes(largest.subarray(0, end));
}

/**
 * Orders two values of one type: negative, zero or positive. Text orders by code point and bytes as
 * unsigned, as readers compare bounds; -0 is below 0; NaN is above everything and equal to itself.
 */
export function compareValues(left: PrimitiveValue, right: PrimitiveValue): number {
  if (typeof left === 'string' && typeof right === 'string') {
    return compareBytes(utf8.encode(left), utf8.encode(right));
  }
  if (left instanceof Uint8Array && right instanceof Uint8Array) return compareBytes(left, right);
  if (typeof left === 'number' && typeof right === 'number') return compareNumbers(left, right);
  if (left < right) return -1;
  return left > right ? 1 : 0;
}

/** Unsigned lexicographic order of bytes, which for UTF-8 is the order of code points. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const shared = Math.min(left.length, right.length);
  for (let index = 0; index < shared; index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** The shortest big-endian two's complement of an integer; zero is one byte. */
export function twosComplement(value: bigint): Uint8Array {
  const magnitude = value < 0n ? ~value : value;
  const bits = magnitude === 0n ? 0 : magnitude.toString(2).length;
  const bytes = new Uint8Array(Math.floor(bits / 8) + 1);
  let rest = value;
  for (let index = bytes.length - 1; index >= 0; index -= 1) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** The integer that big-endian two's complement bytes stand for; no bytes are zero. */
export function fromTwosComplement(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return BigInt.asIntN(bytes.length * 8, value);
}

function compareNumbers(left: number, right: number): number {
  if (left < right) return -1;
  if (left > right) return 1;
  if (left === right) return Number(Object.is(right, -0)) - Number(Object.is(left, -0));
  return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
}

function isDecimal(type: PrimitiveType): boolean {
  return type.startsWith('decimal');
}

function isTruncatable(type: PrimitiveType): boolean {
  return type === 'string' || type === 'binary' || type.startsWith('fixed');
}

function encodeNumber(type: PrimitiveType, value: number): Uint8Array {
  const isDouble = type === 'double';
  const bytes = new Uint8Array(isDouble ? 8 : 4);
  const view = new DataView(bytes.buffer);
  if (isDouble) view.setFloat64(0, value, true);
  else if (type === 'float') view.setFloat32(0, value, true);
  else view.setInt32(0, value, true);
  return bytes;
}

function encodeInt64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value, true);
  return bytes;
}

function decodeText(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    throw new CatalogError('corrupt', 'a string bound is no UTF-8', { cause });
  }
}

function expectLength(type: PrimitiveType, bytes: Uint8Array, length: number): void {
  if (bytes.length === length) return;
  throw new CatalogError('corrupt', `a ${type} takes ${length} bytes, got ${bytes.length}`, {
    context: { type, length: bytes.length },
  });
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Where the first 16 code points (string) or bytes (binary, fixed) end. */
function boundEnd(type: PrimitiveType, bytes: Uint8Array): number {
  if (type !== 'string') return Math.min(bytes.length, BOUND_LENGTH_MAX);
  let codePoints = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    if (isContinuation(bytes[index])) continue;
    if (codePoints === BOUND_LENGTH_MAX) return index;
    codePoints += 1;
  }
  return bytes.length;
}

/** The shortest text above every text that starts with this one: its last code point that can grow, plus one. */
function nextText(prefix: Uint8Array): Uint8Array | undefined {
  const codePoints = Array.from(decodeText(prefix), (character) => character.codePointAt(0) ?? 0);
  while (codePoints.length > 0) {
    const last = codePoints.pop() ?? 0;
    if (last === CODE_POINT_MAX) continue;
    const next = last + 1 === SURROGATE_FIRST ? SURROGATE_LAST + 1 : last + 1;
    return utf8.encode(String.fromCodePoint(...codePoints, next));
  }
  return undefined;
}

function nextBytes(prefix: Uint8Array): Uint8Array | undefined {
  let end = prefix.length;
  while (end > 0 && prefix[end - 1] === 0xff) end -= 1;
  if (end === 0) return undefined;
  const next = prefix.slice(0, end);
  next[end - 1] = (next[end - 1] ?? 0) + 1;
  return next;
}
