import type { SharedMemory, SharedWords } from './shared-memory.ts';

/** Ids are below this: what is left of a word beside the tag, less one for an empty entry. */
export const idsMax = 2 ** 28 - 1;

/** Low bits of an entry: the id plus one; 0 is an empty entry. */
export const ID_MASK = 0x0fff_ffff;
/** High bits of an entry: four bits of the hash, which spare most looks at keys that differ. */
export const TAG_MASK = 0xf000_0000 | 0;

/** Segments and what stands before each are whole blocks, so that a place of the directory is one word. */
const BLOCK_ENTRIES = 16;
const SEGMENT_ENTRIES_MAX = 16_384;
const DEPTH_MAX = 16;
const ENTRIES_MAX = 2 ** 30;

/** Before the entries of a segment: how many are used, and how many high bits of the hash lead to it. */
const USED = -BLOCK_ENTRIES;
const DEPTH = USED + 1;

/** Where the tag of a hash stands in an entry; the bits lie between those that place and those that route. */
export function tagOf(hash: number): number {
  return (hash << 14) & TAG_MASK;
}

/** The first entry of the segment that a place of the directory names. */
export function segmentStart(place: number): number {
  return (place >>> 1) & ~(BLOCK_ENTRIES - 1);
}

/** The mask of the entries in the segment that a place of the directory names. */
export function segmentMask(place: number): number {
  return (1 << (place & 31)) - 1;
}

/**
 * Finds ids by the hash of their keys, by extendible hashing: the high bits of a hash choose a segment,
 * an open-addressed table of at most 16,384 entries, which doubles and then splits. So growing never
 * stops the process for longer than one segment takes. A split stays in place and takes one more segment; what a
 * doubled segment leaves behind is not used again, less than the two first segments have when they are full.
 *
 * A place of the directory: the block at which the segment starts in the high 27 bits, the logarithm of its
 * size in the low 5. Look-ups walk the entries themselves, in one loop with the comparison of keys:
 * `place = directory.values[hash >>> shift]`, in the segment from `hash & segmentMask(place)` on to the first
 * empty entry. An entry with the right tag is a candidate only: equality is for the key to tell (INVARIANTS.md 13).
 */
export class KeyIndex {
  readonly directory: SharedWords;
  readonly entries: SharedWords;
  /** What is left of a hash after it leads to a place of the directory. */
  shift = 31;
  readonly #hashOf: (id: number) => number;
  #splitting: Int32Array | undefined;

  constructor(memory: SharedMemory, hashOf: (id: number) => number) {
    this.directory = memory.fixed(2 ** DEPTH_MAX);
    this.entries = memory.growing(ENTRIES_MAX);
    this.#hashOf = hashOf;
    if (this.directory.length === 0) {
      this.directory.reserve(2);
      for (const at of [0, 1]) this.directory.values[at] = this.#newSegment(BLOCK_ENTRIES, 1);
    }
    this.refresh();
  }

  /** Sees what another thread has added. */
  refresh(): void {
    this.directory.refresh();
    this.entries.refresh();
    this.shift = Math.clz32(this.directory.length) + 1;
  }

  /**
   * `out[i]` becomes the first id that the key of hash i may have, or -1 where none has it: a look-up of the key begins
   * there. Reads the first entries of all before it looks at any.
   */
  firstCandidates(hashes: Int32Array, count: number, out: Int32Array): void {
    const places = this.directory.values;
    const table = this.entries.values;
    for (let i = 0; i < count; i++) {
      const hash = hashes[i] as number;
      const place = places[hash >>> this.shift] as number;
      out[i] = table[segmentStart(place) + (hash & segmentMask(place))] as number;
    }
    for (let i = 0; i < count; i++) {
      const hash = hashes[i] as number;
      const tag = tagOf(hash);
      let entry = out[i] as number;
      if (entry && (entry & TAG_MASK) !== tag) {
        const place = places[hash >>> this.shift] as number;
        const segment = segmentStart(place);
        const mask = segmentMask(place);
        let at = hash & mask;
        do {
          at = (at + 1) & mask;
          entry = table[segment + at] as number;
        } while (entry && (entry & TAG_MASK) !== tag);
      }
      out[i] = entry ? (entry & ID_MASK) - 1 : -1;
    }
  }

  /** Adds an id whose key is not there yet. */
  add(hash: number, id: number): void {
    let start = 0;
    let mask = 0;
    for (;;) {
      const place = this.directory.values[hash >>> this.shift] as number;
      start = segmentStart(place);
      mask = segmentMask(place);
      const used = this.entries.values[start + USED] as number;
      if ((used + 1) * 4 <= (mask + 1) * 3) break;
      this.#grow(hash);
    }
    this.#place({ start, mask, hash, entry: tagOf(hash) | (id + 1) });
  }

  /** Removes an id that is there. The entries behind it move up, so that no marker is left to walk over. */
  remove(hash: number, id: number): void {
    const entries = this.entries.values;
    const place = this.directory.values[hash >>> this.shift] as number;
    const start = segmentStart(place);
    const mask = segmentMask(place);
    let hole = hash & mask;
    while (((entries[start + hole] as number) & ID_MASK) !== id + 1) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; entries[start + at] !== 0; at = (at + 1) & mask) {
      const entry = entries[start + at] as number;
      const home = this.#hashOf((entry & ID_MASK) - 1) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      entries[start + hole] = entry;
      hole = at;
    }
    entries[start + hole] = 0;
    entries[start + USED] = (entries[start + USED] as number) - 1;
  }

  #grow(hash: number): void {
    const place = this.directory.values[hash >>> this.shift] as number;
    const size = segmentMask(place) + 1;
    const depth = this.entries.values[segmentStart(place) + DEPTH] as number;
    // Keys that all share the bits of their hash would split for ever: then the segment doubles on.
    if (size < SEGMENT_ENTRIES_MAX || depth === DEPTH_MAX) this.#double(hash, { size, depth });
    else this.#split(hash, { size, depth });
  }

  #double(hash: number, { size, depth }: { size: number; depth: number }): void {
    const from = segmentStart(this.directory.values[hash >>> this.shift] as number);
    const larger = this.#newSegment(size * 2, depth);
    const entries = this.entries.values;
    const start = segmentStart(larger);
    const mask = segmentMask(larger);
    for (let at = from; at < from + size; at++) {
      const entry = entries[at] as number;
      if (entry === 0) continue;
      this.#place({ start, mask, hash: this.#hashOf((entry & ID_MASK) - 1), entry });
    }
    this.#replace(hash, depth, larger);
  }

  /** The entries that have the next bit of the hash move to a new segment, the others stay in this one. */
  #split(hash: number, { size, depth }: { size: number; depth: number }): void {
    if (this.directory.length === 2 ** depth) this.#doubleDirectory();
    const low = this.directory.values[hash >>> this.shift] as number;
    const high = this.#newSegment(size, depth + 1);
    const entries = this.entries.values;
    const lowStart = segmentStart(low);
    const highStart = segmentStart(high);
    const mask = size - 1;
    const bit = 31 - depth;
    const moving = (this.#splitting ??= new Int32Array(SEGMENT_ENTRIES_MAX));
    moving.set(entries.subarray(lowStart, lowStart + size));
    entries.fill(0, lowStart, lowStart + size);
    entries[lowStart + USED] = 0;
    entries[lowStart + DEPTH] = depth + 1;
    for (let at = 0; at < size; at++) {
      const entry = moving[at] as number;
      if (entry === 0) continue;
      const own = this.#hashOf((entry & ID_MASK) - 1);
      this.#place({ start: (own >>> bit) & 1 ? highStart : lowStart, mask, hash: own, entry });
    }
    this.#replace(hash | (1 << bit), depth + 1, high);
  }

  #place(to: { start: number; mask: number; hash: number; entry: number }): void {
    const { start, mask, hash, entry } = to;
    const entries = this.entries.values;
    let at = hash & mask;
    while (entries[start + at] !== 0) at = (at + 1) & mask;
    entries[start + at] = entry;
    entries[start + USED] = (entries[start + USED] as number) + 1;
  }

  #newSegment(size: number, depth: number): number {
    const start = this.entries.length + BLOCK_ENTRIES;
    this.entries.reserve(start + size);
    this.entries.values[start + DEPTH] = depth;
    return (start << 1) | Math.log2(size);
  }

  /** Puts a segment in the places of the directory that share the first `depth` bits of the hash. */
  #replace(hash: number, depth: number, place: number): void {
    const span = this.directory.length / 2 ** depth;
    const first = Math.floor((hash >>> this.shift) / span) * span;
    this.directory.values.fill(place, first, first + span);
  }

  #doubleDirectory(): void {
    const { length } = this.directory;
    this.directory.reserve(length * 2);
    const places = this.directory.values;
    for (let at = length - 1; at >= 0; at--) places.fill(places[at] as number, 2 * at, 2 * at + 2);
    this.shift--;
  }
}
