import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { lz4Decompress, snappyDecompress } from '@platformatic/wasm-utils';

/** Records seldom compress better than this. */
const EXPANSION = 8;
const PIECE_BYTES_MIN = 1024;

/** What went wrong in a compressed batch; the caller knows where the batch is and wraps it. */
export class CompressionFault extends Error {
  /** The data is sound as far as it was read, and expands above the limit. */
  readonly isTooLarge: boolean;

  constructor(message: string, options: { cause?: unknown; isTooLarge?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CompressionFault';
    this.isTooLarge = options.isTooLarge ?? false;
  }
}

/**
 * Decompresses the records of one batch. `codec` is the low three bits of the batch attributes:
 * 0 none, 1 gzip, 2 snappy (raw or xerial-framed), 3 lz4 frame, 4 zstd.
 * Output above `decompressedBytesMax` is refused before it is allocated, so that a small batch cannot
 * fill the memory. Throws `CompressionFault`.
 * Source: https://kafka.apache.org/documentation/#recordbatch
 */
export function decompress(
  codec: number,
  bytes: Uint8Array,
  decompressedBytesMax: number,
): Uint8Array {
  const limits = {
    maxOutputLength: decompressedBytesMax,
    // Room for all of it in most cases: zlib puts pieces together by copying them.
    chunkSize: PIECE_BYTES_MIN + Math.min(decompressedBytesMax, bytes.length * EXPANSION),
  };
  switch (codec) {
    case 0:
      return bytes;
    case 1:
      return guarded('gzip', () => gunzipSync(bytes, limits));
    case 2:
      return decompressSnappy(bytes, decompressedBytesMax);
    case 3:
      checkLz4Bound(bytes, decompressedBytesMax);
      return guarded('lz4', () => lz4Decompress(asBuffer(bytes)));
    case 4:
      return guarded('zstd', () => zstdDecompressSync(bytes, limits));
    default:
      throw new CompressionFault(`compression codec ${codec} is unknown; known are 0 to 4`);
  }
}

function guarded<T>(codec: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw tooLarge(codec);
    }
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CompressionFault(`${codec} data cannot be decompressed: ${reason}`, { cause });
  }
}

/** `size` where it is known before decompression. */
function tooLarge(codec: string, size = ''): CompressionFault {
  const message = `its ${codec} data expands ${size}above the limit`;
  return new CompressionFault(message, { isTooLarge: true });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function checkBound(codec: string, size: number, decompressedBytesMax: number): void {
  if (size > decompressedBytesMax) {
    throw tooLarge(codec, `to ${size} bytes, `);
  }
}

/*
  xerial frame, written by the Java client:
    magic         => 82 53 4e 41 50 50 59 00
    version       => INT32
    compatible    => INT32
    [chunk]       => length INT32, raw snappy of that length
*/
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;

function decompressSnappy(bytes: Uint8Array, decompressedBytesMax: number): Uint8Array {
  const buffer = asBuffer(bytes);
  if (!buffer.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) {
    checkBound('snappy', rawSnappySize(buffer), decompressedBytesMax);
    return guarded('snappy', () => snappyDecompress(buffer));
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for (let at = XERIAL_HEADER_BYTES; at < buffer.length;) {
    if (at + 4 > buffer.length) throw new CompressionFault('snappy chunk length is cut off');
    const end = at + 4 + buffer.readUInt32BE(at);
    if (end > buffer.length) throw new CompressionFault('snappy chunk is cut off');
    const chunk = buffer.subarray(at + 4, end);
    size += rawSnappySize(chunk);
    checkBound('snappy', size, decompressedBytesMax);
    chunks.push(guarded('snappy', () => snappyDecompress(chunk)));
    at = end;
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size);
}

/** Raw snappy starts with its uncompressed length as an unsigned varint of at most five bytes. */
function rawSnappySize(buffer: Buffer): number {
  let size = 0;
  for (let at = 0; at < 5; at += 1) {
    const byte = buffer[at];
    if (byte === undefined) break;
    size += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return size;
  }
  throw new CompressionFault('snappy length is malformed');
}

/*
  LZ4 frame:
    magic         => 04 22 4d 18
    FLG           => bit 4 block checksums, bit 3 content size present, bit 2 content checksum, bit 0 dictionary id
    BD            => bits 4-6: 4..7 = blocks of at most 64 KiB, 256 KiB, 1 MiB, 4 MiB
    content size  => 8 bytes, if present
    dictionary id => 4 bytes, if present
    header check  => 1 byte
    [block]       => size UINT32 LE (top bit: stored), data, 4 bytes checksum if present; size 0 ends
*/
const LZ4_MAGIC = 0x184d2204;

/**
 * The decoder takes no limit, so the size is bounded from the block headers beforehand: every block but
 * the last counts as full, which is exact for the writers of Kafka (they flush full blocks only).
 */
function checkLz4Bound(bytes: Uint8Array, decompressedBytesMax: number): void {
  const buffer = asBuffer(bytes);
  if (buffer.length < 7 || buffer.readUInt32LE(0) !== LZ4_MAGIC) {
    throw new CompressionFault('lz4 data does not start with an LZ4 frame');
  }
  const flags = buffer[4] ?? 0;
  const blockBytesMax = 2 ** (8 + 2 * (((buffer[5] ?? 0) >> 4) & 0x07));
  const checksumBytes = (flags & 0x10) === 0 ? 0 : 4;
  let at = 7 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4);
  let fullBlocks = -1;
  while (at + 4 <= buffer.length) {
    const blockBytes = buffer.readUInt32LE(at) & 0x7fffffff;
    if (blockBytes === 0) break;
    at += 4 + blockBytes + checksumBytes;
    fullBlocks += 1;
  }
  checkBound('lz4', Math.max(0, fullBlocks) * blockBytesMax, decompressedBytesMax);
}
