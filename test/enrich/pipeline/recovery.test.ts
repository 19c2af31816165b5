import { expect, it } from 'vitest';
import { ROWS_MAX, World } from './harness.ts';
import type { Process } from './harness.ts';
import { expectExactlyOnce } from './model.ts';

const INTERVAL_MS = 600_000;
const commit = { intervalMs: INTERVAL_MS, rowsMax: ROWS_MAX, bytesMax: 1024 ** 2 };
const start = (world: World, name: string): Promise<Process> =>
  world.start({ name, config: { commit } });

async function commits(world: World): Promise<number> {
  return (await world.metadataIfAny())?.snapshots.length ?? 0;
}

it('what waited in the log at the start is committed once it is read, not an interval later', async () => {
  const world = await World.open();
  world.click(0, [{}, {}, {}]);
  world.click(1, [{}]);
  await start(world, 'first');
  await world.run(5_000);
  expect(await expectExactlyOnce(world)).toHaveLength(4);
});

it('what comes later waits for the interval', async () => {
  const world = await World.open();
  world.click(0, [{}]);
  await start(world, 'first');
  await world.run(5_000);
  expect(await commits(world)).toBe(1);
  world.click(0, [{}]);
  await world.run(INTERVAL_MS - 20_000);
  expect(await commits(world)).toBe(1);
  await world.run(20_000);
  expect(await commits(world)).toBe(2);
  await expectExactlyOnce(world);
});

it('a pipeline that is killed more often than it flushes goes on committing', async () => {
  const world = await World.open();
  for (let life = 0; life < 5; life += 1) {
    const process = await start(world, `life ${life}`);
    await world.run(10_000);
    expect(await commits(world)).toBe(life);
    world.click(life % 3, [{}, {}]);
    await world.run(10_000);
    process.kill();
  }
});

it('a partition that is handed over brings what waits in it to the table', async () => {
  const world = await World.open();
  const killed = await start(world, 'killed');
  await start(world, 'heir').then(() => world.run(5_000));
  world.click(0, [{}, {}]);
  world.click(1, [{}, {}]);
  world.click(2, [{}, {}]);
  await world.run(5_000);
  killed.kill();
  await world.run(20_000);
  expect((await expectExactlyOnce(world)).length).toBeGreaterThan(0);
});

/** How long a click waits for its commit. */
async function commitAfterMs(world: World): Promise<number> {
  const before = await commits(world);
  world.click(0, [{}]);
  const startMs = world.time.nowMs();
  while ((await commits(world)) === before) await world.run(1_000);
  return world.time.nowMs() - startMs;
}

it('after a lost race the next flush comes at another time, once', async () => {
  const world = await World.open();
  await start(world, 'first');
  await world.run(5_000);
  let sent = 0;
  world.faults.commit = () => (sent++ === 0 ? 'conflict' : 'apply');
  expect(await commitAfterMs(world)).toBeGreaterThan(0.95 * INTERVAL_MS);
  const early = await commitAfterMs(world);
  expect(early).toBeLessThan(0.99 * INTERVAL_MS);
  expect(early).toBeGreaterThan(0.45 * INTERVAL_MS);
  expect(await commitAfterMs(world)).toBeGreaterThan(0.99 * INTERVAL_MS);
  await expectExactlyOnce(world);
});

it('after an unknown outcome, which is no lost race, the next flush comes when it is due', async () => {
  const world = await World.open();
  await start(world, 'first');
  await world.run(5_000);
  let sent = 0;
  world.faults.commit = () => {
    if (sent++ > 0) return 'apply';
    void world.commitByOthers();
    return 'fail';
  };
  await commitAfterMs(world);
  await world.run(5_000);
  expect(sent).toBe(2);
  expect(await commitAfterMs(world)).toBeGreaterThan(0.99 * INTERVAL_MS);
  await expectExactlyOnce(world);
});
