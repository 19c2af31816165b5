/**
 * Keys of the state store. Each starts with the kind of the entry; names and join keys stand after their
 * length, so that no name is the beginning of another.
 *
 * | entry     | key                                                         | value                |
 * |-----------|-------------------------------------------------------------|----------------------|
 * | row       | `r`, u8 length, dimension, primary key                      | `state-row.ts`       |
 * | join key  | `i`, u8 length, dimension, u32 length, join key, primary key | nothing              |
 * | dimension | `d`, dimension                                              | `dimension-record.ts` |
 * | journal   | `j`, u8 length, dimension, u8 length, id of the image, u32  | `change-journal.ts`  |
 * | meta      | `m`, name                                                   | the caller's         |
 *
 * A primary key is a byte for its kind (1 integer, 2 bytes) and its bytes, integers in the order of
 * numbers: the first entry of a join key is that of the lowest primary key.
 */
const ROW = 0x72;
const JOIN_KEY = 0x69;
const DIMENSION = 0x64;
const JOURNAL = 0x6a;
const META = 0x6d;

export const INTEGER_KEY = 1;
export const BYTES_KEY = 2;

const encoder = new TextEncoder();

export type KeyRange = { from: Uint8Array; to: Uint8Array };

/** What the keys of all rows of a dimension start with. */
export function rowPrefix(dimension: string): Uint8Array {
  return prefixOf(ROW, dimension);
}

export function rowRange(dimension: string): KeyRange {
  return rangeOf(rowPrefix(dimension));
}

/** What the index entries of a join key start with; the primary key of each row follows. */
export function joinKeyPrefix(dimension: string, joinKey: Uint8Array): Uint8Array {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, joinKey.length);
  return Buffer.concat([prefixOf(JOIN_KEY, dimension), length, joinKey]);
}

/** The index entries of all join keys of a dimension. */
export function joinKeyRange(dimension: string): KeyRange {
  return rangeOf(prefixOf(JOIN_KEY, dimension));
}

/** Where the join key and the primary key start in an index entry; the first ends where the second starts. */
export function placesInEntry(entry: Uint8Array): { joinKey: number; primaryKey: number } {
  const joinKey = 2 + (entry[1] as number) + 4;
  const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
  return { joinKey, primaryKey: joinKey + view.getUint32(joinKey - 4) };
}

export function joinKeyEntry(
  dimension: string,
  joinKey: Uint8Array,
  primaryKey: Uint8Array,
): Uint8Array {
  return Buffer.concat([joinKeyPrefix(dimension, joinKey), primaryKey]);
}

/** The journal entries of one image of a dimension's projection, or of all. */
export function journalRange(dimension: string, imageId?: string): KeyRange {
  return rangeOf(journalPrefix(dimension, imageId));
}

export function journalKey(dimension: string, imageId: string, index: number): Uint8Array {
  const place = Buffer.alloc(4);
  place.writeUInt32BE(index);
  return Buffer.concat([journalPrefix(dimension, imageId), place]);
}

/** All keys that start with the prefix. */
export function rangeOf(prefix: Uint8Array): KeyRange {
  // Not slice(): of a Buffer that is a view.
  const to = new Uint8Array(prefix);
  // No prefix here is all 0xff: it starts with a letter.
  let last = to.length - 1;
  while (to[last] === 0xff) last--;
  to[last] = (to[last] as number) + 1;
  return { from: prefix, to: to.subarray(0, last + 1) };
}

export function dimensionKey(dimension: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(DIMENSION), encoder.encode(dimension)]);
}

export function metaKey(name: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(META), encoder.encode(name)]);
}

export function metaName(key: Uint8Array): string {
  return new TextDecoder().decode(key.subarray(1));
}

export const metaRange: KeyRange = rangeOf(Uint8Array.of(META));

function journalPrefix(dimension: string, imageId: string | undefined): Uint8Array {
  const prefix = prefixOf(JOURNAL, dimension);
  if (imageId === undefined) return prefix;
  const id = encoder.encode(imageId);
  return Buffer.concat([prefix, Uint8Array.of(id.length), id]);
}

function prefixOf(kind: number, dimension: string): Uint8Array {
  const name = encoder.encode(dimension);
  if (name.length > 255)
    throw new RangeError(`assert: name of 255 bytes at most, got ${dimension}`);
  return Buffer.concat([Uint8Array.of(kind, name.length), name]);
}
