import { describe, expect, it } from 'vitest';
import { mix32, openRandom } from '../../generate/random.ts';
import { openZipf } from '../../generate/zipf.ts';

describe('random numbers', () => {
  it('repeat for the same seed and stream', () => {
    const [a, b] = [openRandom(7, 'clicks'), openRandom(7, 'clicks')];
    const draw = (random: typeof a): number[] => Array.from({ length: 50 }, () => random.uint32());
    expect(draw(a)).toEqual(draw(b));
  });

  it('differ between seeds and between streams of one seed', () => {
    const first = [openRandom(7, 'clicks'), openRandom(8, 'clicks'), openRandom(7, 'changes')].map(
      (random) => random.uint32(),
    );
    expect(new Set(first).size).toBe(3);
  });

  it('spread evenly over the range', () => {
    const random = openRandom(1, 'even');
    const counts = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 100_000; i += 1) {
      const digit = random.below(10);
      counts[digit] = (counts[digit] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  it('scramble one-to-one', () => {
    const seen = new Set(Array.from({ length: 200_000 }, (_, i) => mix32(i)));
    expect(seen.size).toBe(200_000);
  });
});

describe('Zipf ranks', () => {
  it.each([0.8, 1, 1.3])('follow rank to the power of -%s', (exponent) => {
    const count = 1_000;
    const draw = openZipf(count, exponent, openRandom(3, 'zipf'));
    const seen = Array.from({ length: count + 1 }, () => 0);
    const draws = 300_000;
    for (let i = 0; i < draws; i += 1) {
      const rank = draw();
      seen[rank] = (seen[rank] ?? 0) + 1;
    }
    let total = 0;
    for (let rank = 1; rank <= count; rank += 1) total += rank ** -exponent;
    for (const rank of [1, 2, 3, 10, 50]) {
      const expected = (draws * rank ** -exponent) / total;
      expect(Math.abs((seen[rank] ?? 0) - expected)).toBeLessThan(6 * Math.sqrt(expected));
    }
    expect(seen[0]).toBe(0);
  });

  it('repeat for the same seed', () => {
    const draws = [1, 2].map(() => {
      const draw = openZipf(50_000_000, 0.95, openRandom(5, 'zipf'));
      return Array.from({ length: 100 }, draw);
    });
    expect(draws[0]).toEqual(draws[1]);
  });

  it('refuse an empty range', () => {
    expect(() => openZipf(0, 1, openRandom(1, 'x'))).toThrow(
      expect.objectContaining({ kind: 'config' }),
    );
  });
});
