import { murmur3 } from '@iceberg-js/rest-client-shim/spec/murmur3.ts';

/**
 * What the rows of a dimension add up to, in any order: their number, and the sum of a hash of each.
 *
 * It stands in the dimension's record, so it enters the store with the rows, and is compared with the rows that
 * a scan finds. RocksDB guards the bytes of each file with checksums, but takes a MANIFEST whose end is damaged
 * for one that was being written when the process died: it opens without the files that were named there, and
 * with the newer changes of its log all the same. Such a state has a hole that nothing else shows (INVARIANTS.md 7).
 *
 * The index of join keys needs no sum of its own: it is compared with what the rows make of it. Not guarded are the
 * entries beside the rows (`DimensionState.getMeta`); of these, rejects that wait for the dead-letter table would be
 * missed, and `verify` finds the difference to the count.
 */
export class ContentSum {
  rows: number;
  /** Modulo 2^32. */
  hash: number;

  constructor(rows = 0, hash = 0) {
    this.rows = rows;
    this.hash = hash;
  }

  /** A row by its store key and its value; returns the hash of both. */
  add(storeKey: Uint8Array, value: Uint8Array, start = 0, end = value.length): number {
    const hash = hashOf(storeKey, value, start, end);
    this.rows += 1;
    this.hash = (this.hash + hash) >>> 0;
    return hash;
  }

  remove(storeKey: Uint8Array, value: Uint8Array): void {
    this.rows -= 1;
    this.hash = (this.hash - hashOf(storeKey, value, 0, value.length)) >>> 0;
  }

  copy(): ContentSum {
    return new ContentSum(this.rows, this.hash);
  }

  equals(other: ContentSum): boolean {
    return this.rows === other.rows && this.hash === other.hash;
  }
}

/** The hash of a row by its store key and its value. */
export function rowHash(storeKey: Uint8Array, value: Uint8Array): number {
  return hashOf(storeKey, value, 0, value.length);
}

/** Mixed once more, so that equal changes of two rows do not cancel each other out. */
function hashOf(storeKey: Uint8Array, value: Uint8Array, start: number, end: number): number {
  let hash = Math.imul(murmur3(storeKey), 0x9e3779b1) ^ murmur3(value, start, end);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
