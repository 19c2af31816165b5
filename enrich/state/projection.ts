import type { ByteSlices } from '@iceberg-js/rest-client-shim/parquet/columns.ts';

/**
 * The table in shared memory that the join probes: join key -> row slot, and for each carried column a code
 * per slot into a dictionary of distinct values. Typed arrays only.
 *
 * Key equality is always checked on the key itself (INVARIANTS.md 13). Where several rows share a join
 * key, the row with the lowest primary key answers.
 *
 * Slots, codes and the arrays behind them may be reused or replaced when a change is applied: read them
 * in the same turn as the probe, and ask for them again after any `await`.
 */

/**
 * A carried value by the type of its column: string `string`; int and date (days) `number`; float and
 * double `number`; long, time and timestamps (µs) `bigint`; boolean `boolean`; decimal `bigint`, unscaled
 * at the scale of the contract; binary, fixed and uuid (16 bytes) `Uint8Array`.
 */
export type ProjectionValue = string | number | bigint | boolean | Uint8Array;

export type DictionaryView = {
  /** Codes are below this. */
  readonly size: number;
  /** The value of a code; code 0 is null. A code that no row refers to may read as anything. */
  value(code: number): ProjectionValue | null;
  /**
   * The bytes of codes that rows refer to, one after another: UTF-8 for strings, raw for binary, fixed and uuid,
   * big-endian two's complement of the unscaled value for decimals, little endian of the type's width for the rest.
   * `spend` is told of bytes before they are copied, and may throw. Errors: as `assertSlicesEnd`.
   */
  gather(codes: Int32Array, spend: (bytes: number) => void): ByteSlices;
};

export interface Projection {
  readonly rowCount: number;
  /** Bytes of memory held, for metrics. */
  readonly bytes: number;
  /**
   * Odd while rows are being changed, and another number after each change: a join that finds it even and the
   * same before and after has seen no row that is half of one and half of another.
   */
  sequence(): number;
  /** For keys given as (low, high) word pairs. `out[i]` becomes the slot, or -1 for a miss or an invalid key. */
  probeInt64(keys: { words: Int32Array; valid: Uint8Array; count: number }, out: Int32Array): void;
  /** For keys given as UTF-8 slices, already normalised. */
  probeBytes(
    keys: { bytes: Uint8Array; offsets: Int32Array; valid: Uint8Array; count: number },
    out: Int32Array,
  ): void;
  /**
   * For each of the dimension's `columns` the codes of the rows in these slots: `out[column][i]` becomes the code, or
   * -1 for null and where `slots[i]` is negative.
   */
  gatherCodes(slots: Int32Array, out: readonly Int32Array[]): void;
  dictionary(columnIndex: number): DictionaryView;
}
