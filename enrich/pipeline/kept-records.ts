import type { RecordColumns } from '../source/log.ts';

/** A record by itself. */
export type KeptRecord = {
  key: Uint8Array | null;
  value: Uint8Array | null;
  timestampMs: number;
};

/** What the columns of a record take beside its bytes. */
const COLUMNS_BYTES = 28;

/**
 * Copies of record batches: the source reuses its memory, and a record may be needed again, as an object or as a
 * reject. `records.bytes` may hold a whole response, of which they are little.
 */
export class KeptRecords {
  readonly #batches: RecordColumns[] = [];
  #byteLength = 0;

  /** Bytes of memory that the copies take. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** Keeps a batch, which must follow those before, and returns the copy. */
  keep(records: RecordColumns): RecordColumns {
    const { count, keyStart, keyLength, valueStart, valueLength } = records;
    const { start, end } = extent(records);
    const kept = {
      ...records,
      // A copy, also of a Buffer, whose slice() is a view.
      bytes: Buffer.from(records.bytes.subarray(start, end)),
      offsetDelta: records.offsetDelta.slice(0, count),
      timestampDeltaMs: records.timestampDeltaMs.slice(0, count),
      keyStart: keyStart.slice(0, count).map((at) => at - start),
      keyLength: keyLength.slice(0, count),
      valueStart: valueStart.slice(0, count).map((at) => at - start),
      valueLength: valueLength.slice(0, count),
    };
    this.#batches.push(kept);
    this.#byteLength += kept.bytes.length + count * COLUMNS_BYTES;
    return kept;
  }

  /** The record at an offset, which must be kept here. Every change that is not newer may be asked for. */
  at(offset: bigint): KeptRecord {
    const batches = this.#batches;
    const records = batches[lastIndex(batches.length, (i) => baseOffsetOf(batches[i]) <= offset)];
    if (records !== undefined) {
      const { baseOffset, count, offsetDelta } = records;
      const delta = Number(offset - baseOffset);
      const index = lastIndex(count, (i) => (offsetDelta[i] as number) <= delta);
      if (offsetDelta[index] === delta) return recordAt(records, index);
    }
    throw new RangeError(`assert: a record that is kept, got offset ${offset}`);
  }
}

function baseOffsetOf(records: RecordColumns | undefined): bigint {
  return records?.baseOffset ?? 0n;
}

/** The last index below `count` that passes, where all that do stand before all that do not; -1 if none does. */
function lastIndex(count: number, passes: (index: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (passes(middle)) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export function recordAt(records: RecordColumns, index: number): KeptRecord {
  const { bytes, keyStart, keyLength, valueStart, valueLength } = records;
  return {
    key: slice(bytes, keyStart[index], keyLength[index]),
    value: slice(bytes, valueStart[index], valueLength[index]),
    timestampMs: timestampAt(records, index),
  };
}

/** Epoch ms. */
export function timestampAt(records: RecordColumns, index: number): number {
  return records.baseTimestampMs + (records.timestampDeltaMs[index] ?? 0);
}

/** The part of the bytes that the records take. */
function extent(records: RecordColumns): { start: number; end: number } {
  const { count, keyStart, keyLength, valueStart, valueLength } = records;
  let start = records.bytes.length;
  let end = 0;
  const include = (at = 0, length = -1): void => {
    if (length < 0) return;
    start = Math.min(start, at);
    end = Math.max(end, at + length);
  };
  for (let index = 0; index < count; index++) {
    include(keyStart[index], keyLength[index]);
    include(valueStart[index], valueLength[index]);
  }
  return { start: Math.min(start, end), end };
}

function slice(bytes: Uint8Array, start = 0, length = -1): Uint8Array | null {
  return length < 0 ? null : bytes.subarray(start, start + length);
}
