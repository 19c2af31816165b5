import { describe, expect, it } from 'vitest';
import { deriveDeadLetterSchema } from '../../../schemas/table-schema.ts';
import { QUIET_MS, World } from './harness.ts';
import { expectExactlyOnce } from './model.ts';
import { frame, topicOf } from './records.ts';

describe('a reject', () => {
  it('stands in the dead-letter table with what is needed to repair and replay it', async () => {
    const { world } = await World.started();
    const value = Buffer.from('{"not":"avro"}');
    world.log.append('clicks', 1, [{ key: Buffer.from('k'), value, timestampMs: 1_234 }]);
    await world.run(5_000);
    const [row] = await world.deadLetters();
    expect(row).toMatchObject({
      _kafka_topic: 'clicks',
      _kafka_topic_id: (await world.log.describeTopic('clicks'))?.topicId,
      _kafka_partition: 1,
      _kafka_offset: 0n,
      _kafka_timestamp: 1_234_000n,
      error_kind: 'no-magic-byte',
      schema_id: null,
    });
    expect(Buffer.from(row?.['record_value'] as Uint8Array)).toEqual(value);
    expect(Buffer.from(row?.['record_key'] as Uint8Array).toString()).toBe('k');
  });

  it('stands in a table that knows no topic ids too, as earlier versions made it', async () => {
    const world = await World.open();
    await world.catalog.ensureNamespace(['lake']);
    await world.catalog.createTable({
      identifier: { namespace: ['lake'], name: 'clicks_dead_letter' },
      schema: { schemaId: 0, fields: deriveDeadLetterSchema().slice(0, -1) },
      partitionSpec: { specId: 0, fields: [] },
      sortOrder: { orderId: 0, fields: [] },
      properties: {},
    });
    await world.start();
    world.reject(0, [null]);
    await world.run(10_000);
    expect(await world.deadLetters()).toMatchObject([{ error_kind: 'null-value' }]);
  });

  it('is made by a schema id that the registry does not have', async () => {
    const { world } = await World.started();
    world.reject(0, [frame(4711, Buffer.from([1]))]);
    world.click(0, [{}]);
    await world.run(5_000);
    expect(await expectExactlyOnce(world)).toHaveLength(1);
    expect(await world.deadLetters()).toMatchObject([
      { error_kind: 'unknown-schema-id', schema_id: 4711 },
    ]);
  });

  it('is never made because the registry is away: the clicks wait', async () => {
    const { world } = await World.started();
    world.faults.away.add('registry');
    world.click(0, [{}]);
    await world.run(30_000);
    expect(await world.rows()).toEqual([]);
    world.faults.away.delete('registry');
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(1);
    expect(await world.deadLetters()).toEqual([]);
  });
});

// INVARIANTS.md 5
describe('rejects reach the dead-letter table once', () => {
  it('a stop while a successor makes up for that ends it cleanly', async () => {
    const { world, process } = await World.started();
    world.faults.commit = ({ identifier }) =>
      identifier.name === 'clicks' ? 'apply' : 'crash-before';
    world.reject(0, [null]);
    await world.run(3_000);
    process.kill();
    world.faults.commit = () => 'apply';
    const load = world.catalog.loadTable.bind(world.catalog);
    let loads = 0;
    world.catalog.loadTable = async (identifier) => {
      const loaded = await load(identifier);
      // The first load opens the table, the second one is the commit's.
      if (identifier.name === 'clicks_dead_letter' && ++loads === 2) successor.stop();
      return loaded;
    };
    const successor = await world.start();
    await world.run(QUIET_MS);
    expect({ loads: loads >= 2, ended: successor.ended() }).toEqual({
      loads: true,
      ended: 'stopped',
    });
  });

  it.each(['crash-before', 'crash-after'] as const)(
    'when the process dies between its two commits: %s the second',
    async (fault) => {
      const { world, process } = await World.started();
      world.faults.commit = ({ identifier }) => (identifier.name === 'clicks' ? 'apply' : fault);
      world.click(0, [{}]);
      world.reject(0, [null]);
      await world.run(3_000);
      expect(process.life.alive).toBe(false);
      expect(await world.deadLetters()).toHaveLength(fault === 'crash-before' ? 0 : 1);
      process.kill();
      world.faults.commit = () => 'apply';
      await world.start();
      await world.run(QUIET_MS);
      expect(await expectExactlyOnce(world)).toHaveLength(1);
    },
  );

  it('when the catalog takes no commits at the start, which is no loop that is stuck', async () => {
    const { world, process } = await World.started();
    world.faults.commit = ({ identifier }) =>
      identifier.name === 'clicks' ? 'apply' : 'crash-before';
    world.reject(0, [null]);
    await world.run(3_000);
    process.kill();
    world.faults.commit = () => 'fail';
    const successor = await world.start();
    for (let minute = 0; minute < 10; minute++) {
      await world.run(60_000);
      expect(successor.status.failure()).toBeUndefined();
    }
    expect(successor.status.waitingFor()).toContain('to clicks_dead_letter');
    world.faults.commit = () => 'apply';
    await world.run(60_000);
    expect(await world.deadLetters()).toHaveLength(1);
    expect(successor.status.waitingFor()).toBeUndefined();
  });

  it('when two owners settle the same', async () => {
    const { world, process } = await World.started({ name: 'old' });
    world.faults.commit = ({ identifier }, name) =>
      identifier.name !== 'clicks' && name === 'old' ? 'freeze-before' : 'apply';
    world.reject(0, [null]);
    await world.run(3_000);
    await world.start({ name: 'new', state: 'new' });
    await world.run(1_000);
    world.rebalance({ new: [0, 1, 2] });
    await world.run(5_000);
    world.reject(0, [null]);
    world.faults.commit = () => 'apply';
    process.life.thaw();
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(0);
  });

  it('when the schema is registered between two lives: the first decision stands', async () => {
    const { world, process } = await World.started();
    world.faults.commit = ({ identifier }) =>
      identifier.name === 'clicks' ? 'apply' : 'crash-before';
    world.reject(0, [frame(2, Buffer.from([1]))]);
    await world.run(3_000);
    process.kill();
    world.faults.commit = () => 'apply';
    await world.registry.register('other-value', { type: 'record', name: 'Other', fields: [] });
    await world.start();
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(0);
    expect(await world.deadLetters()).toMatchObject([{ error_kind: 'unknown-schema-id' }]);
  });

  it('when the table is rolled back behind rejects that are settled already', async () => {
    const { world, process } = await World.started();
    world.click(0, [{}]);
    await world.run(3_000);
    const { currentSnapshotId } = await world.metadata();
    world.reject(0, [null]);
    await world.run(3_000);
    process.kill();
    if (currentSnapshotId === undefined) throw new Error('nothing was committed');
    await world.rollBack(currentSnapshotId);
    world.reject(0, [Buffer.from('later')]);
    await world.start({ acceptRollback: true });
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(1);
  });
});

describe('a record of a change topic that is no change', () => {
  const bad = { key: Buffer.from('{"user_id":1}'), value: Buffer.from('{"no":"envelope"}') };

  it('reaches the dead-letter table once, and the changes around it count', async () => {
    const { world } = await World.started();
    world.change('users', 1, { name: 'before' });
    world.log.append(topicOf.users, 1, [bad]);
    world.change('users', 2, { name: 'after' });
    await world.run(10_000);
    world.click(0, [{ userId: 1 }, { userId: 2 }]);
    await world.run(5_000);
    expect((await expectExactlyOnce(world)).map((row) => row['user_name'])).toEqual([
      'before',
      'after',
    ]);
    expect(await world.deadLetters()).toMatchObject([
      { _kafka_topic: topicOf.users, _kafka_offset: 1n, error_kind: 'not-an-envelope' },
    ]);
  });

  it('does so once when two processes read it, and when one has lost its state', async () => {
    const { world, process } = await World.started({ state: 'one' });
    await world.start({ state: 'two' });
    world.log.append(topicOf.users, 1, [bad]);
    await world.run(20_000);
    process.kill();
    world.log.append(topicOf.users, 1, [bad]);
    await world.start({ state: 'three' });
    await world.run(QUIET_MS);
    const offsets = (await world.deadLetters()).map((row) => row['_kafka_offset']);
    expect(offsets).toHaveLength(2);
    expect(new Set(offsets)).toEqual(new Set([0n, 1n]));
  });

  it('does so once when the state could not store it at first', async () => {
    const { world } = await World.started();
    world.faults.away.add('state');
    world.log.append(topicOf.users, 1, [bad]);
    await world.run(5_000);
    world.faults.away.clear();
    await world.run(QUIET_MS);
    expect(await world.deadLetters()).toHaveLength(1);
  });

  it('waits while the catalog is away', async () => {
    const { world, process } = await World.started();
    world.faults.away.add('catalog');
    world.log.append(topicOf.users, 1, [bad]);
    await world.run(20_000);
    world.faults.away.clear();
    await world.run(QUIET_MS);
    expect(process.ended()).toBeUndefined();
    expect(await world.deadLetters()).toHaveLength(1);
  });
});
