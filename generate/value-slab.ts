/**
 * Memory for encoded values: one large buffer after the other, so that a value costs a view and not
 * an allocation. A view stays valid for as long as anybody holds it.
 */
export type ValueSlab = {
  /** `write` gets a buffer and a start and returns the end, or -1 when the value did not fit. */
  append(write: (buffer: Buffer, at: number) => number): Buffer;
};

const SLAB_BYTES = 1 << 20;

/** Errors: RangeError for a single value above 1 MiB. */
export function openValueSlab(): ValueSlab {
  let buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  let used = 0;
  return {
    append(write) {
      let end = write(buffer, used);
      if (end < 0) {
        buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
        used = 0;
        end = write(buffer, 0);
      }
      if (end < 0) throw new RangeError(`a value of more than ${SLAB_BYTES} bytes`);
      const value = buffer.subarray(used, end);
      used = end;
      return value;
    },
  };
}
