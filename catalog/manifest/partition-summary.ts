import { compareValues, encodeSingleValue } from '../spec/single-value.ts';
import type { PrimitiveValue } from '../spec/single-value.ts';
import type { DataFile, PartitionValue } from './data-file.ts';
import type { PartitionFieldSummary } from './manifest-list.ts';
import type { PartitionFieldType } from './partition-type.ts';

/**
 * What the partition tuples of a manifest's files span, field by field. NaN sets `containsNan` and
 * takes no part in the bounds. Source: Iceberg table spec, "Manifest Lists", `field_summary`.
 */
export function summarizePartitions(
  partitionFields: readonly PartitionFieldType[],
  dataFiles: readonly DataFile[],
): readonly PartitionFieldSummary[] {
  return partitionFields.map(({ type }, i) => {
    const values = dataFiles.map((file) => file.partitionTuple[i] ?? null);
    const bounded = values.filter(isBounded).toSorted(compareValues);
    const lowest = bounded.at(0);
    const highest = bounded.at(-1);
    return {
      containsNull: values.includes(null),
      containsNan: values.some(Number.isNaN),
      lowerBound: lowest === undefined ? undefined : encodeSingleValue(type, lowest),
      upperBound: highest === undefined ? undefined : encodeSingleValue(type, highest),
    };
  });
}

function isBounded(value: PartitionValue): value is PrimitiveValue {
  return value !== null && !Number.isNaN(value);
}
