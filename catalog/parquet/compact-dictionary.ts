import type { ByteSlices, Column, Validity } from './columns.ts';
import { renumberCodes } from './renumber-codes.ts';
import { gatherSlices } from './select-rows.ts';
import { type Bitmap, isValid, nullBitmap } from './validity.ts';

type BytesColumn = Extract<Column, { kind: 'bytes' }>;

/** Codes into the values that the rows use, in order of first use; null rows have code 0. */
export type CompactDictionary = {
  codes: Int32Array;
  slices: ByteSlices;
  size: number;
  nulls: Bitmap | undefined;
};

/**
 * Keeps of a dictionary only what `rowCount` rows use. A dictionary is often a whole dimension, far
 * larger than the batch: cost and memory follow the rows, not the dictionary.
 */
export function compactDictionary(
  codes: Int32Array,
  dictionary: { size: number; values: BytesColumn },
  rowCount: number,
): CompactDictionary {
  const { slices, valid } = dictionary.values;
  const renamed = codes.slice(0, rowCount);
  if (valid !== undefined) dropNullValues(renamed, valid);
  const used = renumberCodes(renamed, dictionary.size);
  return {
    codes: renamed,
    slices: gatherSlices(slices, undefined, used),
    size: used.length,
    nulls: takeNulls(renamed),
  };
}

/** A code whose value is null is a null of its own. */
function dropNullValues(codes: Int32Array, valid: Uint8Array): void {
  for (let row = 0; row < codes.length; row += 1) {
    if (!isValid(valid, codes[row] ?? -1)) codes[row] = -1;
  }
}

/** Replaces the -1 of null rows by a code that exists, and returns the bitmap that says they are null. */
function takeNulls(codes: Int32Array): Bitmap | undefined {
  let valid: Validity;
  for (let row = 0; row < codes.length; row += 1) {
    if ((codes[row] ?? -1) >= 0) continue;
    valid ??= new Uint8Array(codes.length).fill(1);
    valid[row] = 0;
    codes[row] = 0;
  }
  return nullBitmap(valid, codes.length);
}
