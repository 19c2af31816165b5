import { bitWidth, packBits } from './bit-packing.ts';
import type { ByteSink } from './byte-sink.ts';

/*
  DELTA_BINARY_PACKED:
    values in a block      => VARINT, 128
    miniblocks in a block  => VARINT, 4
    value count            => VARINT
    first value            => ZIGZAG
    [block]
      smallest delta       => ZIGZAG
      [width of miniblock] => 4 bytes
      [miniblock]          => 32 deltas less the smallest, bit-packed; those without a value are left out
  Source: parquet-format, Encodings.md, "Delta Encoding".
*/
const BLOCK = 128;
const MINIBLOCK = 32;
const MINIBLOCKS = BLOCK / MINIBLOCK;

const deltas = new Float64Array(BLOCK);
const low = new Uint32Array(MINIBLOCK);

/** 32-bit integers as deltas, which wrap around at 32 bits. */
export function writeDeltas32(out: ByteSink, values: Int32Array, from: number, to: number): void {
  writeHead(out, to - from, values[from] ?? 0);
  for (let start = from + 1; start < to; start += BLOCK) {
    const count = Math.min(BLOCK, to - start);
    let previous = values[start - 1] as number;
    let smallest = 0x7fffffff;
    for (let index = 0; index < count; index += 1) {
      const value = values[start + index] as number;
      const delta = (value - previous) | 0;
      deltas[index] = delta;
      if (delta < smallest) smallest = delta;
      previous = value;
    }
    writeBlock(out, count, smallest);
  }
}

/** Whether `writeDeltas64` can write integers of this range: deltas must be exact. */
export function deltasFit(smallest: number, largest: number): boolean {
  return smallest >= -(2 ** 53) && largest <= 2 ** 53 && largest - smallest < 2 ** 52;
}

/** 64-bit integers, for which `deltasFit`, as deltas. */
export function writeDeltas64(out: ByteSink, values: Float64Array, from: number, to: number): void {
  writeHead(out, to - from, values[from] ?? 0);
  for (let start = from + 1; start < to; start += BLOCK) {
    const count = Math.min(BLOCK, to - start);
    let previous = values[start - 1] as number;
    let smallest = Infinity;
    for (let index = 0; index < count; index += 1) {
      const value = values[start + index] as number;
      const delta = value - previous;
      deltas[index] = delta;
      if (delta < smallest) smallest = delta;
      previous = value;
    }
    writeBlock(out, count, smallest);
  }
}

function writeHead(out: ByteSink, count: number, first: number): void {
  out.varint(BLOCK);
  out.varint(MINIBLOCKS);
  out.varint(count);
  out.zigzag(first);
}

/** Writes a block of the first `count` deltas. */
function writeBlock(out: ByteSink, count: number, smallest: number): void {
  out.zigzag(smallest);
  const bytes = out.reserve(MINIBLOCKS);
  const widthsAt = out.length;
  bytes.fill(0, widthsAt, widthsAt + MINIBLOCKS);
  out.length += MINIBLOCKS;
  for (let start = 0, miniblock = 0; start < count; start += MINIBLOCK, miniblock += 1) {
    const end = Math.min(start + MINIBLOCK, count);
    let largest = 0;
    for (let index = start; index < end; index += 1) {
      const rest = (deltas[index] as number) - smallest;
      deltas[index] = rest;
      if (rest > largest) largest = rest;
    }
    deltas.fill(0, end, start + MINIBLOCK);
    const width = bitWidth(largest);
    out.bytes[widthsAt + miniblock] = width;
    if (width > 32) writeWide(out, start, width);
    else if (width > 0) {
      for (let index = 0; index < MINIBLOCK; index += 1)
        low[index] = deltas[start + index] as number;
      packBits(out, low, { from: 0, to: MINIBLOCK, width });
    }
  }
}

/** A miniblock of numbers above 32 bits, below 2^53. */
function writeWide(out: ByteSink, start: number, width: number): void {
  const bytes = out.reserve(width * 4).fill(0, out.length, out.length + width * 4);
  for (let index = 0; index < MINIBLOCK; index += 1) {
    let rest = deltas[start + index] as number;
    for (let bit = index * width; rest > 0;) {
      const room = 8 - (bit & 7);
      const at = out.length + (bit >> 3);
      bytes[at] = (bytes[at] as number) | ((rest % 2 ** room) << (bit & 7));
      rest = Math.floor(rest / 2 ** room);
      bit += room;
    }
  }
  out.length += width * 4;
}
