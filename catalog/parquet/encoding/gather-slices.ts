import { CatalogError } from '../../error.ts';
import type { ByteSlices } from '../columns.ts';

/** Offsets have 32 bits, and so have the lengths of pages, which add a little to the values. */
const SLICES_BYTES_MAX = 1024 ** 3;

/** Above this length the engine's memory copy is faster than words. */
const WORDS_COPY_BYTES_MAX = 128;
const WORD_BYTES = 4;

/**
 * Copies of the given rows' slices, end to end. Short ones go four bytes at a time, which takes half as long as a
 * loop over bytes or a call for each. Errors: `config` for slices of more than a GiB together.
 */
export function gatherSlices(source: ByteSlices, rows: Int32Array): ByteSlices {
  const count = rows.length;
  const offsets = new Int32Array(count + 1);
  let byteLength = 0;
  for (let index = 0; index < count; index += 1) {
    const row = rows[index] as number;
    byteLength += (source.offsets[row + 1] as number) - (source.offsets[row] as number);
    offsets[index + 1] = byteLength;
  }
  if (byteLength > SLICES_BYTES_MAX) throw tooLong(byteLength, count);
  // The last word of a value runs over into the place of the next one, or into the room at the end.
  const target = new Uint8Array(byteLength + WORD_BYTES);
  const { bytes } = source;
  const from = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const to = new DataView(target.buffer);
  const wordsEndMax = bytes.byteLength - WORD_BYTES;
  for (let index = 0; index < count; index += 1) {
    const start = source.offsets[rows[index] as number] as number;
    const at = offsets[index] as number;
    const length = (offsets[index + 1] as number) - at;
    if (length > WORDS_COPY_BYTES_MAX || start + length > wordsEndMax) {
      target.set(bytes.subarray(start, start + length), at);
      continue;
    }
    for (let offset = 0; offset < length; offset += WORD_BYTES) {
      to.setInt32(at + offset, from.getInt32(start + offset, true), true);
    }
  }
  return { bytes: target.subarray(0, byteLength), offsets };
}

function tooLong(byteLength: number, count: number): CatalogError {
  return new CatalogError(
    'config',
    `${count} values of one column take ${byteLength} bytes, expected ${SLICES_BYTES_MAX} at most in a row group: ` +
      'write fewer rows at once, or into each row group',
    { context: { byteLength, count } },
  );
}
