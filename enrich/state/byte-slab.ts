import { EnrichError } from '../error.ts';
import { idsMax } from './key-index.ts';
import { SharedBytes } from './shared-bytes.ts';

/** A chunk is found by the high 12 bits of a position; the rest counts words of four bytes in it. */
const WORD_BITS = 20;
const WORD_MASK = 2 ** WORD_BITS - 1;
const CHUNK_BYTES_MAX = 4 * 2 ** WORD_BITS;
const CHUNK_BYTES_MIN = 4_096;
const CHUNKS_MAX = 4_096;
/** Each entry: the id it belongs to, or -1 for garbage; its length; its bytes, filled up to whole words. */
const HEADER_WORDS = 2;

type Chunk = { bytes: Uint8Array; words: Int32Array; used: number; garbage: number };

/**
 * Byte strings by id, in chunks of shared memory that are only appended to. Once half of a chunk is
 * garbage, what is left of it moves to the last chunk, so at most about half of the memory is garbage and
 * no step takes longer than one chunk. Holds up to 16 GiB; more is an error of kind `config`.
 */
export class ByteSlab {
  bytes = 0;
  /** Positions of ids. For an id without bytes the word is the owner's to use. */
  positions: Uint32Array;
  readonly #positionBytes = new SharedBytes(idsMax * 4);
  readonly #chunks: Chunk[] = [];
  readonly #freeNumbers: number[] = [];
  #tail = -1;

  constructor() {
    this.positions = new Uint32Array(this.#positionBytes.buffer);
  }

  /** Keeps a copy of the bytes for an id that has none. */
  add(id: number, source: Uint8Array, start: number, length: number): void {
    if (this.#positionBytes.reserve((id + 1) * 4)) {
      const { buffer } = this.#positionBytes;
      this.positions = new Uint32Array(buffer, 0, buffer.byteLength / 4);
    }
    const words = HEADER_WORDS + ((length + 3) >> 2);
    const chunk = this.#tailFor(words);
    const at = chunk.used;
    chunk.words[at] = id;
    chunk.words[at + 1] = length;
    copy(source, start, length, chunk.bytes, (at + HEADER_WORDS) << 2);
    chunk.used += words;
    this.positions[id] = ((this.#tail << WORD_BITS) | at) >>> 0;
  }

  remove(id: number): void {
    const position = this.positions[id] as number;
    const number = position >>> WORD_BITS;
    const chunk = this.#chunks[number] as Chunk;
    const at = position & WORD_MASK;
    chunk.words[at] = -1;
    chunk.garbage += HEADER_WORDS + (((chunk.words[at + 1] as number) + 3) >> 2);
    if (number !== this.#tail && chunk.garbage * 2 > chunk.used) this.#evacuate(number, chunk);
  }

  length(id: number): number {
    const position = this.positions[id] as number;
    const chunk = this.#chunks[position >>> WORD_BITS] as Chunk;
    return chunk.words[(position & WORD_MASK) + 1] as number;
  }

  equals(id: number, other: Uint8Array, start: number, length: number): boolean {
    const position = this.positions[id] as number;
    const chunk = this.#chunks[position >>> WORD_BITS] as Chunk;
    const at = position & WORD_MASK;
    if (chunk.words[at + 1] !== length) return false;
    const { bytes } = chunk;
    const from = (at + HEADER_WORDS) << 2;
    for (let i = 0; i < length; i++) if (bytes[from + i] !== other[start + i]) return false;
    return true;
  }

  /** Copies the bytes of an id to `target` and returns how many they are. */
  copyTo(id: number, target: Uint8Array, at: number): number {
    const position = this.positions[id] as number;
    const chunk = this.#chunks[position >>> WORD_BITS] as Chunk;
    const from = (position & WORD_MASK) + HEADER_WORDS;
    const length = chunk.words[from - 1] as number;
    copy(chunk.bytes, from << 2, length, target, at);
    return length;
  }

  /** Where the bytes of an id stand now: valid until the next `add` or `remove`. */
  locate(id: number): { bytes: Uint8Array; start: number; length: number } {
    const position = this.positions[id] as number;
    const chunk = this.#chunks[position >>> WORD_BITS] as Chunk;
    const from = (position & WORD_MASK) + HEADER_WORDS;
    return { bytes: chunk.bytes, start: from << 2, length: chunk.words[from - 1] as number };
  }

  #tailFor(words: number): Chunk {
    const tail = this.#chunks[this.#tail];
    if (tail !== undefined && tail.used + words <= tail.words.length) return tail;
    const chunk = newChunk(Math.max(words * 4, Math.min(CHUNK_BYTES_MAX, this.bytes)));
    const number = this.#freeNumbers.pop() ?? this.#chunks.length;
    if (number >= CHUNKS_MAX) {
      throw new EnrichError(
        'config',
        'a dimension has more than 16 GiB of distinct keys or values',
      );
    }
    this.#chunks[number] = chunk;
    this.bytes += chunk.bytes.length;
    const previous = this.#tail;
    this.#tail = number;
    if (tail !== undefined && tail.garbage * 2 > tail.used) this.#evacuate(previous, tail);
    return this.#tailFor(words);
  }

  #evacuate(number: number, chunk: Chunk): void {
    const { words, bytes } = chunk;
    let at = 0;
    while (at < chunk.used) {
      const id = words[at] as number;
      const length = words[at + 1] as number;
      if (id >= 0) this.add(id, bytes, (at + HEADER_WORDS) << 2, length);
      at += HEADER_WORDS + ((length + 3) >> 2);
    }
    this.bytes -= bytes.length;
    this.#chunks[number] = emptyChunk;
    this.#freeNumbers.push(number);
  }
}

const emptyChunk: Chunk = newChunkOf(0);

function newChunk(byteLength: number): Chunk {
  return newChunkOf(Math.ceil(Math.max(CHUNK_BYTES_MIN, byteLength) / 4) * 4);
}

function newChunkOf(byteLength: number): Chunk {
  const buffer = new SharedArrayBuffer(byteLength);
  return { bytes: new Uint8Array(buffer), words: new Int32Array(buffer), used: 0, garbage: 0 };
}

function copy(
  source: Uint8Array,
  start: number,
  length: number,
  target: Uint8Array,
  at: number,
): void {
  if (length > 64) {
    target.set(source.subarray(start, start + length), at);
    return;
  }
  for (let i = 0; i < length; i++) target[at + i] = source[start + i] as number;
}
