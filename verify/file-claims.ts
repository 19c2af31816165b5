import { decodeSingleValue } from '@iceberg-js/rest-client-shim/spec/single-value.ts';
import { applyTransform } from '@iceberg-js/rest-client-shim/spec/transform.ts';
import { fieldsById } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import type {
  PartitionField,
  TableMetadata,
} from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { Findings } from './report.ts';
import type { FileSink } from './scan-rows.ts';
import type { LiveFile } from './table-files.ts';

/** Transforms that keep the order, so that bounds of the source are bounds of the partition value. */
const MONOTONE: ReadonlySet<string> = new Set(['identity', 'year', 'month', 'day', 'hour']);

/** Types whose bounds are exact: text is cut to 16 characters. */
const EXACT: ReadonlySet<string> = new Set([
  'int',
  'long',
  'date',
  'timestamp',
  'timestamptz',
] satisfies PrimitiveType[]);

/**
 * What contradicts a file's partition values, in words: the bounds of the source column must give the same
 * value as stands in the tuple. Only where the bounds are exact and the transform keeps the order.
 */
export function partitionDifference(metadata: TableMetadata, file: LiveFile): string | undefined {
  const spec = metadata.partitionSpecs.find(({ specId }) => specId === file.specId);
  for (const [i, field] of (spec?.fields ?? []).entries()) {
    const stated = file.partitionTuple[i] ?? null;
    for (const bounds of [file.lowerBounds, file.upperBounds]) {
      const value = transformed(metadata, field, bounds.get(field.sourceId));
      if (value !== undefined && String(value) !== String(stated)) {
        return `${field.name} is ${String(stated)}, but the file's bounds give ${String(value)}`;
      }
    }
  }
  return undefined;
}

function transformed(
  metadata: TableMetadata,
  { sourceId, transform }: PartitionField,
  bound: Uint8Array | undefined,
) {
  const type = typeOf(metadata, sourceId);
  if (bound === undefined || type === undefined) return undefined;
  if (!MONOTONE.has(transform) || !EXACT.has(type)) return undefined;
  return applyTransform(transform, type, decodeSingleValue(type, bound));
}

function typeOf(metadata: TableMetadata, fieldId: number): PrimitiveType | undefined {
  for (const schema of metadata.schemas) {
    const type = fieldsById(schema).get(fieldId)?.type;
    if (typeof type === 'string') return type;
  }
  return undefined;
}

/** The smallest and the largest of the whole numbers that were seen. */
export type Extent = { min: number; max: number };

/** What contradicts the bounds of a whole-number column, in words; `name` is looked up in any schema. */
export function boundsDifference(
  metadata: TableMetadata,
  file: LiveFile,
  { name, seen }: { name: string; seen: Extent },
): string | undefined {
  for (const schema of metadata.schemas) {
    const field = schema.fields.find((one) => one.name === name);
    if (field === undefined || typeof field.type !== 'string' || !EXACT.has(field.type)) continue;
    const [low, high] = [file.lowerBounds.get(field.id), file.upperBounds.get(field.id)];
    const lowest = low === undefined ? -Infinity : Number(decodeSingleValue(field.type, low));
    const highest = high === undefined ? Infinity : Number(decodeSingleValue(field.type, high));
    if (seen.min < lowest || seen.max > highest) {
      return `${name} is ${seen.min} to ${seen.max}, stated as ${lowest} to ${highest}`;
    }
  }
  return undefined;
}

/** Compares the record count of the manifest with the footer's. */
export function checkFooter(
  { location, recordCount }: Pick<LiveFile, 'location' | 'recordCount'>,
  rowCount: number,
  findings: Findings,
): void {
  if (BigInt(rowCount) === recordCount) return;
  findings.add(
    'record counts that differ from the file',
    () => `${location}: ${rowCount} rows, listed with ${recordCount}`,
  );
}

/** Tells of a file that could not be read. */
export function failing(
  { location }: Pick<LiveFile, 'location'>,
  findings: Findings,
): FileSink['fail'] {
  return (state, reason) => {
    const example = state === 'missing' ? location : `${location}: ${reason}`;
    findings.add(`${state} data files`, () => example);
  };
}
