import { gzipSync } from 'node:zlib';
import type { Random } from '../../generate/random.ts';

/** One way in which the bytes of a record may be wrong, and what came of it; null is a null value. */
export type Mutation = { name: string; bytes: Uint8Array | null };

const FRAME_BYTES = 5;

/** Lengths, counts and indexes that no record means: beyond 31, 32, 53 and 63 bits, and below zero. */
const BOMBS: readonly bigint[] = [
  2n ** 20n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n + 1n,
  2n ** 40n,
  2n ** 53n,
  2n ** 63n - 1n,
  -1n,
  -2n,
  -(2n ** 31n),
  -(2n ** 53n),
  -(2n ** 63n),
];

/** Varints that are too long, or say a small number in too many bytes. */
const LONG_VARINTS: readonly Uint8Array[] = [
  Uint8Array.from([...Array<number>(9).fill(0x80), 0x00]),
  Uint8Array.from([...Array<number>(10).fill(0x80), 0x00]),
  Uint8Array.from([...Array<number>(9).fill(0xff), 0x01]),
  Uint8Array.from([...Array<number>(9).fill(0xff), 0x02]),
  Uint8Array.from([...Array<number>(10).fill(0xff), 0x01]),
  Uint8Array.from(Array<number>(40).fill(0x80)),
];

const BAD_UTF8: readonly (readonly number[])[] = [
  [0xff],
  [0xfe, 0xfe],
  [0x80],
  [0xc0, 0x80],
  [0xc3, 0x28],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xe2, 0x82],
];

/** A signed 64-bit number as Avro writes it. */
export function zigzag(value: bigint): Uint8Array {
  let rest = BigInt.asUintN(64, value < 0n ? -2n * value - 1n : 2n * value);
  const bytes: number[] = [];
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...bytes, Number(rest)]);
}

/** Text or bytes as Avro writes them. */
export function sized(value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([zigzag(BigInt(bytes.length)), bytes]);
}

export function withFrame(schemaId: number, body: Uint8Array): Uint8Array {
  const head = Buffer.alloc(FRAME_BYTES);
  head.writeInt32BE(schemaId, 1);
  return Buffer.concat([head, body]);
}

/** Everything that can be done to every byte of a good framed record, each exactly once. */
export function* everyMutation(
  good: Uint8Array,
  ids: { unknown: number; others: readonly number[] },
): Generator<Mutation> {
  yield { name: 'null', bytes: null };
  yield { name: 'as it was', bytes: good };
  for (const magic of [1, 7, 0x7b, 0xff]) {
    yield {
      name: `magic byte ${magic}`,
      bytes: Buffer.concat([Buffer.from([magic]), good.subarray(1)]),
    };
  }
  yield { name: 'unframed', bytes: good.subarray(FRAME_BYTES) };
  yield { name: 'unknown schema id', bytes: withFrame(ids.unknown, good.subarray(FRAME_BYTES)) };
  yield { name: 'negative schema id', bytes: withFrame(-1, good.subarray(FRAME_BYTES)) };
  for (const id of ids.others) {
    yield {
      name: `schema id of another (${id})`,
      bytes: withFrame(id, good.subarray(FRAME_BYTES)),
    };
  }
  for (let end = 0; end < good.length; end++) {
    yield { name: `cut at ${end}`, bytes: good.subarray(0, end) };
  }
  for (let at = FRAME_BYTES; at < good.length; at++) {
    for (const bomb of BOMBS) yield replaced(good, at, zigzag(bomb), `${bomb} at ${at}`);
    for (const long of LONG_VARINTS) {
      yield replaced(good, at, long, `varint of ${long.length} bytes at ${at}`);
    }
    for (const text of BAD_UTF8) {
      const bytes = Buffer.from(good);
      bytes.set(text.slice(0, good.length - at), at);
      yield { name: `bad UTF-8 at ${at}`, bytes };
    }
  }
  yield* wholes(good);
}

function replaced(good: Uint8Array, at: number, by: Uint8Array, name: string): Mutation {
  return { name, bytes: Buffer.concat([good.subarray(0, at), by, good.subarray(at + 1)]) };
}

function* wholes(good: Uint8Array): Generator<Mutation> {
  const half = good.length >> 1;
  yield { name: 'trailing byte', bytes: Buffer.concat([good, Buffer.from([0])]) };
  yield { name: 'twice', bytes: Buffer.concat([good, good]) };
  yield {
    name: 'halves swapped',
    bytes: Buffer.concat([good.subarray(half), good.subarray(0, half)]),
  };
  yield { name: 'compressed', bytes: gzipSync(good) };
  yield {
    name: 'compressed behind its frame',
    bytes: Buffer.concat([good.subarray(0, FRAME_BYTES), gzipSync(good)]),
  };
  yield { name: 'as JSON text', bytes: Buffer.from(JSON.stringify([...good])) };
  yield { name: 'a megabyte of zeros behind', bytes: Buffer.concat([good, Buffer.alloc(1 << 20)]) };
}

/** One mutation of a kind drawn by chance, the frame included. */
export function randomMutation(good: Uint8Array, random: Random): Mutation {
  const bytes = Buffer.from(good);
  const count = 1 + random.below(6);
  switch (random.below(5)) {
    case 0: {
      for (let i = 0; i < count; i++) {
        const at = random.below(bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      }
      return { name: `${count} bits flipped`, bytes };
    }
    case 1: {
      for (let i = 0; i < count; i++) bytes[random.below(bytes.length)] = random.below(256);
      return { name: `${count} bytes overwritten`, bytes };
    }
    case 2: {
      const [from, to] = [random.below(bytes.length), random.below(bytes.length)].toSorted(
        (a, b) => a - b,
      );
      const without = Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
      return { name: `without ${from} to ${to}`, bytes: without };
    }
    case 3: {
      const at = random.below(bytes.length);
      const noise = Uint8Array.from({ length: count }, () => random.below(256));
      return {
        name: `${count} bytes inserted`,
        bytes: Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]),
      };
    }
    default: {
      const noise = Uint8Array.from({ length: random.below(120) }, () => random.below(256));
      return {
        name: 'noise behind the frame',
        bytes: Buffer.concat([bytes.subarray(0, FRAME_BYTES), noise]),
      };
    }
  }
}
