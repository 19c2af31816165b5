import { describe, expect, it } from 'vitest';
import { QUIET_MS, World } from './harness.ts';
import type { Process } from './harness.ts';
import { openDimensionState } from '../../../enrich/state/dimension-state.ts';
import type { DimensionState } from '../../../enrich/state/dimension-state.ts';
import { openMemoryStore } from '../../../enrich/state/memory-store.ts';
import { MissedDeletes, readDeleteRetentionMs } from '../../../enrich/pipeline/missed-deletes.ts';
import { users } from '../state/state-fixture.ts';
import { encodeChange, topicOf } from './records.ts';

const DAY_MS = 86_400_000;
const told = { lsn: 1, initialSnapshot: false };

/** A world whose pipeline has seen a user, and is away while that is deleted and compaction passes. */
async function away(): Promise<World> {
  const { world, process } = await World.started();
  world.change('users', 1, { name: 'ann' });
  await world.run(5_000);
  process.stop();
  await world.run(5_000);
  world.change('users', 1);
  const key = encodeChange({ dimension: 'users', rowKey: 1, row: undefined, ...told }).key;
  world.log.append(topicOf.users, 1, [{ key, value: null }]);
  world.log.dropDeleted(topicOf.users, 1);
  expect((await world.log.bounds(topicOf.users)).get(1)).toEqual({
    startOffset: 0n,
    endOffset: 3n,
  });
  return world;
}

async function joinedAfter(world: World): Promise<{ process: Process; match: unknown }> {
  const process = await world.start();
  await world.run(QUIET_MS);
  world.click(0, [{ userId: 1 }]);
  await world.run(10_000);
  expect(process.ended()).toBeUndefined();
  return { process, match: (await world.rows())[0]?.['_users_match'] };
}

const saysMissed = ({ lines }: Process): boolean =>
  lines.some((line) => JSON.stringify(line).includes('may have missed deletes'));

describe('a pipeline that was away', () => {
  it('for longer than tombstones are kept builds its state again, and says why', async () => {
    const world = await away();
    await world.run(5.5 * DAY_MS);
    const { process, match } = await joinedAfter(world);
    expect(match).toBe('miss');
    expect(saysMissed(process)).toBe(true);
    process.stop();
    await world.run(5_000);
    const next = await world.start();
    await world.run(QUIET_MS);
    expect(saysMissed(next)).toBe(false);
  });

  it('for that long, and with the registry away, builds it from the schemas that it kept', async () => {
    const { world, process: first } = await World.started();
    world.change('users', 1, { name: 'ann' });
    world.click(0, [{ userId: 1 }]);
    await world.run(QUIET_MS);
    first.stop();
    await world.run(5.5 * DAY_MS);
    world.faults.away.add('registry');
    const process = await world.start();
    world.click(0, [{ userId: 1 }]);
    await world.run(QUIET_MS);
    expect(saysMissed(process)).toBe(true);
    expect(await world.rows()).toHaveLength(2);
    expect(world.retired).toEqual(['renew']);
    expect(JSON.stringify(process.lines)).not.toContain('damaged');
  });

  it('for less trusts its state', async () => {
    const { world, process } = await World.started();
    world.change('users', 1, { name: 'ann' });
    await world.run(5_000);
    process.stop();
    await world.run(4.5 * DAY_MS);
    world.change('users', 1);
    const joined = await joinedAfter(world);
    expect(joined.match).toBe('miss');
    expect(saysMissed(joined.process)).toBe(false);
  });
});

const MINUTE_MS = 60_000;

it('what a process held when it fell behind for too long is joined as of before it did', async () => {
  const world = await World.open();
  world.log.deleteRetentionMs = async () => 120 * MINUTE_MS;
  await world.start();
  world.change('users', 1, { name: 'ann' });
  await world.run(QUIET_MS);
  world.faults.away.add('catalog');
  // The first waits for the catalog, the second for the first.
  for (let click = 0; click < 2; click++) {
    world.click(0, [{ userId: 1 }]);
    await world.run(5_000);
  }
  const before = (await world.log.bounds(topicOf.users)).get(1)?.endOffset;
  world.faults.away.add('log');
  await world.run(70 * MINUTE_MS);
  world.change('users', 1);
  const key = encodeChange({ dimension: 'users', rowKey: 1, row: undefined, ...told }).key;
  world.log.append(topicOf.users, 1, [{ key, value: null }]);
  world.log.dropDeleted(topicOf.users, 1);
  world.faults.away.clear();
  await world.run(MINUTE_MS);
  expect(world.retired).toEqual(['renew']);
  expect(await world.rows()).toHaveLength(2);
  const positions = (await world.metadata()).snapshots.map(({ summary }) => {
    const text = summary['tributary.dimensions'] ?? '';
    const { users: of } = JSON.parse(text) as { users: { next: Record<string, string> } };
    return of.next[1];
  });
  expect(positions).toEqual([String(before), String(before)]);
});

const place = { clusterId: 'cluster', topicId: 'topic', partition: 0, nextOffset: 1n };

/** One life of a process whose clock shows `nowMs`; its elapsed time begins with it. */
function life(state: DimensionState, nowMs: number, deleteRetentionMs = 7 * DAY_MS) {
  let elapsed = 0;
  let asleep = 0;
  const topic = { topic: 't', partitionCount: 1, ...place };
  const clock = {
    nowMs: () => nowMs + elapsed + asleep,
    elapsedMs: () => elapsed,
    sleep: async () => undefined,
    random: () => 0,
    newId: () => '',
  };
  const watch = new MissedDeletes({ dimension: 'users', topic, deleteRetentionMs, state, clock });
  return {
    open: () => watch.open(),
    admit: (partition: number) => watch.admit(partition),
    /** The machine is suspended: its elapsed time stands still, as that of Linux does. */
    sleeps: (ms: number) => {
      asleep += ms;
    },
    /** Some time later, at the end of the topic or before it. */
    reads: async (afterMs: number, behind = 0n, partition = 0) => {
      elapsed += afterMs;
      const turn = { nowMs: clock.nowMs(), elapsedMs: elapsed };
      watch.assertNoneMissed(partition, turn);
      await state.apply('users', place, []);
      const read = { partition, nextOffset: 1n, endOffset: 1n + behind };
      await watch.reached([read], turn);
    },
  };
}

const emptyState = () => openDimensionState({ store: openMemoryStore(), dimensions: [users] });
const renew = { kind: 'renew' };

/** One that was complete at this moment of the clock. */
async function completeAt(nowMs: number, deleteRetentionMs?: number): Promise<DimensionState> {
  const state = await emptyState();
  const first = life(state, nowMs, deleteRetentionMs);
  await first.open();
  await first.reads(0);
  return state;
}

describe('a state', () => {
  it('that begins is trusted, and so is one that was complete a moment ago', async () => {
    const state = await completeAt(DAY_MS);
    await expect(life(state, DAY_MS + MINUTE_MS).open()).resolves.toBeUndefined();
  });

  it.each([
    ['too long ago', 5.1],
    ['by a clock that was three days ahead', -3],
  ])('that was complete %s is built again', async (_when, days) => {
    const state = await completeAt(10 * DAY_MS);
    await expect(life(state, (10 + days) * DAY_MS).open()).rejects.toMatchObject(renew);
  });

  it.each([
    ['a day ahead', 1],
    ['a day behind', -1],
  ])(
    'written by a clock %s is trusted, but never for longer than tombstones are kept',
    async (_wrong, error) => {
      const state = await completeAt(20 * DAY_MS);
      const trueMs = (20 - error) * DAY_MS;
      await expect(life(state, trueMs).open()).resolves.toBeUndefined();
      await expect(life(state, trueMs + 7 * DAY_MS).open()).rejects.toMatchObject(renew);
    },
  );

  it('of which nobody wrote down when it was complete is built again', async () => {
    const state = await emptyState();
    await state.apply('users', place, []);
    await expect(life(state, DAY_MS).open()).rejects.toMatchObject(renew);
  });

  it('is trusted for ever where the topic has no tombstones to lose', async () => {
    const state = await completeAt(0, Number.POSITIVE_INFINITY);
    await expect(
      life(state, 400 * DAY_MS, Number.POSITIVE_INFINITY).open(),
    ).resolves.toBeUndefined();
  });

  it('is complete at the ends only: one that stays behind for too long is built again', async () => {
    const state = await emptyState();
    const only = life(state, 0);
    await only.open();
    for (let day = 0; day < 5; day++) await only.reads(DAY_MS, 1n);
    await expect(only.reads(DAY_MS, 1n)).rejects.toMatchObject(renew);
    const other = life(await emptyState(), 0);
    await other.open();
    for (let day = 0; day < 30; day++) await other.reads(DAY_MS);
  });

  it('is not built again at work where the topic keeps tombstones for a second', async () => {
    const busy = life(await emptyState(), 0, 1_000);
    await busy.open();
    for (let minute = 0; minute < 30; minute++) {
      await expect(busy.reads(MINUTE_MS)).resolves.toBeUndefined();
    }
  });
});

describe('a process whose machine was suspended', () => {
  it('for longer than tombstones are kept builds its state again', async () => {
    const only = life(await emptyState(), 0);
    await only.open();
    await only.reads(MINUTE_MS);
    only.sleeps(4 * DAY_MS);
    await only.reads(MINUTE_MS);
    only.sleeps(10 * DAY_MS);
    await expect(only.reads(MINUTE_MS)).rejects.toMatchObject(renew);
  });

  it('writes down no later time than that at which it was complete', async () => {
    const state = await emptyState();
    const only = life(state, 0);
    await only.open();
    await only.reads(0);
    only.sleeps(4 * DAY_MS);
    await only.reads(MINUTE_MS, 1n);
    await expect(life(state, 4.5 * DAY_MS).open()).resolves.toBeUndefined();
    await expect(life(state, 5.5 * DAY_MS).open()).rejects.toMatchObject(renew);
  });
});

it('a partition that is added to a topic after days of work costs nothing', async () => {
  const state = await emptyState();
  const only = life(state, 0);
  await only.open();
  for (let day = 0; day < 30; day++) await only.reads(DAY_MS);
  only.admit(1);
  await only.reads(DAY_MS, 1n, 1);
  await only.reads(DAY_MS, 1n, 1);
  await only.reads(DAY_MS, 0n, 0);
  await expect(only.reads(3 * DAY_MS, 1n, 1)).rejects.toMatchObject(renew);
});

it('where the settings of a topic cannot be seen, it is told what is assumed, and which right is missing', async () => {
  const warnings: string[] = [];
  const logger = { info() {}, error() {}, warn: (message: string) => void warnings.push(message) };
  const log = { deleteRetentionMs: async () => undefined };
  expect(await readDeleteRetentionMs(log, 'users', logger)).toBe(DAY_MS);
  expect(warnings).toEqual([expect.stringMatching(/users.*24\.0 h.*DESCRIBE_CONFIGS/s)]);
});
