import { expect, it } from 'vitest';
import { QUIET_MS, World } from './harness.ts';
import { expectExactlyOnce } from './model.ts';

const DAY_MS = 86_400_000;

/** Clicks on two partitions, and time enough to commit them. */
async function clickAndCommit(world: World): Promise<void> {
  world.click(0, [{ userId: 1 }, { userId: 2 }]);
  world.click(1, [{ userId: 3 }]);
  await world.run(QUIET_MS);
}

it.each([
  ['ahead', DAY_MS],
  ['behind', -DAY_MS],
])('a clock that jumps a day %s while it runs delays no commit', async (_what, jumpMs) => {
  const { world, process } = await World.started();
  await clickAndCommit(world);
  world.click(0, [{ userId: 4 }]);
  // The batch is open: its age must not follow the clock.
  await world.run(500);
  world.setClockError(jumpMs);
  expect(process.status.failure()).toBeUndefined();
  await world.run(QUIET_MS);
  expect(await world.rows()).toHaveLength(4);
  world.setClockError(0);
  await clickAndCommit(world);
  await expectExactlyOnce(world);
  expect(process.status.failure()).toBeUndefined();
});

it.each([
  ['ahead', DAY_MS],
  ['behind', -DAY_MS],
])('a process whose clock is a day %s commits, with the time of the catalog', async (_what, ms) => {
  const { world } = await World.started();
  await clickAndCommit(world);
  world.setClockError(ms);
  await world.start({ name: 'wrong', state: 'other' });
  await clickAndCommit(world);
  world.processes[0]?.kill();
  await clickAndCommit(world);
  const times = (await world.metadata()).snapshots.map(({ timestampMs }) => timestampMs);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(Math.max(...times)).toBeLessThanOrEqual(world.time.nowMs());
  await expectExactlyOnce(world);
});

it('freshness is never negative, whatever the clock says', async () => {
  const { world, process } = await World.started();
  world.setClockError(-DAY_MS);
  await clickAndCommit(world);
  const { values } = await process.metrics.freshness.get();
  const sum = values.find(({ metricName }) => metricName?.endsWith('_sum'))?.value;
  expect(sum).toBeGreaterThanOrEqual(0);
  await expectExactlyOnce(world);
});
