/** Beyond this ratio of codes there are to rows, a hash table of those that occur is cheaper than a place for each. */
const PLACES_PER_ROW_MAX = 4;

/** Reused from column to column: memory fresh from the system costs more than clearing it. */
let scratch = new Int32Array(0);

/**
 * Numbers the codes that occur from 0 on, in the order of their first use, in place; negative ones become -1.
 * Returns the old code of each number. Codes are below `codeCount`, which may be a whole dimension, far more
 * than the rows: cost and memory follow the rows.
 */
export function renumberCodes(codes: Int32Array, codeCount: number): Int32Array {
  const used = new Int32Array(Math.min(codeCount, codes.length));
  const size =
    codeCount <= PLACES_PER_ROW_MAX * codes.length
      ? renumberByPlace(codes, codeCount, used)
      : renumberByHash(codes, used);
  return used.subarray(0, size);
}

/** `places[code]` is the new number plus one. */
function renumberByPlace(codes: Int32Array, codeCount: number, used: Int32Array): number {
  const places = clearedScratch(codeCount);
  let size = 0;
  for (let row = 0; row < codes.length; row += 1) {
    const code = codes[row] as number;
    if (code < 0) {
      codes[row] = -1;
      continue;
    }
    let place = places[code] as number;
    if (place === 0) {
      used[size] = code;
      size += 1;
      place = size;
      places[code] = place;
    }
    codes[row] = place - 1;
  }
  return size;
}

/** Open addressing: an entry is a new number plus one, whose old code is compared. */
function renumberByHash(codes: Int32Array, used: Int32Array): number {
  const bits = 32 - Math.clz32(codes.length * 2);
  const mask = 2 ** bits - 1;
  const entries = clearedScratch(mask + 1);
  let size = 0;
  for (let row = 0; row < codes.length; row += 1) {
    const code = codes[row] as number;
    if (code < 0) {
      codes[row] = -1;
      continue;
    }
    let at = Math.imul(code, 0x9e3779b1) >>> (32 - bits);
    let entry = entries[at] as number;
    while (entry !== 0 && used[entry - 1] !== code) {
      at = (at + 1) & mask;
      entry = entries[at] as number;
    }
    if (entry === 0) {
      used[size] = code;
      size += 1;
      entry = size;
      entries[at] = entry;
    }
    codes[row] = entry - 1;
  }
  return size;
}

function clearedScratch(length: number): Int32Array {
  if (scratch.length < length) scratch = new Int32Array(length);
  else scratch.fill(0, 0, length);
  return scratch;
}
