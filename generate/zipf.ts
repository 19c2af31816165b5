import { GenerateError } from './error.ts';
import type { Random } from './random.ts';

/**
 * Draws ranks 1..count with probability proportional to rank^-exponent, in constant time and memory:
 * rank 1 is the most frequent. `exponent` above 0; around 1 is what traffic looks like.
 * Source: Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete
 * distributions", 1996. Errors: `config` for a count or exponent that makes no distribution.
 */
export function openZipf(count: number, exponent: number, random: Random): () => number {
  if (!Number.isSafeInteger(count) || count < 1 || !(exponent > 0)) {
    throw new GenerateError('config', `no Zipf distribution over ${count} with ${exponent}`);
  }
  const density = (x: number): number => Math.exp(-exponent * Math.log(x));
  const integral = (x: number): number => {
    const logX = Math.log(x);
    return expm1Ratio((1 - exponent) * logX) * logX;
  };
  const inverse = (area: number): number => {
    const t = Math.max(-1, area * (1 - exponent));
    return Math.exp(log1pRatio(t) * area);
  };
  const areaStart = integral(1.5) - 1;
  const areaEnd = integral(count + 0.5);
  const quickAccept = 2 - inverse(integral(2.5) - density(2));
  return () => {
    for (;;) {
      const area = areaEnd + random.float() * (areaStart - areaEnd);
      const x = inverse(area);
      const rank = Math.min(count, Math.max(1, Math.round(x)));
      if (rank - x <= quickAccept || area >= integral(rank + 0.5) - density(rank)) return rank;
    }
  };
}

/** (e^x - 1) / x, also near 0, where exponent 1 leads. */
function expm1Ratio(x: number): number {
  return Math.abs(x) > 1e-8 ? Math.expm1(x) / x : 1 + x / 2;
}

/** ln(1 + x) / x, also near 0. */
function log1pRatio(x: number): number {
  return Math.abs(x) > 1e-8 ? Math.log1p(x) / x : 1 - x / 2;
}
