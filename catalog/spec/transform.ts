import { CatalogError } from '../error.ts';
import type { PartitionValue } from '../manifest/data-file.ts';
import { murmur3, murmur3Int64 } from './murmur3.ts';
import { twosComplement } from './single-value.ts';
import type { PrimitiveType } from './table-schema.ts';
import { decimalShape } from './type-text.ts';

/** A transform taken apart. */
export type ParsedTransform =
  | { kind: 'identity' | 'year' | 'month' | 'day' | 'hour' | 'void' }
  | { kind: 'bucket'; buckets: number }
  | { kind: 'truncate'; width: number };

export const MICROS_PER_HOUR = 3_600_000_000n;
export const MICROS_PER_DAY = 86_400_000_000n;
const MS_PER_DAY = 86_400_000;

const SIMPLE: ReadonlySet<string> = new Set([
  'identity',
  'year',
  'month',
  'day',
  'hour',
  'void',
] satisfies ParsedTransform['kind'][]);
const WITH_ARGUMENT = /^(bucket|truncate)\[([1-9]\d*)\]$/;

/**
 * Reads `identity`, `bucket[N]`, `truncate[W]`, `year`, `month`, `day`, `hour` or `void`.
 * Errors: `config` for anything else. Source: Iceberg table spec, "Partition Transforms".
 */
export function parseTransform(text: string): ParsedTransform {
  if (SIMPLE.has(text)) return { kind: text } as ParsedTransform;
  const match = WITH_ARGUMENT.exec(text);
  if (match === null) {
    throw new CatalogError('config', `unknown transform "${text}"`, {
      context: { transform: text },
    });
  }
  const argument = Number(match[2]);
  return match[1] === 'bucket'
    ? { kind: 'bucket', buckets: argument }
    : { kind: 'truncate', width: argument };
}

/**
 * The type of a partition value. `day` yields `date`, as every engine writes it (the spec says int,
 * which has the same bytes). Errors: `config` where the transform does not apply to the source type.
 */
export function transformResultType(transform: string, sourceType: PrimitiveType): PrimitiveType {
  const parsed = parseTransform(transform);
  if (!isApplicable(parsed, sourceType)) {
    throw new CatalogError('config', `transform ${transform} does not apply to ${sourceType}`, {
      context: { transform, sourceType },
    });
  }
  switch (parsed.kind) {
    case 'identity':
    case 'truncate':
    case 'void':
      return sourceType;
    case 'day':
      return 'date';
    case 'year':
    case 'month':
    case 'hour':
    case 'bucket':
      return 'int';
  }
}

function isApplicable(transform: ParsedTransform, type: PrimitiveType): boolean {
  const isTimestamp = type === 'timestamp' || type === 'timestamptz';
  switch (transform.kind) {
    case 'identity':
    case 'void':
      return true;
    case 'year':
    case 'month':
    case 'day':
      return isTimestamp || type === 'date';
    case 'hour':
      return isTimestamp;
    case 'bucket':
      return type !== 'boolean' && type !== 'float' && type !== 'double';
    case 'truncate':
      return (
        type === 'int' ||
        type === 'long' ||
        type === 'string' ||
        type === 'binary' ||
        decimalShape(type) !== undefined
      );
  }
}

/**
 * The partition value of one source value; null stays null. Values come as: boolean; number for int,
 * date, float, double; bigint for long, time, timestamp, timestamptz and a decimal's unscaled value;
 * string; Uint8Array for uuid, fixed and binary. Errors: `config` as `transformResultType`.
 */
export function applyTransform(
  transform: string,
  sourceType: PrimitiveType,
  value: PartitionValue,
): PartitionValue {
  transformResultType(transform, sourceType);
  if (value === null) return null;
  const parsed = parseTransform(transform);
  switch (parsed.kind) {
    case 'identity':
      return value;
    case 'void':
      return null;
    case 'bucket':
      return bucketOfHash(bucketHash(sourceType, value), parsed.buckets);
    case 'truncate':
      return truncateValue(value, parsed.width);
    case 'hour':
      return Number(floorDivide(asBigint(value), MICROS_PER_HOUR));
    case 'day':
      return daysOf(value);
    case 'month':
      return monthOfDay(daysOf(value));
    case 'year':
      return yearOfDay(daysOf(value));
  }
}

/** Days since the epoch of a date (itself) or of a timestamp in µs. */
function daysOf(value: PartitionValue): number {
  return typeof value === 'number' ? value : Number(floorDivide(asBigint(value), MICROS_PER_DAY));
}

/** Months since January 1970 of a day since the epoch. */
export function monthOfDay(day: number): number {
  const date = new Date(day * MS_PER_DAY);
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
}

/** Years since 1970 of a day since the epoch. */
export function yearOfDay(day: number): number {
  return new Date(day * MS_PER_DAY).getUTCFullYear() - 1970;
}

/** Integer division that rounds towards minus infinity, for a positive divisor. */
export function floorDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  return value < 0n && quotient * divisor !== value ? quotient - 1n : quotient;
}

/** The bucket of a hash: its low 31 bits modulo the number of buckets. */
export function bucketOfHash(hash: number, buckets: number): number {
  return (hash & 0x7fffffff) % buckets;
}

/**
 * The 32-bit hash that bucketing uses. Integers of every width hash as 64-bit, so that a widened
 * column keeps its buckets. Source: Iceberg table spec, appendix B.
 */
export function bucketHash(type: PrimitiveType, value: PartitionValue): number {
  if (typeof value === 'string') return murmur3(new TextEncoder().encode(value));
  if (value instanceof Uint8Array) return murmur3(value);
  const integer = typeof value === 'number' ? BigInt(value) : asBigint(value);
  if (decimalShape(type) !== undefined) return murmur3(twosComplement(integer));
  return murmur3Int64(
    Number(BigInt.asIntN(32, integer)),
    Number(BigInt.asIntN(32, integer >> 32n)),
  );
}

function truncateValue(value: PartitionValue, width: number): PartitionValue {
  if (typeof value === 'number') return value - (((value % width) + width) % width);
  if (typeof value === 'bigint') {
    const divisor = BigInt(width);
    return value - (((value % divisor) + divisor) % divisor);
  }
  if (typeof value === 'string') return truncateCodePoints(value, width);
  return value instanceof Uint8Array ? value.subarray(0, width) : value;
}

function truncateCodePoints(text: string, codePoints: number): string {
  if (text.length <= codePoints) return text;
  let units = 0;
  for (let count = 0; count < codePoints && units < text.length; count += 1) {
    units += (text.codePointAt(units) ?? 0) > 0xffff ? 2 : 1;
  }
  return text.slice(0, units);
}

function asBigint(value: PartitionValue): bigint {
  if (typeof value !== 'bigint') throw new TypeError(`expected a bigint, got ${typeof value}`);
  return value;
}
