import { describe, expect, it } from 'vitest';
import { spreadByKey, spreadOf } from '../../bench/result.ts';
import { speedOf } from '../../bench/pipeline-run.ts';

describe('figures of several runs', () => {
  it('are told as least, middle and most', () => {
    expect(spreadOf([9, 1, 5])).toEqual({ min: 1, median: 5, max: 9 });
    expect(spreadOf([1, 2, 10, 4])).toEqual({ min: 1, median: 3, max: 10 });
    expect(() => spreadOf([])).toThrow(RangeError);
  });

  it('are kept apart by kind', () => {
    const runs = [
      { skew: 'zipf', workers: 1, speed: 10 },
      { skew: 'zipf', workers: 2, speed: 18 },
      { skew: 'zipf', workers: 1, speed: 12 },
    ];
    expect(spreadByKey(runs, ['skew', 'workers'])).toEqual([
      { skew: 'zipf', workers: 1, runs: 2, speed: { min: 10, median: 11, max: 12 } },
      { skew: 'zipf', workers: 2, runs: 1, speed: { min: 18, median: 18, max: 18 } },
    ]);
  });
});

describe('the speed of a backlog', () => {
  it('is taken over all, and from 25 to 95 % where it runs evenly', () => {
    // Two slow seconds first, then 100 events a second at a CPU second for 200, and a slow last commit.
    const samples = [
      { ms: 0, records: 0, cpuSeconds: 10 },
      { ms: 4_000, records: 200, cpuSeconds: 13 },
      { ms: 6_000, records: 400, cpuSeconds: 14 },
      { ms: 8_000, records: 600, cpuSeconds: 15 },
      { ms: 14_000, records: 700, cpuSeconds: 17 },
    ];
    expect(speedOf(samples)).toMatchObject({
      events: 700,
      seconds: 14,
      cpuSeconds: 7,
      eventsPerSecond: 50,
      eventsPerCpuSecond: 100,
      steadyPerSecond: 100,
      steadyPerCpuSecond: 200,
    });
  });

  it('is that over all where one commit took everything', () => {
    const samples = [
      { ms: 0, records: 0, cpuSeconds: 0 },
      { ms: 1_000, records: 500, cpuSeconds: 2 },
    ];
    expect(speedOf(samples)).toMatchObject({ steadyPerSecond: 500, steadyPerCpuSecond: 250 });
  });
});
