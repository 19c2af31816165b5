import { constants, zstdCompressSync } from 'node:zlib';

/*
  RecordBatch (magic 2), big-endian:
     0 base offset 0          => INT64, set by the broker
     8 batch length           => INT32, bytes after this field
    12 partition leader epoch => INT32
    16 magic 2                => INT8
    17 crc                    => UINT32, CRC-32C of everything from 21 on
    21 attributes             => INT16: bits 0-2 codec
    23 last offset delta      => INT32
    27 base timestamp         => INT64
    35 max timestamp          => INT64
    43 producer id -1         => INT64
    51 producer epoch -1      => INT16
    53 base sequence -1       => INT32
    57 record count           => INT32
    61 records, compressed as one block; each: length VARINT, attributes INT8, timestamp delta VARINT,
       offset delta VARINT, key length VARINT, key, value length VARINT, value, header count VARINT
  Source: https://kafka.apache.org/documentation/#recordbatch
*/
const HEADER_BYTES = 61;
const LENGTH_END = 12;
const CRC_AT = 17;
const CRC_START = 21;
const ZSTD = 4;
/** Speed over size, as producers have it. */
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** Attributes, deltas and lengths of one record, at most. */
const RECORD_OVERHEAD_MAX = 32;

/** Records of one partition, encoded as they come in; all of one timestamp. */
export type RecordBatch = {
  readonly count: number;
  /** Before compression. */
  readonly bytes: number;
  /** Null is a tombstone. The bytes are copied. */
  append(key: Uint8Array, value: Uint8Array | null): void;
  /** The whole batch, zstd-compressed; the batch is empty again afterwards. */
  take(timestampMs: number): Buffer;
};

/** Memory: twice `bytesExpected`, grown where one record needs it. */
export function openRecordBatch(options: {
  bytesExpected: number;
  crc32c: (bytes: Uint8Array) => number;
}): RecordBatch {
  let records = Buffer.allocUnsafeSlow(2 * options.bytesExpected);
  let end = 0;
  let count = 0;
  const makeRoom = (bytes: number): void => {
    if (end + bytes <= records.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * (end + bytes));
    records.copy(larger, 0, 0, end);
    records = larger;
  };
  return {
    get count() {
      return count;
    },
    get bytes() {
      return end;
    },
    append(key, value) {
      const valueLength = value === null ? -1 : value.length;
      makeRoom(key.length + Math.max(0, valueLength) + RECORD_OVERHEAD_MAX);
      // Two bytes: the attributes and the timestamp delta, both 0; one: no headers.
      const fixed = 2 + varintBytes(count) + varintBytes(key.length) + varintBytes(valueLength) + 1;
      end = writeVarint(records, end, fixed + key.length + Math.max(0, valueLength));
      records[end] = 0;
      records[end + 1] = 0;
      end = writeVarint(records, end + 2, count);
      end = writeVarint(records, end, key.length);
      records.set(key, end);
      end = writeVarint(records, end + key.length, valueLength);
      if (value !== null) records.set(value, end);
      end += Math.max(0, valueLength);
      records[end] = 0;
      end += 1;
      count += 1;
    },
    take(timestampMs) {
      const body = zstdCompressSync(records.subarray(0, end), LEVEL);
      const batch = withHeader({ body, count, timestampMs, crc32c: options.crc32c });
      end = 0;
      count = 0;
      return batch;
    },
  };
}

function withHeader(options: {
  body: Buffer;
  count: number;
  timestampMs: number;
  crc32c: (bytes: Uint8Array) => number;
}): Buffer {
  const { body, count, timestampMs, crc32c } = options;
  const batch = Buffer.alloc(HEADER_BYTES + body.length);
  batch.writeInt32BE(batch.length - LENGTH_END, 8);
  batch[16] = 2;
  batch.writeInt16BE(ZSTD, CRC_START);
  batch.writeInt32BE(count - 1, 23);
  batch.writeBigInt64BE(BigInt(timestampMs), 27);
  batch.writeBigInt64BE(BigInt(timestampMs), 35);
  // No producer id, epoch and sequence: neither idempotent nor transactional.
  batch.fill(0xff, 43, 57);
  batch.writeInt32BE(count, 57);
  batch.set(body, HEADER_BYTES);
  batch.writeUInt32BE(crc32c(batch.subarray(CRC_START)), CRC_AT);
  return batch;
}

/** Zigzag: small numbers of either sign are short. Source: Protocol Buffers, "Signed Integers". */
function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = zigzag(value) >>> 7; rest !== 0; rest >>>= 7) bytes += 1;
  return bytes;
}

function writeVarint(buffer: Buffer, at: number, value: number): number {
  let rest = zigzag(value);
  let end = at;
  for (; rest > 0x7f; rest >>>= 7) {
    buffer[end] = (rest & 0x7f) | 0x80;
    end += 1;
  }
  buffer[end] = rest;
  return end + 1;
}
