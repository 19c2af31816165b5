import { describe, expect, it } from 'vitest';
import { EnrichError } from '../../../enrich/error.ts';
import { QUIET_MS, World } from './harness.ts';
import type { Process } from './harness.ts';
import { encodeChange, topicOf } from './records.ts';

const LIST_MS = 31_000;

function changeOf(userId: number, name: string) {
  const row = { name };
  const lsn = 5_000 + userId;
  return encodeChange({ dimension: 'users', rowKey: userId, row, lsn, initialSnapshot: false });
}

async function lag({ metrics }: Process): Promise<number | undefined> {
  const { values } = await metrics.dimensionLag.get();
  return values.find(({ labels }) => labels.dimension === 'users')?.value;
}

describe('a partition that is added to a change topic', () => {
  it('is read from its start within half a minute, and goes on after a restart', async () => {
    const { world, process } = await World.started();
    world.log.addPartitions(topicOf.users, 1);
    world.log.append(topicOf.users, 2, [changeOf(7, 'ann'), changeOf(8, 'bob')]);
    await world.run(LIST_MS);
    world.click(0, [{ userId: 7 }]);
    await world.run(5_000);
    expect(await world.rows()).toMatchObject([{ user_name: 'ann' }]);
    expect(await lag(process)).toBe(0);
    process.stop();
    await world.run(5_000);
    const next = await world.start();
    world.log.append(topicOf.users, 2, [changeOf(9, 'eve')]);
    await world.run(2_000);
    world.click(0, [{ userId: 8 }, { userId: 9 }]);
    await world.run(5_000);
    expect(next.ended()).toBeUndefined();
    const names = (await world.rows()).map((row) => row['user_name']);
    expect(new Set(names)).toEqual(new Set(['ann', 'bob', 'eve']));
    expect(names).toHaveLength(3);
  });

  it('shows in the lag while its changes cannot be applied', async () => {
    const { world, process } = await World.started();
    world.log.addPartitions(topicOf.users, 1);
    world.log.append(topicOf.users, 2, [changeOf(7, 'ann'), changeOf(8, 'bob')]);
    world.faults.away.add('state');
    await world.run(LIST_MS);
    expect(await lag(process)).toBe(2);
    world.faults.away.clear();
    await world.run(QUIET_MS);
    expect(await lag(process)).toBe(0);
  });

  it('keeps nobody from reading the others while it has no leader', async () => {
    const { world, process } = await World.started();
    world.log.addPartitions(topicOf.users, 1);
    const bounds = world.log.bounds.bind(world.log);
    world.log.bounds = async (topic) => {
      if (topic !== topicOf.users) return bounds(topic);
      throw Object.assign(new Error('no leader'), { kind: 'unavailable' });
    };
    await world.run(LIST_MS);
    world.change('users', 1, { name: 'ann' });
    await world.run(5_000);
    world.click(0, [{ userId: 1 }]);
    await world.run(5_000);
    expect(process.ended()).toBeUndefined();
    expect(await world.rows()).toMatchObject([{ user_name: 'ann' }]);
  });

  it('counts before the first click is joined where it holds a part of the snapshot', async () => {
    const world = await World.open({ complete: false });
    await world.start();
    await world.run(1_000);
    world.log.addPartitions(topicOf.users, 1);
    world.log.append(topicOf.users, 2, [changeOf(7, 'ann')]);
    world.click(0, [{ userId: 7 }]);
    world.notify('COMPLETED');
    await world.run(10_000);
    expect(await world.rows()).toMatchObject([{ user_name: 'ann' }]);
  });
});

/** How many readers of a log are open. */
function watchReaders(world: World): () => number {
  let count = 0;
  const openReader = world.log.openReader.bind(world.log);
  world.log.openReader = async () => {
    const reader = await openReader();
    count += 1;
    const close = async (): Promise<void> => {
      count -= 1;
      await reader.close();
    };
    return { assign: (at) => reader.assign(at), poll: (...args) => reader.poll(...args), close };
  };
  return () => count;
}

describe('every reader is closed', () => {
  it('where the state fails and is opened again', async () => {
    const world = await World.open();
    const open = watchReaders(world);
    await world.start();
    await world.run(QUIET_MS);
    const before = open();
    for (let round = 0; round < 3; round++) {
      world.faults.stateWrites = 'reopen';
      world.change('users', round, { name: 'n' });
      await world.run(QUIET_MS);
    }
    expect(open()).toBe(before);
  });

  it('where the state fails before the group was joined', async () => {
    const world = await World.open();
    const open = watchReaders(world);
    world.log.joinGroup = async () => {
      throw Object.assign(new Error('no coordinator'), { kind: 'unavailable' });
    };
    await world.start();
    await world.run(QUIET_MS);
    const before = open();
    for (let round = 0; round < 3; round++) {
      world.faults.stateWrites = 'reopen';
      world.change('users', round, { name: 'n' });
      await world.run(QUIET_MS);
    }
    expect(open()).toBe(before);
  });

  it('where the topics cannot be opened', async () => {
    const world = await World.open();
    const open = watchReaders(world);
    world.log.bounds = async () => {
      throw Object.assign(new Error('no leader'), { kind: 'unavailable' });
    };
    await world.start();
    await world.run(QUIET_MS);
    expect(open()).toBe(0);
  });
});

describe('changes of a dimension', () => {
  it('are not applied again while they are being applied, where those of another have failed', async () => {
    const { world, process } = await World.started();
    const applying = new Map([
      ['users', 0],
      ['devices', 0],
    ]);
    let most = 0;
    let failed = false;
    world.beforeApply = async (dimension) => {
      if (dimension === 'users' && !failed) {
        failed = true;
        throw new EnrichError('unavailable', 'the disk is full');
      }
      const count = (applying.get(dimension) ?? 0) + 1;
      applying.set(dimension, count);
      most = Math.max(most, count);
      await world.time.sleep(5_000);
      applying.set(dimension, count - 1);
    };
    world.change('users', 1, { name: 'ann' });
    world.change('devices', 'd-1', { os: 'linux' });
    await world.run(QUIET_MS);
    expect({ most, failed, ended: process.ended() }).toEqual({
      most: 1,
      failed: true,
      ended: undefined,
    });
    expect(await lag(process)).toBe(0);
  });
});
