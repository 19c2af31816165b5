import type { EncodedFile } from './data-file-writer.ts';
import {
  compareValues,
  decodeSingleValue,
  encodeSingleValue,
  fromTwosComplement,
  lowerBound,
  type PrimitiveValue,
  upperBound,
} from '../spec/single-value.ts';
import type { PrimitiveType } from '../spec/table-schema.ts';
import { decimalShape } from '../spec/type-text.ts';
import type { Footer } from './footer.ts';

/** Counts that come from the rows, for each column of the file in the file's order. */
export type ColumnCounts = {
  fieldId: number;
  type: PrimitiveType;
  nullCount: number;
  nanCount: number | undefined;
};

type FileMetrics = Omit<EncodedFile, 'bytes'>;

/** Up to this precision a decimal lies in an INT32, up to the next in an INT64; then in fixed bytes. */
const INT32_PRECISION_MAX = 9;
const INT64_PRECISION_MAX = 18;

/**
 * The metrics of a manifest entry: sizes, bounds and split offsets from the footer, counts from the
 * rows. Columns that the file leaves out (`absentFieldIds`) count as all null, so that readers can
 * prune `IS NOT NULL`. A column of nulls or NaN only has no bounds.
 */
export function fileMetrics(
  footer: Footer,
  rowCount: number,
  columns: readonly ColumnCounts[],
  absentFieldIds: readonly number[],
): FileMetrics {
  const rows = BigInt(rowCount);
  const metrics = {
    recordCount: rows,
    columnSizes: new Map<number, bigint>(),
    valueCounts: new Map<number, bigint>(),
    nullValueCounts: new Map<number, bigint>(),
    nanValueCounts: new Map<number, bigint>(),
    lowerBounds: new Map<number, Uint8Array>(),
    upperBounds: new Map<number, Uint8Array>(),
    splitOffsets: footer.rowGroups.map((chunks) => chunks[0]?.firstPageOffset ?? 0n),
  };
  columns.forEach((column, index) => {
    const { fieldId, type, nullCount, nanCount } = column;
    const chunks = footer.rowGroups.flatMap((rowGroup) => rowGroup[index] ?? []);
    metrics.columnSizes.set(
      fieldId,
      chunks.reduce((sum, chunk) => sum + chunk.compressedBytes, 0n),
    );
    metrics.valueCounts.set(fieldId, rows);
    metrics.nullValueCounts.set(fieldId, BigInt(nullCount));
    if (nanCount !== undefined) metrics.nanValueCounts.set(fieldId, BigInt(nanCount));
    const smallest = extreme(
      type,
      chunks.flatMap(({ min }) => min ?? []),
      -1,
    );
    if (smallest !== undefined) metrics.lowerBounds.set(fieldId, lowerBound(type, smallest));
    const largest = extreme(
      type,
      chunks.flatMap(({ max }) => max ?? []),
      1,
    );
    const upper = largest === undefined ? undefined : upperBound(type, largest);
    if (upper !== undefined) metrics.upperBounds.set(fieldId, upper);
  });
  for (const fieldId of absentFieldIds) {
    metrics.valueCounts.set(fieldId, rows);
    metrics.nullValueCounts.set(fieldId, rows);
  }
  return metrics;
}

/** The smallest (sign -1) or largest (1) of the row groups' statistics, in single-value form. */
function extreme(
  type: PrimitiveType,
  statistics: readonly Uint8Array[],
  sign: -1 | 1,
): Uint8Array | undefined {
  let best: PrimitiveValue | undefined;
  for (const bytes of statistics) {
    const value = decodeStatistic(type, bytes);
    if (best === undefined || compareValues(value, best) * sign > 0) best = value;
  }
  return best === undefined ? undefined : encodeSingleValue(type, best);
}

/** Parquet's plain encoding equals the single-value form for all types but decimals. */
function decodeStatistic(type: PrimitiveType, bytes: Uint8Array): PrimitiveValue {
  const precision = decimalShape(type)?.precision;
  if (precision === undefined) return decodeSingleValue(type, bytes);
  if (precision <= INT32_PRECISION_MAX) return BigInt(Number(decodeSingleValue('int', bytes)));
  if (precision <= INT64_PRECISION_MAX) return decodeSingleValue('long', bytes);
  return fromTwosComplement(bytes);
}
