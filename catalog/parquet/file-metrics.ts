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
import type { ColumnChunk } from './encoding/column-chunk.ts';
import type { PageValues } from './encoding/page-values.ts';
import { leavesOf } from './file-field.ts';
import type { FileContent } from './write-footer.ts';

/** Up to this precision a decimal lies in an INT32, up to the next in an INT64; then in fixed bytes. */
const INT32_PRECISION_MAX = 9;
const INT64_PRECISION_MAX = 18;

/**
 * The metrics of a manifest entry. Columns that the file leaves out count as all null, so that readers can
 * prune `IS NOT NULL`. A column of nulls or NaN only has no bounds, nor has one within a list or a map, where readers
 * would take them for those of the row; its counts are of items, and of lists and maps without any.
 */
export function fileMetrics(
  { fields, rowGroups, rowCount }: FileContent,
  absentFieldIds: readonly number[],
): Omit<EncodedFile, 'bytes'> {
  const rows = BigInt(rowCount);
  const metrics = {
    recordCount: rows,
    columnSizes: new Map<number, bigint>(),
    valueCounts: new Map<number, bigint>(),
    nullValueCounts: new Map<number, bigint>(),
    nanValueCounts: new Map<number, bigint>(),
    lowerBounds: new Map<number, Uint8Array>(),
    upperBounds: new Map<number, Uint8Array>(),
    splitOffsets: rowGroups.map(({ chunks }) => BigInt(chunks[0]?.start ?? 0)),
  };
  for (const [index, { field, isRepeated }] of fields.flatMap(leavesOf).entries()) {
    const { id, type } = field;
    const chunks = rowGroups.flatMap((rowGroup) => rowGroup.chunks[index] ?? []);
    const sum = (countOf: (chunk: ColumnChunk) => number): bigint =>
      BigInt(chunks.reduce((total, chunk) => total + countOf(chunk), 0));
    metrics.columnSizes.set(
      id,
      sum(({ start, end }) => end - start),
    );
    metrics.valueCounts.set(
      id,
      sum(({ entryCount }) => entryCount),
    );
    metrics.nullValueCounts.set(
      id,
      sum(({ nullCount }) => nullCount),
    );
    if (type === 'float' || type === 'double') {
      metrics.nanValueCounts.set(
        id,
        sum(({ nanCount = 0 }) => nanCount),
      );
    }
    if (isRepeated) continue;
    const bounds = chunks.flatMap((chunk) => chunk.bounds ?? []);
    const smallest = extreme(type, bounds, 'min');
    if (smallest !== undefined) metrics.lowerBounds.set(id, lowerBound(type, smallest));
    const largest = extreme(type, bounds, 'max');
    const upper = largest === undefined ? undefined : upperBound(type, largest);
    if (upper !== undefined) metrics.upperBounds.set(id, upper);
  }
  for (const fieldId of absentFieldIds) {
    metrics.valueCounts.set(fieldId, rows);
    metrics.nullValueCounts.set(fieldId, rows);
  }
  return metrics;
}

/** The smallest or largest of the row groups' bounds, in single-value form. */
function extreme(
  type: PrimitiveType,
  bounds: readonly NonNullable<PageValues['bounds']>[],
  end: 'min' | 'max',
): Uint8Array | undefined {
  const sign = end === 'min' ? -1 : 1;
  let best: PrimitiveValue | undefined;
  for (const bound of bounds) {
    const value = decodeBound(type, bound[end]);
    if (best === undefined || compareValues(value, best) * sign > 0) best = value;
  }
  return best === undefined ? undefined : encodeSingleValue(type, best);
}

/** Parquet's plain encoding equals the single-value form for all types but decimals. */
function decodeBound(type: PrimitiveType, bytes: Uint8Array): PrimitiveValue {
  const precision = decimalShape(type)?.precision;
  if (precision === undefined) return decodeSingleValue(type, bytes);
  if (precision <= INT32_PRECISION_MAX) return BigInt(Number(decodeSingleValue('int', bytes)));
  if (precision <= INT64_PRECISION_MAX) return decodeSingleValue('long', bytes);
  return fromTwosComplement(bytes);
}
