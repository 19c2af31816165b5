import { VerifyError } from './error.ts';
import type { OffsetRange } from './recorded.ts';

/**
 * Offsets of [start, end) of one partition that were seen: one bit each. Single offsets are numbers: there
 * are a hundred million, and one that is beyond 2^53 is outside any range that fits.
 */
export type OffsetSet = {
  /** `outside` where the range does not reach; `again` where it was in the set already. */
  add(offset: number): 'added' | 'again' | 'outside';
  has(offset: number): boolean;
  /** How many of the range are in this set or in `other`, which has the same bounds. */
  countWith(other: OffsetSet, range: OffsetRange): number;
  /** The first offsets of the range that are in neither set. */
  absentFrom(other: OffsetSet, range: OffsetRange, max: number): bigint[];
  readonly bits: Uint8Array;
};

/** 2^35 offsets are 4 GiB of bits: a partition that has more is checked in part. */
const OFFSETS_MAX = 2 ** 35;

/** Errors: `config` for a range of more than 2^35 offsets, or one beyond 2^53. */
export function openOffsetSet({ start, end }: OffsetRange): OffsetSet {
  const size = Number(end - start);
  if (size > OFFSETS_MAX) {
    throw new VerifyError('config', `${size} offsets in one partition are too many to check`);
  }
  if (end > Number.MAX_SAFE_INTEGER) {
    throw new VerifyError('config', `offsets up to ${end} cannot be checked: 2^53 is the limit`);
  }
  const bits = new Uint8Array(Math.ceil(size / 8));
  const first = Number(start);
  const indexOf = (offset: bigint): number => Number(offset - start);
  return {
    bits,
    add(offset) {
      const index = offset - first;
      if (!(index >= 0 && index < size)) return 'outside';
      const byte = Math.floor(index / 8);
      const bit = 1 << (index % 8);
      const before = bits[byte] ?? 0;
      if ((before & bit) !== 0) return 'again';
      bits[byte] = before | bit;
      return 'added';
    },
    has(offset) {
      const index = offset - first;
      return index >= 0 && index < size && isSet(bits, index);
    },
    countWith(other, range) {
      let count = 0;
      const last = indexOf(range.end);
      for (let index = indexOf(range.start); index < last;) {
        if (index % 8 === 0 && last - index >= 8) {
          count += bitCount((bits[index / 8] ?? 0) | (other.bits[index / 8] ?? 0));
          index += 8;
        } else {
          if (isSet(bits, index) || isSet(other.bits, index)) count += 1;
          index += 1;
        }
      }
      return count;
    },
    absentFrom(other, range, max) {
      const absent: bigint[] = [];
      const last = indexOf(range.end);
      for (let index = indexOf(range.start); index < last && absent.length < max; index += 1) {
        if (!isSet(bits, index) && !isSet(other.bits, index)) absent.push(start + BigInt(index));
      }
      return absent;
    },
  };
}

function isSet(bits: Uint8Array, index: number): boolean {
  return ((bits[Math.floor(index / 8)] ?? 0) & (1 << (index % 8))) !== 0;
}

function bitCount(byte: number): number {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
