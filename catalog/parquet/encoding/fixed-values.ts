import { CatalogError } from '../../error.ts';
import { decimalBytesMin, decimalShape } from '../../spec/type-text.ts';
import type { ByteSlices } from '../columns.ts';
import type { ByteSink } from './byte-sink.ts';
import { ENCODING, type PageValues, type PrimitiveField } from './page-values.ts';

/** Values of one width end to end, big-endian where they are numbers. */
type Packed = { bytes: Uint8Array; width: number; isSigned: boolean };

const INT32_BYTES = 4;
const INT64_BYTES = 8;

/** uuid, fixed (of `width`) and decimal (without one): PLAIN. Errors: `config` for a value that does not fit. */
export function fixedValues(
  field: PrimitiveField,
  source: ByteSlices,
  { rows, width }: { rows: Int32Array; width: number | undefined },
): PageValues {
  const packed =
    width === undefined ? packDecimals(field, source, rows) : packFixed(field, source, rows, width);
  const count = rows.length;
  const { bytes } = packed;
  const write = (out: ByteSink, from: number, to: number): void => {
    const start = out.length;
    out.append(bytes.subarray(from * packed.width, to * packed.width));
    if (!isInteger(packed)) return;
    for (let at = start; at < out.length; at += packed.width) {
      out.bytes.subarray(at, at + packed.width).reverse();
    }
  };
  return {
    count,
    byteLength: bytes.length,
    encoding: ENCODING.plain,
    bounds: boundsOf(packed, count),
    write,
    writePlain: (out) => write(out, 0, count),
  };
}

function packFixed(
  field: PrimitiveField,
  { bytes, offsets }: ByteSlices,
  rows: Int32Array,
  width: number,
): Packed {
  const packed = new Uint8Array(rows.length * width);
  let to = 0;
  for (const row of rows) {
    const start = offsets[row] as number;
    const length = (offsets[row + 1] as number) - start;
    if (length !== width) throw misfit(field, `a value of ${length} bytes`);
    for (let index = 0; index < width; index += 1)
      packed[to + index] = bytes[start + index] as number;
    to += width;
  }
  return { bytes: packed, width, isSigned: false };
}

/**
 * Two's complement of any length at one width. A value that needs more bytes than the precision has is refused: it
 * would lose its upper bytes.
 */
function packDecimals(
  field: PrimitiveField,
  { bytes, offsets }: ByteSlices,
  rows: Int32Array,
): Packed {
  const least = decimalBytesMin(decimalShape(field.type)?.precision ?? 0);
  const width = least <= INT32_BYTES ? INT32_BYTES : Math.max(least, INT64_BYTES);
  const packed = new Uint8Array(rows.length * width);
  for (let index = 0; index < rows.length; index += 1) {
    const start = offsets[rows[index] as number] as number;
    const end = offsets[(rows[index] as number) + 1] as number;
    const sign = end > start && (bytes[start] as number) >= 0x80 ? 0xff : 0;
    const first = Math.max(start, end - least);
    for (let at = start; at < first; at += 1) {
      if (bytes[at] !== sign) throw misfit(field, 'a value that is too large');
    }
    if (first > start && (bytes[first] as number) >= 0x80 !== (sign !== 0)) {
      throw misfit(field, 'a value that is too large');
    }
    const to = (index + 1) * width - (end - first);
    if (sign !== 0) packed.fill(sign, index * width, to);
    for (let at = first; at < end; at += 1) packed[to + at - first] = bytes[at] as number;
  }
  return { bytes: packed, width, isSigned: true };
}

/** Narrow decimals are integers, which are little-endian. */
function isInteger({ width, isSigned }: Packed): boolean {
  return isSigned && width <= INT64_BYTES;
}

function boundsOf(packed: Packed, count: number): PageValues['bounds'] {
  if (count === 0) return undefined;
  let min = 0;
  let max = 0;
  for (let index = 1; index < count; index += 1) {
    if (compareAt(packed, index, min) < 0) min = index;
    else if (compareAt(packed, index, max) > 0) max = index;
  }
  const { bytes, width } = packed;
  const valueAt = (index: number): Uint8Array => {
    const value = bytes.slice(index * width, (index + 1) * width);
    return isInteger(packed) ? value.toReversed() : value;
  };
  return { min: valueAt(min), max: valueAt(max) };
}

function compareAt({ bytes, width, isSigned }: Packed, a: number, b: number): number {
  // The sign bit of the first byte turns the order of signed numbers into that of bytes.
  const flip = isSigned ? 0x80 : 0;
  for (let index = 0; index < width; index += 1) {
    const mask = index === 0 ? flip : 0;
    const left = (bytes[a * width + index] as number) ^ mask;
    const difference = left - ((bytes[b * width + index] as number) ^ mask);
    if (difference !== 0) return difference;
  }
  return 0;
}

function misfit(field: PrimitiveField, what: string): CatalogError {
  return new CatalogError(
    'config',
    `column "${field.name}" holds ${what}, which does not fit its type ${field.type}`,
    { context: { fieldId: field.id } },
  );
}
