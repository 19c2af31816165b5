import type { PartitionValue } from '../manifest/data-file.ts';
import type { PartitionSpec } from '../spec/table-metadata.ts';
import type { PrimitiveType } from '../spec/table-schema.ts';
import { floorDivide, MICROS_PER_DAY } from '../spec/transform.ts';
import { decimalShape } from '../spec/type-text.ts';

const MS_PER_DAY = 86_400_000;
const HOURS_PER_DAY = 24;
const MICROS_PER_SECOND = 1_000_000n;

/**
 * The folder of a partition tuple, such as `event_day=2026-11-22/bucket=7`, empty for a table without
 * partitions. For people only: readers take the tuple from the manifest. Names and values are
 * percent-encoded, so none can leave its folder.
 */
export function partitionPath(
  spec: PartitionSpec,
  sourceTypes: readonly PrimitiveType[],
  tuple: readonly PartitionValue[],
): string {
  return spec.fields
    .map(({ name, transform }, index) => {
      const text = humanValue(transform, sourceTypes[index] ?? 'string', tuple[index] ?? null);
      return `${encodeURIComponent(name)}=${encodeURIComponent(text)}`;
    })
    .join('/');
}

function humanValue(transform: string, type: PrimitiveType, value: PartitionValue): string {
  if (value === null) return 'null';
  if (typeof value === 'number') {
    if (transform === 'year') return yearText(value);
    if (transform === 'month') return monthText(value);
    if (transform === 'hour') return hourText(value);
    if (transform === 'day' || (type === 'date' && transform === 'identity')) return dayText(value);
    return String(value);
  }
  if (typeof value === 'bigint') return integerText(type, value);
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value);
    return type === 'uuid' ? uuidText(bytes.toString('hex')) : bytes.toString('base64');
  }
  return String(value);
}

function yearText(year: number): string {
  return String(1970 + year).padStart(4, '0');
}

function monthText(month: number): string {
  const year = Math.floor(month / 12);
  return `${yearText(year)}-${twoDigits(month - year * 12 + 1)}`;
}

function dayText(day: number): string {
  const date = new Date(day * MS_PER_DAY);
  return `${monthText((date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth())}-${twoDigits(date.getUTCDate())}`;
}

function hourText(hour: number): string {
  const day = Math.floor(hour / HOURS_PER_DAY);
  return `${dayText(day)}-${twoDigits(hour - day * HOURS_PER_DAY)}`;
}

function integerText(type: PrimitiveType, value: bigint): string {
  const decimal = decimalShape(type);
  if (decimal !== undefined) return decimalText(value, decimal.scale);
  if (type === 'time') return timeText(value);
  if (type !== 'timestamp' && type !== 'timestamptz') return String(value);
  const day = floorDivide(value, MICROS_PER_DAY);
  const zone = type === 'timestamptz' ? '+00:00' : '';
  return `${dayText(Number(day))}T${timeText(value - day * MICROS_PER_DAY)}${zone}`;
}

function decimalText(unscaled: bigint, scale: number): string {
  if (scale === 0) return String(unscaled);
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  const sign = unscaled < 0n ? '-' : '';
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function timeText(micros: bigint): string {
  const seconds = Number(micros / MICROS_PER_SECOND);
  const fraction = String(micros % MICROS_PER_SECOND).padStart(6, '0');
  const minutes = Math.floor(seconds / 60);
  return `${twoDigits(Math.floor(minutes / 60))}:${twoDigits(minutes % 60)}:${twoDigits(seconds % 60)}.${fraction}`;
}

function uuidText(hex: string): string {
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
