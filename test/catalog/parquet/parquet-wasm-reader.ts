import { DataType, tableFromIPC, type Vector } from 'apache-arrow';
import { readParquet } from 'parquet-wasm';
import type { PartitionValue } from '../../../catalog/manifest/data-file.ts';

/** All columns of a Parquet file by name, read by parquet-rs, in the form that `applyTransform` documents. */
export function readWithParquetWasm(bytes: Uint8Array): Map<string, PartitionValue[]> {
  const table = tableFromIPC(readParquet(bytes).intoIPCStream());
  return new Map(
    table.schema.fields.map(({ name }, index) => {
      const vector = table.getChildAt(index);
      if (vector === null) throw new Error(`no column ${index}`);
      return [name, Array.from({ length: table.numRows }, (_, row) => valueAt(vector, row))];
    }),
  );
}

function valueAt(vector: Vector, row: number): PartitionValue {
  if (!vector.isValid(row)) return null;
  const { type } = vector;
  if (DataType.isTimestamp(type) || DataType.isTime(type)) return rawInt64(vector, row);
  if (DataType.isDate(type)) return rawInt32(vector, row);
  const value: unknown = vector.get(row);
  if (DataType.isDecimal(type)) return decimalOf(value as Uint32Array);
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  return value as PartitionValue;
}

/** Arrow's own access turns days and microseconds into milliseconds. */
function rawInt64(vector: Vector, row: number): bigint {
  const { values, at } = chunkOf(vector, row);
  return new BigInt64Array(values.buffer, values.byteOffset, values.byteLength / 8)[at] ?? 0n;
}

function rawInt32(vector: Vector, row: number): number {
  const { values, at } = chunkOf(vector, row);
  return new Int32Array(values.buffer, values.byteOffset, values.byteLength / 4)[at] ?? 0;
}

function chunkOf(vector: Vector, row: number): { values: ArrayBufferView; at: number } {
  let at = row;
  for (const data of vector.data) {
    if (at < data.length) return { values: data.values as ArrayBufferView, at };
    at -= data.length;
  }
  throw new RangeError(`no row ${row}`);
}

/** 128 bits in four words, the lowest first. */
function decimalOf(words: Uint32Array): bigint {
  let value = 0n;
  for (const word of [...words].toReversed()) value = (value << 32n) | BigInt(word);
  return BigInt.asIntN(128, value);
}
