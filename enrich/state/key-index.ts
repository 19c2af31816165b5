/** Ids are below this: what is left of a word beside the tag, less one for an empty entry. */
export const idsMax = 2 ** 28 - 1;

/** Low bits of an entry: the id plus one; 0 is an empty entry. */
export const ID_MASK = 0x0fff_ffff;
/** High bits of an entry: four bits of the hash, which spare most looks at keys that differ. */
export const TAG_MASK = 0xf000_0000 | 0;

const SEGMENT_ENTRIES_MIN = 16;
const SEGMENT_ENTRIES_MAX = 16_384;
const DEPTH_MAX = 16;

type Segment = { table: Int32Array; used: number; depth: number };

/** Where the tag of a hash stands in an entry; the bits lie between those that place and those that route. */
export function tagOf(hash: number): number {
  return (hash << 14) & TAG_MASK;
}

/**
 * Finds ids by the hash of their keys, by extendible hashing: the high bits of a hash choose a segment,
 * an open-addressed table of at most 16,384 entries, which doubles and then splits. So growing never
 * stops the process for longer than one segment takes, and no free space beyond a segment's is held.
 *
 * Look-ups walk `tables` themselves, in one loop with the comparison of keys:
 * `table = tables[hash >>> shift]`, from `hash & (table.length - 1)` on to the first empty entry. An entry
 * with the right tag is a candidate only: equality is for the key to tell (INVARIANTS.md 13).
 */
export class KeyIndex {
  tables: Int32Array[];
  shift = 31;
  bytes: number;
  readonly #segments: Segment[];
  readonly #hashOf: (id: number) => number;
  #depth = 1;

  constructor(hashOf: (id: number) => number) {
    this.#hashOf = hashOf;
    this.#segments = [newSegment(SEGMENT_ENTRIES_MIN, 1), newSegment(SEGMENT_ENTRIES_MIN, 1)];
    this.tables = this.#segments.map(({ table }) => table);
    this.bytes = 2 * SEGMENT_ENTRIES_MIN * 4;
  }

  /** Adds an id whose key is not there yet. */
  add(hash: number, id: number): void {
    let segment = this.#segmentOf(hash);
    while ((segment.used + 1) * 4 > segment.table.length * 3) {
      this.#grow(segment, hash);
      segment = this.#segmentOf(hash);
    }
    place(segment.table, hash, tagOf(hash) | (id + 1));
    segment.used++;
  }

  /** Removes an id that is there. The entries behind it move up, so that no marker is left to walk over. */
  remove(hash: number, id: number): void {
    const segment = this.#segmentOf(hash);
    const { table } = segment;
    const mask = table.length - 1;
    let hole = hash & mask;
    while (((table[hole] as number) & ID_MASK) !== id + 1) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; table[at] !== 0; at = (at + 1) & mask) {
      const entry = table[at] as number;
      const home = this.#hashOf((entry & ID_MASK) - 1) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      table[hole] = entry;
      hole = at;
    }
    table[hole] = 0;
    segment.used--;
  }

  #segmentOf(hash: number): Segment {
    return this.#segments[hash >>> this.shift] as Segment;
  }

  #grow(segment: Segment, hash: number): void {
    const { table, depth } = segment;
    // Keys that all share the bits of their hash would split for ever: then the segment doubles on.
    if (table.length < SEGMENT_ENTRIES_MAX || depth === DEPTH_MAX) {
      const larger = newSegment(table.length * 2, depth);
      this.bytes += larger.table.byteLength - table.byteLength;
      this.#move(segment, () => larger);
      this.#replace(hash, depth, () => larger);
      return;
    }
    if (depth === this.#depth) this.#doubleDirectory();
    const halves = [newSegment(table.length, depth + 1), newSegment(table.length, depth + 1)];
    const halfOf = (of: number) => halves[(of >>> (31 - depth)) & 1] as Segment;
    this.bytes += table.byteLength;
    this.#move(segment, halfOf);
    this.#replace(hash, depth, (index) => halfOf(index << this.shift));
  }

  #move(from: Segment, segmentOf: (hash: number) => Segment): void {
    for (const entry of from.table) {
      if (entry === 0) continue;
      const hash = this.#hashOf((entry & ID_MASK) - 1);
      const to = segmentOf(hash);
      place(to.table, hash, entry);
      to.used++;
    }
  }

  /** Puts other segments in the places of the directory that share the first `depth` bits of the hash. */
  #replace(hash: number, depth: number, segmentAt: (index: number) => Segment): void {
    const span = 2 ** (this.#depth - depth);
    const first = Math.floor((hash >>> this.shift) / span) * span;
    for (let index = first; index < first + span; index++) {
      const segment = segmentAt(index);
      this.#segments[index] = segment;
      this.tables[index] = segment.table;
    }
  }

  #doubleDirectory(): void {
    const segments = this.#segments.flatMap((segment) => [segment, segment]);
    this.#segments.splice(0, this.#segments.length, ...segments);
    this.tables = segments.map(({ table }) => table);
    this.#depth++;
    this.shift--;
  }
}

function newSegment(entries: number, depth: number): Segment {
  return { table: new Int32Array(new SharedArrayBuffer(entries * 4)), used: 0, depth };
}

function place(table: Int32Array, hash: number, entry: number): void {
  const mask = table.length - 1;
  let at = hash & mask;
  while (table[at] !== 0) at = (at + 1) & mask;
  table[at] = entry;
}
