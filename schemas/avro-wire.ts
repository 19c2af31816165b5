import type { AvroNode, RecordNode } from './avro-type.ts';

/**
 * Reading Avro's binary encoding out of bytes that nobody has checked.
 * Every reader takes `end` and returns the next position, or one of the negative results below.
 *
 *   int, long    zigzag varint, least significant group first, at most 10 bytes
 *   string,bytes long length, then so many bytes
 *   union        long index of the branch, then the branch
 *   array, map   blocks: long count (negative: minus the count, then the block's long size in bytes),
 *                items; a count of 0 ends
 *
 * Source: Avro specification 1.12, "Binary Encoding".
 */
export const truncated = -1;
const malformed = -2;

/** A 64-bit integer as two signed 32-bit words. */
export type Word = { low: number; high: number };

/** How deep a value that we skip may nest: a guard of the stack, far above any real schema. */
const nestingMax = 64;

/** Reads a long into `word`; exact for all 64 bits. */
export function readLong(bytes: Uint8Array, at: number, end: number, word: Word): number {
  let position = at;
  let low = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    if (position >= end) return truncated;
    const byte = bytes[position++] as number;
    low |= (byte & 0x7f) << shift;
    if (byte < 0x80) return unzigzag(low, 0, word, position);
  }
  let middle = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    if (position >= end) return truncated;
    const byte = bytes[position++] as number;
    middle |= (byte & 0x7f) << shift;
    if (byte < 0x80) return unzigzag(low | (middle << 28), middle >>> 4, word, position);
  }
  if (position >= end) return truncated;
  const ninth = bytes[position++] as number;
  let tenth = 0;
  if (ninth >= 0x80) {
    if (position >= end) return truncated;
    tenth = bytes[position++] as number;
    if (tenth > 1) return malformed;
  }
  const high = (middle >>> 4) | ((ninth & 0x7f) << 24) | (tenth << 31);
  return unzigzag(low | (middle << 28), high, word, position);
}

function unzigzag(low: number, high: number, word: Word, position: number): number {
  const sign = -(low & 1);
  word.low = ((low >>> 1) | (high << 31)) ^ sign;
  word.high = (high >>> 1) ^ sign;
  return position;
}

/** The word as a count or an index: exact within int32, else the nearest end of int32. */
export function clampToInt32(word: Word): number {
  if (word.high === word.low >> 31) return word.low;
  return word.high < 0 ? -0x80000000 : 0x7fffffff;
}

/** Steps over one value. */
export type Skip = (bytes: Uint8Array, at: number, end: number, depth: number) => number;

const scratch: Word = { low: 0, high: 0 };

/** Builds the function that steps over values of a type, recursive ones too. */
export function createSkip(node: AvroNode, known = new Map<AvroNode, Skip>()): Skip {
  const made = known.get(node);
  if (made !== undefined) return made;
  let skip: Skip | undefined;
  // Registered before it is built, so that a recursive type finds itself.
  known.set(node, (bytes, at, end, depth) =>
    depth > nestingMax ? malformed : (skip?.(bytes, at, end, depth) ?? malformed),
  );
  skip = buildSkip(node, known);
  known.set(node, skip);
  return skip;
}

function buildSkip(node: AvroNode, known: Map<AvroNode, Skip>): Skip {
  switch (node.kind) {
    case 'null':
      return (_bytes, at) => at;
    case 'boolean':
      return (bytes, at, end) => skipBoolean(bytes, at, end);
    case 'int':
      return (bytes, at, end) => skipInt(bytes, at, end);
    case 'long':
      return (bytes, at, end) => readLong(bytes, at, end, scratch);
    case 'float':
      return skipFixed(4);
    case 'double':
      return skipFixed(8);
    case 'fixed':
      return skipFixed(node.size);
    case 'bytes':
    case 'string':
      return skipSized;
    case 'enum':
      return skipIndex(node.symbols.length, (_bytes, at) => at);
    case 'union': {
      const branches = node.branches.map((branch) => createSkip(branch, known));
      return skipIndex(branches.length, (bytes, at, end, depth, index) =>
        (branches[index] as Skip)(bytes, at, end, depth + 1),
      );
    }
    case 'array':
      return skipBlocks(takesBytes(node.items) ? createSkip(node.items, known) : undefined);
    case 'map':
      return skipBlocks(skipMapEntry(createSkip(node.values, known)));
    case 'record':
      return skipRecord(node, known);
  }
}

function skipBoolean(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return truncated;
  return (bytes[at] as number) > 1 ? malformed : at + 1;
}

function skipInt(bytes: Uint8Array, at: number, end: number): number {
  const position = readLong(bytes, at, end, scratch);
  return position >= 0 && scratch.high !== scratch.low >> 31 ? malformed : position;
}

function skipFixed(size: number): Skip {
  return (_bytes, at, end) => (size > end - at ? truncated : at + size);
}

function skipSized(bytes: Uint8Array, at: number, end: number): number {
  const position = readLong(bytes, at, end, scratch);
  if (position < 0) return position;
  const length = clampToInt32(scratch);
  if (length < 0) return malformed;
  return length > end - position ? truncated : position + length;
}

function skipIndex(
  count: number,
  then: (bytes: Uint8Array, at: number, end: number, depth: number, index: number) => number,
): Skip {
  return (bytes, at, end, depth) => {
    const position = readLong(bytes, at, end, scratch);
    if (position < 0) return position;
    const index = clampToInt32(scratch);
    return index < 0 || index >= count ? malformed : then(bytes, position, end, depth, index);
  };
}

function skipMapEntry(value: Skip): Skip {
  return (bytes, at, end, depth) => {
    const position = skipSized(bytes, at, end);
    return position < 0 ? position : value(bytes, position, end, depth);
  };
}

function skipBlocks(item: Skip | undefined): Skip {
  return (bytes, at, end, depth) => {
    let position = at;
    for (;;) {
      position = readLong(bytes, position, end, scratch);
      if (position < 0) return position;
      const claimed = clampToInt32(scratch);
      if (claimed === 0) return position;
      let size = -1;
      if (claimed < 0) {
        position = readLong(bytes, position, end, scratch);
        if (position < 0) return position;
        size = clampToInt32(scratch);
        if (size < 0) return malformed;
      }
      const start = position;
      position = skipItems(item, Math.abs(claimed), bytes, position, end, depth + 1);
      if (position < 0) return position;
      if (size >= 0 && position - start !== size) return malformed;
    }
  };
}

/** More items than bytes cannot be there; `item` is undefined where items take no bytes at all. */
function skipItems(
  item: Skip | undefined,
  count: number,
  bytes: Uint8Array,
  at: number,
  end: number,
  depth: number,
): number {
  if (item === undefined) return at;
  if (count > end - at) return truncated;
  let position = at;
  for (let index = 0; index < count && position >= 0; index++) {
    position = item(bytes, position, end, depth);
  }
  return position;
}

/** Whether every value of a type takes a byte or more. A record is looked at once, wherever it stands. */
export function takesBytes(node: AvroNode, seen = new Set<AvroNode>()): boolean {
  if (node.kind === 'null') return false;
  if (node.kind === 'fixed') return node.size > 0;
  if (node.kind !== 'record') return true;
  if (seen.has(node)) return false;
  seen.add(node);
  return node.fields.some((field) => takesBytes(field.type, seen));
}

function skipRecord(node: RecordNode, known: Map<AvroNode, Skip>): Skip {
  const fields = node.fields.map((field) => createSkip(field.type, known));
  return (bytes, at, end, depth) => {
    let position = at;
    for (const field of fields) {
      position = field(bytes, position, end, depth + 1);
      if (position < 0) return position;
    }
    return position;
  };
}
