import { describe, expect, it } from 'vitest';
import { QUIET_MS, World } from './harness.ts';
import { expectExactlyOnce } from './model.ts';

// INVARIANTS.md 3
describe('a zombie', () => {
  it('whose batch is in flight while its successor commits is dropped, and nothing is doubled', async () => {
    const { world, process } = await World.started({ name: 'zombie' });
    world.faults.commit = (_request, name) => (name === 'zombie' ? 'freeze-before' : 'apply');
    world.click(0, [{}, {}]);
    await world.run(3_000);
    await world.start({ name: 'successor', state: 'two' });
    await world.run(1_000);
    world.rebalance({ successor: [0, 1, 2] });
    await world.run(5_000);
    expect(await world.rows()).toHaveLength(2);
    world.faults.commit = () => 'apply';
    process.life.thaw();
    world.click(0, [{}]);
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(3);
    expect(process.ended()).toBeUndefined();
    expect(process.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', message: expect.stringContaining('batch dropped') }),
    );
  });

  it('whose batch lands before its successor commits makes the successor start over', async () => {
    const { world, process } = await World.started({ name: 'zombie' });
    world.faults.commit = (_request, name) => (name === 'zombie' ? 'freeze-before' : 'apply');
    world.click(0, [{}, {}]);
    await world.run(3_000);
    const successor = await world.start({ name: 'successor', state: 'two' });
    await world.run(1_000);
    world.rebalance({ successor: [0, 1, 2] });
    await world.run(700);
    world.faults.commit = () => 'apply';
    process.life.thaw();
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(2);
    expect(successor.ended()).toBeUndefined();
  });

  it('makes its successor read again, once, also what it was filling behind the dropped batch', async () => {
    const { world, process } = await World.started({ name: 'zombie' });
    world.faults.commit = () => 'delay';
    world.click(0, [{}, {}]);
    await world.run(1_500);
    process.kill();
    world.faults.commit = () => 'apply';
    world.faults.commitDelayMs = 3_000;
    await world.start();
    await world.run(2_500);
    expect(world.catalog.deliverDelayed()).toBe(1);
    // So shortly before the drop that the batch behind is not due when it comes.
    await world.run(1_300);
    world.click(0, [{}, {}, {}]);
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(5);
  });

  it('that is killed while frozen leaves its work to the successor', async () => {
    const { world, process } = await World.started({ name: 'zombie' });
    world.click(0, [{}, {}]);
    await world.run(300);
    process.life.freeze();
    await world.run(300);
    process.kill();
    await world.start({ state: 'two' });
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(2);
  });
});

describe('partitions that move between two processes', () => {
  it('lose and double nothing, whether by hand, by joining or by leaving', async () => {
    const { world, process } = await World.started({ name: 'a', state: 'a' });
    const flow = async (): Promise<void> => {
      for (let round = 0; round < 3; round += 1) {
        for (const partition of [0, 1, 2]) world.click(partition, [{}, {}]);
        world.reject(round, [null]);
        await world.run(700);
      }
    };
    await flow();
    const second = await world.start({ name: 'b', state: 'b' });
    await flow();
    world.rebalance({ a: [2], b: [0, 1] });
    await flow();
    world.rebalance({ a: [0, 1], b: [2] });
    await flow();
    second.stop();
    await flow();
    await world.run(QUIET_MS);
    expect(second.ended()).toBe('stopped');
    expect(process.ended()).toBeUndefined();
    world.rebalance({ a: [0, 1, 2] });
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(90);
  });

  it('are given up when their batch cannot be committed in time, and taken by the other', async () => {
    const { world } = await World.started({ name: 'a', state: 'a' });
    await world.start({ name: 'b', state: 'b' });
    world.rebalance({ a: [0, 1, 2] });
    await world.run(2_000);
    world.faults.commit = (_request, name) => (name === 'a' ? 'fail' : 'apply');
    world.click(0, [{}, {}]);
    await world.run(3_000);
    world.rebalance({ b: [0, 1, 2] });
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(2);
  });
});
