import { EnrichError } from '../error.ts';
import { idsMax } from './key-index.ts';
import { assertSlicesEnd } from '../byte-slices.ts';
import type { ByteSlices } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import type { SharedMemory, SharedWords } from './shared-memory.ts';

/** A view of the memory is found by the high 4 bits of a position; the rest counts words of four bytes in it. */
const WORD_BITS = 28;
const WORD_MASK = 2 ** WORD_BITS - 1;
const CHUNK_WORDS = 65_536;
const CHUNKS_MAX = 65_535;
const VIEW_CHUNKS = 2 ** WORD_BITS / CHUNK_WORDS;
/** Each entry: the id it belongs to, or garbage; its length; its bytes, filled up to whole words. */
const HEADER_WORDS = 2;
const GARBAGE = -1;
/** In place of the words of garbage in a chunk. */
const FREE = -1;

const TAIL = 0;
const TAIL_USED = 1;
const FREE_CHUNKS = 2;

/** So many values are read together, step by step, so that what they wait for in memory far away overlaps. */
const AHEAD = 256;
const ahead = new Int32Array(AHEAD);
/** A first guess: the memory grows as values come, since asking for their lengths first would touch each twice. */
const VALUE_BYTES_GUESS = 24;

type View = { bytes: Uint8Array; words: Int32Array };

/**
 * Byte strings by id, in chunks of shared memory that are only appended to. Once half of a chunk is
 * garbage, what is left of it moves to the last chunk, so at most about half of the memory is garbage and
 * no step takes longer than one chunk. Holds up to 16 GiB; more is an error of kind `config`.
 */
export class ByteSlab {
  /** Positions of ids. For an id without bytes the word is the owner's to use. */
  readonly positions: SharedWords;
  readonly #slab: SharedWords;
  /** Words of garbage by chunk. */
  readonly #chunks: SharedWords;
  /** The chunk that is appended to, plus one; how many words of it are used; how many chunks are free. */
  readonly #state: Int32Array;
  readonly #views: View[] = [];

  constructor(memory: SharedMemory) {
    this.positions = memory.growing(idsMax);
    this.#slab = memory.growing(CHUNKS_MAX * CHUNK_WORDS);
    this.#chunks = memory.fixed(CHUNKS_MAX);
    this.#state = memory.words(3);
    this.refresh();
  }

  /** Bytes that hold entries, garbage and what is free. */
  get bytes(): number {
    return this.#slab.length * 4;
  }

  /** Sees what another thread has added. */
  refresh(): void {
    this.positions.refresh();
    this.#chunks.refresh();
    this.#slab.refresh();
    const { buffer, byteOffset, byteLength: held } = this.#slab.values;
    const viewBytes = 4 * 2 ** WORD_BITS;
    for (let at = 0; at * viewBytes < held; at++) {
      const start = byteOffset + at * viewBytes;
      const byteLength = Math.min(viewBytes, held - at * viewBytes);
      if (this.#views[at]?.bytes.length === byteLength) continue;
      const bytes = new Uint8Array(buffer, start, byteLength);
      const words = new Int32Array(buffer, start, byteLength / 4);
      this.#views[at] = { bytes, words };
    }
  }

  /** Keeps a copy of the bytes for an id that has none. */
  add(id: number, source: Uint8Array, start: number, length: number): void {
    this.positions.reserve(id + 1);
    const position = this.#take(HEADER_WORDS + ((length + 3) >> 2));
    const { bytes, words } = this.#view(position);
    const at = position & WORD_MASK;
    words[at] = id;
    words[at + 1] = length;
    copy(source, start, length, bytes, (at + HEADER_WORDS) << 2);
    this.positions.values[id] = position;
  }

  remove(id: number): void {
    const position = (this.positions.values[id] as number) >>> 0;
    const { words } = this.#view(position);
    const at = position & WORD_MASK;
    words[at] = GARBAGE;
    this.#discard(position, HEADER_WORDS + (((words[at + 1] as number) + 3) >> 2));
  }

  length(id: number): number {
    const position = this.positions.values[id] as number;
    return this.#view(position).words[(position & WORD_MASK) + 1] as number;
  }

  equals(id: number, other: Uint8Array, start: number, length: number): boolean {
    const position = this.positions.values[id] as number;
    const { bytes, words } = this.#view(position);
    const at = position & WORD_MASK;
    if (words[at + 1] !== length) return false;
    const from = (at + HEADER_WORDS) << 2;
    for (let i = 0; i < length; i++) if (bytes[from + i] !== other[start + i]) return false;
    return true;
  }

  /** Brings near what `equals` reads of the first `count` ids; negative ones are left alone. */
  readAhead(ids: Int32Array, count: number): void {
    const positions = this.positions.values;
    for (let i = 0; i < count; i++) {
      const id = ids[i] as number;
      ahead[i] = id < 0 ? 0 : (positions[id] as number);
    }
    for (let i = 0; i < count; i++) {
      const position = ahead[i] as number;
      ahead[i] = this.#view(position).words[(position & WORD_MASK) + 1] as number;
    }
  }

  /**
   * The bytes of ids, each given as the id plus one, one after another. `spend` is told of bytes before they are
   * copied, and may throw. Errors: as `assertSlicesEnd`.
   */
  gather(codes: Int32Array, spend: (bytes: number) => void): ByteSlices {
    const positions = this.positions.values;
    const offsets = new Int32Array(codes.length + 1);
    let target = new Uint8Array(codes.length * VALUE_BYTES_GUESS);
    for (let from = 0; from < codes.length; from += AHEAD) {
      const to = Math.min(from + AHEAD, codes.length);
      // The position waits in the place of the offset.
      for (let i = from; i < to; i++)
        offsets[i + 1] = positions[(codes[i] as number) - 1] as number;
      const start = offsets[from] as number;
      let end = start;
      for (let i = from; i < to; i++) {
        const position = offsets[i + 1] as number;
        const length = this.#view(position).words[(position & WORD_MASK) + 1] as number;
        ahead[i - from] = position;
        end += length;
        offsets[i + 1] = end;
      }
      spend(end - start);
      assertSlicesEnd(end);
      if (end > target.length) target = grown(target, end);
      for (let i = from; i < to; i++) {
        const position = ahead[i - from] as number;
        const at = offsets[i] as number;
        const source = ((position & WORD_MASK) + HEADER_WORDS) << 2;
        copy(this.#view(position).bytes, source, (offsets[i + 1] as number) - at, target, at);
      }
    }
    return { bytes: target, offsets };
  }

  /** Copies the bytes of an id to `target` and returns how many they are. */
  copyTo(id: number, target: Uint8Array, at: number): number {
    const { bytes, start, length } = this.locate(id);
    copy(bytes, start, length, target, at);
    return length;
  }

  /** Where the bytes of an id stand now: valid until the next `add` or `remove`. */
  locate(id: number): { bytes: Uint8Array; start: number; length: number } {
    const position = this.positions.values[id] as number;
    const { bytes, words } = this.#view(position);
    const from = (position & WORD_MASK) + HEADER_WORDS;
    return { bytes, start: from << 2, length: words[from - 1] as number };
  }

  #view(position: number): View {
    return this.#views[position >>> WORD_BITS] as View;
  }

  /** The position of so many free words. */
  #take(words: number): number {
    if (words > CHUNK_WORDS) return this.#takeChunks(Math.ceil(words / CHUNK_WORDS)) * CHUNK_WORDS;
    const tail = (this.#state[TAIL] as number) - 1;
    const used = this.#state[TAIL_USED] as number;
    if (tail < 0 || used + words > CHUNK_WORDS) {
      this.#state[TAIL] = this.#takeChunks(1) + 1;
      this.#state[TAIL_USED] = 0;
      if (tail >= 0) this.#close(tail, used);
      return this.#take(words);
    }
    const position = tail * CHUNK_WORDS + used;
    this.#state[TAIL_USED] = used + words;
    this.#reserve(position + words);
    return position;
  }

  #discard(position: number, words: number): void {
    const chunk = Math.floor(position / CHUNK_WORDS);
    if (words > CHUNK_WORDS) {
      this.#freeChunks(chunk, Math.ceil(words / CHUNK_WORDS));
      return;
    }
    this.#discardIn(chunk, words);
  }

  #discardIn(chunk: number, words: number): void {
    const garbage = (this.#chunks.values[chunk] as number) + words;
    this.#chunks.values[chunk] = garbage;
    if (chunk !== (this.#state[TAIL] as number) - 1 && garbage * 2 > CHUNK_WORDS)
      this.#evacuate(chunk);
  }

  /** What is left of a chunk that is full becomes garbage. */
  #close(chunk: number, used: number): void {
    const left = CHUNK_WORDS - used;
    if (left > 0) {
      const position = chunk * CHUNK_WORDS + used;
      // An image holds what is used, and the marker has to be in it.
      this.#reserve(position + Math.min(left, HEADER_WORDS));
      const { words } = this.#view(position);
      const at = position & WORD_MASK;
      words[at] = GARBAGE;
      if (left >= HEADER_WORDS) words[at + 1] = (left - HEADER_WORDS) * 4;
    }
    this.#discardIn(chunk, left);
  }

  #evacuate(chunk: number): void {
    const position = chunk * CHUNK_WORDS;
    const { words, bytes } = this.#view(position);
    const end = (position & WORD_MASK) + CHUNK_WORDS;
    let at = position & WORD_MASK;
    while (at + 1 < end) {
      const id = words[at] as number;
      const length = words[at + 1] as number;
      if (id !== GARBAGE) this.add(id, bytes, (at + HEADER_WORDS) << 2, length);
      at += HEADER_WORDS + ((length + 3) >> 2);
    }
    this.#freeChunks(chunk, 1);
  }

  #freeChunks(first: number, count: number): void {
    this.#chunks.values.fill(FREE, first, first + count);
    this.#state[FREE_CHUNKS] = (this.#state[FREE_CHUNKS] as number) + count;
  }

  /** Takes so many chunks in a row out of the free ones, or at the end; returns the first. */
  #takeChunks(count: number): number {
    const { length } = this.#chunks;
    const first = this.#findChunks(count);
    const end = first + count;
    if (end > CHUNKS_MAX || count > VIEW_CHUNKS) {
      throw new EnrichError(
        'config',
        'a dimension has more than 16 GiB of distinct keys or values',
      );
    }
    if (end > length) {
      this.#chunks.reserve(end);
      this.#freeChunks(length, end - length);
      this.#reserve((count === 1 ? first : end) * CHUNK_WORDS);
    }
    this.#chunks.values.fill(0, first, end);
    this.#state[FREE_CHUNKS] = (this.#state[FREE_CHUNKS] as number) - count;
    return first;
  }

  #findChunks(count: number): number {
    const { length } = this.#chunks;
    const searched = (this.#state[FREE_CHUNKS] as number) < count ? 0 : length;
    let row = 0;
    for (let at = 0; at < searched; at++) {
      if (at % VIEW_CHUNKS === 0) row = 0;
      row = this.#chunks.values[at] === FREE ? row + 1 : 0;
      if (row === count) return at + 1 - count;
    }
    // What a thread sees as one piece must not be cut.
    const left = VIEW_CHUNKS - (length % VIEW_CHUNKS);
    return count > left ? length + left : length;
  }

  #reserve(words: number): void {
    const { values } = this.#slab;
    this.#slab.reserve(words);
    if (this.#slab.values !== values) this.refresh();
  }
}

function grown(bytes: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(size, bytes.length * 2));
  larger.set(bytes);
  return larger;
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
