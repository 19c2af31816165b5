const EMPTY = new SharedArrayBuffer(0);
const PAGE_BYTES = 65_536;

/**
 * Shared memory that grows in place: address space is reserved at the first growth, memory is taken as it is
 * touched, nothing is ever copied. Views made before a growth stay valid but do not see what was added; those
 * made before the first have no room at all.
 */
export class SharedBytes {
  readonly #bytesMax: number;
  #buffer: SharedArrayBuffer = EMPTY;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get buffer(): SharedArrayBuffer {
    return this.#buffer;
  }

  /** Makes room for so many bytes; true if the buffer grew, so that its owner takes a new view. */
  reserve(byteLength: number): boolean {
    const { byteLength: held } = this.#buffer;
    if (byteLength <= held) return false;
    if (held === 0) this.#buffer = new SharedArrayBuffer(0, { maxByteLength: this.#bytesMax });
    const grown = Math.max(byteLength, held + Math.floor(held / 4), PAGE_BYTES);
    const pages = Math.ceil(grown / PAGE_BYTES) * PAGE_BYTES;
    this.#buffer.grow(Math.min(pages, this.#bytesMax));
    return true;
  }
}
