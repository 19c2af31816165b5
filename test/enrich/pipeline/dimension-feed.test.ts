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

/** A log whose batches count as nothing until they are read, as where they compress well. */
async function startedOnCompressed() {
  const world = await World.open();
  const askedBytes: number[] = [];
  const openReader = world.log.openReader.bind(world.log);
  world.log.openReader = async () => {
    const reader = await openReader();
    return {
      assign: (at) => reader.assign(at),
      poll: async (sink, limits) => {
        askedBytes.push(limits.bytesMax);
        return reader.poll(sink, { ...limits, bytesMax: Number.MAX_SAFE_INTEGER });
      },
      close: () => reader.close(),
    };
  };
  const process = await world.start();
  await world.run(QUIET_MS);
  return { world, process, askedBytes };
}

async function changesTaken({ metrics }: Process): Promise<number> {
  const { values } = await metrics.dimensionChanges.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

describe('a poll that expands to far more than it was', () => {
  const BATCH_BYTES = 2 * 1024 ** 2;
  const BATCHES = 36;

  it('is kept up to a bound, and the rest is read again, from all partitions', async () => {
    const { world, process, askedBytes } = await startedOnCompressed();
    const taken: number[] = [];
    world.beforeApply = async () => {
      taken.push(await changesTaken(process));
    };
    const before = await changesTaken(process);
    askedBytes.splice(0);
    const filler = 'x'.repeat(BATCH_BYTES);
    for (let user = 0; user < BATCHES; user += 1) {
      const row = { name: `n${user}`, filler };
      const change = { dimension: 'users', rowKey: user, row, lsn: 9_000 + user } as const;
      const encoded = encodeChange({ ...change, initialSnapshot: false });
      world.log.append(topicOf.users, user % 2, [encoded]);
    }
    await world.run(QUIET_MS);
    expect(process.ended()).toBeUndefined();
    expect(await changesTaken(process)).toBe(before + BATCHES);
    expect(await lag(process)).toBe(0);
    const steps = [...taken, before + BATCHES].map((at, i, all) => at - (all[i - 1] ?? before));
    expect(Math.max(...steps) * BATCH_BYTES).toBeLessThanOrEqual(64 * 1024 ** 2 + BATCH_BYTES);
    expect(Math.min(...askedBytes), 'less is asked for').toBeLessThan(4 * 1024 ** 2);
    expect(askedBytes.at(-1), 'and in the end as much as before').toBe(4 * 1024 ** 2);
    world.click(0, [{ userId: 0 }, { userId: 1 }, { userId: BATCHES - 1 }]);
    await world.run(5_000);
    const names = (await world.rows()).map((found) => found['user_name']);
    expect(new Set(names)).toEqual(new Set(['n0', 'n1', `n${BATCHES - 1}`]));
  }, 30_000);
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
