import { transformResultType } from '@iceberg-js/rest-client-shim/spec/transform.ts';
import type {
  PartitionField,
  SortField,
} from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { didYouMean } from '../../configuration/did-you-mean.ts';
import { EnrichError } from '../error.ts';

/** Partition fields number from 1000, as the specification asks. */
const FIRST_PARTITION_FIELD_ID = 1000;

/**
 * `day(event_time)`, `bucket[16](user_id)` or a bare column (identity) as a partition field. Errors:
 * `config` for a malformed text, an unknown column or transform, and one that does not suit the column.
 */
export function partitionField(
  fields: readonly NestedField[],
  text: string,
  index: number,
): PartitionField {
  const { transform, column } = parsePartitionText(text);
  const source = requireField(fields, column);
  if (typeof source.type !== 'string') {
    throw new EnrichError(
      'config',
      `a table cannot be partitioned by the ${source.type.type} ${column}`,
    );
  }
  transformResultType(transform, source.type);
  const suffix = transform === 'identity' ? '' : `_${transform.replace(/\[.*\]/, '')}`;
  return {
    sourceId: source.id,
    fieldId: FIRST_PARTITION_FIELD_ID + index,
    name: `${column}${suffix}`,
    transform,
  };
}

/** A column to sort by, ascending, nulls first. Errors: `config` for an unknown one, and for a nested one. */
export function sortField(fields: readonly NestedField[], column: string): SortField {
  const source = requireField(fields, column);
  if (typeof source.type !== 'string') {
    throw new EnrichError(
      'config',
      `a table cannot be sorted by the ${source.type.type} ${column}`,
    );
  }
  return { sourceId: source.id, transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' };
}

function parsePartitionText(text: string): { transform: string; column: string } {
  const match = /^(?:([a-z]+(?:\[\d+\])?)\()?([A-Za-z_][A-Za-z0-9_]*)\)?$/.exec(text.trim());
  const column = match?.[2];
  const isClosed = text.includes('(') === text.trimEnd().endsWith(')');
  if (column !== undefined && isClosed) return { transform: match?.[1] ?? 'identity', column };
  throw new EnrichError(
    'config',
    `expected a column or transform(column), for example day(event_time), got "${text}"`,
  );
}

function requireField(fields: readonly NestedField[], name: string): NestedField {
  const field = fields.find((candidate) => candidate.name === name);
  if (field !== undefined) return field;
  const known = fields.map((candidate) => candidate.name);
  const hint = didYouMean(name, known) || `; it has ${known.join(', ')}`;
  throw new EnrichError('config', `the table has no column "${name}"${hint}`);
}
