import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openRandom } from '../../generate/random.ts';
import { stopCleanly, until } from './command.ts';
import { openLake } from './lake.ts';
import type { Lake } from './lake.ts';
import { factOf, proveExactlyOnce } from './prove.ts';

/** When each kill falls: while it starts, soon after it is ready, or between and within its commits. */
const kills = [
  'committing',
  'starting',
  'ready',
  'ready',
  'committing',
  'starting',
  'ready',
  'committing',
  'starting',
  'ready',
] as const;
const clicksPerSecond = 2_000;

let lake: Lake;
beforeAll(async () => {
  lake = await openLake('exactly_once');
});
afterAll(() => lake.close());

it(
  'ten kill -9 at random moments lose nothing and double nothing (INVARIANTS.md 2, 3, 5)',
  { timeout: 240_000 },
  async () => {
    const seed = Number(process.env['TRIBUTARY_TEST_SEED'] ?? Date.now() % 1_000_000);
    process.stdout.write(`exactly-once: TRIBUTARY_TEST_SEED=${seed}\n`);
    const random = openRandom(seed, 'kills');
    const clicks = lake.startClicks('--rate', String(clicksPerSecond), '--changes', '40');
    const clicksAtKill: number[] = [];
    for (const moment of kills) {
      const pipeline = await lake.startPipeline();
      switch (moment) {
        case 'starting':
          await sleep(100 + random.below(1_500));
          break;
        case 'ready':
          await pipeline.ready();
          await sleep(300 + random.below(3_700));
          break;
        case 'committing':
          await nextCommit();
          await sleep(random.below(1_500));
          break;
      }
      expect(await pipeline.stop('SIGKILL'), 'it ran until it was killed').toBe('SIGKILL');
      clicksAtKill.push(await committed());
    }
    await stopCleanly(clicks);
    const last = await lake.startPipeline();
    await last.ready();
    await lake.caughtUp();
    await stopCleanly(last);

    const { produced, rejects, reports } = await proveExactlyOnce(lake, '--joins');
    process.stdout.write(
      `exactly-once: ${produced} clicks; at the kills ${clicksAtKill.join(' ')}\n`,
    );
    expect(produced).toBeGreaterThan(40_000);
    expect(rejects, 'records that cannot be decoded are among them').toBeGreaterThan(0);
    expect(new Set(clicksAtKill).size, 'commits landed between the kills').toBeGreaterThan(2);
    expect(factOf(reports, 'commits checked one by one')).toBeGreaterThan(3);
  },
);

/** Offsets that the table has committed, of all partitions. */
async function committed(): Promise<number> {
  return [...(await lake.position()).values()].reduce((sum, next) => sum + Number(next), 0);
}

async function nextCommit(): Promise<void> {
  const before = await committed();
  await until('a commit lands', async () => (await committed()) > before);
}
