import { describe, expect, it } from 'vitest';
import { batchRowsMax } from '../../../enrich/worker/click-intake.ts';
import { INTERVAL_MS, QUIET_MS, ROWS_MAX, World } from './harness.ts';
import type { Process } from './harness.ts';
import { expectExactlyOnce } from './model.ts';

const BATCH = 10;

/** Clicks that come in small record batches, as a flood does. */
function flood(world: World, rows: number): void {
  for (let sent = 0; sent < rows; sent += BATCH) {
    world.click(
      (sent / BATCH) % 3,
      Array.from({ length: BATCH }, () => ({})),
    );
  }
}

async function bufferedRows({ metrics }: Process): Promise<number> {
  return (await metrics.bufferedRows.get()).values[0]?.value ?? 0;
}

// INVARIANTS.md 12
describe('a catalog that is slow', () => {
  it('makes fetching pause once both batches are full', async () => {
    const { world, process } = await World.started();
    world.faults.commitDelayMs = 100_000;
    flood(world, ROWS_MAX);
    await world.run(2_000);
    flood(world, ROWS_MAX);
    await world.run(2_000);
    const polls = process.polls.get('clicks');
    flood(world, 20 * ROWS_MAX);
    await world.run(50_000);
    expect(process.polls.get('clicks')).toBe(polls);
    expect(await bufferedRows(process)).toBe(ROWS_MAX);
    world.faults.commitDelayMs = 0;
    await world.run(120_000);
    expect(await expectExactlyOnce(world)).toHaveLength(22 * ROWS_MAX);
  });

  it('never makes a batch larger than one poll beyond its bound', async () => {
    const { world } = await World.started();
    world.faults.commitDelayMs = 3_000;
    flood(world, 20 * ROWS_MAX);
    await world.run(QUIET_MS);
    const { snapshots } = await world.metadata();
    const sizes = snapshots.map(({ summary }) => Number(summary['added-records'] ?? 0));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(batchRowsMax({ rowsMax: ROWS_MAX }));
    await expectExactlyOnce(world);
  });

  it('does not stop the changes of dimensions', async () => {
    const { world, process } = await World.started();
    world.faults.commitDelayMs = 100_000;
    flood(world, 3 * ROWS_MAX);
    await world.run(5_000);
    world.change('users', 1, { name: 'meanwhile' });
    await world.run(1_000);
    expect(await process.metrics.dimensionRows.get()).toMatchObject({
      values: expect.arrayContaining([
        expect.objectContaining({ labels: { dimension: 'users' }, value: 1 }),
      ]) as unknown,
    });
  });

  it('is not polled around: a batch that is due waits without a busy loop', async () => {
    const { world, process } = await World.started();
    world.faults.commitDelayMs = 60_000;
    world.click(0, [{}]);
    await world.run(2_000);
    world.click(0, [{}]);
    await world.run(2_000);
    const polls = process.polls.get('clicks') ?? 0;
    await world.run(10_000);
    expect((process.polls.get('clicks') ?? 0) - polls).toBeLessThan(100);
  });

  it('does not make the process look dead, however long it is away', async () => {
    const { world, process } = await World.started();
    world.faults.away.add('catalog');
    for (let wave = 0; wave < 4; wave += 1) {
      flood(world, ROWS_MAX);
      await world.run(2_000);
    }
    await world.run(600_000);
    expect(process.status.failure()).toBeUndefined();
    expect(process.ended()).toBeUndefined();
    world.faults.away.clear();
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(4 * ROWS_MAX);
  });
});

describe('commits follow', () => {
  it('the interval while clicks trickle, one for all that came in it', async () => {
    const { world } = await World.started();
    for (let second = 0; second < 10; second += 1) {
      world.click(0, [{}]);
      await world.run(INTERVAL_MS);
    }
    await world.run(QUIET_MS);
    const { snapshots } = await world.metadata();
    expect(snapshots.length).toBeGreaterThanOrEqual(4);
    expect(snapshots.length).toBeLessThanOrEqual(10);
    await expectExactlyOnce(world);
  });

  it('the bound on rows, without waiting for the interval', async () => {
    const { world } = await World.started();
    flood(world, ROWS_MAX);
    await world.run(INTERVAL_MS / 4);
    expect(await world.rows()).toHaveLength(ROWS_MAX);
  });

  it('nothing while no click comes', async () => {
    const { world } = await World.started();
    await world.run(QUIET_MS);
    expect((await world.metadata()).snapshots).toEqual([]);
  });
});

describe('a stop', () => {
  it('commits what is held, also what is being filled behind a commit under way', async () => {
    const { world, process } = await World.started();
    world.faults.commitDelayMs = 3_000;
    flood(world, ROWS_MAX);
    await world.run(500);
    world.click(0, [{}, {}]);
    await world.run(300);
    process.stop();
    await world.run(10_000);
    expect(process.ended()).toBe('stopped');
    expect(await expectExactlyOnce(world)).toHaveLength(ROWS_MAX + 2);
  });

  it('ends also while the catalog is away, and the successor takes what was held', async () => {
    const { world, process } = await World.started();
    world.faults.away.add('catalog');
    world.click(0, [{}, {}]);
    await world.run(3_000);
    process.stop();
    await world.run(QUIET_MS);
    expect(process.ended()).toBe('stopped');
    world.faults.away.clear();
    await world.start();
    await world.run(5_000);
    expect(await expectExactlyOnce(world)).toHaveLength(2);
  });

  it.each(['catalog', 'log', 'dimension topics', 'registry'] as const)(
    'ends while the process starts up and waits: %s',
    async (away) => {
      const world = await World.open({ complete: false });
      world.faults.away.add(away);
      const process = await world.start();
      await world.run(5_000);
      expect(process.ended()).toBeUndefined();
      process.stop();
      await world.run(QUIET_MS);
      expect(process.ended()).toBe('stopped');
    },
  );

  it('leaves the group, so that others take over', async () => {
    const { world, process } = await World.started({ state: 'one' });
    const other = await world.start({ state: 'two' });
    await world.run(2_000);
    process.stop();
    await world.run(2_000);
    for (const partition of [0, 1, 2]) world.click(partition, [{}]);
    await world.run(5_000);
    expect(other.ended()).toBeUndefined();
    expect(await expectExactlyOnce(world)).toHaveLength(3);
  });
});
