import type { ByteSink } from './byte-sink.ts';

/** Bits that hold every number from 0 to `largest`, below 2^53. */
export function bitWidth(largest: number): number {
  const high = Math.floor(largest / 2 ** 32);
  return high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(largest);
}

/**
 * Packs `values[from .. to)`, unsigned numbers of `width` bits (1 to 32), one after the other from the lowest bit of
 * the first byte on; the last byte is filled up with zeros. Source: parquet-format, Encodings.md, "RLE".
 */
export function packBits(
  out: ByteSink,
  values: Int32Array | Uint32Array,
  { from, to, width }: { from: number; to: number; width: number },
): void {
  const byteCount = Math.ceil(((to - from) * width) / 8);
  // Whole words are written, the last one beyond the end.
  const bytes = out.reserve(byteCount + 4);
  let at = out.length;
  let word = 0;
  let used = 0;
  for (let index = from; index < to; index += 1) {
    const value = values[index] as number;
    word |= value << used;
    used += width;
    if (used < 32) continue;
    bytes[at] = word;
    bytes[at + 1] = word >>> 8;
    bytes[at + 2] = word >>> 16;
    bytes[at + 3] = word >>> 24;
    at += 4;
    used -= 32;
    // What did not fit; a shift by 32 would be none.
    word = used === 0 ? 0 : value >>> (width - used);
  }
  for (; used > 0; used -= 8) {
    bytes[at] = word;
    word >>>= 8;
    at += 1;
  }
  out.length += byteCount;
}

/**
 * Dictionary indices below `size` in the RLE/bit-packing hybrid, after their width: one run of a single value, else
 * one bit-packed run; what repeats within it is left to the compression.
 */
export function writeIndices(
  out: ByteSink,
  indices: Int32Array,
  { from, to, size }: { from: number; to: number; size: number },
): void {
  const width = Math.max(1, bitWidth(size - 1));
  out.byte(width);
  if (size === 1) {
    out.varint((to - from) * 2);
    out.byte(0);
    return;
  }
  writePackedRun(out, to - from, () => packBits(out, indices, { from, to, width }), width);
}

/**
 * Definition or repetition levels of entries `from` to `to`, up to `max`, which is below 256, after their length in
 * bytes. Without `levels` all of them are `max`.
 */
export function writeLevels(
  out: ByteSink,
  levels: Uint8Array | undefined,
  max: number,
  { from, to }: { from: number; to: number },
): void {
  const start = out.length;
  out.int32(0);
  if (levels === undefined) {
    out.varint((to - from) * 2);
    out.byte(max);
  } else if (max === 1) {
    writePackedRun(out, to - from, () => packFlags(out, levels, from, to), 1);
  } else {
    const width = bitWidth(max);
    const numbers = Int32Array.from(levels.subarray(from, to));
    const range = { from: 0, to: numbers.length, width };
    writePackedRun(out, to - from, () => packBits(out, numbers, range), width);
  }
  const { length } = out;
  out.length = start;
  out.int32(length - start - 4);
  out.length = length;
}

/** A bit-packed run counts groups of eight: the last one is filled up with zeros. */
function writePackedRun(out: ByteSink, count: number, pack: () => void, width: number): void {
  const groups = Math.ceil(count / 8);
  out.varint(groups * 2 + 1);
  const end = out.length + groups * width;
  pack();
  out.reserve(end - out.length).fill(0, out.length, end);
  out.length = end;
}

function packFlags(out: ByteSink, flags: Uint8Array, from: number, to: number): void {
  const bytes = out.reserve(Math.ceil((to - from) / 8));
  let at = out.length;
  let row = from;
  for (; row + 8 <= to; row += 8) {
    bytes[at] =
      (flags[row] as number) |
      ((flags[row + 1] as number) << 1) |
      ((flags[row + 2] as number) << 2) |
      ((flags[row + 3] as number) << 3) |
      ((flags[row + 4] as number) << 4) |
      ((flags[row + 5] as number) << 5) |
      ((flags[row + 6] as number) << 6) |
      ((flags[row + 7] as number) << 7);
    at += 1;
  }
  if (row < to) {
    let last = 0;
    for (let bit = 0; row < to; bit += 1, row += 1) last |= (flags[row] as number) << bit;
    bytes[at] = last;
    at += 1;
  }
  out.length = at;
}
