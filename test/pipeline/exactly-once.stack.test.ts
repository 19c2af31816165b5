import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openRandom } from '../../generate/random.ts';
import { openLake, stopCleanly } from './lake.ts';
import type { Lake } from './lake.ts';
import { factOf, proveExactlyOnce } from './prove.ts';

const kills = 10;
/** Of these, so many before readiness: while it starts, reads its state or reads the dimensions. */
const killsDuringStart = 3;
const clicksPerSecond = 2_500;

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
    const rowsAtKill: number[] = [];
    for (let kill = 0; kill < kills; kill += 1) {
      const pipeline = await lake.startPipeline();
      if (kill % 4 === 1 && kill / 4 < killsDuringStart) {
        await sleep(100 + random.below(1_500));
      } else {
        await pipeline.ready();
        await sleep(300 + random.below(3_700));
      }
      expect(await pipeline.stop('SIGKILL'), 'it ran until it was killed').toBe('SIGKILL');
      const next = await lake.position();
      rowsAtKill.push([...next.values()].reduce((sum, offset) => sum + Number(offset), 0));
    }
    await stopCleanly(clicks);
    const last = await lake.startPipeline();
    await last.ready();
    await lake.caughtUp();
    await stopCleanly(last);

    const { produced, rejects, reports } = await proveExactlyOnce(lake, '--joins');
    process.stdout.write(
      `exactly-once: ${produced} clicks; at the kills ${rowsAtKill.join(' ')}\n`,
    );
    expect(produced).toBeGreaterThan(40_000);
    expect(rejects, 'records that cannot be decoded are among them').toBeGreaterThan(0);
    expect(factOf(reports, 'commits checked one by one')).toBeGreaterThan(4);
    expect(new Set(rowsAtKill).size, 'commits landed between the kills').toBeGreaterThan(2);
  },
);
