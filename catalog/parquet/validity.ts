import type { Validity } from './columns.ts';

/** A least-significant-bit-first bitmap, as Arrow and Parquet take it. */
export type Bitmap = { bits: Uint8Array; zeros: number };

/**
 * Packs one byte a row (zero or not) into one bit a row and counts the zeros. The loop takes eight
 * rows at a time without a branch: it runs over every nullable column of every batch.
 */
export function packBits(bytes: Uint8Array, rowCount: number): Bitmap {
  const bits = new Uint8Array((rowCount + 7) >> 3);
  let ones = 0;
  const wholeBytes = rowCount >> 3;
  for (let target = 0, at = 0; target < wholeBytes; target += 1, at += 8) {
    const b0 = bit(bytes[at]);
    const b1 = bit(bytes[at + 1]);
    const b2 = bit(bytes[at + 2]);
    const b3 = bit(bytes[at + 3]);
    const b4 = bit(bytes[at + 4]);
    const b5 = bit(bytes[at + 5]);
    const b6 = bit(bytes[at + 6]);
    const b7 = bit(bytes[at + 7]);
    ones += b0 + b1 + b2 + b3 + b4 + b5 + b6 + b7;
    bits[target] =
      b0 | (b1 << 1) | (b2 << 2) | (b3 << 3) | (b4 << 4) | (b5 << 5) | (b6 << 6) | (b7 << 7);
  }
  for (let row = wholeBytes << 3; row < rowCount; row += 1) {
    const value = bit(bytes[row]);
    ones += value;
    bits[row >> 3] = (bits[row >> 3] ?? 0) | (value << (row & 7));
  }
  return { bits, zeros: rowCount - ones };
}

function bit(byte: number | undefined): number {
  return byte === 0 || byte === undefined ? 0 : 1;
}

/** The bitmap of a column's nulls, or undefined when it has none. */
export function nullBitmap(valid: Validity, rowCount: number): Bitmap | undefined {
  if (valid === undefined) return undefined;
  const bitmap = packBits(valid, rowCount);
  return bitmap.zeros === 0 ? undefined : bitmap;
}

/** Whether row `row` has a value. */
export function isValid(valid: Validity, row: number): boolean {
  return valid === undefined || valid[row] !== 0;
}
