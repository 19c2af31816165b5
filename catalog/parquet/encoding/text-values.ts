import { isUtf8 } from 'node:buffer';
import { CatalogError } from '../../error.ts';
import type { ByteSlices } from '../columns.ts';
import { ENCODING, type PageValues, type PrimitiveField } from './page-values.ts';
import { writeDeltas32 } from './delta-packing.ts';
import { gatherSlices } from './gather-slices.ts';

/** string and binary: the deltas of their lengths, then the bytes end to end. */
export function textValues(
  field: PrimitiveField,
  source: ByteSlices,
  rows: Int32Array,
): PageValues {
  const count = rows.length;
  const slices = gatherSlices(source, rows);
  const { bytes, offsets } = slices;
  if (field.type === 'string') assertText(field, slices);
  const lengths = new Int32Array(count);
  for (let index = 0; index < count; index += 1) {
    lengths[index] = (offsets[index + 1] as number) - (offsets[index] as number);
  }
  return {
    count,
    byteLength: bytes.length + 4 * count,
    encoding: ENCODING.deltaLengthByteArray,
    bounds: boundsOf(slices, count),
    write: (out, from, to) => {
      writeDeltas32(out, lengths, from, to);
      out.append(bytes.subarray(offsets[from], offsets[to]));
    },
    writePlain: (out) => {
      out.reserve(bytes.length + 4 * count);
      for (let index = 0; index < count; index += 1) {
        out.int32(lengths[index] as number);
        out.slice(bytes, offsets[index] as number, offsets[index + 1] as number);
      }
    },
  };
}

/** Values end to end are text, and none begins in the middle of a character: then each of them is. */
function assertText(field: PrimitiveField, { bytes, offsets }: ByteSlices): void {
  let isText = isUtf8(bytes);
  for (let index = 0; isText && index < offsets.length - 1; index += 1) {
    const start = offsets[index] as number;
    if (start < bytes.length && ((bytes[start] as number) & 0xc0) === 0x80) isText = false;
  }
  if (isText) return;
  throw new CatalogError('config', `column "${field.name}" holds text that is not UTF-8`, {
    context: { fieldId: field.id },
  });
}

/** The first and the last in the order of their bytes. */
function boundsOf({ bytes, offsets }: ByteSlices, count: number): PageValues['bounds'] {
  if (count === 0) return undefined;
  let min = 0;
  let max = 0;
  for (let index = 1; index < count; index += 1) {
    if (compareSlices(bytes, offsets, index, min) < 0) min = index;
    else if (compareSlices(bytes, offsets, index, max) > 0) max = index;
  }
  const slice = (index: number): Uint8Array => bytes.slice(offsets[index], offsets[index + 1]);
  return { min: slice(min), max: slice(max) };
}

function compareSlices(bytes: Uint8Array, offsets: Int32Array, a: number, b: number): number {
  const startA = offsets[a] as number;
  const startB = offsets[b] as number;
  const lengthA = (offsets[a + 1] as number) - startA;
  const lengthB = (offsets[b + 1] as number) - startB;
  const shared = Math.min(lengthA, lengthB);
  for (let index = 0; index < shared; index += 1) {
    const difference = (bytes[startA + index] as number) - (bytes[startB + index] as number);
    if (difference !== 0) return difference;
  }
  return lengthA - lengthB;
}
