import { DEFAULT_CLICK_SHAPE, openClickDraw, type Click } from '../../generate/clicks.ts';
import { mix32, type Random } from '../../generate/random.ts';
import type { DataSize, Skew } from './data-set.ts';

/**
 * The clicks of a data set: click `index` follows from seed, size, skew and index alone, so that a row of the table is
 * checked against it by its place in the topic, without a record of what was sent. Not thread-safe: one a thread.
 */
export type ClickModel = {
  at(index: number): Click;
};

/** Event times begin here, 1 June 2026, and lie as far apart as 1 200 clicks a second do. */
const EVENT_TIME_BASE_MS = 1_780_272_000_000;
const CLICKS_PER_SECOND = 1_200;
/** Zipf as traffic has it; 0 draws all keys alike. */
const EXPONENTS = { zipf: DEFAULT_CLICK_SHAPE.zipfExponent, uniform: 0 };

export function openClickModel(options: { seed: number; size: DataSize; skew: Skew }): ClickModel {
  const { seed, size, skew } = options;
  const random = openIndexedRandom(seed);
  const shape = { ...DEFAULT_CLICK_SHAPE, ...size, zipfExponent: EXPONENTS[skew] };
  const draw = openClickDraw(seed, shape, random);
  return {
    at(index) {
      random.seek(index);
      return draw(EVENT_TIME_BASE_MS + Math.floor((index * 1_000) / CLICKS_PER_SECOND));
    },
  };
}

/** Click `index` is record `index / partitions` of partition `index % partitions`. */
export function clickIndexOf(
  place: { partition: number; offset: bigint },
  options: { partitions: number; firstOffset: bigint },
): number {
  return Number(place.offset - options.firstOffset) * options.partitions + place.partition;
}

/**
 * Random numbers that begin anew at any index. Source of the step: Steele, Lea and Flood, "Fast splittable
 * pseudorandom number generators", with MurmurHash3's finaliser.
 */
function openIndexedRandom(seed: number): Random & { seek(index: number): void } {
  let state = 0;
  const uint32 = (): number => {
    state = (state + 0x9e3779b9) | 0;
    return mix32(state);
  };
  const float = (): number => uint32() / 0x1_0000_0000;
  return {
    seek(index) {
      state = mix32(mix32(seed) ^ mix32(index + 1));
    },
    uint32,
    float,
    below: (bound) => Math.floor(float() * bound),
    chance: (probability) => float() < probability,
  };
}
