/**
 * A deterministic stream of random numbers: the same seed gives the same load on every machine.
 * Not for secrets.
 */
export type Random = {
  /** Uniform in [0, 2^32). */
  uint32(): number;
  /** Uniform in [0, 1), 32 bits of resolution. */
  float(): number;
  /** Uniform integer in [0, bound); the bias is below bound / 2^32. */
  below(bound: number): number;
  /** True with the given probability. */
  chance(probability: number): boolean;
};

/**
 * Scrambles 32 bits one-to-one: different inputs always give different outputs.
 * Source: the finaliser of MurmurHash3 (fmix32).
 */
export function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * xoshiro128** over four words that are drawn from the seed. `stream` separates the uses of one seed
 * (tables, clicks, changes), so that more of one does not shift another.
 * Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators".
 */
export function openRandom(seed: number, stream: string): Random {
  let state = mix32(seed ^ hashText(stream));
  const word = (): number => {
    state = (state + 0x9e3779b9) | 0;
    return mix32(state);
  };
  // xoshiro's only forbidden state is all zeros; the constant rules it out.
  let [s0, s1, s2, s3] = [word(), word(), word(), 1 | word()];
  const uint32 = (): number => {
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    const shifted = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= shifted;
    s3 = rotateLeft(s3, 11);
    return result;
  };
  const float = (): number => uint32() / 0x1_0000_0000;
  return {
    uint32,
    float,
    below: (bound) => Math.floor(float() * bound),
    chance: (probability) => float() < probability,
  };
}

/** FNV-1a over UTF-16 units: 32 bits of a short text. */
function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
