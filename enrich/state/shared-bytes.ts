/**
 * Shared memory that grows in place: address space is reserved at once, memory is taken as it is touched,
 * nothing is ever copied. Views made before a growth stay valid but do not see what was added.
 */
export class SharedBytes {
  readonly buffer: SharedArrayBuffer;

  constructor(bytesMax: number) {
    this.buffer = new SharedArrayBuffer(0, { maxByteLength: bytesMax });
  }

  /** Makes room for so many bytes; true if the buffer grew, so that its owner takes a new view. */
  reserve(byteLength: number): boolean {
    const { byteLength: held, maxByteLength } = this.buffer;
    if (byteLength <= held) return false;
    const grown = Math.max(byteLength, held + Math.floor(held / 4), PAGE_BYTES);
    const pages = Math.ceil(grown / PAGE_BYTES) * PAGE_BYTES;
    this.buffer.grow(Math.min(pages, maxByteLength));
    return true;
  }
}

const PAGE_BYTES = 65_536;
