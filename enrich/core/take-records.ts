import { frameBytes, readSchemaId } from '../../connectors/framing.ts';
import type { CodecCache } from '../../schemas/codec-cache.ts';
import type { RowDecoder } from '../../schemas/row-decoder.ts';
import { ColumnFull } from '../../schemas/row-buffer.ts';
import type { DecodeFailure, RowBuffer } from '../../schemas/row-buffer.ts';
import type { RecordColumns } from '../source/log.ts';
import { batchBytes, hasItems, recordCount } from './click-batch.ts';
import type { ClickBatch } from './click-batch.ts';

/** Schema ids that are asked for at once; damaged records can name any number of them. */
const MISSING_IDS_MAX = 64;

export type TakeOptions = {
  topic: string;
  partition: number;
  records: RecordColumns;
  /** The offset that this partition is at: where the batch, or the one before it, ended. */
  nextOffset: bigint;
  batch: ClickBatch;
  codecs: CodecCache;
  rowsMax: number;
  /** No record is taken once the batch holds so many bytes; of flat records only the callers look. */
  bytesMax: number;
};

export type TakeResult = {
  nextOffset: bigint;
  /**
   * Why the rest of the records was left: to be read again once the reason is gone. Of schema ids the first is where it
   * stopped; records further on need the others.
   */
  stopped: 'full' | { schemaIds: readonly number[] } | undefined;
};

/**
 * Decodes records into the batch's columns, from `nextOffset` on. Each record becomes a row or a reject;
 * offsets that no record has are counted as filtered. Stops, keeping what was taken, where the batch is
 * full or where a schema id is met whose decoder must be loaded first.
 */
export function takeRecords(options: TakeOptions): TakeResult {
  const { records, batch, codecs, rowsMax, bytesMax, partition } = options;
  const baseOffset = Number(records.baseOffset);
  const first = Number(options.nextOffset);
  let next = first;
  let filtered = 0;
  let stopped: TakeResult['stopped'];
  let decoderId = -1;
  /** The schema id of the last row. */
  let rowId = -1;
  let decoder: RowDecoder | 'unknown' | undefined;
  const { rows, partitions, offsetWords } = batch;
  // A few bytes of an item may be many in its columns, so that one record batch could be far more than its size.
  const growsByItems = hasItems(rows.columns);
  const { bytes, offsetDelta, valueStart, valueLength } = records;
  for (let i = 0; i < records.count; i++) {
    const offset = baseOffset + at(offsetDelta, i);
    if (offset < next) continue;
    if (recordCount(batch) >= rowsMax || (growsByItems && batchBytes(batch) >= bytesMax)) {
      stopped = 'full';
      break;
    }
    const start = at(valueStart, i);
    const length = at(valueLength, i);
    const schemaId = length < 0 ? -1 : readSchemaId(bytes, start, start + length);
    if (schemaId >= 0 && schemaId !== decoderId) {
      decoder = codecs.decoder(schemaId);
      if (decoder === undefined) {
        stopped = { schemaIds: missingIds(options, i) };
        break;
      }
      decoderId = schemaId;
    }
    const row = rows.rowCount;
    const failure =
      schemaId < 0 || decoder === undefined || decoder === 'unknown'
        ? frameFailure(length, schemaId)
        : appendRow(decoder, records, i, rows);
    if (failure === 'no room') {
      batch.isClosed = true;
      stopped = 'full';
      break;
    }
    filtered += offset - next;
    next = offset + 1;
    if (failure === undefined) {
      if (schemaId !== rowId) batch.schemaIds.add(schemaId);
      rowId = schemaId;
      partitions[row] = partition;
      offsetWords[2 * row] = offset | 0;
      offsetWords[2 * row + 1] = Math.floor(offset / 0x1_0000_0000);
    } else {
      addReject(options, i, { offset, schemaId, failure });
    }
  }
  if (next > first) {
    extendRange(batch, partition, BigInt(first), BigInt(next));
    const oldest = records.baseTimestampMs + (records.timestampDeltaMs[0] ?? 0);
    batch.oldestTimestampMs = Math.min(batch.oldestTimestampMs ?? oldest, oldest);
  }
  if (filtered > 0) countFiltered(batch, partition, BigInt(filtered));
  return { nextOffset: BigInt(next), stopped };
}

/** Appends a record; `no room` where it must wait for an empty batch. */
function appendRow(
  decoder: RowDecoder,
  { bytes, valueStart, valueLength }: RecordColumns,
  index: number,
  rows: RowBuffer,
): DecodeFailure | 'no room' | undefined {
  const start = at(valueStart, index);
  try {
    return decoder.append(bytes, start + frameBytes, start + at(valueLength, index), rows);
  } catch (error) {
    if (error instanceof ColumnFull) return 'no room';
    throw error;
  }
}

/** The ids that the records from here on need and lack, so that many of them cost one wait, not one each. */
function missingIds({ records, codecs }: TakeOptions, from: number): number[] {
  const { bytes, count, valueStart, valueLength } = records;
  const missing = new Set<number>();
  for (let i = from; i < count && missing.size < MISSING_IDS_MAX; i++) {
    const start = at(valueStart, i);
    const length = at(valueLength, i);
    const schemaId = length < 0 ? -1 : readSchemaId(bytes, start, start + length);
    if (schemaId >= 0 && codecs.decoder(schemaId) === undefined) missing.add(schemaId);
  }
  return [...missing];
}

/** Takes note that the log moved on to `nextOffset` without any record: all of it is filtered. */
export function skipTo(
  batch: ClickBatch,
  partition: number,
  from: bigint,
  nextOffset: bigint,
): void {
  if (nextOffset <= from) return;
  extendRange(batch, partition, from, nextOffset);
  countFiltered(batch, partition, nextOffset - from);
}

/** Why a value that names no schema, or one that the registry lacks, is a reject; `length` is -1 for none. */
export function frameFailure(length: number, schemaId: number): DecodeFailure {
  if (length < 0) return { kind: 'null-value', message: 'the record has no value' };
  if (schemaId < 0) {
    return {
      kind: 'no-magic-byte',
      message: 'the value is not framed by a zero byte and a schema id',
    };
  }
  return {
    kind: 'unknown-schema-id',
    message: `the registry has no Avro schema with id ${schemaId}`,
  };
}

function addReject(
  { batch, topic, partition, records }: TakeOptions,
  index: number,
  { offset, schemaId, failure }: { offset: number; schemaId: number; failure: DecodeFailure },
): void {
  const key = copyOf(records.bytes, at(records.keyStart, index), at(records.keyLength, index));
  const value = copyOf(
    records.bytes,
    at(records.valueStart, index),
    at(records.valueLength, index),
  );
  batch.rejects.push({
    topic,
    partition,
    offset: BigInt(offset),
    timestampMs: records.baseTimestampMs + (records.timestampDeltaMs[index] ?? 0),
    schemaId: schemaId < 0 ? undefined : schemaId,
    kind: failure.kind,
    message: failure.message,
    key,
    value,
  });
  batch.rejectBytes += (key?.length ?? 0) + (value?.length ?? 0) + failure.message.length;
}

/** A copy in any case: `slice` of a Buffer would be a view of memory that the source reuses. */
function copyOf(bytes: Uint8Array, start: number, length: number): Uint8Array | undefined {
  return length < 0 ? undefined : new Uint8Array(bytes.subarray(start, start + length));
}

function extendRange(batch: ClickBatch, partition: number, start: bigint, end: bigint): void {
  const range = batch.ranges.get(partition);
  if (range === undefined) batch.ranges.set(partition, { start, end });
  else range.end = end;
}

function countFiltered(batch: ClickBatch, partition: number, count: bigint): void {
  batch.filtered.set(partition, (batch.filtered.get(partition) ?? 0n) + count);
}

function at(array: Int32Array, index: number): number {
  return array[index] ?? 0;
}
