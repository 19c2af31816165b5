import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import type { Projection } from '../../../enrich/state/projection.ts';
import { QUIET_MS, World } from './harness.ts';
import { expectExactlyOnce } from './model.ts';

it.each(['reopen', 'rebuild'] as const)(
  'a state that must be opened again (%s) costs no row and no restart',
  async (fault) => {
    const { world, process } = await World.started();
    world.change('users', 1, { name: 'first' });
    await world.run(1_000);
    world.click(0, [{ userId: 1 }, { userId: 2 }]);
    world.faults.stateWrites = fault;
    world.change('users', 2, { name: 'second' });
    await world.run(1_500);
    expect(process.status.waitingFor(), 'it is not ready meanwhile').toMatch(/^the state store: /);
    await world.run(QUIET_MS);
    world.click(1, [{ userId: 2 }]);
    await world.run(QUIET_MS);
    expect(process.ended()).toBeUndefined();
    expect(process.status.failure()).toBeUndefined();
    expect(process.status.waitingFor()).toBeUndefined();
    const rows = await expectExactlyOnce(world);
    expect(rows.filter(({ user_name }) => user_name === 'first')).toHaveLength(1);
    const last = rows.find((row) => row['_kafka_partition'] === 1);
    expect(last).toMatchObject({ user_name: 'second' });
  },
);

// INVARIANTS.md 12
it('a state that must be opened again is gone before the next one takes memory', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const { world } = await World.started();
  const projections: WeakRef<Projection>[] = [];
  const held: number[] = [];
  world.onOpened = (state) => projections.push(new WeakRef(state.projection('users')));
  const count = () => projections.filter((projection) => projection.deref() !== undefined).length;
  world.beforeOpen = async () => {
    // What the turn that is under way has touched is let go of with it.
    for (let tries = 0; tries < 20 && (tries === 0 || count() > 0); tries++) {
      await new Promise((resolve) => setImmediate(resolve));
      collect();
    }
    held.push(count());
  };
  for (let round = 0; round < 3; round++) {
    world.faults.stateWrites = 'reopen';
    world.change('users', round, { name: 'n' });
    await world.run(QUIET_MS);
  }
  expect(held).toEqual([0, 0, 0]);
});

it('a full disk is waited for, visibly, for as long as it takes', async () => {
  const { world, process } = await World.started();
  world.faults.away.add('state');
  world.change('users', 1, { name: 'late' });
  await world.run(1_000_000);
  expect(process.status.failure()).toBeUndefined();
  expect(process.status.waitingFor()).toContain('the disk is full');
  const warnings = process.lines.filter(({ level }) => level === 'warn');
  expect(warnings.length, 'it is told, not poured out').toBeLessThan(60);
  world.faults.away.clear();
  await world.run(QUIET_MS);
  world.click(0, [{ userId: 1 }]);
  await world.run(QUIET_MS);
  expect(process.status.waitingFor()).toBeUndefined();
  const [row] = await expectExactlyOnce(world);
  expect(row).toMatchObject({ user_name: 'late' });
});

it('damage drops what no topic holds: nothing is lost, and no dead letter comes twice', async () => {
  const { world, process } = await World.started();
  const reject = { key: new Uint8Array([9]), value: new Uint8Array([9, 9]) };
  world.log.append('app.public.users', 0, [reject]);
  await world.run(QUIET_MS);
  expect(await world.deadLetters()).toHaveLength(1);
  world.log.append('app.public.users', 0, [reject]);
  // It waits in the state, which is lost before the dead-letter table has it.
  await world.run(200);
  world.faults.stateWrites = 'rebuild';
  world.change('users', 1, { name: 'n' });
  await world.run(2 * QUIET_MS);
  expect(process.ended()).toBeUndefined();
  const offsets = (await world.deadLetters()).map((row) => row['_kafka_offset']);
  expect(offsets).toHaveLength(2);
  expect(new Set(offsets).size).toBe(2);
  await expectExactlyOnce(world);
});

it('damage is set aside once, however often the opening of the new state fails', async () => {
  const { world, process } = await World.started();
  world.faults.stateWrites = 'rebuild';
  world.change('users', 1, { name: 'n' });
  await world.run(1_000);
  world.faults.away.add('state');
  await world.run(60_000);
  expect(JSON.stringify(process.lines)).toContain('opening the state: unavailable, trying again');
  world.faults.away.clear();
  await world.run(QUIET_MS);
  expect(process.ended()).toBeUndefined();
  expect(process.status.waitingFor()).toBeUndefined();
  expect(world.retired).toEqual(['rebuild']);
});
