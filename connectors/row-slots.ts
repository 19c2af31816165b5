/** What a slot of a row holds. */
export const NULL_SLOT = 0;
/** A 32-bit integer: its low word. */
export const INT_SLOT = 1;
/** A 64-bit integer: its low and high words. */
export const LONG_SLOT = 2;
/** Sound UTF-8: where it starts in `bytes`, as low, and its length, as high. */
export const TEXT_SLOT = 3;
export const DOUBLE_SLOT = 4;
/** 1 for true, as low. */
export const BOOLEAN_SLOT = 5;
/** A canonical value of any other kind, in `others`. */
export const OTHER_SLOT = 6;

/**
 * The values of one row where they stand in its record, a slot for each column: no object exists for a row or a
 * value. One is filled for record after record, so it is valid until the next is read.
 */
export class RowSlots {
  bytes: Buffer = Buffer.alloc(0);
  readonly names: readonly string[];
  readonly kinds: Uint8Array;
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly doubles: Float64Array;
  readonly others: unknown[];

  constructor(names: readonly string[]) {
    this.names = names;
    this.kinds = new Uint8Array(names.length);
    this.low = new Int32Array(names.length);
    this.high = new Int32Array(names.length);
    this.doubles = new Float64Array(names.length);
    this.others = names.map(() => null);
  }

  /** The value in canonical form (`CanonicalValue`). */
  value(slot: number): unknown {
    const low = this.low[slot] as number;
    const high = this.high[slot] as number;
    switch (this.kinds[slot]) {
      case INT_SLOT:
        return low;
      case LONG_SLOT:
        return (BigInt(high) << 32n) | BigInt(low >>> 0);
      case TEXT_SLOT:
        return this.bytes.toString('utf8', low, low + high);
      case DOUBLE_SLOT:
        return this.doubles[slot];
      case BOOLEAN_SLOT:
        return low === 1;
      case OTHER_SLOT:
        return this.others[slot];
      case undefined:
      default:
        return null;
    }
  }
}
