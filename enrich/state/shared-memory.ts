const PAGE_BYTES = 4_096;
const GROWTH_BYTES_MAX = 4 * 1024 ** 2;
const HEADER_BYTES_MAX = 256 * 1024 ** 2;
const HEADER_GROWTH_BYTES = 1024 ** 2;
/** Arrays stand in the header for as long as they are no longer than this: a buffer of their own costs more. */
const SMALL_WORDS_MAX = 256;
/** Arrays that never get longer than this stand there for good. */
const FIXED_WORDS_MAX = 65_536;

/** What another thread needs to see the same memory; can be posted to it. */
export type MemoryDescription = {
  header: SharedArrayBuffer;
  /** By array, of those that stand outside the header. */
  buffers: readonly (SharedArrayBuffer | undefined)[];
};

/**
 * Memory that threads share: arrays of words, each in a growable buffer or, while it is small, in the header.
 * Whoever attaches to it asks for the same arrays in the same order as the one that created it, and sees it as it was
 * described: an array that has moved out of the header since then is seen where it was. New memory is zero.
 */
export class SharedMemory {
  readonly arrays: SharedWords[] = [];
  readonly #header: SharedArrayBuffer;
  readonly #attached: MemoryDescription | undefined;
  #headerEnd = 0;

  constructor(attached?: MemoryDescription) {
    this.#header =
      attached?.header ?? new SharedArrayBuffer(0, { maxByteLength: HEADER_BYTES_MAX });
    this.#attached = attached;
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
    const smallMax = lengthMax <= FIXED_WORDS_MAX ? lengthMax : SMALL_WORDS_MAX;
    const small = new Int32Array(this.#header, this.#takeHeader(smallMax), smallMax);
    const own = this.#attached?.buffers[this.arrays.length];
    const array = new SharedWords({ used, small, own, lengthMax });
    this.arrays.push(array);
    return array;
  }

  describe(): MemoryDescription {
    return { header: this.#header, buffers: this.arrays.map(({ own }) => own) };
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
}

/**
 * An array of words that grows. It starts in the header, and moves once, to a buffer of its own, which grows in place:
 * address space is reserved for the most that it may hold, memory is taken as it is touched. A view of fixed length,
 * taken anew at each growth, is read faster than one that tracks the length of its buffer.
 */
export class SharedWords {
  /** A view of all words that there is memory for. */
  values: Int32Array<SharedArrayBuffer>;
  readonly #used: Uint32Array;
  readonly #lengthMax: number;
  #own: SharedArrayBuffer | undefined;

  constructor(options: {
    used: Uint32Array;
    small: Int32Array<SharedArrayBuffer>;
    own: SharedArrayBuffer | undefined;
    lengthMax: number;
  }) {
    this.#used = options.used;
    this.#own = options.own;
    this.#lengthMax = options.lengthMax;
    this.values = options.own === undefined ? options.small : viewOf(options.own);
  }

  /** The buffer that it has moved to. */
  get own(): SharedArrayBuffer | undefined {
    return this.#own;
  }

  /** How many words are used. */
  get length(): number {
    return this.#used[0] as number;
  }

  /** Bytes of the words that are used. */
  get usedBytes(): Uint8Array {
    return new Uint8Array(this.values.buffer, this.values.byteOffset, this.length * 4);
  }

  /** Makes the first so many words usable. */
  reserve(length: number): void {
    if (length <= (this.#used[0] as number)) return;
    this.#used[0] = length;
    if (length <= this.values.length) return;
    const own = this.#own ?? this.#move();
    const { byteLength: held, maxByteLength } = own;
    const grown = Math.max(length * 4, held + Math.min(held / 4, GROWTH_BYTES_MAX));
    const pages = Math.ceil(grown / PAGE_BYTES) * PAGE_BYTES;
    own.grow(Math.min(pages, maxByteLength));
    this.values = viewOf(own);
  }

  #move(): SharedArrayBuffer {
    const own = new SharedArrayBuffer(0, { maxByteLength: this.#lengthMax * 4 });
    own.grow(PAGE_BYTES);
    viewOf(own).set(this.values);
    this.#own = own;
    return own;
  }

  /** Sees what another thread has added. */
  refresh(): void {
    if (this.#own === undefined || this.values.byteLength === this.#own.byteLength) return;
    this.values = viewOf(this.#own);
  }
}

function viewOf(buffer: SharedArrayBuffer): Int32Array<SharedArrayBuffer> {
  return new Int32Array(buffer, 0, buffer.byteLength / 4);
}
