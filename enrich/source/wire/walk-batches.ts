import { EnrichError } from '../../error.ts';
import type { RecordColumns } from '../log.ts';
import { CompressionFault, decompress } from './compression.ts';

/** An aborted transaction that overlaps a fetched range, as the fetch response lists it. */
export type AbortedTransaction = { producerId: bigint; firstOffset: bigint };

export type WalkedRange = {
  topic: string;
  partition: number;
  /** Holds the records field of a fetch response at `[start, end)`: whole batches, the last one maybe cut. */
  bytes: Uint8Array;
  start: number;
  end: number;
  /** The asked offset; batches start at or before it, records below it are left out. */
  nextOffset: bigint;
  aborted: readonly AbortedTransaction[];
};

export type WalkSettings = {
  crc32c: (bytes: Uint8Array) => number;
  decompressedBytesMax: number;
  /** Reused from batch to batch: nothing is allocated for a record. */
  columns: RecordColumns;
};

/*
  RecordBatch (magic 2), big-endian:
     0 base offset            => INT64
     8 batch length           => INT32, bytes after this field
    12 partition leader epoch => INT32
    16 magic                  => INT8
    17 crc                    => UINT32, CRC-32C of everything from 21 on
    21 attributes             => INT16: bits 0-2 codec, 3 log-append time, 4 transactional, 5 control,
                                 6 base timestamp is the delete horizon (deltas stay relative to it)
    23 last offset delta      => INT32
    27 base timestamp         => INT64
    35 max timestamp          => INT64
    43 producer id            => INT64
    51 producer epoch         => INT16
    53 base sequence          => INT32
    57 record count           => INT32
    61 records, compressed as one block
  Source: https://kafka.apache.org/documentation/#recordbatch
*/
const HEADER_BYTES = 61;
const LENGTH_END = 12;
const CRC_START = 21;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

type Batch = {
  start: number;
  end: number;
  baseOffset: bigint;
  attributes: number;
  lastOffset: bigint;
  producerId: bigint;
};

/** Empty columns with room for `capacity` records; `walkBatches` enlarges them as needed. */
export function createRecordColumns(capacity = 1024): RecordColumns {
  return {
    bytes: new Uint8Array(0),
    count: 0,
    baseOffset: 0n,
    baseTimestampMs: 0,
    offsetDelta: new Int32Array(capacity),
    timestampDeltaMs: new Float64Array(capacity),
    keyStart: new Int32Array(capacity),
    keyLength: new Int32Array(capacity),
    valueStart: new Int32Array(capacity),
    valueLength: new Int32Array(capacity),
  };
}

/**
 * Walks the batches of one partition of one fetch response, and calls `emit` once for each batch that
 * has records a read-committed reader may see, at or above the asked offset. Returns the next offset to
 * ask for, past control, aborted and emptied batches; a batch that is cut off at the end is ignored.
 *
 * Nothing is carried from response to response: a response lists every aborted transaction that
 * overlaps its range, also one that began before it or whose marker comes after it.
 *
 * Throws `corrupt` with topic, partition and offset in the context, at the batch in question: CRC
 * mismatch, malformed batch, undecodable or too large compressed data. Batches before it were emitted.
 */
export function walkBatches(
  range: WalkedRange,
  settings: WalkSettings,
  emit: (records: RecordColumns) => void,
): bigint {
  const view = new DataView(range.bytes.buffer, range.bytes.byteOffset, range.bytes.byteLength);
  const filter = new AbortedFilter(range.aborted);
  let nextOffset = range.nextOffset;
  for (let at = range.start; at + HEADER_BYTES <= range.end;) {
    const batch = readBatchHeader(view, at, range);
    if (batch === undefined) break;
    checkCrc(view, batch, range, settings);
    if (filter.admits(batch, () => isAbortMarker(view, batch, range, settings))) {
      if (batch.lastOffset >= nextOffset) {
        fillColumns(view, batch, range, settings);
        if (settings.columns.count > 0) emit(settings.columns);
      }
    }
    if (batch.lastOffset >= nextOffset) nextOffset = batch.lastOffset + 1n;
    at = batch.end;
  }
  return nextOffset;
}

function readBatchHeader(view: DataView, start: number, range: WalkedRange): Batch | undefined {
  const baseOffset = view.getBigInt64(start);
  const end = start + LENGTH_END + view.getInt32(start + 8);
  if (end - start < HEADER_BYTES) throw corrupt(range, baseOffset, 'its length is below a header');
  if (end > range.end) return undefined;
  const magic = view.getInt8(start + 16);
  if (magic !== 2) {
    throw corrupt(range, baseOffset, `its format is ${magic}; only format 2 (Kafka 0.11) is read`);
  }
  return {
    start,
    end,
    baseOffset,
    attributes: view.getInt16(start + 21),
    lastOffset: baseOffset + BigInt(view.getInt32(start + 23)),
    producerId: view.getBigInt64(start + 43),
  };
}

function checkCrc(view: DataView, batch: Batch, range: WalkedRange, settings: WalkSettings): void {
  const expected = view.getUint32(batch.start + 17);
  const actual = settings.crc32c(range.bytes.subarray(batch.start + CRC_START, batch.end));
  if (actual !== expected) {
    throw corrupt(
      range,
      batch.baseOffset,
      `its CRC is ${hex(expected)}, its bytes have ${hex(actual)}`,
    );
  }
}

/**
 * Follows the transactions of a range in offset order: a listed transaction hides its producer's
 * transactional batches from its first offset to its abort marker. The same producer may abort many.
 */
class AbortedFilter {
  readonly #pending: AbortedTransaction[];
  readonly #hidden = new Set<bigint>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#pending = aborted.toSorted((a, b) => Number(b.firstOffset - a.firstOffset));
  }

  admits(batch: Batch, isAbort: () => boolean): boolean {
    for (let next = this.#pending.at(-1); next !== undefined; next = this.#pending.at(-1)) {
      if (next.firstOffset > batch.lastOffset) break;
      this.#hidden.add(next.producerId);
      this.#pending.pop();
    }
    if ((batch.attributes & CONTROL) !== 0) {
      if (this.#hidden.has(batch.producerId) && isAbort()) this.#hidden.delete(batch.producerId);
      return false;
    }
    return (batch.attributes & TRANSACTIONAL) === 0 || !this.#hidden.has(batch.producerId);
  }
}

/** A control record's key => version INT16, type INT16 (0 abort, 1 commit). */
function isAbortMarker(
  view: DataView,
  batch: Batch,
  range: WalkedRange,
  settings: WalkSettings,
): boolean {
  fillColumns(view, batch, { ...range, nextOffset: batch.baseOffset }, settings);
  const { columns } = settings;
  if (columns.count === 0 || (columns.keyLength[0] ?? -1) < 4) return false;
  const typeStart = (columns.keyStart[0] ?? 0) + 2;
  return columns.bytes[typeStart] === 0 && columns.bytes[typeStart + 1] === 0;
}

function fillColumns(
  view: DataView,
  batch: Batch,
  range: WalkedRange,
  settings: WalkSettings,
): void {
  const { columns } = settings;
  const recordCount = view.getInt32(batch.start + 57);
  const codec = batch.attributes & 0x07;
  let bytes = range.bytes;
  let start = batch.start + HEADER_BYTES;
  let end = batch.end;
  if (codec !== 0 && recordCount > 0) {
    bytes = decompressed(codec, batch, range, settings);
    start = 0;
    end = bytes.length;
  }
  // A record takes at least seven bytes: a count beyond that is malformed and must not size arrays.
  if (recordCount < 0 || recordCount * 7 > end - start) {
    throw corrupt(
      range,
      batch.baseOffset,
      `it claims ${recordCount} records in ${end - start} bytes`,
    );
  }
  ensureCapacity(columns, recordCount);
  const logAppendTime = (batch.attributes & LOG_APPEND_TIME) !== 0;
  columns.bytes = bytes;
  columns.baseOffset = batch.baseOffset;
  columns.baseTimestampMs = Number(view.getBigInt64(batch.start + (logAppendTime ? 35 : 27)));
  const offsetDeltaMin =
    range.nextOffset > batch.baseOffset ? Number(range.nextOffset - batch.baseOffset) : 0;
  if (!walkRecords(columns, { start, end, recordCount, offsetDeltaMin })) {
    throw corrupt(range, batch.baseOffset, 'a record runs over its end');
  }
  if (logAppendTime) columns.timestampDeltaMs.fill(0, 0, columns.count);
}

function decompressed(
  codec: number,
  batch: Batch,
  range: WalkedRange,
  settings: WalkSettings,
): Uint8Array {
  try {
    const body = range.bytes.subarray(batch.start + HEADER_BYTES, batch.end);
    return decompress(codec, body, settings.decompressedBytesMax);
  } catch (error) {
    if (error instanceof CompressionFault) {
      if (error.isTooLarge) throw batchTooLarge(range, batch.baseOffset, settings, error);
      throw corrupt(range, batch.baseOffset, error.message, error);
    }
    throw error;
  }
}

function ensureCapacity(columns: RecordColumns, count: number): void {
  if (columns.offsetDelta.length >= count) return;
  const capacity = 2 ** Math.ceil(Math.log2(count));
  columns.offsetDelta = new Int32Array(capacity);
  columns.timestampDeltaMs = new Float64Array(capacity);
  columns.keyStart = new Int32Array(capacity);
  columns.keyLength = new Int32Array(capacity);
  columns.valueStart = new Int32Array(capacity);
  columns.valueLength = new Int32Array(capacity);
}

/**
 * Where the varint readers stand. Module state instead of a returned pair: it spares an allocation for
 * each field, and one walk runs at a time because everything here is synchronous.
 */
let cursor = 0;

/*
  Record:
    length          => VARINT, bytes after this field
    attributes      => INT8
    timestamp delta => VARLONG
    offset delta    => VARINT
    key length      => VARINT, -1 for null; key
    value length    => VARINT, -1 for null; value
    [header]        => VARINT count; skipped by the record's length
*/
function walkRecords(
  columns: RecordColumns,
  body: { start: number; end: number; recordCount: number; offsetDeltaMin: number },
): boolean {
  const { bytes, offsetDelta, timestampDeltaMs } = columns;
  const { keyStart, keyLength, valueStart, valueLength } = columns;
  let count = 0;
  cursor = body.start;
  for (let i = 0; i < body.recordCount; i += 1) {
    const length = readVarint(bytes);
    const recordEnd = cursor + length;
    if (length < 6 || recordEnd > body.end) return false;
    cursor += 1;
    const timestampDelta = readVarlong(bytes);
    const delta = readVarint(bytes);
    const keyBytes = readVarint(bytes);
    const keyAt = cursor;
    if (keyBytes > 0) cursor += keyBytes;
    const valueBytes = readVarint(bytes);
    const valueAt = cursor;
    if (valueBytes > 0) cursor += valueBytes;
    if (keyBytes < -1 || valueBytes < -1 || cursor > recordEnd) return false;
    cursor = recordEnd;
    if (delta < body.offsetDeltaMin) continue;
    offsetDelta[count] = delta;
    timestampDeltaMs[count] = timestampDelta;
    keyStart[count] = keyAt;
    keyLength[count] = keyBytes;
    valueStart[count] = valueAt;
    valueLength[count] = valueBytes;
    count += 1;
  }
  columns.count = count;
  return true;
}

/** Zigzag varint of at most 32 bits, at the cursor. Past the end it reads zeros; the caller checks bounds. */
function readVarint(bytes: Uint8Array): number {
  let byte = bytes[cursor++] ?? 0;
  if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
  let value = byte & 0x7f;
  for (let shift = 7; shift <= 28; shift += 7) {
    byte = bytes[cursor++] ?? 0;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return (value >>> 1) ^ -(value & 1);
}

/** Zigzag varint of 64 bits as a double: exact up to 2^53, far above any distance of timestamps in ms. */
function readVarlong(bytes: Uint8Array): number {
  let low = 0;
  for (let shift = 0; shift <= 21; shift += 7) {
    const byte = bytes[cursor++] ?? 0;
    low |= (byte & 0x7f) << shift;
    if (byte < 0x80) return (low >>> 1) ^ -(low & 1);
  }
  let value = low;
  for (let scale = 2 ** 28; scale <= 2 ** 63; scale *= 128) {
    const byte = bytes[cursor++] ?? 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

function corrupt(range: WalkedRange, offset: bigint, what: string, cause?: unknown): EnrichError {
  const { topic, partition } = range;
  return new EnrichError(
    'corrupt',
    `${topic}-${partition}: the record batch at offset ${offset} is damaged: ${what}`,
    { context: { topic, partition, offset }, cause },
  );
}

function batchTooLarge(
  range: WalkedRange,
  offset: bigint,
  { decompressedBytesMax }: WalkSettings,
  cause: CompressionFault,
): EnrichError {
  const { topic, partition } = range;
  return new EnrichError(
    'config',
    `${topic}-${partition}: the record batch at offset ${offset} is too large: ${cause.message} of ` +
      `${decompressedBytesMax} bytes. If its producer may write such batches, raise kafka.batch_size_max`,
    { context: { topic, partition, offset }, cause },
  );
}
