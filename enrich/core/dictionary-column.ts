import type { ByteSlices, DictionaryValues } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import type { IcebergType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { DictionaryView } from '../state/projection.ts';
import { assertSlicesEnd } from './byte-slices.ts';

/**
 * The values of distinct codes as a dictionary of the given Iceberg type: number i is the value of `codes[i]`.
 * The projection's bytes are what a column holds (see `DictionaryView.byteLength`), so they are copied and
 * never become JavaScript values. Errors: as `assertSlicesEnd`.
 */
export function dictionaryColumn(
  type: IcebergType,
  view: DictionaryView,
  codes: Int32Array,
): DictionaryValues {
  return { size: codes.length, values: valuesOf(type, view, codes) };
}

function valuesOf(
  type: IcebergType,
  view: DictionaryView,
  codes: Int32Array,
): DictionaryValues['values'] {
  const valid = undefined;
  switch (type) {
    case 'int':
    case 'date':
      return { kind: 'int32', values: new Int32Array(fixedBytes(view, codes, 4)), valid };
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return { kind: 'int64', values: new BigInt64Array(fixedBytes(view, codes, 8)), valid };
    case 'float':
      return { kind: 'float32', values: new Float32Array(fixedBytes(view, codes, 4)), valid };
    case 'double':
      return { kind: 'float64', values: new Float64Array(fixedBytes(view, codes, 8)), valid };
    case 'boolean':
      return { kind: 'boolean', values: new Uint8Array(fixedBytes(view, codes, 1)), valid };
    case 'string':
    case 'binary':
    case 'uuid':
    default:
      return { kind: 'bytes', slices: byteSlices(view, codes), valid };
  }
}

/** Values of one width end to end: little endian, which is the order of every machine that Node runs on. */
function fixedBytes(view: DictionaryView, codes: Int32Array, width: number): ArrayBuffer {
  const bytes = new Uint8Array(codes.length * width);
  for (const [index, code] of codes.entries()) {
    const length = view.byteLength(code);
    if (length !== width) {
      throw new RangeError(`assert: a value of ${width} bytes, got ${length} for code ${code}`);
    }
    view.copyBytes(code, bytes, index * width);
  }
  return bytes.buffer;
}

function byteSlices(view: DictionaryView, codes: Int32Array): ByteSlices {
  const offsets = new Int32Array(codes.length + 1);
  let end = 0;
  for (let index = 0; index < codes.length; index++) {
    end += view.byteLength(codes[index] as number);
    assertSlicesEnd(end);
    offsets[index + 1] = end;
  }
  const bytes = new Uint8Array(end);
  for (let index = 0; index < codes.length; index++) {
    view.copyBytes(codes[index] as number, bytes, offsets[index] as number);
  }
  return { bytes, offsets };
}
