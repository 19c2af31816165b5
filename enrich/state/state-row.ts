import { EnrichError } from '../error.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { ColumnSlices } from './hash-projection.ts';

/** Raised when the layout below changes; a row of another version cannot be read. */
const ROW_VERSION = 2;

const DELETED = 1;
const HAS_JOIN_KEY = 2;
const BY_PLACE = 4;

/** Where a row comes from, and what it is. */
export type RowHeader = {
  deleted: boolean;
  /** It is what an incremental snapshot read, or a tombstone has ended it: its place in the topic counts. */
  byPlace: boolean;
  /** Index of the list of columns that the row was written with, see `DimensionRecord.layouts`. */
  layout: number;
  /** The highest of all streamed changes of the row. */
  sourcePosition: bigint;
  partition: number;
  offset: bigint;
  /** Epoch ms of the record that the row came from; places in two partitions are compared by it. */
  timestampMs: number;
  /** Bytes of the join key after normalisation, where the dimension keeps an index of them. */
  joinKey: Uint8Array | undefined;
};

/**
 * Starts a state row; the columns of its layout follow in order, each written by its `ColumnCodec` or by
 * `writeNull`, `writeSlice`. A deleted row has no columns.
 *
 * | bytes  | what                                                       |
 * |--------|------------------------------------------------------------|
 * | 1      | version, 2                                                 |
 * | 1      | flags: 1 deleted, 2 has a join key, 4 by its place         |
 * | varint | layout                                                     |
 * | 8      | source position, little endian                             |
 * | varint | partition of the change topic                              |
 * | 8      | offset of the change in it, little endian                  |
 * | 8      | epoch ms of its record, little endian                      |
 * | varint, bytes | length and bytes of the join key, with flag 2       |
 * | varint, bytes | for each column: length plus one and bytes; 0 is null |
 */
export function writeRowHeader(writer: ByteWriter, header: RowHeader): void {
  const { deleted, byPlace, layout, sourcePosition, partition, offset, joinKey } = header;
  writer.uint8(ROW_VERSION);
  const flags = (deleted ? DELETED : 0) | (byPlace ? BY_PLACE : 0);
  writer.uint8(flags | (joinKey === undefined ? 0 : HAS_JOIN_KEY));
  writer.varint(layout);
  writer.int64(sourcePosition);
  writer.varint(partition);
  writer.int64(offset);
  writer.int64(BigInt(header.timestampMs));
  if (joinKey === undefined) return;
  writer.varint(joinKey.length);
  writer.raw(joinKey, 0, joinKey.length);
}

/** The header of a row that a streamed change has just written, its numbers as they stand in columns. */
export function writeWordsHeader(
  writer: ByteWriter,
  header: Pick<RowHeader, 'layout' | 'partition' | 'timestampMs' | 'joinKey'> & {
    positionLow: number;
    positionHigh: number;
    offset: number;
  },
): void {
  const { offset, timestampMs, joinKey } = header;
  writer.uint8(ROW_VERSION);
  writer.uint8(joinKey === undefined ? 0 : HAS_JOIN_KEY);
  writer.varint(header.layout);
  writer.words(header.positionLow, header.positionHigh);
  writer.varint(header.partition);
  writer.words(offset | 0, Math.floor(offset / 2 ** 32));
  writer.words(timestampMs | 0, Math.floor(timestampMs / 2 ** 32));
  if (joinKey === undefined) return;
  writer.varint(joinKey.length);
  writer.raw(joinKey, 0, joinKey.length);
}

export function writeNull(writer: ByteWriter): void {
  writer.varint(0);
}

/** A column as it stands in another row. */
export function writeSlice(writer: ByteWriter, row: ColumnSlices, column: number): void {
  const length = row.lengths[column] ?? -1;
  writer.varint(length + 1);
  if (length > 0) writer.raw(row.bytes, row.starts[column] as number, length);
}

/** The row as it is, with what older changes have told of it meanwhile. */
export function writeMovedRow(
  writer: ByteWriter,
  row: RowView,
  moved: Pick<RowHeader, 'sourcePosition' | 'offset'>,
): void {
  const { deleted, byPlace, layout, partition, timestampMs } = row;
  const kept = { deleted, byPlace, layout, partition, timestampMs, joinKey: row.joinKey() };
  writeRowHeader(writer, { ...kept, ...moved });
  for (let column = 0; column < row.columnCount; column++) writeSlice(writer, row, column);
}

/**
 * A row read in place, without objects for its columns; one view reads many rows one after another.
 * `starts` and `lengths` hold `columnCount` columns, a length of -1 is null.
 */
export class RowView implements ColumnSlices {
  bytes: Uint8Array = new Uint8Array();
  deleted = false;
  byPlace = false;
  layout = 0;
  partition = 0;
  timestampMs = 0;
  joinKeyStart = 0;
  /** -1 where there is none. */
  joinKeyLength = -1;
  columnCount = 0;
  starts = new Int32Array(16);
  lengths = new Int32Array(16);
  #sourcePositionAt = 0;
  #offsetAt = 0;
  #at = 0;
  #end = 0;

  get sourcePosition(): bigint {
    return this.#int64(this.#sourcePositionAt);
  }

  get offset(): bigint {
    return this.#int64(this.#offsetAt);
  }

  /** Points the view at a row. Errors: `rebuild` for bytes that are none. */
  read(bytes: Uint8Array, start: number, end: number): this {
    this.bytes = bytes;
    this.#at = start;
    this.#end = end;
    if (end - start < 28 || bytes[start] !== ROW_VERSION) throw damaged('no version 2 row');
    const flags = bytes[start + 1] as number;
    this.#at = start + 2;
    this.deleted = (flags & DELETED) !== 0;
    this.byPlace = (flags & BY_PLACE) !== 0;
    this.layout = this.#varint();
    this.#sourcePositionAt = this.#skip(8);
    this.partition = this.#varint();
    this.#offsetAt = this.#skip(8);
    this.timestampMs = this.#safeInteger();
    this.joinKeyLength = -1;
    if ((flags & HAS_JOIN_KEY) !== 0) {
      this.joinKeyLength = this.#varint();
      this.joinKeyStart = this.#skip(this.joinKeyLength);
    }
    this.#readColumns();
    return this;
  }

  /** A copy of the join key, undefined where there is none. */
  joinKey(): Uint8Array | undefined {
    if (this.joinKeyLength < 0) return undefined;
    return this.bytes.slice(this.joinKeyStart, this.joinKeyStart + this.joinKeyLength);
  }

  #readColumns(): void {
    let column = 0;
    while (this.#at < this.#end) {
      if (column === this.starts.length) this.#grow();
      const length = this.#varint() - 1;
      this.lengths[column] = length;
      this.starts[column] = this.#skip(Math.max(0, length));
      column++;
    }
    this.columnCount = column;
  }

  #grow(): void {
    const { starts, lengths } = this;
    this.starts = new Int32Array(starts.length * 2);
    this.lengths = new Int32Array(lengths.length * 2);
    this.starts.set(starts);
    this.lengths.set(lengths);
  }

  #skip(length: number): number {
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#end) throw damaged('a field ends beyond its row');
    return start;
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.bytes[this.#skip(1)] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw damaged('a number has no end');
  }

  #int64(at: number): bigint {
    const low = this.#uint32(at);
    const high = this.#uint32(at + 4);
    // Source positions and offsets are nearly always exact as a double, which is far cheaper.
    if (high < 0x20_0000) return BigInt(high * 0x1_0000_0000 + low);
    return BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
  }

  #safeInteger(): number {
    const at = this.#skip(8);
    return (this.#uint32(at + 4) | 0) * 0x1_0000_0000 + this.#uint32(at);
  }

  #uint32(at: number): number {
    const { bytes } = this;
    const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    const high = (bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8);
    return (low | (high << 16)) >>> 0;
  }
}

function damaged(what: string): EnrichError {
  return new EnrichError('rebuild', `a row of the state cannot be read: ${what}`);
}
