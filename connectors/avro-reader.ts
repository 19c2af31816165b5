import { isUtf8 } from 'node:buffer';
import type avsc from 'avsc';

/** Bytes that are not of their schema; `reason` is stable and stands in the dead-letter table. */
export class AvroFault extends Error {
  readonly reason: 'truncated' | 'malformed' | 'invalid-utf8';

  constructor(reason: AvroFault['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Which fields of a record to keep, and what of them; undefined keeps all of a value. */
export type Wanted = { readonly [field: string]: Wanted } | undefined;

/** Reads the value in `bytes[start ..)`, which must end where the bytes do. Throws `AvroFault`. */
export type AvroReader = (bytes: Buffer, start: number) => unknown;

/** One record on its way. `field` is the one that was begun last, for the message of a fault. */
export type Cursor = { bytes: Buffer; at: number; end: number; depth: number; field: string };
type Read = (cursor: Cursor) => unknown;
/** Whether the value is kept, and which fields of it; what is not kept is stepped over. */
type Keep = { wanted: Wanted } | undefined;

/** How deep a value may nest: a guard of the stack, far above any real schema. */
const nestingMax = 64;

/** Rows without a prototype: a field may be named `__proto__`, and one that is lacking is not inherited. */
function Row(): void {}
Row.prototype = Object.create(null);
const EmptyRow = Row as unknown as new () => Record<string, unknown>;

/** A row to be filled by names that come from a record or its schema. */
export function emptyRow<T>(): Record<string, T> {
  return new EmptyRow() as Record<string, T>;
}

/**
 * Compiles a reader of bytes that nobody has checked. avsc's own trusts them: an array that claims 2^40 items
 * holds it up for days or fills the memory, and broken text is mended unseen. Here each length, count and
 * index is checked against the bytes that are there, each integer against its width, kept text against UTF-8.
 *
 * Longs are bigints, bytes and fixed are views of the record, unions are the value of their branch.
 * Source: Avro specification 1.12, "Binary Encoding".
 */
export function createAvroReader(type: avsc.Type, wanted?: Wanted): AvroReader {
  const read = createRead(type, { wanted }, new Map());
  return (bytes, start) => {
    const cursor = { bytes, at: start, end: bytes.length, depth: 0, field: 'the record' };
    const value = read(cursor);
    if (cursor.at === cursor.end) return value;
    throw new AvroFault('malformed', `${cursor.end - cursor.at} bytes follow the record`);
  };
}

/** Reads a value in the middle of a record, or steps over one that is not kept. Throws `AvroFault`. */
export function createValueReader(type: avsc.Type, isKept: boolean): (cursor: Cursor) => unknown {
  return createRead(type, isKept ? all : undefined, new Map());
}

/** Readers by type, for types that hold themselves; what is kept of one is the same wherever it recurs. */
type Known = Map<avsc.Type, Map<Keep, Read>>;

const all: Keep = { wanted: undefined };

function createRead(type: avsc.Type, asked: Keep, known: Known): Read {
  const keep = asked !== undefined && asked.wanted === undefined ? all : asked;
  const made = known.get(type)?.get(keep);
  if (made !== undefined) return made;
  let read: Read | undefined;
  const ofType = known.get(type) ?? new Map<Keep, Read>();
  known.set(type, ofType);
  ofType.set(keep, (cursor) => read?.(cursor));
  read = buildRead(type, keep, known);
  ofType.set(keep, read);
  return read;
}

function buildRead(type: avsc.Type, keep: Keep, known: Known): Read {
  const kept = keep !== undefined;
  const { typeName } = type;
  switch (typeName) {
    case 'null':
      return () => null;
    case 'boolean':
      return readBoolean;
    case 'int':
      return readInt;
    case 'long':
      return kept ? readBigInt : skipLong;
    case 'float':
      return (cursor) => cursor.bytes.readFloatLE(take(cursor, 4));
    case 'double':
      return (cursor) => cursor.bytes.readDoubleLE(take(cursor, 8));
    case 'bytes':
      return (cursor) => readBytes(cursor, readSize(cursor), kept);
    case 'string':
      return (cursor) => readText(cursor, kept);
    case 'fixed': {
      const { size } = type as avsc.types.FixedType;
      return (cursor) => readBytes(cursor, size, kept);
    }
    case 'enum': {
      const { symbols } = type as avsc.types.EnumType;
      return (cursor) => symbols[readIndex(cursor, symbols.length)];
    }
    case 'array':
      return arrayRead(
        createRead((type as avsc.types.ArrayType).itemsType, keep && all, known),
        kept,
      );
    case 'map':
      return mapRead(createRead((type as avsc.types.MapType).valuesType, keep && all, known), kept);
    case 'record':
    case 'error':
      return recordRead(type as avsc.types.RecordType, keep, known);
    default:
      return unionRead(type as avsc.types.UnwrappedUnionType, keep, known);
  }
}

function unionRead(type: avsc.types.UnwrappedUnionType, keep: Keep, known: Known): Read {
  const branches = type.types.map((branch) => createRead(branch, keep, known));
  return (cursor) => (branches[readIndex(cursor, branches.length)] as Read)(cursor);
}

function recordRead(type: avsc.types.RecordType, keep: Keep, known: Known): Read {
  const wanted = keep?.wanted;
  const fields = type.fields.map(({ name, type: fieldType }) => {
    const isKept = keep !== undefined && (wanted === undefined || Object.hasOwn(wanted, name));
    const read = createRead(fieldType, isKept ? { wanted: wanted?.[name] } : undefined, known);
    return { name, isKept, read };
  });
  return (cursor) => {
    enter(cursor);
    const row = keep === undefined ? undefined : emptyRow<unknown>();
    for (const { name, isKept, read } of fields) {
      cursor.field = name;
      const value = read(cursor);
      if (isKept && row !== undefined) row[name] = value;
    }
    cursor.depth--;
    return row;
  };
}

function arrayRead(item: Read, kept: boolean): Read {
  return (cursor) => {
    const items: unknown[] = [];
    readBlocks(cursor, () => {
      const at = cursor.at;
      const value = item(cursor);
      // Items without bytes could be claimed in any number.
      if (cursor.at === at) throw malformed(cursor, 'an item takes no bytes');
      if (kept) items.push(value);
    });
    return items;
  };
}

function mapRead(value: Read, kept: boolean): Read {
  return (cursor) => {
    const map = emptyRow<unknown>();
    readBlocks(cursor, () => {
      const name = readText(cursor, kept);
      const entry = value(cursor);
      if (kept) map[name] = entry;
    });
    return map;
  };
}

/** Blocks of items: a count (negative: minus the count, then the block's size in bytes); 0 ends. */
function readBlocks(cursor: Cursor, readItem: () => void): void {
  enter(cursor);
  for (;;) {
    const claimed = readLong(cursor);
    if (claimed === 0) break;
    const size = claimed < 0 ? readSize(cursor) : undefined;
    const start = cursor.at;
    const count = Math.abs(claimed);
    if (count > cursor.end - start) throw truncated(cursor);
    for (let index = 0; index < count; index++) readItem();
    if (size !== undefined && cursor.at - start !== size) {
      throw malformed(cursor, `a block of ${cursor.at - start} bytes claims to have ${size}`);
    }
  }
  cursor.depth--;
}

function enter(cursor: Cursor): void {
  if (++cursor.depth > nestingMax) throw malformed(cursor, `it nests deeper than ${nestingMax}`);
}

/** Steps over `size` bytes, all of which are there, and returns where they began. */
function take(cursor: Cursor, size: number): number {
  const at = cursor.at;
  if (size > cursor.end - at) throw truncated(cursor);
  cursor.at = at + size;
  return at;
}

function readBoolean(cursor: Cursor): boolean {
  const byte = cursor.bytes[take(cursor, 1)] as number;
  if (byte > 1) throw malformed(cursor, `${byte} is no boolean`);
  return byte === 1;
}

function readBytes(cursor: Cursor, size: number, kept: boolean): Uint8Array | undefined {
  const at = take(cursor, size);
  return kept ? cursor.bytes.subarray(at, at + size) : undefined;
}

function readText(cursor: Cursor, kept: boolean): string {
  const size = readSize(cursor);
  const at = take(cursor, size);
  if (!kept) return '';
  const text = cursor.bytes.toString('utf8', at, at + size);
  // Broken text decodes to U+FFFD, which sound text may hold too.
  if (!text.includes('\ufffd') || isUtf8(cursor.bytes.subarray(at, at + size))) return text;
  throw new AvroFault('invalid-utf8', `field ${cursor.field}: its bytes are not UTF-8`);
}

function readSize(cursor: Cursor): number {
  const size = readLong(cursor);
  if (size < 0) throw malformed(cursor, `it has a size of ${size} bytes`);
  return size;
}

function readIndex(cursor: Cursor, count: number): number {
  const index = readLong(cursor);
  if (index < 0 || index >= count) throw malformed(cursor, `branch ${index} of ${count}`);
  return index;
}

function readInt(cursor: Cursor): number {
  const value = readLong(cursor);
  if (value !== (value | 0)) throw malformed(cursor, 'an int of more than 32 bits');
  return value;
}

/** The words of the varint that was read last: one walk runs at a time, since all here is synchronous. */
let low = 0;
let high = 0;

function readBigInt(cursor: Cursor): bigint {
  readWords(cursor);
  if (high === low >> 31) return BigInt(low);
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

function skipLong(cursor: Cursor): undefined {
  readWords(cursor);
}

/** A long as a double: exact to 2^53, and beyond it no length, count or index that could be. */
function readLong(cursor: Cursor): number {
  readWords(cursor);
  return high === low >> 31 ? low : high * 0x1_0000_0000 + (low >>> 0);
}

/** Reads a zigzag varint of at most 64 bits, the least significant group first, into `low` and `high`. */
function readWords(cursor: Cursor): void {
  const { bytes, end } = cursor;
  let at = cursor.at;
  let bits = 0;
  let upper = 0;
  for (let shift = 0; ; shift += 7) {
    if (at >= end) throw truncated(cursor);
    const byte = bytes[at++] as number;
    const group = byte & 0x7f;
    if (shift < 28) bits |= group << shift;
    else if (shift === 28) {
      bits |= group << 28;
      upper = group >>> 4;
    } else upper |= group << (shift - 32);
    if (shift === 63 && byte > 1) throw malformed(cursor, 'a varint of more than 64 bits');
    if (byte < 0x80) break;
  }
  cursor.at = at;
  const sign = -(bits & 1);
  low = ((bits >>> 1) | (upper << 31)) ^ sign;
  high = (upper >>> 1) ^ sign;
}

function truncated({ field }: Cursor): AvroFault {
  return new AvroFault('truncated', `field ${field}: the record ends inside it`);
}

function malformed({ field }: Cursor, what: string): AvroFault {
  return new AvroFault('malformed', `field ${field}: ${what}`);
}
