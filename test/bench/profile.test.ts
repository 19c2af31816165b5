import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { stagesOf, type CpuProfile } from '../../bench/profile.ts';

const fileOf = (path: string): string => pathToFileURL(resolve(path)).href;

/** root ─ decode ─ a function of Node; root ─ walk ─ a package; root ─ idle; root ─ collector. */
const profile: CpuProfile = {
  startTime: 1_000_000,
  nodes: [
    { id: 1, callFrame: { functionName: '(root)', url: '' }, children: [2, 4, 6, 7] },
    { id: 2, callFrame: { functionName: 'decode', url: fileOf('schemas/a.ts') }, children: [3] },
    { id: 3, callFrame: { functionName: 'utf8Slice', url: 'node:buffer' } },
    {
      id: 4,
      callFrame: { functionName: 'walk', url: fileOf('enrich/source/b.ts') },
      children: [5],
    },
    { id: 5, callFrame: { functionName: 'lz4', url: fileOf('node_modules/c/schemas/d.js') } },
    { id: 6, callFrame: { functionName: '(idle)', url: '' } },
    { id: 7, callFrame: { functionName: '(garbage collector)', url: '' } },
  ],
  samples: [1, 2, 3, 4, 5, 6, 7, 2],
  timeDeltas: [1_000, 1_000, 1_000, 1_000, 1_000, 50_000, 2_000, 4_000],
};

const always = { fromNs: 0n, toNs: 10n ** 18n };

describe('the stages of a profile', () => {
  it('are those of the nearest file of ours, garbage apart and idle time left out', () => {
    const stages = stagesOf(profile, always);
    expect(stages['decode']).toBeCloseTo(0.006);
    expect(stages['fetch, decompress, walk']).toBeCloseTo(0.002);
    expect(stages['garbage collection']).toBeCloseTo(0.002);
    expect(Object.values(stages).reduce((sum, s) => sum + s, 0)).toBeCloseTo(0.011);
  });

  it('count only what lies in the stretch', () => {
    const fromNs = BigInt(profile.startTime + 5_500) * 1000n;
    expect(Object.keys(stagesOf(profile, { fromNs, toNs: always.toNs })).toSorted()).toEqual([
      'decode',
      'garbage collection',
    ]);
  });
});
