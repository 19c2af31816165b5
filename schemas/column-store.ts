import { isUtf8 } from 'node:buffer';
import type { Word } from './avro-wire.ts';
import { growColumn } from './row-buffer.ts';
import type { BytesColumn } from './row-buffer.ts';

/** Above this length two native calls beat one loop over the bytes. */
const loopBytesMax = 96;

/** Appends bytes as the value of `row`. The caller has checked that they lie within the record. */
export function appendBytes(
  column: BytesColumn,
  row: number,
  bytes: Uint8Array,
  from: number,
  length: number,
): void {
  const at = column.offsets[row] as number;
  const target = at + length > column.bytes.length ? growColumn(column, at + length) : column.bytes;
  if (length > loopBytesMax) target.set(bytes.subarray(from, from + length), at);
  else for (let i = 0; i < length; i++) target[at + i] = bytes[from + i] as number;
  column.offsets[row + 1] = at + length;
  column.valid[row] = 1;
}

/** Appends text; false where it is not UTF-8. Short ASCII is copied and checked in one pass. */
export function appendText(
  column: BytesColumn,
  row: number,
  bytes: Uint8Array,
  from: number,
  length: number,
): boolean {
  if (length > loopBytesMax) {
    appendBytes(column, row, bytes, from, length);
    return isUtf8(bytes.subarray(from, from + length));
  }
  const at = column.offsets[row] as number;
  const target = at + length > column.bytes.length ? growColumn(column, at + length) : column.bytes;
  let seen = 0;
  for (let i = 0; i < length; i++) {
    const byte = bytes[from + i] as number;
    target[at + i] = byte;
    seen |= byte;
  }
  column.offsets[row + 1] = at + length;
  column.valid[row] = 1;
  return seen < 0x80 || isUtf8(bytes.subarray(from, from + length));
}

/** Appends null. */
export function appendNull(column: BytesColumn, row: number): void {
  column.offsets[row + 1] = column.offsets[row] as number;
  column.valid[row] = 0;
}

const uuidLength = 36;
const uuidScratch = new Uint8Array(16);

/** Appends the 16 bytes of a UUID in its 36-character text form; false for any other text. */
export function appendUuidText(
  column: BytesColumn,
  row: number,
  bytes: Uint8Array,
  from: number,
  length: number,
): boolean {
  if (length !== uuidLength) return false;
  let digits = 0;
  for (let i = 0; i < uuidLength; i++) {
    const byte = bytes[from + i] as number;
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (byte !== 0x2d) return false;
      continue;
    }
    const digit = hexDigit(byte);
    if (digit < 0) return false;
    const at = digits >> 1;
    uuidScratch[at] = digits % 2 === 0 ? digit << 4 : (uuidScratch[at] as number) | digit;
    digits++;
  }
  appendBytes(column, row, uuidScratch, 0, 16);
  return true;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** A decimal of 38 digits takes 16 bytes; one more for the sign of what lies just beyond. */
const decimalBytesMax = 17;

/** Whether big-endian two's complement bytes are a decimal of at most `precision` digits. */
export function decimalFits(
  bytes: Uint8Array,
  from: number,
  length: number,
  precision: number,
): boolean {
  if (length === 0) return false;
  // Up to this length every value has at most `precision` digits: 2^(8 * length) <= 10^precision.
  if (length <= Math.floor((precision * 3.3219) / 8)) return true;
  const end = from + length;
  let at = from;
  while (end - at > 1 && isSignExtension(bytes[at] as number, bytes[at + 1] as number)) at++;
  if (end - at > decimalBytesMax) return false;
  let value = BigInt.asIntN(8, BigInt(bytes[at] as number));
  for (at++; at < end; at++) value = (value << 8n) | BigInt(bytes[at] as number);
  const limit = 10n ** BigInt(precision);
  return value < limit && value > -limit;
}

function isSignExtension(byte: number, next: number): boolean {
  return next < 0x80 ? byte === 0 : byte === 0xff;
}

/** Turns milliseconds into microseconds; false where 64 bits do not hold them. */
export function multiplyByThousand(word: Word): boolean {
  const low = (word.low >>> 0) * 1000;
  const high = word.high * 1000 + Math.floor(low / 0x1_0000_0000);
  word.low = low | 0;
  word.high = high | 0;
  return word.high === high;
}

/**
 * Whether microseconds since the epoch lie in the years 1 to 9999, which every reader of the table can
 * show; Trino and Python fail on others. Exact to 32 µs at the ends.
 */
export function isTimestamp(word: Word): boolean {
  const micros = word.high * 0x1_0000_0000 + (word.low >>> 0);
  return micros >= -62_135_596_800_000_000 && micros < 253_402_300_800_000_000;
}

/** Whether days since the epoch lie in the years 1 to 9999. */
export function isDate(days: number): boolean {
  return days >= -719_162 && days <= 2_932_896;
}

/** Whether microseconds lie within one day. */
export function isTimeOfDay(word: Word): boolean {
  const micros = word.high * 0x1_0000_0000 + (word.low >>> 0);
  return micros >= 0 && micros < 86_400_000_000;
}

const floatBytes = new Uint8Array(8);
const float32 = new Float32Array(floatBytes.buffer, 0, 1);
const float64 = new Float64Array(floatBytes.buffer);

/** Reads 4 little-endian bytes. Avro's byte order is that of every machine Node runs on. */
export function readFloat32(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 4; i++) floatBytes[i] = bytes[at + i] as number;
  return float32[0] as number;
}

/** Reads 8 little-endian bytes. */
export function readFloat64(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 8; i++) floatBytes[i] = bytes[at + i] as number;
  return float64[0] as number;
}
