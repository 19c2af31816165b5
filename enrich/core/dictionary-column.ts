import { twosComplement } from '@iceberg-js/rest-client-shim/spec/single-value.ts';
import type { DictionaryValues } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import type { IcebergType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { EnrichError } from '../error.ts';
import type { ProjectionValue } from '../state/projection.ts';
import { joinBytes } from './byte-slices.ts';

/**
 * Distinct dimension values as a dictionary of the given Iceberg type. Values are in the form in which the
 * state keeps them for that type: text, number, bigint, boolean, bytes (decimal: the unscaled bigint).
 * Errors: `config` for a value that the type does not hold, and for more bytes than a column can have.
 */
export function dictionaryColumn(
  type: IcebergType,
  values: readonly ProjectionValue[],
): DictionaryValues {
  const size = values.length;
  return { size, values: valuesOf(type, values) };
}

function valuesOf(
  type: IcebergType,
  values: readonly ProjectionValue[],
): DictionaryValues['values'] {
  if (type === 'int' || type === 'date') {
    return { kind: 'int32', values: Int32Array.from(values, Number), valid: undefined };
  }
  if (type === 'long' || type === 'time' || type === 'timestamp' || type === 'timestamptz') {
    const words = BigInt64Array.from(values, (value) => BigInt(value as bigint | number));
    return { kind: 'int64', values: words, valid: undefined };
  }
  if (type === 'float') {
    return { kind: 'float32', values: Float32Array.from(values, Number), valid: undefined };
  }
  if (type === 'double') {
    return { kind: 'float64', values: Float64Array.from(values, Number), valid: undefined };
  }
  if (type === 'boolean') {
    const flags = Uint8Array.from(values, (value) => (value === true ? 1 : 0));
    return { kind: 'boolean', values: flags, valid: undefined };
  }
  return { kind: 'bytes', slices: byteSlices(type, values), valid: undefined };
}

function byteSlices(type: IcebergType, values: readonly ProjectionValue[]) {
  const encoder = new TextEncoder();
  const encoded = values.map((value) => {
    if (value instanceof Uint8Array) return value;
    if (typeof value === 'string') return encoder.encode(value);
    if (typeof value === 'bigint') return twosComplement(value);
    throw new EnrichError(
      'config',
      `a ${typeof value} cannot be carried as ${JSON.stringify(type)}`,
    );
  });
  return joinBytes(encoded);
}
