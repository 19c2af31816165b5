import { EnrichError } from '../error.ts';

const PAGE_BYTES = 4_096;
const GROWTH_BYTES_MAX = 4 * 1024 ** 2;
const HEADER_BYTES_MAX = 256 * 1024 ** 2;
const HEADER_GROWTH_BYTES = 1024 ** 2;
/** Growing arrays stand in the header for as long as they are no longer than this: a buffer of their own costs more. */
const START_WORDS = 256;

/** What another thread needs to see the same memory; can be posted to it. */
export type MemoryDescription = {
  header: SharedArrayBuffer;
  /** By array, of those that have moved out of the header. */
  buffers: readonly (SharedArrayBuffer | undefined)[];
};

/**
 * Memory that threads share: arrays of words in a header, those that grow in a buffer of their own once they are long.
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

  /** The next single words, all in use. Errors: as `fixed`. */
  words(count: number): Int32Array {
    const words = this.fixed(count);
    words.reserve(count);
    return words.values;
  }

  /** The next array: its memory is taken at once, for good, in the header. Errors: `config` where that is full. */
  fixed(length: number): SharedWords {
    return this.#array(length, length);
  }

  /** The next array: it takes memory as it grows. Errors: as `fixed`. */
  growing(lengthMax: number): SharedWords {
    return this.#array(START_WORDS, lengthMax);
  }

  describe(): MemoryDescription {
    return { header: this.#header, buffers: this.arrays.map(({ buffer }) => buffer) };
  }

  #array(wordsInHeader: number, lengthMax: number): SharedWords {
    const used = new Uint32Array(this.#header, this.#takeHeader(1), 1);
    const start = this.#takeHeader(wordsInHeader);
    const inHeader = new Int32Array(this.#header, start, wordsInHeader);
    const buffer = this.#attached?.buffers[this.arrays.length];
    const array = new SharedWords({ used, inHeader, buffer, lengthMax });
    this.arrays.push(array);
    return array;
  }

  #takeHeader(words: number): number {
    const start = this.#headerEnd;
    this.#headerEnd += words * 4;
    if (this.#headerEnd > HEADER_BYTES_MAX) {
      throw new EnrichError(
        'config',
        'a dimension carries too many columns: each of text takes half a megabyte of 256 that there are for all',
      );
    }
    if (this.#headerEnd > this.#header.byteLength) {
      const steps = Math.ceil(this.#headerEnd / HEADER_GROWTH_BYTES);
      this.#header.grow(steps * HEADER_GROWTH_BYTES);
    }
    return start;
  }
}

/**
 * An array of words. One that grows starts in the header, and moves once, to a buffer of its own, which grows in place:
 * address space is reserved for the most that it may hold, memory is taken as it is touched. A view of fixed length,
 * taken anew at each growth, is read faster than one that tracks the length of its buffer.
 */
export class SharedWords {
  /** A view of all words that there is memory for. */
  values: Int32Array<SharedArrayBuffer>;
  readonly #used: Uint32Array;
  readonly #lengthMax: number;
  #buffer: SharedArrayBuffer | undefined;

  constructor(options: {
    used: Uint32Array;
    inHeader: Int32Array<SharedArrayBuffer>;
    buffer: SharedArrayBuffer | undefined;
    lengthMax: number;
  }) {
    this.#used = options.used;
    this.#buffer = options.buffer;
    this.#lengthMax = options.lengthMax;
    this.values = options.buffer === undefined ? options.inHeader : viewOf(options.buffer);
  }

  /** The buffer of its own that it has moved to. */
  get buffer(): SharedArrayBuffer | undefined {
    return this.#buffer;
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
    const buffer = this.#buffer ?? this.#moveOut();
    const { byteLength: held, maxByteLength } = buffer;
    const grown = Math.max(length * 4, held + Math.min(held / 4, GROWTH_BYTES_MAX));
    const pages = Math.ceil(grown / PAGE_BYTES) * PAGE_BYTES;
    buffer.grow(Math.min(pages, maxByteLength));
    this.values = viewOf(buffer);
  }

  #moveOut(): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer(0, { maxByteLength: this.#lengthMax * 4 });
    buffer.grow(PAGE_BYTES);
    viewOf(buffer).set(this.values);
    this.#buffer = buffer;
    return buffer;
  }

  /** Sees what another thread has added. */
  refresh(): void {
    if (this.#buffer === undefined || this.values.byteLength === this.#buffer.byteLength) return;
    this.values = viewOf(this.#buffer);
  }
}

function viewOf(buffer: SharedArrayBuffer): Int32Array<SharedArrayBuffer> {
  return new Int32Array(buffer, 0, buffer.byteLength / 4);
}
