import { gzipSync, zstdCompressSync } from 'node:zlib';
import { compress as lz4Compress } from 'lz4js';

/**
 * Writes record batches (magic 2) field by field from the layout at
 * https://kafka.apache.org/documentation/#recordbatch, with nothing of the reader under test: its own
 * varints, its own CRC-32C table, other codecs.
 */
export type EncodedRecord = {
  offsetDelta: number;
  timestampDeltaMs?: number;
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers?: readonly [string, Uint8Array | null][];
};

export type EncodedBatch = {
  baseOffset: bigint;
  records: readonly EncodedRecord[];
  /** Set beyond the last record where compaction has removed the tail. */
  lastOffsetDelta?: number;
  codec?: 'none' | 'gzip' | 'snappy' | 'snappy-xerial' | 'lz4' | 'zstd';
  baseTimestampMs?: bigint;
  maxTimestampMs?: bigint;
  logAppendTime?: boolean;
  producerId?: bigint;
  transactional?: boolean;
  control?: boolean;
};

const CODEC_BITS = { none: 0, gzip: 1, snappy: 2, 'snappy-xerial': 2, lz4: 3, zstd: 4 };

export function encodeBatch(batch: EncodedBatch): Buffer {
  const codec = batch.codec ?? 'none';
  const lastDelta = batch.lastOffsetDelta ?? batch.records.at(-1)?.offsetDelta ?? 0;
  const body = compress(codec, Buffer.concat(batch.records.map(encodeRecord)));
  const afterCrc = Buffer.alloc(40);
  const attributes =
    CODEC_BITS[codec] |
    (batch.logAppendTime === true ? 8 : 0) |
    (batch.transactional === true ? 16 : 0) |
    (batch.control === true ? 32 : 0);
  afterCrc.writeInt16BE(attributes, 0);
  afterCrc.writeInt32BE(lastDelta, 2);
  afterCrc.writeBigInt64BE(batch.baseTimestampMs ?? 0n, 6);
  afterCrc.writeBigInt64BE(batch.maxTimestampMs ?? batch.baseTimestampMs ?? 0n, 14);
  afterCrc.writeBigInt64BE(batch.producerId ?? -1n, 22);
  afterCrc.writeInt16BE(0, 30);
  afterCrc.writeInt32BE(-1, 32);
  afterCrc.writeInt32BE(batch.records.length, 36);
  const summed = Buffer.concat([afterCrc, body]);
  const head = Buffer.alloc(21);
  head.writeBigInt64BE(batch.baseOffset, 0);
  head.writeInt32BE(9 + summed.length, 8);
  head.writeInt32BE(0, 12);
  head.writeInt8(2, 16);
  head.writeUInt32BE(crc32c(summed), 17);
  return Buffer.concat([head, summed]);
}

/** An end-of-transaction marker as a coordinator writes it. */
export function encodeMarker(
  baseOffset: bigint,
  producerId: bigint,
  type: 'abort' | 'commit',
): Buffer {
  const key = Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1]);
  const records = [{ offsetDelta: 0, key, value: Buffer.alloc(6) }];
  return encodeBatch({ baseOffset, records, producerId, control: true, transactional: true });
}

function encodeRecord(record: EncodedRecord): Buffer {
  const headers = (record.headers ?? []).map(([name, value]) =>
    Buffer.concat([encodeBytes(Buffer.from(name)), encodeBytes(value)]),
  );
  const body = Buffer.concat([
    Buffer.from([0]),
    encodeVarint(BigInt(record.timestampDeltaMs ?? 0)),
    encodeVarint(BigInt(record.offsetDelta)),
    encodeBytes(record.key),
    encodeBytes(record.value),
    encodeVarint(BigInt(headers.length)),
    ...headers,
  ]);
  return Buffer.concat([encodeVarint(BigInt(body.length)), body]);
}

function encodeBytes(bytes: Uint8Array | null): Buffer {
  return bytes === null
    ? encodeVarint(-1n)
    : Buffer.concat([encodeVarint(BigInt(bytes.length)), bytes]);
}

function encodeVarint(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) + 128);
    rest >>= 7n;
  }
  return Buffer.from([...bytes, Number(rest)]);
}

function compress(codec: keyof typeof CODEC_BITS, bytes: Buffer): Uint8Array {
  switch (codec) {
    case 'none':
      return bytes;
    case 'gzip':
      return gzipSync(bytes);
    case 'snappy':
      return snappyCompress(bytes);
    case 'snappy-xerial':
      return encodeXerial(bytes);
    case 'lz4':
      return lz4Compress(bytes);
    case 'zstd':
      return zstdCompressSync(bytes);
  }
}

/** Raw snappy of literals alone: the length as a varint, then elements of at most 60 bytes. */
function snappyCompress(bytes: Uint8Array): Buffer {
  const parts: Uint8Array[] = [];
  let rest = bytes.length;
  while (rest > 127) {
    parts.push(Buffer.from([(rest & 127) + 128]));
    rest >>>= 7;
  }
  parts.push(Buffer.from([rest]));
  for (let at = 0; at < bytes.length; at += 60) {
    const literal = bytes.subarray(at, at + 60);
    parts.push(Buffer.from([(literal.length - 1) << 2]), literal);
  }
  return Buffer.concat(parts);
}

/** As snappy-java's stream does: a header, then chunks of at most 32 KiB, here of 100 bytes. */
function encodeXerial(bytes: Buffer): Buffer {
  const parts: Uint8Array[] = [
    Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00, 0, 0, 0, 1, 0, 0, 0, 1]),
  ];
  for (let at = 0; at < bytes.length; at += 100) {
    const chunk = snappyCompress(bytes.subarray(at, at + 100));
    const length = Buffer.alloc(4);
    length.writeInt32BE(chunk.length);
    parts.push(length, chunk);
  }
  return Buffer.concat(parts);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

export function crc32c(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = (sum >>> 8) ^ (CRC_TABLE[(sum ^ byte) & 0xff] ?? 0);
  return (sum ^ 0xffffffff) >>> 0;
}
