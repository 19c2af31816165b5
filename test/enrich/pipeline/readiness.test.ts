import { describe, expect, it } from 'vitest';
import { evolving, QUIET_MS, World } from './harness.ts';
import type { Process } from './harness.ts';
import { expectExactlyOnce } from './model.ts';

function isReady({ status }: Process): boolean {
  return status.waitingFor() === undefined;
}

// INVARIANTS.md 6
describe('no click is joined', () => {
  it('before the initial snapshot is known complete, though every topic was read', async () => {
    const world = await World.open({ complete: false });
    world.change('users', 1, { name: 'ann' }, true);
    world.notify('STARTED');
    world.click(0, [{}]);
    const process = await world.start();
    await world.run(30_000);
    expect(process.status.waitingFor()).toMatch(/initial snapshot is complete/);
    expect(await world.rows()).toEqual([]);
    world.notify('COMPLETED');
    await world.run(5_000);
    expect(await expectExactlyOnce(world)).toMatchObject([{ user_name: 'ann' }]);
  });

  it('before every topic was read to the end that it had, though the snapshot is complete', async () => {
    const world = await World.open();
    world.change('users', 1, { name: 'ann' }, true);
    world.click(0, [{}]);
    world.faults.away.add('dimension topics');
    const process = await world.start();
    await world.run(30_000);
    expect(process.status.waitingFor()).toBe('reading dimensions: the log is away');
    expect(await world.rows()).toEqual([]);
    world.faults.away.clear();
    await world.run(5_000);
    expect(await expectExactlyOnce(world)).toMatchObject([{ user_name: 'ann' }]);
  });

  it('before the rows of a snapshot that ends only after the start were read', async () => {
    const world = await World.open({ complete: false });
    world.click(0, [{}]);
    const process = await world.start();
    await world.run(5_000);
    world.faults.away.add('dimension topics');
    // Past the end of the poll that is under way.
    await world.run(1_000);
    world.change('users', 1, { name: 'ann' }, true);
    world.notify('COMPLETED');
    await world.run(20_000);
    expect(isReady(process)).toBe(false);
    world.faults.away.clear();
    await world.run(5_000);
    expect(await expectExactlyOnce(world)).toMatchObject([{ user_name: 'ann' }]);
  });

  it('while the registry withholds the schema of a change', async () => {
    const world = await World.open();
    const { schemaId } = await world.registry.register('x', {
      type: 'record',
      name: 'X',
      fields: [],
    });
    const key = Buffer.from([0, 0, 0, 0, schemaId]);
    world.log.append('app.public.users', 0, [{ key, value: null }]);
    world.click(0, [{}]);
    world.faults.away.add('registry');
    const process = await world.start();
    await world.run(20_000);
    expect(isReady(process)).toBe(false);
    world.faults.away.clear();
    await world.run(5_000);
    expect(await world.rows()).toHaveLength(1);
  });
});

describe('a pipeline becomes ready', () => {
  it('with empty dimension topics: every click misses', async () => {
    const world = await World.open();
    world.click(0, [{}]);
    const process = await world.start();
    await world.run(5_000);
    expect(isReady(process)).toBe(true);
    expect(await expectExactlyOnce(world)).toMatchObject([{ _users_match: 'miss' }]);
  });

  it('at a snapshot that was skipped because an earlier run completed it', async () => {
    const world = await World.open({ complete: false });
    world.notify('SKIPPED');
    const process = await world.start();
    await world.run(2_000);
    expect(isReady(process)).toBe(true);
  });

  it('at a change of the streaming phase, without any notification', async () => {
    const world = await World.open({ complete: false });
    world.change('users', 1, { name: 'ann' }, true);
    world.change('users', 1, { name: 'anna' }, false);
    world.click(0, [{}]);
    const process = await world.start();
    await world.run(5_000);
    expect(isReady(process)).toBe(true);
    expect(await expectExactlyOnce(world)).toMatchObject([{ user_name: 'anna' }]);
  });

  it('again after a restart, when the notification has expired since', async () => {
    const { world, process } = await World.started();
    process.kill();
    world.log.truncate('__debezium-notifications.app', 0, 1n);
    const successor = await world.start();
    await world.run(2_000);
    expect(isReady(successor)).toBe(true);
  });

  it('not so when the state is lost as well', async () => {
    const { world, process } = await World.started();
    process.kill();
    world.log.truncate('__debezium-notifications.app', 0, 1n);
    const successor = await world.start({ state: 'empty' });
    await world.run(20_000);
    expect(isReady(successor)).toBe(false);
  });

  it('after everything it needs was away at its start', async () => {
    const world = await World.open();
    for (const name of ['log', 'catalog', 'registry', 'store'] as const)
      world.faults.away.add(name);
    world.click(0, [{}]);
    const process = await world.start();
    await world.run(30_000);
    expect(process.ended()).toBeUndefined();
    world.faults.away.clear();
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(1);
  });
});

describe('a pipeline does not start', () => {
  it.each([
    ['clicks', /topic clicks \(stream\.topic\) does not exist/],
    ['app.public.urls', /topic app\.public\.urls \(dimension urls\) does not exist/],
    ['__debezium-notifications.app', /\(readiness\.notification_topic\) does not exist/],
  ])('without its topic %s, and says so', async (topic, message) => {
    const world = await World.open();
    world.log.deleteTopic(topic);
    const process = await world.start();
    await world.run(2_000);
    expect(process.ended()).toMatchObject({
      error: { kind: 'config', message: expect.stringMatching(message) as unknown },
    });
  });

  it('on a table that lacks a column, and names it', async () => {
    const world = await World.open();
    await world.catalog.ensureNamespace(['lake']);
    await world.catalog.createTable({
      identifier: { namespace: ['lake'], name: 'clicks' },
      schema: { schemaId: 0, fields: [{ id: 1, name: 'x', type: 'int', required: false }] },
      partitionSpec: { specId: 0, fields: [] },
      sortOrder: { orderId: 0, fields: [] },
      properties: {},
    });
    const process = await world.start(evolving({ policy: 'ignore', allow: new Set() }));
    await world.run(2_000);
    expect(process.ended()).toMatchObject({
      error: {
        kind: 'config',
        message: expect.stringMatching(/column event_time.*missing/) as unknown,
      },
    });
  });
});
