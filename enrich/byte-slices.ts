import type { ByteSlices } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import { EnrichError } from './error.ts';

/** Slices are counted in signed 32 bits. */
const SLICES_BYTES_MAX = 2 ** 31 - 1;

/**
 * Values one after the other, and where each starts; the last offset is the end. Copies the values.
 * Errors: as `assertSlicesEnd`.
 */
export function joinBytes(values: readonly Uint8Array[]): ByteSlices {
  const offsets = new Int32Array(values.length + 1);
  let total = 0;
  for (const [index, value] of values.entries()) {
    total += value.length;
    assertSlicesEnd(total);
    offsets[index + 1] = total;
  }
  const bytes = new Uint8Array(total);
  for (const [index, value] of values.entries()) bytes.set(value, offsets[index]);
  return { bytes, offsets };
}

/** Errors: `config` for more than 2 GiB, which nothing may reach: callers bound what they gather. */
export function assertSlicesEnd(end: number): void {
  if (end <= SLICES_BYTES_MAX) return;
  throw new EnrichError('config', 'the values of one column are longer than 2 GiB in one commit');
}
