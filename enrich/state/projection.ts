/**
 * The in-process table that the join probes: join key -> row slot, and for each carried column a code
 * per slot into a dictionary of distinct values. Typed arrays only.
 *
 * Key equality is always checked on the key itself (INVARIANTS.md 13). Where several rows share a join
 * key, the row with the lowest primary key answers.
 */
export type ProjectionValue = string | number | bigint | boolean | Uint8Array;

export type DictionaryView = {
  /** Values by code; code 0 is null. */
  values: readonly (ProjectionValue | null)[];
};

export interface Projection {
  readonly rowCount: number;
  /** Bytes of memory held, for metrics. */
  readonly bytes: number;
  /** For keys given as (low, high) word pairs. `out[i]` becomes the slot, or -1 for a miss or an invalid key. */
  probeInt64(keys: { words: Int32Array; valid: Uint8Array; count: number }, out: Int32Array): void;
  /** For keys given as UTF-8 slices, already normalised. */
  probeBytes(
    keys: { bytes: Uint8Array; offsets: Int32Array; valid: Uint8Array; count: number },
    out: Int32Array,
  ): void;
  /** Codes by slot for the carried column at this index of the dimension's `columns`. */
  codes(columnIndex: number): Uint32Array;
  dictionary(columnIndex: number): DictionaryView;
}
