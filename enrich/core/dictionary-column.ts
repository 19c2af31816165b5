import type { DictionaryValues } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import type { IcebergType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { DictionaryView } from '../state/projection.ts';

/**
 * The values of distinct codes as a dictionary of the given Iceberg type: number i is the value of `codes[i]`.
 * The projection's bytes are what a column holds (see `DictionaryView.gather`), so they are copied and
 * never become JavaScript values; but where the table's column is wider than the contract, of which the projection is.
 * `spend` is told how many bytes come next, and may throw.
 */
export function dictionaryColumn(
  type: IcebergType,
  { view, codes, spend }: CarriedValues,
): DictionaryValues {
  return { size: codes.length, values: valuesOf(type, { view, codes, spend }) };
}

type CarriedValues = { view: DictionaryView; codes: Int32Array; spend: (bytes: number) => void };

function valuesOf(type: IcebergType, carried: CarriedValues): DictionaryValues['values'] {
  const valid = undefined;
  switch (type) {
    case 'int':
    case 'date':
      return { kind: 'int32', values: new Int32Array(fixedBytes(carried, 4).buffer), valid };
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return { kind: 'int64', values: longs(fixedBytes(carried, 8, 4)), valid };
    case 'float':
      return { kind: 'float32', values: new Float32Array(fixedBytes(carried, 4).buffer), valid };
    case 'double':
      return { kind: 'float64', values: doubles(fixedBytes(carried, 8, 4)), valid };
    case 'boolean':
      return { kind: 'boolean', values: new Uint8Array(fixedBytes(carried, 1).buffer), valid };
    case 'string':
    case 'binary':
    case 'uuid':
    default:
      return { kind: 'bytes', slices: carried.view.gather(carried.codes, carried.spend), valid };
  }
}

type FixedBytes = { buffer: ArrayBufferLike; width: number };

function longs({ buffer, width }: FixedBytes): BigInt64Array {
  return width === 8
    ? new BigInt64Array(buffer)
    : BigInt64Array.from(new Int32Array(buffer), BigInt);
}

function doubles({ buffer, width }: FixedBytes): Float64Array {
  return width === 8 ? new Float64Array(buffer) : Float64Array.from(new Float32Array(buffer));
}

/**
 * Values of one width end to end, of one of the widths: little endian, which is the order of every machine that Node
 * runs on.
 */
function fixedBytes(
  { view, codes, spend }: CarriedValues,
  ...widths: readonly number[]
): FixedBytes {
  const { bytes, offsets } = view.gather(codes, spend);
  const width = widths.find((candidate) => offsets[1] === candidate) ?? widths[0] ?? 0;
  for (let index = 0; index < codes.length; index++) {
    if (offsets[index + 1] === (index + 1) * width) continue;
    throw new RangeError(`assert: a value of ${width} bytes for code ${codes[index]}`);
  }
  const { byteOffset } = bytes;
  return { buffer: bytes.buffer.slice(byteOffset, byteOffset + codes.length * width), width };
}
