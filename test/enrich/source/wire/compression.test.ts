import { gzipSync, zstdCompressSync } from 'node:zlib';
import { lz4Compress, snappyCompress } from '@platformatic/wasm-utils';
import { describe, expect, it } from 'vitest';
import { CompressionFault, decompress } from '../../../../enrich/source/wire/compression.ts';

const MIB = 2 ** 20;
const zeros = Buffer.alloc(40 * MIB);

function xerial(...chunks: Uint8Array[]): Buffer {
  const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
  const framed = chunks.map((chunk) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(chunk.length);
    return Buffer.concat([length, chunk]);
  });
  return Buffer.concat([header, ...framed]);
}

describe('decompress', () => {
  const bombs: [string, number, () => Uint8Array][] = [
    ['gzip', 1, () => gzipSync(zeros)],
    ['snappy', 2, () => snappyCompress(zeros)],
    [
      'snappy in a xerial frame',
      2,
      () => xerial(...Array(5).fill(snappyCompress(zeros.subarray(0, 8 * MIB)))),
    ],
    ['lz4', 3, () => lz4Compress(zeros)],
    ['zstd', 4, () => zstdCompressSync(zeros)],
  ];

  it.each(bombs)('refuses %s data that expands above the limit', (_name, codec, make) => {
    const bomb = make();
    expect(bomb.length).toBeLessThan(3 * MIB);
    expect(() => decompress(codec, bomb, 32 * MIB)).toThrow(CompressionFault);
    expect(decompress(codec, bomb, 64 * MIB).length).toBe(40 * MIB);
  });

  it.each([1, 2, 3, 4])('calls garbage for codec %i a compression fault', (codec) => {
    const garbage = Buffer.from('this is not compressed data at all');
    expect(() => decompress(codec, garbage, MIB)).toThrow(CompressionFault);
  });

  it.each([
    ['lz4', 3, lz4Compress(Buffer.from('some text '.repeat(100)))],
    ['snappy', 2, snappyCompress(Buffer.from('some text '.repeat(100)))],
    ['xerial', 2, xerial(snappyCompress(Buffer.from('some text')))],
    ['gzip', 1, gzipSync('some text')],
    ['zstd', 4, zstdCompressSync('some text')],
  ])('calls %s data that is cut off a compression fault', (_name, codec, bytes) => {
    expect(() => decompress(codec, bytes.subarray(0, bytes.length - 6), MIB)).toThrow(
      CompressionFault,
    );
  });

  it('works on after a fault: the decoder keeps nothing of the bad data', () => {
    const good = Buffer.from('some text '.repeat(1000));
    expect(() => decompress(3, lz4Compress(good).subarray(0, 40), MIB)).toThrow(CompressionFault);
    expect(Buffer.from(decompress(3, lz4Compress(good), MIB)).equals(good)).toBe(true);
    expect(Buffer.from(decompress(2, snappyCompress(good), MIB)).equals(good)).toBe(true);
  });

  it('names an unknown codec', () => {
    expect(() => decompress(7, Buffer.alloc(1), MIB)).toThrow('codec 7 is unknown');
  });
});
