const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

/**
 * MurmurHash3 x86 32-bit, seed 0, of `bytes[start .. end)`, as a signed 32-bit integer: the hash under
 * Iceberg's bucket transform. Source: Iceberg table spec, appendix B, "32-bit hash requirements".
 */
export function murmur3(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let hash = 0;
  const blocksEnd = start + ((end - start) & ~3);
  for (let at = start; at < blocksEnd; at += 4) {
    const block =
      byteAt(bytes, at) |
      (byteAt(bytes, at + 1) << 8) |
      (byteAt(bytes, at + 2) << 16) |
      (byteAt(bytes, at + 3) << 24);
    hash = mixBlock(hash, block);
  }
  let tail = 0;
  for (let at = end - 1; at >= blocksEnd; at -= 1) tail = (tail << 8) | byteAt(bytes, at);
  return finish(hash ^ scramble(tail), end - start);
}

/** The same hash of a 64-bit integer, given as its low and high 32-bit words (little-endian bytes). */
export function murmur3Int64(low: number, high: number): number {
  return finish(mixBlock(mixBlock(0, low), high), 8);
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}

function scramble(block: number): number {
  const k = Math.imul(block, C1);
  return Math.imul((k << 15) | (k >>> 17), C2);
}

function mixBlock(hash: number, block: number): number {
  const h = hash ^ scramble(block);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number, length: number): number {
  let h = hash ^ length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
