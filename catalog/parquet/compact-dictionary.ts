import type { ByteSlices, Column, DictionaryValues } from './columns.ts';
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

/** Beyond this ratio of dictionary to rows, a hash table of used codes is cheaper than one slot a value. */
const SLOTS_PER_ROW_MAX = 4;

/**
 * Keeps of a dictionary only what `rowCount` rows use. A dictionary is often a whole dimension, far
 * larger than the batch: cost and memory follow the rows, not the dictionary.
 */
export function compactDictionary(
  codes: Int32Array,
  dictionary: { size: number; values: BytesColumn },
  rowCount: number,
): CompactDictionary {
  const renamed = new Int32Array(rowCount);
  const used = new Int32Array(Math.min(dictionary.size, rowCount));
  const { size, hasNulls } =
    dictionary.size <= SLOTS_PER_ROW_MAX * rowCount
      ? renameBySlot(codes, dictionary, renamed, used)
      : renameByHash(codes, dictionary, renamed, used);
  return {
    codes: renamed,
    slices: gatherSlices(dictionary.values.slices, undefined, used.subarray(0, size)),
    size,
    nulls: hasNulls ? takeNulls(renamed) : undefined,
  };
}

type Renaming = { size: number; hasNulls: boolean };

function renameBySlot(
  codes: Int32Array,
  dictionary: DictionaryValues,
  renamed: Int32Array,
  used: Int32Array,
): Renaming {
  const slots = new Int32Array(dictionary.size).fill(-1);
  const { valid } = dictionary.values;
  let size = 0;
  let hasNulls = false;
  for (let row = 0; row < renamed.length; row += 1) {
    const code = codes[row] ?? -1;
    if (code < 0 || !isValid(valid, code)) {
      renamed[row] = -1;
      hasNulls = true;
      continue;
    }
    let slot = slots[code] ?? -1;
    if (slot < 0) {
      slot = size;
      slots[code] = slot;
      used[slot] = code;
      size += 1;
    }
    renamed[row] = slot;
  }
  return { size, hasNulls };
}

function renameByHash(
  codes: Int32Array,
  dictionary: DictionaryValues,
  renamed: Int32Array,
  used: Int32Array,
): Renaming {
  const bits = 32 - Math.clz32(renamed.length * 2);
  const mask = (1 << bits) - 1;
  const slots = new Int32Array(mask + 1).fill(-1);
  const { valid } = dictionary.values;
  let size = 0;
  let hasNulls = false;
  for (let row = 0; row < renamed.length; row += 1) {
    const code = codes[row] ?? -1;
    if (code < 0 || !isValid(valid, code)) {
      renamed[row] = -1;
      hasNulls = true;
      continue;
    }
    let at = (Math.imul(code, 0x9e3779b1) >>> (32 - bits)) & mask;
    let slot = slots[at] ?? -1;
    while (slot >= 0 && used[slot] !== code) {
      at = (at + 1) & mask;
      slot = slots[at] ?? -1;
    }
    if (slot < 0) {
      slot = size;
      slots[at] = slot;
      used[slot] = code;
      size += 1;
    }
    renamed[row] = slot;
  }
  return { size, hasNulls };
}

/** Replaces the -1 of null rows by a code that exists, and returns the bitmap that says they are null. */
function takeNulls(codes: Int32Array): Bitmap | undefined {
  const valid = new Uint8Array(codes.length);
  for (let row = 0; row < codes.length; row += 1) {
    const code = codes[row] ?? -1;
    valid[row] = code < 0 ? 0 : 1;
    codes[row] = code < 0 ? 0 : code;
  }
  return nullBitmap(valid, codes.length);
}
