import type { ByteSlices, DictionaryValues } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import type { IcebergType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { DictionaryView } from '../state/projection.ts';
import { assertSlicesEnd } from './byte-slices.ts';

/**
 * The values of distinct codes as a dictionary of the given Iceberg type: number i is the value of `codes[i]`.
 * The projection's bytes are what a column holds (see `DictionaryView.byteLength`), so they are copied and
 * never become JavaScript values. `spend` is told how many bytes come next, and may throw.
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
      return { kind: 'int32', values: new Int32Array(fixedBytes(carried, 4)), valid };
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return { kind: 'int64', values: new BigInt64Array(fixedBytes(carried, 8)), valid };
    case 'float':
      return { kind: 'float32', values: new Float32Array(fixedBytes(carried, 4)), valid };
    case 'double':
      return { kind: 'float64', values: new Float64Array(fixedBytes(carried, 8)), valid };
    case 'boolean':
      return { kind: 'boolean', values: new Uint8Array(fixedBytes(carried, 1)), valid };
    case 'string':
    case 'binary':
    case 'uuid':
    default:
      return { kind: 'bytes', slices: byteSlices(carried), valid };
  }
}

/** Values of one width end to end: little endian, which is the order of every machine that Node runs on. */
function fixedBytes({ view, codes, spend }: CarriedValues, width: number): ArrayBuffer {
  spend(codes.length * width);
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

/** A first guess: the memory grows as values come, since asking for their lengths first would touch each twice. */
const VALUE_BYTES_GUESS = 24;

function byteSlices({ view, codes, spend }: CarriedValues): ByteSlices {
  const offsets = new Int32Array(codes.length + 1);
  let bytes = new Uint8Array(codes.length * VALUE_BYTES_GUESS);
  let end = 0;
  for (let index = 0; index < codes.length; index++) {
    const code = codes[index] as number;
    const start = end;
    const length = view.byteLength(code);
    end += length;
    spend(length);
    assertSlicesEnd(end);
    if (end > bytes.length) {
      const grown = new Uint8Array(Math.max(end, bytes.length * 2));
      grown.set(bytes);
      bytes = grown;
    }
    view.copyBytes(code, bytes, start);
    offsets[index + 1] = end;
  }
  return { bytes, offsets };
}
