import { describe, expect, it } from 'vitest';
import { PARTITIONS, placeOf, QUIET_MS, World } from './harness.ts';
import type { Process, StartOptions } from './harness.ts';
import { expectExactlyOnce } from './model.ts';

/** A world whose table holds offsets 0 and 1 of partition 0, and no process any more. */
async function committed(): Promise<World> {
  const { world, process } = await World.started();
  world.click(0, [{}, {}]);
  await world.run(5_000);
  process.stop();
  await world.run(5_000);
  expect(process.ended()).toBe('stopped');
  return world;
}

async function startAndWait(world: World, options: StartOptions = {}): Promise<Process> {
  const process = await world.start(options);
  await world.run(QUIET_MS);
  return process;
}

function expectFenced(process: Process, message: RegExp): void {
  expect(process.ended()).toMatchObject({
    error: { kind: 'fenced', message: expect.stringMatching(message) as unknown },
  });
  expect(process.status.failure()).toMatch(message);
}

// INVARIANTS.md 9
describe('a recreated stream topic', () => {
  it('stops the pipeline at its start; a new name reads it from its start', async () => {
    const world = await committed();
    world.log.deleteTopic('clicks');
    world.log.createTopic('clicks', PARTITIONS);
    world.click(0, [{}, {}, {}]);
    const message = /clicks was recreated.*old log, or give it another name in pipeline\.yaml/s;
    expectFenced(await startAndWait(world), message);
    expect(await world.rows()).toHaveLength(2);
    const renamed = await startAndWait(world, { config: { pipeline: 'clicks-2' } });
    expect(renamed.ended()).toBeUndefined();
    expect(await world.rows()).toHaveLength(5);
  });

  it('stops a running pipeline', async () => {
    const { world, process } = await World.started();
    world.click(0, [{}, {}]);
    await world.run(5_000);
    world.log.deleteTopic('clicks');
    world.log.createTopic('clicks', PARTITIONS);
    await world.run(QUIET_MS);
    expect(process.ended()).toMatchObject({ error: { kind: 'fenced' } });
  });
});

describe('a recreated dimension topic', () => {
  it.each([
    ['fewer', []],
    ['as many', ['bob']],
    ['more', ['bob', 'bobby']],
  ])(
    'stops the pipeline, with %s changes than before; an empty state reads it',
    async (_n, names) => {
      const { world, process } = await World.started();
      world.change('users', 1, { name: 'ann' });
      await world.run(5_000);
      process.kill();
      world.log.deleteTopic('app.public.users');
      world.log.createTopic('app.public.users', 2);
      world.changes.splice(0);
      for (const name of names) world.change('users', 1, { name });
      expectFenced(await startAndWait(world), /delete state\.directory/);
      world.click(0, [{}]);
      const rebuilt = await startAndWait(world, { state: 'empty' });
      expect(rebuilt.ended()).toBeUndefined();
      expect(await expectExactlyOnce(world)).toMatchObject([{ user_name: names.at(-1) ?? null }]);
    },
  );
});

describe('a log that has lost clicks', () => {
  it('stops the pipeline where they were never read; --accept-gap counts them as filtered', async () => {
    const world = await committed();
    world.click(0, [{}, {}, {}]);
    world.log.truncate('clicks', 0, 4n);
    world.stream.splice(2, 2);
    expectFenced(await startAndWait(world), /starts at 4: 2 offsets.*--accept-gap/s);
    const accepting = await startAndWait(world, { acceptGap: true });
    expect(accepting.ended()).toBeUndefined();
    expect(await expectExactlyOnce(world)).toHaveLength(3);
  });

  it('is nothing to a pipeline that has read them', async () => {
    const world = await committed();
    world.log.truncate('clicks', 0, 2n);
    world.click(0, [{}]);
    expect((await startAndWait(world)).ended()).toBeUndefined();
    expect(await expectExactlyOnce(world)).toHaveLength(3);
  });

  it('stops the pipeline where it ends before what was committed', async () => {
    const { world, process } = await World.started();
    world.log.appendInvisible('clicks', 0, 5);
    await world.run(5_000);
    process.kill();
    const bounds = world.log.bounds.bind(world.log);
    world.log.bounds = async (topic) =>
      topic === 'clicks' ? new Map([[0, { startOffset: 0n, endOffset: 3n }]]) : bounds(topic);
    const successor = await startAndWait(world);
    expect(successor.ended()).toBeDefined();
    expectFenced(successor, /is at offset 5.*ends at 3.*another name/s);
  });

  it('is read from its start by a pipeline that never committed', async () => {
    const world = await World.open();
    world.click(0, [{}, {}, {}]);
    world.log.truncate('clicks', 0, 2n);
    world.stream.splice(0, 2);
    await startAndWait(world);
    expect(await expectExactlyOnce(world)).toHaveLength(1);
  });
});

describe('a table that was rolled back', () => {
  it('stops the pipeline; --accept-rollback reads again what the roll-back has taken', async () => {
    const world = await committed();
    const { currentSnapshotId } = await world.metadata();
    world.click(0, [{}]);
    const second = await startAndWait(world);
    second.stop();
    await world.run(5_000);
    if (currentSnapshotId === undefined) throw new Error('nothing was committed');
    await world.rollBack(currentSnapshotId);
    expectFenced(await startAndWait(world), /was rolled back.*--accept-rollback/s);
    expect(await world.rows()).toHaveLength(2);
    const accepting = await startAndWait(world, { acceptRollback: true });
    expect(accepting.ended()).toBeUndefined();
    expect(await expectExactlyOnce(world)).toHaveLength(3);
    accepting.stop();
    await world.run(5_000);
    world.click(0, [{}]);
    expect((await startAndWait(world)).ended()).toBeUndefined();
    expect(await expectExactlyOnce(world)).toHaveLength(4);
  });

  it('stops the pipeline at its start, which waits for its dimensions and never says that it is ready', async () => {
    const world = await World.open();
    const first = await world.start();
    await world.run(1_000);
    world.click(0, [{}]);
    await world.run(5_000);
    const { currentSnapshotId = 0n } = await world.metadata();
    world.click(0, [{}]);
    await world.run(5_000);
    first.stop();
    await world.run(5_000);
    await world.rollBack(currentSnapshotId);
    const second = await startAndWait(world);
    expectFenced(second, /was rolled back/);
    expect(second.lines.map(({ message }) => message)).not.toContain('ready: joining clicks');
  });

  it('to a snapshot of somebody else, with ours expired, is read on from where that one stood', async () => {
    const world = await committed();
    await world.commitByOthers();
    await world.expireAllButHead();
    const { currentSnapshotId = 0n } = await world.metadata();
    for (let round = 0; round < 2; round += 1) {
      world.click(0, [{}]);
      const process = await startAndWait(world);
      process.stop();
      await world.run(5_000);
    }
    await world.rollBack(currentSnapshotId);
    expectFenced(await startAndWait(world), /was rolled back/);
    const accepting = await startAndWait(world, { acceptRollback: true });
    expect(accepting.ended()).toBeUndefined();
    const places = (await world.rows()).map(placeOf);
    expect(places.toSorted()).toEqual(['0/0', '0/1', '0/2', '0/3']);
  });

  it('and whose lost commits are expired too cannot be accepted: nothing tells the position', async () => {
    const world = await committed();
    await world.commitByOthers();
    await world.expireAllButHead();
    const { currentSnapshotId = 0n } = await world.metadata();
    world.click(0, [{}]);
    const process = await startAndWait(world);
    process.stop();
    await world.run(5_000);
    await world.rollBack(currentSnapshotId);
    await world.expireAllButHead();
    expectFenced(await startAndWait(world, { acceptRollback: true }), /cannot be told/);
    expect(await world.rows()).toHaveLength(2);
  });

  it('stops a running pipeline at its next commit', async () => {
    const { world, process } = await World.started();
    world.click(0, [{}]);
    await world.run(3_000);
    const { currentSnapshotId } = await world.metadata();
    world.click(0, [{}]);
    await world.run(3_000);
    await world.rollBack(currentSnapshotId ?? 0n);
    world.click(0, [{}]);
    await world.run(QUIET_MS);
    expect(process.ended()).toBeDefined();
    expectFenced(process, /was rolled back/);
  });
});

describe('a table that is dropped', () => {
  const identifier = { namespace: ['lake'], name: 'clicks' };

  it('stops the running pipeline; the next start writes a new one from the start of the log', async () => {
    const { world, process } = await World.started();
    world.click(0, [{}]);
    world.reject(0, [null]);
    await world.run(3_000);
    await world.catalog.dropTable(identifier);
    world.click(0, [{}]);
    await world.run(QUIET_MS);
    expectFenced(process, /dropped or recreated while the pipeline ran; start it again/);
    world.reject(0, [null]);
    expect((await startAndWait(world)).ended()).toBeUndefined();
    expect(await expectExactlyOnce(world)).toHaveLength(2);
  });

  it('and recreated stops the running pipeline', async () => {
    const { world, process } = await World.started();
    world.click(0, [{}]);
    await world.run(3_000);
    const { schemas, partitionSpecs, sortOrders } = await world.metadata();
    await world.catalog.dropTable(identifier);
    const [schema, partitionSpec, sortOrder] = [schemas[0], partitionSpecs[0], sortOrders[0]];
    if (schema === undefined || partitionSpec === undefined || sortOrder === undefined)
      throw new Error();
    const properties = { 'format-version': '2' };
    await world.catalog.createTable({ identifier, schema, partitionSpec, sortOrder, properties });
    world.click(0, [{}]);
    await world.run(QUIET_MS);
    expectFenced(process, /dropped or recreated while the pipeline ran; start it again/);
    expect(await world.rows()).toEqual([]);
  });
});
