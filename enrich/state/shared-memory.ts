const PAGE_BYTES = 4_096;
const GROWTH_BYTES_MAX = 4 * 1024 ** 2;
const HEADER_BYTES_MAX = 256 * 1024 ** 2;
const HEADER_GROWTH_BYTES = 1024 ** 2;
/** Arrays that never get longer stand in the header: a buffer of their own costs more than their address space. */
const SMALL_WORDS_MAX = 65_536;

/** What another thread needs to see the same memory; can be posted to it. */
export type MemoryDescription = {
  header: SharedArrayBuffer;
  buffers: readonly SharedArrayBuffer[];
};

/**
 * Memory that threads share: arrays of words, each in a growable buffer or, where it stays small, in the header.
 * Whoever attaches to it asks for the same arrays in the same order as the one that created it. New memory is zero.
 */
export class SharedMemory {
  readonly arrays: SharedWords[] = [];
  readonly #header: SharedArrayBuffer;
  readonly #buffers: SharedArrayBuffer[];
  #headerEnd = 0;
  #buffersTaken = 0;

  constructor(attached?: MemoryDescription) {
    this.#header =
      attached?.header ?? new SharedArrayBuffer(0, { maxByteLength: HEADER_BYTES_MAX });
    this.#buffers = [...(attached?.buffers ?? [])];
  }

  /** The next single words. */
  words(count: number): Int32Array {
    const words = this.array(count);
    words.reserve(count);
    return words.values;
  }

  /** The next array. */
  array(lengthMax: number): SharedWords {
    const used = new Uint32Array(this.#header, this.#takeHeader(1), 1);
    const array =
      lengthMax <= SMALL_WORDS_MAX
        ? new SharedWords(this.#header, used, { start: this.#takeHeader(lengthMax), lengthMax })
        : new SharedWords(this.#takeBuffer(lengthMax), used);
    this.arrays.push(array);
    return array;
  }

  describe(): MemoryDescription {
    return { header: this.#header, buffers: this.#buffers };
  }

  #takeHeader(words: number): number {
    const start = this.#headerEnd;
    this.#headerEnd += words * 4;
    if (this.#headerEnd > this.#header.byteLength) {
      const steps = Math.ceil(this.#headerEnd / HEADER_GROWTH_BYTES);
      this.#header.grow(steps * HEADER_GROWTH_BYTES);
    }
    return start;
  }

  #takeBuffer(lengthMax: number): SharedArrayBuffer {
    const known = this.#buffers[this.#buffersTaken++];
    if (known !== undefined) return known;
    const buffer = new SharedArrayBuffer(0, { maxByteLength: lengthMax * 4 });
    this.#buffers.push(buffer);
    return buffer;
  }
}

/**
 * An array of words that grows in place: address space is reserved for the most that it may hold, memory is taken
 * as it is touched, and nothing is ever copied. A view of fixed length, taken anew at each growth, is read faster
 * than one that tracks the length of its buffer.
 */
export class SharedWords {
  readonly buffer: SharedArrayBuffer;
  /** A view of all words that there is memory for. */
  values: Int32Array;
  readonly #used: Uint32Array;
  readonly #isFixed: boolean;

  constructor(
    buffer: SharedArrayBuffer,
    used: Uint32Array,
    fixed?: { start: number; lengthMax: number },
  ) {
    this.buffer = buffer;
    this.#used = used;
    this.#isFixed = fixed !== undefined;
    this.values =
      fixed === undefined ? viewOf(buffer) : new Int32Array(buffer, fixed.start, fixed.lengthMax);
  }

  /** How many words are used. */
  get length(): number {
    return this.#used[0] as number;
  }

  /** Bytes of the words that are used. */
  get usedBytes(): Uint8Array {
    return new Uint8Array(this.buffer, this.values.byteOffset, this.length * 4);
  }

  /** Makes the first so many words usable. */
  reserve(length: number): void {
    if (length <= (this.#used[0] as number)) return;
    this.#used[0] = length;
    if (length <= this.values.length) return;
    const { byteLength: held, maxByteLength } = this.buffer;
    const grown = Math.max(length * 4, held + Math.min(held / 4, GROWTH_BYTES_MAX));
    const pages = Math.ceil(grown / PAGE_BYTES) * PAGE_BYTES;
    this.buffer.grow(Math.min(pages, maxByteLength));
    this.values = viewOf(this.buffer);
  }

  /** Sees what another thread has added. */
  refresh(): void {
    if (this.#isFixed || this.values.byteLength === this.buffer.byteLength) return;
    this.values = viewOf(this.buffer);
  }
}

function viewOf(buffer: SharedArrayBuffer): Int32Array {
  return new Int32Array(buffer, 0, buffer.byteLength / 4);
}
