import { encodeSingleValue } from '../../spec/single-value.ts';
import type { ByteSink } from './byte-sink.ts';
import { ENCODING, type PageValues } from './page-values.ts';
import { deltasFit, writeDeltas32, writeDeltas64 } from './delta-packing.ts';

const WORD = 2 ** 32;

/** int and date: the deltas of neighbours. */
export function int32Values(source: Int32Array, rows: Int32Array): PageValues {
  const count = rows.length;
  const values = new Int32Array(count);
  let min = 0x7fffffff;
  let max = -0x80000000;
  for (let index = 0; index < count; index += 1) {
    const value = source[rows[index] as number] as number;
    values[index] = value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return {
    count,
    byteLength: count * 4,
    encoding: ENCODING.deltaBinaryPacked,
    bounds: boundsOf('int', count, min, max),
    write: (out, from, to) => writeDeltas32(out, values, from, to),
    writePlain: (out) => out.append(bytesOf(values)),
  };
}

/** long and times: the deltas of neighbours, PLAIN where numbers do not hold them exactly. */
export function int64Values(source: BigInt64Array, rows: Int32Array): PageValues {
  const words = new Int32Array(source.buffer, source.byteOffset, source.length * 2);
  const count = rows.length;
  const values = new Float64Array(count);
  let min = Infinity;
  let max = -Infinity;
  for (let index = 0; index < count; index += 1) {
    const at = 2 * (rows[index] as number);
    const value = (words[at + 1] as number) * WORD + ((words[at] as number) >>> 0);
    values[index] = value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const plain = (out: ByteSink, from: number, to: number): void =>
    out.append(bytesOf(gatherWords(words, rows.subarray(from, to))));
  const shape = {
    count,
    byteLength: count * 8,
    writePlain: (out: ByteSink) => plain(out, 0, count),
  };
  if (!deltasFit(min, max)) {
    return { ...shape, encoding: ENCODING.plain, bounds: exactBounds(source, rows), write: plain };
  }
  return {
    ...shape,
    encoding: ENCODING.deltaBinaryPacked,
    bounds: count === 0 ? undefined : boundsOf('long', count, BigInt(min), BigInt(max)),
    write: (out, from, to) => writeDeltas64(out, values, from, to),
  };
}

function gatherWords(words: Int32Array, rows: Int32Array): Int32Array {
  const gathered = new Int32Array(rows.length * 2);
  for (let index = 0; index < rows.length; index += 1) {
    const at = 2 * (rows[index] as number);
    gathered[2 * index] = words[at] as number;
    gathered[2 * index + 1] = words[at + 1] as number;
  }
  return gathered;
}

function exactBounds(source: BigInt64Array, rows: Int32Array): PageValues['bounds'] {
  let min: bigint | undefined;
  let max: bigint | undefined;
  for (const row of rows) {
    const value = source[row] as bigint;
    if (min === undefined || value < min) min = value;
    if (max === undefined || value > max) max = value;
  }
  return boundsOf('long', rows.length, min ?? 0n, max ?? 0n);
}

/** float and double. NaN is in no bound; a zero bound has the sign that makes it hold for both zeros. */
export function floatValues(source: Float32Array | Float64Array, rows: Int32Array): PageValues {
  const count = rows.length;
  const isDouble = source.BYTES_PER_ELEMENT === 8;
  const values = isDouble ? new Float64Array(count) : new Float32Array(count);
  let min = Infinity;
  let max = -Infinity;
  let nanCount = 0;
  for (let index = 0; index < count; index += 1) {
    const value = source[rows[index] as number] as number;
    values[index] = value;
    if (value !== value) nanCount += 1;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const width = source.BYTES_PER_ELEMENT;
  const bytes = bytesOf(values);
  const type = isDouble ? 'double' : 'float';
  return {
    count,
    byteLength: count * width,
    encoding: ENCODING.plain,
    bounds: boundsOf(type, count - nanCount, min === 0 ? -0 : min, max === 0 ? 0 : max),
    nanCount,
    write: (out, from, to) => out.append(bytes.subarray(from * width, to * width)),
    writePlain: (out) => out.append(bytes),
  };
}

/** One bit a value. */
export function booleanValues(source: Uint8Array, rows: Int32Array): PageValues {
  const count = rows.length;
  const values = new Uint8Array(count);
  let ones = 0;
  for (let index = 0; index < count; index += 1) {
    const value = source[rows[index] as number] === 0 ? 0 : 1;
    values[index] = value;
    ones += value;
  }
  const write = (out: ByteSink, from: number, to: number): void => {
    const byteCount = Math.ceil((to - from) / 8);
    const bytes = out.reserve(byteCount).fill(0, out.length, out.length + byteCount);
    for (let index = from; index < to; index += 1) {
      const at = out.length + ((index - from) >> 3);
      bytes[at] = (bytes[at] as number) | ((values[index] as number) << ((index - from) & 7));
    }
    out.length += byteCount;
  };
  return {
    count,
    byteLength: Math.ceil(count / 8),
    encoding: ENCODING.plain,
    bounds: boundsOf('boolean', count, ones === count, ones > 0),
    write,
    writePlain: (out) => write(out, 0, count),
  };
}

function boundsOf(
  type: 'int' | 'long' | 'float' | 'double' | 'boolean',
  count: number,
  min: number | bigint | boolean,
  max: number | bigint | boolean,
): PageValues['bounds'] {
  if (count === 0) return undefined;
  return { min: encodeSingleValue(type, min), max: encodeSingleValue(type, max) };
}

/** Little endian, the byte order of Parquet and of every machine that Node runs on. */
function bytesOf(values: Int32Array | Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
