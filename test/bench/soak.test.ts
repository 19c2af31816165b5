import { describe, expect, it } from 'vitest';
import { dueClicks } from '../../bench/live-traffic.ts';
import { weightedSpread } from '../../bench/quantiles.ts';
import { risePerHour } from '../../bench/slope.ts';

const HOUR_MS = 3_600_000;

/** An hour of samples, one every ten seconds. */
function hour(value: (minutes: number, i: number) => number) {
  return Array.from({ length: 361 }, (_, i) => ({ ms: i * 10_000, value: value(i / 6, i) }));
}

describe('how much a series rises in an hour', () => {
  it('is the slope of its floor, whatever the teeth above it', () => {
    const sawtooth = hour((minutes, i) => 100 + minutes / 2 + (i % 7) * 40);
    expect(risePerHour(sawtooth)).toBeCloseTo(30, 0);
  });

  it('is nothing for a level series with single peaks, also at its end', () => {
    expect(risePerHour(hour((_, i) => (i > 300 && i % 10 === 0 ? 900 : 100)))).toBe(0);
  });

  it('sees a leak that begins late only by half, and one all along in full', () => {
    expect(risePerHour(hour((minutes) => minutes))).toBeCloseTo(60, 0);
    expect(risePerHour(hour((minutes) => Math.max(0, minutes - 20) * 3))).toBeGreaterThan(60);
  });

  it('is unknown without samples over time', () => {
    expect(risePerHour([])).toBeUndefined();
    expect(risePerHour([{ ms: 5, value: 1 }])).toBeUndefined();
  });
});

describe('clicks that are due', () => {
  const rates = {
    clicks: 1_000,
    burst: { clicks: 11_000, everyMs: 60_000, lastsMs: 6_000 },
    changes: 0,
  };

  it('come evenly, but for the burst at the end of each period', () => {
    expect(dueClicks(rates, 54_000)).toBe(54_000);
    expect(dueClicks(rates, 57_000)).toBe(57_000 + 30_000);
    expect(dueClicks(rates, 60_000)).toBe(60_000 + 60_000);
    expect(dueClicks(rates, 114_000)).toBe(114_000 + 60_000);
    expect(dueClicks(rates, HOUR_MS)).toBe(3_600_000 + 60 * 60_000);
  });

  it('come evenly without bursts', () => {
    const even = { ...rates, burst: { ...rates.burst, clicks: 0 } };
    expect(dueClicks(even, 90_000)).toBe(90_000);
  });
});

describe('quantiles of weighted values', () => {
  it('count a value as often as it weighs', () => {
    const values = [
      { value: 30, weight: 1 },
      { value: 10, weight: 98 },
      { value: 20, weight: 1 },
    ];
    expect(weightedSpread(values)).toEqual({ p50: 10, p99: 20, max: 30 });
    expect(weightedSpread([]).p99).toBeNaN();
  });
});
