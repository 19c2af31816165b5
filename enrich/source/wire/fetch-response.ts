import { EnrichError } from '../../error.ts';
import type { AbortedTransaction } from './walk-batches.ts';

/** One partition of a fetch response; its records stay where they are, at `[recordsStart, recordsEnd)`. */
export type FetchedPartition = {
  topicId: string;
  partition: number;
  /** Kafka's error code, 0 for none: an error of one partition does not hide the others. */
  errorCode: number;
  highWatermark: bigint;
  lastStableOffset: bigint;
  /** -1 when the partition has an error. */
  logStartOffset: bigint;
  aborted: readonly AbortedTransaction[];
  recordsStart: number;
  recordsEnd: number;
};

export type FetchResponse = {
  /** Error of the whole request, 0 for none. */
  errorCode: number;
  bytes: Uint8Array;
  partitions: readonly FetchedPartition[];
};

/*
  Fetch response, versions 13 to 17, after the response header (big-endian; COMPACT = count + 1 as
  UNSIGNED_VARINT, 0 for null; TAGS = tagged fields, skipped):
    throttle time ms => INT32
    error code       => INT16
    session id       => INT32
    [topic]          => COMPACT
      topic id       => UUID
      [partition]    => COMPACT
        partition index        => INT32
        error code             => INT16
        high watermark         => INT64
        last stable offset     => INT64
        log start offset       => INT64
        [aborted transaction]  => COMPACT, nullable: producer id INT64, first offset INT64, TAGS
        preferred read replica => INT32
        records                => COMPACT bytes, nullable
        TAGS
      TAGS
    TAGS
  Source: https://kafka.apache.org/protocol.html#The_Messages_Fetch
*/

/**
 * Reads a fetch response body without touching its records. Never throws for an error that the response
 * reports; throws `unavailable` for a body that is not a fetch response (ask again on a new connection).
 */
export function parseFetchResponse(bytes: Uint8Array): FetchResponse {
  const reader = new BodyReader(bytes);
  try {
    reader.skip(4);
    const errorCode = reader.int16();
    reader.skip(4);
    const partitions: FetchedPartition[] = [];
    for (let topics = reader.compactCount(); topics > 0; topics -= 1) {
      const topicId = reader.uuid();
      for (let rest = reader.compactCount(); rest > 0; rest -= 1) {
        partitions.push(readPartition(reader, topicId));
      }
      reader.skipTags();
    }
    reader.skipTags();
    return { errorCode, bytes, partitions };
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new EnrichError('unavailable', 'the broker sent a malformed fetch response', { cause });
  }
}

function readPartition(reader: BodyReader, topicId: string): FetchedPartition {
  const partition = reader.int32();
  const errorCode = reader.int16();
  const highWatermark = reader.int64();
  const lastStableOffset = reader.int64();
  const logStartOffset = reader.int64();
  const aborted: AbortedTransaction[] = [];
  for (let rest = reader.compactCount(); rest > 0; rest -= 1) {
    aborted.push({ producerId: reader.int64(), firstOffset: reader.int64() });
    reader.skipTags();
  }
  reader.skip(4);
  const recordsBytes = Math.max(0, reader.compactCount());
  const recordsStart = reader.position;
  reader.skip(recordsBytes);
  reader.skipTags();
  return {
    topicId,
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    aborted,
    recordsStart,
    recordsEnd: recordsStart + recordsBytes,
  };
}

/** Reads a response body front to back; a read past the end is a RangeError. */
class BodyReader {
  position = 0;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  skip(length: number): void {
    this.position += length;
    if (this.position > this.#view.byteLength) throw new RangeError('the body ends early');
  }

  int16(): number {
    this.skip(2);
    return this.#view.getInt16(this.position - 2);
  }

  int32(): number {
    this.skip(4);
    return this.#view.getInt32(this.position - 4);
  }

  int64(): bigint {
    this.skip(8);
    return this.#view.getBigInt64(this.position - 8);
  }

  uuid(): string {
    let hex = '';
    for (let i = 0; i < 16; i += 1) {
      this.skip(1);
      if (i === 4 || i === 6 || i === 8 || i === 10) hex += '-';
      hex += this.#view
        .getUint8(this.position - 1)
        .toString(16)
        .padStart(2, '0');
    }
    return hex;
  }

  /** Elements of a compact array or bytes; -1 for null. */
  compactCount(): number {
    return this.#unsignedVarint() - 1;
  }

  skipTags(): void {
    for (let rest = this.#unsignedVarint(); rest > 0; rest -= 1) {
      this.#unsignedVarint();
      this.skip(this.#unsignedVarint());
    }
  }

  #unsignedVarint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
      this.skip(1);
      const byte = this.#view.getUint8(this.position - 1);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new RangeError('a varint is longer than five bytes');
  }
}
