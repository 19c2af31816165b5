import { highestFieldId } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import { describe, expect, it } from 'vitest';
import { INTERVAL_MS, QUIET_MS, World } from './harness.ts';
import { expectExactlyOnce } from './model.ts';
import { clickWith, columnsOf, field, producer, valuesOf, withPolicy } from './producers.ts';
import { clickSchema, frame } from './records.ts';

describe('a producer that sends a field more', () => {
  it('brings its column in the very commit that first carries it', async () => {
    const { world } = await World.started();
    world.click(0, [{}]);
    await world.run(INTERVAL_MS + 500);
    const before = await columnsOf(world);
    const { send } = await producer(world, clickWith(field('extra', 'string')));
    world.click(0, [{}]);
    send(0, { extra: 'new' });
    world.click(0, [{}]);
    await world.run(INTERVAL_MS + 500);
    world.click(0, [{}]);
    await world.run(INTERVAL_MS + 500);
    const { snapshots, schemas, lastColumnId } = await world.metadata();
    expect(snapshots.map(({ schemaId }) => schemaId)).toEqual([0, 1, 1]);
    expect(snapshots.map(({ summary }) => summary['added-records'])).toEqual(['1', '3', '1']);
    expect(schemas).toHaveLength(2);
    expect(await columnsOf(world)).toEqual([...before, `${lastColumnId} extra "string"?`]);
    const rows = await expectExactlyOnce(world);
    expect(valuesOf(rows, 'extra')).toEqual({
      '0/0': null,
      '0/1': null,
      '0/2': 'new',
      '0/3': null,
      '0/4': null,
    });
  });

  it('of a nested type, likewise', async () => {
    const { world } = await World.started();
    const line = { type: 'record', name: 'Line', fields: [field('sku', 'string')] };
    const { send } = await producer(
      world,
      clickWith(field('lines', { type: 'array', items: line }), field('home', 'Line')),
    );
    world.click(0, [{}]);
    send(0, { lines: [{ sku: 'a' }, { sku: 'b' }], home: { sku: 'c' } });
    await world.run(INTERVAL_MS + 500);
    const { schemas, snapshots } = await world.metadata();
    expect(snapshots.map(({ summary }) => summary['added-records'])).toEqual(['2']);
    expect((await columnsOf(world)).slice(-2)).toEqual([
      expect.stringMatching(/lines .*"sku","required":true/),
      expect.stringMatching(/home .*"sku","required":true/),
    ]);
    expect(highestFieldId(schemas.at(-1) ?? { schemaId: 0, fields: [] })).toBe(
      (await world.metadata()).lastColumnId,
    );
  });

  it('of two workers, where only one has met it', async () => {
    const { world } = await World.started({ config: { workers: 2 } });
    const { send } = await producer(world, clickWith(field('extra', 'string')));
    world.click(0, [{}]);
    send(1, { extra: 'new' });
    await world.run(INTERVAL_MS + 500);
    const rows = await expectExactlyOnce(world);
    expect(valuesOf(rows, 'extra')).toEqual({ '0/0': null, '1/0': 'new' });
    expect((await world.metadata()).snapshots).toHaveLength(1);
  });

  it('is not forgotten by the next process, nor added a second time by it', async () => {
    const { world, process } = await World.started();
    const { send } = await producer(world, clickWith(field('extra', 'string')));
    send(0, { extra: 'a' });
    await world.run(INTERVAL_MS + 500);
    const before = await columnsOf(world);
    process.kill();
    await world.start();
    world.click(0, [{}]);
    await world.run(5_000);
    send(0, { extra: 'b' });
    await world.run(5_000);
    expect(await columnsOf(world)).toEqual(before);
    const rows = await expectExactlyOnce(world);
    expect(valuesOf(rows, 'extra')).toEqual({ '0/0': 'a', '0/1': null, '0/2': 'b' });
  });
});

describe('a producer that changes a field', () => {
  it('to a type that the policy does not follow leaves the column to others, also where it comes first after a restart', async () => {
    const policy = withPolicy('ignore', new Set(['add-field']));
    const { world, process } = await World.started(policy);
    const narrow = await producer(world, clickWith(field('extra', 'int')));
    const wide = await producer(world, clickWith(field('extra', 'long')));
    narrow.send(0, { extra: 1 });
    await world.run(INTERVAL_MS + 500);
    process.kill();
    const next = await world.start(policy);
    await world.run(2_000);
    wide.send(0, { extra: 2 });
    await world.run(INTERVAL_MS + 500);
    narrow.send(0, { extra: 3 });
    wide.send(0, { extra: 4 });
    await world.run(INTERVAL_MS + 500);
    const rows = await expectExactlyOnce(world);
    expect(valuesOf(rows, 'extra')).toEqual({ '0/0': 1, '0/1': null, '0/2': 3, '0/3': null });
    expect(next.lines).toContainEqual(
      expect.objectContaining({
        schemaId: wide.schemaId,
        ignored: [
          'field extra is not in the contract, and it is int in the table and would become long (add-field)',
        ],
      }),
    );
  });

  it('that it drops makes the column optional where that alone is allowed', async () => {
    const { world } = await World.started(withPolicy('ignore', new Set(['drop-field'])));
    const fields = (clickSchema.fields ?? []).filter(({ name }) => name !== 'device_id');
    const { send } = await producer(world, { ...clickSchema, fields });
    send(0, {});
    await world.run(INTERVAL_MS + 500);
    expect(await columnsOf(world)).toContain('4 device_id "string"?');
  });

  it('to a wider type or an optional one changes the column, also under a batch that is half full', async () => {
    const { world } = await World.started(withPolicy());
    const narrow = await producer(world, clickSchema);
    const before = await columnsOf(world);
    const wide = await producer(
      world,
      clickWith(field('duration_ms', ['null', 'long']), field('user_id', ['null', 'long'])),
    );
    narrow.send(0, { duration_ms: -7 });
    await world.run(INTERVAL_MS + 500);
    narrow.send(0, { duration_ms: -8 });
    await world.run(200);
    wide.send(0, { duration_ms: 2 ** 40, user_id: 1 });
    narrow.send(0, { duration_ms: 9 });
    await world.run(INTERVAL_MS + 500);
    const rows = await expectExactlyOnce(world);
    expect(valuesOf(rows, 'duration_ms')).toEqual({
      '0/0': -7n,
      '0/1': -8n,
      '0/2': 2n ** 40n,
      '0/3': 9n,
    });
    expect(await columnsOf(world)).toEqual(
      before.map((column) =>
        column
          .replace('user_id "long"', 'user_id "long"?')
          .replace('duration_ms "int"', 'duration_ms "long"'),
      ),
    );
  });

  it('to a wider type beside one that the column cannot become widens it, and only the others are dead letters', async () => {
    const { world } = await World.started(withPolicy());
    const { encode, send } = await producer(
      world,
      clickWith(field('duration_ms', ['null', 'long', 'string'])),
    );
    send(0, { duration_ms: 2 ** 40 });
    world.reject(0, [encode({ duration_ms: 'long' })]);
    world.click(0, [{}]);
    await world.run(INTERVAL_MS + 500);
    const rows = await expectExactlyOnce(world);
    expect(valuesOf(rows, 'duration_ms')).toMatchObject({ '0/0': BigInt(2 ** 40) });
    expect(await columnsOf(world)).toContainEqual(expect.stringMatching(/duration_ms "long"/));
  });

  it('to what the column cannot become gets dead letters, and the table stays', async () => {
    const { world, process } = await World.started(withPolicy());
    const before = await columnsOf(world);
    const other = await producer(
      world,
      clickWith(field('duration_ms', 'string'), field('extra', 'int')),
    );
    world.reject(0, [other.encode({ duration_ms: 'long', extra: 1 })]);
    world.click(0, [{}]);
    await world.run(INTERVAL_MS + 500);
    await expectExactlyOnce(world);
    expect(await world.deadLetters()).toMatchObject([{ error_kind: 'contract-violation' }]);
    expect(await columnsOf(world)).toEqual(before);
    expect(process.lines).toContainEqual(
      expect.objectContaining({
        ignored: [expect.stringContaining('field duration_ms is string')],
      }),
    );
  });
});

describe('a producer that renames a field which others have under both names', () => {
  const others = (clickSchema.fields ?? []).filter(({ name }) => name !== 'referrer');
  const link = field('link', ['null', 'string']);
  const both = clickWith(link);

  async function producersOf(world: World) {
    const renaming = { ...link, aliases: ['referrer'] };
    return {
      renamed: await producer(world, { ...clickSchema, fields: [...others, renaming] }),
      both: await producer(world, both),
    };
  }

  it('goes on filling the column that it has filled', async () => {
    const { world } = await World.started(withPolicy());
    const { renamed, ...rest } = await producersOf(world);
    renamed.send(0, { link: 'a' });
    await world.run(INTERVAL_MS + 500);
    rest.both.send(0, { referrer: 'b', link: 'c' });
    await world.run(INTERVAL_MS + 500);
    renamed.send(0, { link: 'd' });
    await world.run(INTERVAL_MS + 500);
    const rows = await expectExactlyOnce(world);
    expect(valuesOf(rows, 'referrer')).toEqual({ '0/0': 'a', '0/1': 'b', '0/2': 'd' });
    expect(valuesOf(rows, 'link')).toEqual({ '0/0': null, '0/1': 'c', '0/2': null });
  });

  it('fills the column of the new name where that is there first', async () => {
    const { world } = await World.started(withPolicy());
    const { renamed, ...rest } = await producersOf(world);
    rest.both.send(0, { referrer: 'b', link: 'c' });
    await world.run(INTERVAL_MS + 500);
    renamed.send(0, { link: 'd' });
    await world.run(INTERVAL_MS + 500);
    const rows = await expectExactlyOnce(world);
    expect(valuesOf(rows, 'referrer')).toEqual({ '0/0': 'b', '0/1': null });
    expect(valuesOf(rows, 'link')).toEqual({ '0/0': 'c', '0/1': 'd' });
  });
});

describe('a record that cannot be decoded', () => {
  it('adds no column, whatever schema it names', async () => {
    const { world } = await World.started(withPolicy());
    const before = await columnsOf(world);
    const { encode } = await producer(world, clickWith(field('extra', 'string')));
    const envelope = { type: 'record', name: 'Envelope', fields: [field('op', 'string')] };
    const { schemaId } = await world.registry.register('envelope', envelope);
    world.reject(0, [encode({ extra: 'cut' }).subarray(0, -1), frame(schemaId, Buffer.of(2, 99))]);
    world.click(0, [{}]);
    await world.run(INTERVAL_MS + 500);
    await expectExactlyOnce(world);
    expect((await world.deadLetters()).map((row) => row['error_kind'])).toEqual([
      'truncated',
      'contract-violation',
    ]);
    expect(await columnsOf(world)).toEqual(before);
  });

  it('stops nobody where policies would: its schema is of another sort of record', async () => {
    for (const policy of ['pause', 'fail', 'reject'] as const) {
      const { world, process } = await World.started(withPolicy(policy));
      const envelope = { type: 'record', name: 'Envelope', fields: [field('op', 'string')] };
      const { schemaId } = await world.registry.register('envelope', envelope);
      world.reject(0, [frame(schemaId, Buffer.of(2, 99))]);
      world.click(0, [{}]);
      await world.run(INTERVAL_MS + 500);
      await expectExactlyOnce(world);
      expect(process.ended()).toBeUndefined();
      expect(await world.deadLetters()).toMatchObject([{ error_kind: 'contract-violation' }]);
    }
  });
});

/** A world with two processes, each with partitions of its own. */
async function two(): Promise<World> {
  const world = await World.open();
  for (const name of ['a', 'b']) await world.start({ ...withPolicy(), name, state: name });
  await world.run(2_000);
  world.rebalance({ a: [0], b: [1, 2] });
  await world.run(2_000);
  return world;
}

/** A world whose table was made by hand without a column, or with one more that is required. */
async function without(name: string, required = ''): Promise<World> {
  const { world: other } = await World.started();
  const { schemas } = await other.metadata();
  const world = await World.open();
  const columns = (schemas[0]?.fields ?? [])
    .filter((one) => one.name !== name)
    .map((one) => (one.name === required ? { ...one, required: true } : one));
  await world.catalog.ensureNamespace(['lake']);
  await world.catalog.createTable({
    identifier: { namespace: ['lake'], name: 'clicks' },
    schema: { schemaId: 0, fields: columns },
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  });
  return world;
}

describe('a table that lacks a column of the contract', () => {
  it('gets it with the first rows, where the policy allows that', async () => {
    const world = await without('referrer');
    await world.start(withPolicy('ignore', new Set(['add-field'])));
    world.reject(0, [null]);
    await world.run(5_000);
    expect((await world.metadata()).schemas, 'a reject needs no column').toHaveLength(1);
    world.click(0, [{}]);
    await world.run(5_000);
    const { lastColumnId, snapshots } = await world.metadata();
    expect(await columnsOf(world)).toContain(`${lastColumnId} referrer "string"?`);
    expect(snapshots.map(({ schemaId }) => schemaId)).toEqual([0, 1]);
    await expectExactlyOnce(world);
  });

  it('is refused where the policy does not, and told how', async () => {
    const world = await without('referrer');
    const process = await world.start(withPolicy('ignore'));
    await world.run(2_000);
    expect(process.ended()).toMatchObject({
      error: {
        kind: 'config',
        message: expect.stringMatching(/referrer .*missing.*evolution/) as string,
      },
    });
  });
});

describe('a table whose column is required where the contract lets it be null', () => {
  it('is refused where the policy does not follow, with the statement that mends it', async () => {
    const world = await without('', 'referrer');
    const process = await world.start(withPolicy('ignore'));
    await world.run(2_000);
    expect(process.ended()).toMatchObject({
      error: {
        kind: 'config',
        message: expect.stringContaining(
          '(in Trino: alter table lake.clicks alter column referrer drop not null)',
        ) as string,
      },
    });
  });

  it('becomes optional with the first rows, where it does', async () => {
    const world = await without('', 'referrer');
    await world.start(withPolicy('ignore', new Set(['make-optional'])));
    world.click(0, [{}]);
    await world.run(5_000);
    await expectExactlyOnce(world);
    expect((await columnsOf(world)).filter((column) => column.includes('referrer'))).toEqual([
      expect.stringMatching(/\?$/),
    ]);
  });
});

describe('two processes that evolve the table at once', () => {
  it('for one field end with one column', async () => {
    const world = await two();
    const before = await columnsOf(world);
    const { send } = await producer(world, clickWith(field('extra', 'string')));
    world.faults.commitDelayMs = 500;
    send(0, { extra: 'a' });
    send(1, { extra: 'b' });
    await world.run(QUIET_MS);
    expect(await columnsOf(world)).toHaveLength(before.length + 1);
    expect(valuesOf(await expectExactlyOnce(world), 'extra')).toEqual({ '0/0': 'a', '1/0': 'b' });
  });

  it('for two fields end with both, each with its own values', async () => {
    const world = await two();
    const before = await columnsOf(world);
    const x = await producer(world, clickWith(field('x', 'string')));
    const y = await producer(world, clickWith(field('y', 'string')));
    world.faults.commitDelayMs = 500;
    x.send(0, { x: 'of x' });
    y.send(1, { y: 'of y' });
    await world.run(QUIET_MS);
    const after = await columnsOf(world);
    expect(after.slice(0, before.length)).toEqual(before);
    expect(after.slice(before.length).map((column) => column.split(' ')[1])).toHaveLength(2);
    const rows = await expectExactlyOnce(world);
    expect(valuesOf(rows, 'x')).toEqual({ '0/0': 'of x', '1/0': null });
    expect(valuesOf(rows, 'y')).toEqual({ '0/0': null, '1/0': 'of y' });
  });

  it('for one name and two types end with the first, and lose no row', async () => {
    const world = await two();
    const x = await producer(world, clickWith(field('x', 'string')));
    const y = await producer(world, clickWith(field('x', 'boolean')));
    world.faults.commitDelayMs = 500;
    x.send(0, { x: 'text' });
    y.send(1, { x: true });
    await world.run(QUIET_MS);
    const rows = await expectExactlyOnce(world);
    const values = Object.values(valuesOf(rows, 'x'));
    expect(values).toHaveLength(2);
    expect(values.filter((value) => value !== null)).toHaveLength(1);
  });
});

describe('an evolving commit', () => {
  it.each(['fail', 'apply-then-fail', 'apply-twice', 'conflict', 'delay'] as const)(
    'that meets %s lands once',
    async (fault) => {
      const { world } = await World.started();
      const { send } = await producer(world, clickWith(field('extra', 'string')));
      let commits = 0;
      world.faults.commit = () => (commits++ === 0 ? fault : 'apply');
      send(0, { extra: 'once' });
      await world.run(10_000);
      world.catalog.deliverDelayed();
      world.click(0, [{}]);
      await world.run(QUIET_MS);
      const rows = await expectExactlyOnce(world);
      expect(valuesOf(rows, 'extra')).toEqual({ '0/0': 'once', '0/1': null });
      const { schemas } = await world.metadata();
      expect(schemas).toHaveLength(2);
    },
  );

  it('is written again where somebody has added a column meanwhile', async () => {
    const { world } = await World.started();
    const { send } = await producer(world, clickWith(field('extra', 'string')));
    const identifier = { namespace: ['lake'], name: 'clicks' };
    let commits = 0;
    const alter = async (): Promise<void> => {
      const { schemas, lastColumnId } = await world.metadata();
      const id = lastColumnId + 1;
      const note = { id, name: 'note', type: 'string', required: false } as const;
      const schema = { schemaId: 0, fields: [...(schemas[0]?.fields ?? []), note] };
      await world.catalog
        .prepareCommit({
          identifier,
          requirements: [],
          updates: [
            { action: 'add-schema', schema, lastColumnId: id },
            { action: 'set-current-schema', schemaId: -1 },
          ],
        })
        .send();
    };
    world.faults.commitDelayMs = 300;
    world.faults.commit = () => {
      if (commits++ === 0) void alter();
      return 'apply';
    };
    send(0, { extra: 'kept' });
    await world.run(QUIET_MS);
    const rows = await expectExactlyOnce(world);
    expect(rows).toMatchObject([{ extra: 'kept', note: null }]);
    const { lastColumnId } = await world.metadata();
    expect(await columnsOf(world)).toContain(`${lastColumnId} extra "string"?`);
  });
});
