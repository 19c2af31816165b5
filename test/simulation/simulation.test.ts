import { describe, expect, it } from 'vitest';
import { hashBytes, hashInt64 } from '../../enrich/state/row-keys.ts';
import { DEVICE_IDS, URLS, USER_IDS, VALUES } from './keys.ts';
import { playSeed } from './play-seed.ts';
import { runVariant } from './run-variant.ts';
import { VARIANTS } from './variants.ts';

const SCHEDULES = 4_000;
/** Where `make test` begins; `make simulate` begins elsewhere, and goes further. */
const FIRST_SEED = 1_000_000;

async function traceOf(seed: number): Promise<string[]> {
  const lines: string[] = [];
  await playSeed(seed, (line) => lines.push(line));
  return lines;
}

function hashOf(text: string): number {
  return hashBytes(Buffer.from(text), 0, Buffer.byteLength(text));
}

// INVARIANTS.md 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
describe('the simulation', () => {
  it(`breaks no invariant in ${SCHEDULES} schedules`, async () => {
    let commits = 0;
    for (let n = 0; n < SCHEDULES; n += 1) {
      const seed = FIRST_SEED + n;
      try {
        commits += (await playSeed(seed)).commits;
      } catch (cause) {
        throw new Error(`make simulate SEED=${seed} SCHEDULES=1`, { cause });
      }
    }
    expect(commits).toBeGreaterThan(SCHEDULES);
  }, 600_000);

  it('plays a seed the same way each time', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const first = await traceOf(seed);
      expect(first.length).toBeGreaterThan(3);
      expect(await traceOf(seed)).toEqual(first);
    }
  }, 60_000);

  it('has keys and values whose hashes collide', () => {
    for (const [first, second] of [DEVICE_IDS, URLS, VALUES]) {
      expect(first).not.toBe(second);
      expect(hashOf(first)).toBe(hashOf(second));
    }
    const [low, high] = USER_IDS;
    expect(hashInt64(high | 0, Math.floor(high / 2 ** 32))).toBe(hashInt64(low, 0));
  });
});

describe('a broken variant is caught', () => {
  it.concurrent.each(VARIANTS.map(({ name, breaks }) => [name, breaks]))(
    '%s: %s',
    async (name) => {
      const caught = await runVariant(name, { seed: FIRST_SEED, schedulesMax: 5_000 });
      expect(caught).toMatchObject({ kind: 'caught' });
    },
    600_000,
  );
});
