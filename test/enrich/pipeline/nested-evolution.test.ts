import { zstdDecompressSync } from 'node:zlib';
import { scanDataFiles } from '@iceberg-js/rest-client-shim/commit/scan.ts';
import { childFields } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import { parquetReadObjects } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import type { AvroField, AvroObject, AvroType } from '../../../schemas/contract.ts';
import { INTERVAL_MS, QUIET_MS, World } from './harness.ts';
import { expectExactlyOnce } from './model.ts';
import {
  clickWith,
  columnsOf,
  contractsWith,
  field,
  producer,
  valuesOf,
  withPolicy,
} from './producers.ts';

const optional = (name: string, type: AvroType): AvroField => ({
  name,
  type: ['null', type],
  default: null,
});

const array = (items: AvroType): AvroObject => ({ type: 'array', items });
const geo = (...fields: AvroField[]): AvroField =>
  optional('geo', { type: 'record', name: 'Geo', fields });
/** Items that hold values: `geo.hist[].m{}`. */
const hist = (values: AvroType): AvroField => {
  const m = field('m', { type: 'map', values });
  return field('hist', array({ type: 'record', name: 'Hist', fields: [m] }));
};
const city = field('city', 'string');
const zip = field('zip', 'string');
const tags = (items: AvroType): AvroField => optional('tags', array(items));

/** The column of the table's current schema, without ids. */
async function columnOf(world: World, name: string): Promise<string | undefined> {
  const column = (await columnsOf(world)).find((one) => one.includes(` ${name} `));
  return column?.replaceAll(/"(id|elementId|keyId|valueId)":\d+,?/g, '');
}

/** Values of a nested column by `partition/offset`, as its files have them. */
async function nestedValuesOf(world: World, column: string): Promise<Record<string, unknown>> {
  const { store } = world;
  const found: Record<string, unknown> = {};
  for await (const { dataFile } of scanDataFiles({ store, metadata: await world.metadata() })) {
    const { buffer } = Uint8Array.from(await store.get(dataFile.location));
    const rows = await parquetReadObjects({
      file: buffer,
      compressors: { ZSTD: (input) => zstdDecompressSync(input) },
    });
    for (const row of rows) {
      const place = `${String(row['_kafka_partition'])}/${String(row['_kafka_offset'])}`;
      found[place] = (row[column] as unknown) ?? null;
    }
  }
  return found;
}

/** Somebody else gives the record a field, in place of one of that name. */
async function putWithin(world: World, column: string, name: string): Promise<void> {
  const { schemas, lastColumnId } = await world.metadata();
  const id = lastColumnId + 1;
  const fields = (schemas.at(-1)?.fields ?? []).map((one) => {
    if (one.name !== column || typeof one.type === 'string') return one;
    const others = childFields(one.type).filter((child) => child.name !== name);
    const added = { id, name, type: 'int', required: false } as const;
    return { ...one, type: { type: 'struct' as const, fields: [...others, added] } };
  });
  const request = {
    identifier: { namespace: ['lake'], name: 'clicks' },
    requirements: [],
    updates: [
      {
        action: 'add-schema' as const,
        schema: { schemaId: schemas.length, fields },
        lastColumnId: id,
      },
      { action: 'set-current-schema' as const, schemaId: -1 },
    ],
  };
  await world.catalog.prepareCommit(request).send();
}

const followed = new Set(['add-field', 'widen-type'] as const);

// INVARIANTS.md 11
describe('a producer that brings a field within a record, and wider values within it', () => {
  const before = geo(city, hist('int'));
  const after = geo(city, hist('long'), zip);
  const old = { city: 'Ulm', hist: [{ m: { a: -1 } }, { m: { b: 2, c: 3 } }] };
  const wide = { city: 'Bern', hist: [{ m: { a: 2 ** 40 } }], zip: '3000' };

  it('brings them in the commit that carries them, under a batch that is half full, and after a restart', async () => {
    const policy = withPolicy('ignore', followed);
    const options = { ...policy, contracts: contractsWith(before) };
    const { world, process } = await World.started(options);
    const [narrow, wider] = [
      await producer(world, clickWith(before)),
      await producer(world, clickWith(after)),
    ];
    narrow.send(0, { geo: old });
    await world.run(INTERVAL_MS + 500);
    const first = await columnOf(world, 'geo');
    narrow.send(0, { geo: old });
    world.click(0, [{}]);
    await world.run(200);
    wider.send(0, { geo: wide });
    narrow.send(0, { geo: old });
    await world.run(INTERVAL_MS + 500);
    const grown = await columnOf(world, 'geo');
    expect(grown).not.toBe(first);
    process.kill();
    await world.start(options);
    narrow.send(0, { geo: old });
    await world.run(5_000);
    wider.send(0, { geo: wide });
    await world.run(5_000);
    expect(await columnOf(world, 'geo')).toBe(grown);
    const { schemas, snapshots } = await world.metadata();
    expect(schemas).toHaveLength(2);
    expect(snapshots.map(({ schemaId }) => schemaId)).toEqual([0, 1, 1, 1]);
    await expectExactlyOnce(world);
    const long = [{ m: { a: -1n } }, { m: { b: 2n, c: 3n } }];
    const was = { city: 'Ulm', hist: long, zip: null };
    const is = { city: 'Bern', hist: [{ m: { a: 2n ** 40n } }], zip: '3000' };
    expect(await nestedValuesOf(world, 'geo')).toEqual({
      '0/0': old,
      '0/1': was,
      '0/2': null,
      '0/3': is,
      '0/4': was,
      '0/5': { city: 'Ulm', hist: long },
      '0/6': is,
    });
    expect(await world.deadLetters()).toEqual([]);
  });

  it('has the rest of its rows where the table comes to have another field of that name', async () => {
    const options = { ...withPolicy(), contracts: contractsWith(before) };
    const { world, process } = await World.started(options);
    const { send } = await producer(world, clickWith(after));
    send(0, { geo: wide });
    await world.run(INTERVAL_MS + 500);
    await putWithin(world, 'geo', 'zip');
    send(0, { geo: wide });
    await world.run(INTERVAL_MS + 5_000);
    await expectExactlyOnce(world);
    const { city: town, hist: of } = wide;
    const rest = { city: town, hist: [{ m: { a: BigInt(of[0]?.m.a ?? 0) } }] };
    expect(await nestedValuesOf(world, 'geo')).toEqual({
      '0/0': { ...rest, zip: '3000' },
      '0/1': rest,
    });
    expect(process.lines).toContainEqual(
      expect.objectContaining({
        reasons: ['column geo.zip is int in the table and cannot become string'],
      }),
    );
  });

  it('of two processes at once, ends with one field', async () => {
    const world = await World.open();
    const options = { ...withPolicy(), contracts: contractsWith(before) };
    for (const name of ['a', 'b']) await world.start({ ...options, name, state: name });
    await world.run(2_000);
    world.rebalance({ a: [0], b: [1, 2] });
    await world.run(2_000);
    const { send } = await producer(world, clickWith(after));
    world.faults.commitDelayMs = 500;
    send(0, { geo: wide });
    send(1, { geo: wide });
    await world.run(QUIET_MS);
    await expectExactlyOnce(world);
    expect((await columnOf(world, 'geo'))?.match(/"name":"zip"/g)).toHaveLength(1);
    const values = Object.values(await nestedValuesOf(world, 'geo'));
    expect(values.map((value) => (value as typeof wide).zip)).toEqual(['3000', '3000']);
  });

  it('brings none of it with rows of others', async () => {
    const options = { ...withPolicy(), contracts: contractsWith(before) };
    const { world } = await World.started(options);
    const [only, both] = [
      await producer(world, clickWith(geo(city, hist('int'), zip))),
      await producer(world, clickWith(after)),
    ];
    const first = await columnOf(world, 'geo');
    world.reject(0, [both.encode({ geo: wide }).subarray(0, -1)]);
    await world.run(INTERVAL_MS + 500);
    expect(await columnOf(world, 'geo')).toBe(first);
    only.send(0, { geo: { ...old, zip: '89073' } });
    await world.run(INTERVAL_MS + 500);
    expect(await columnOf(world, 'geo')).toMatch(/"value":"int".*zip/);
    both.send(0, { geo: wide });
    await world.run(INTERVAL_MS + 500);
    expect(await columnOf(world, 'geo')).toMatch(/"value":"long".*zip/);
    await expectExactlyOnce(world);
  });
});

describe('a producer whose nested values may be null where the contract has none', () => {
  it('pauses where that is the policy, and goes on when a start takes it', async () => {
    const contracts = contractsWith(geo(city));
    const paused = withPolicy('pause', new Set(['add-field']));
    const { world, process } = await World.started({ ...paused, contracts });
    const { send } = await producer(world, clickWith(geo(field('city', ['null', 'string']))));
    send(0, { geo: { city: null } });
    await world.run(INTERVAL_MS + 500);
    expect(process.status.notes()).toEqual([
      expect.stringContaining(': field geo.city may be null, and the contract requires it'),
    ]);
    expect(await world.deadLetters()).toEqual([]);
    process.stop();
    await world.run(5_000);
    await world.start({ ...withPolicy(), contracts });
    await world.run(QUIET_MS);
    await expectExactlyOnce(world);
    expect(await nestedValuesOf(world, 'geo')).toEqual({ '0/0': { city: null } });
  });

  it('stops the pipeline where that is the policy', async () => {
    const contracts = contractsWith(tags('string'));
    const { world, process } = await World.started({ ...withPolicy('fail'), contracts });
    const { send } = await producer(world, clickWith(tags(['null', 'string'])));
    send(0, { tags: ['a', null] });
    await world.run(INTERVAL_MS + 500);
    expect(process.ended()).toMatchObject({
      error: {
        kind: 'schema-change',
        message: expect.stringContaining('field tags[] may be') as string,
      },
    });
    expect(await world.deadLetters()).toEqual([]);
  });

  it('gets its rows where the policy follows', async () => {
    const contracts = contractsWith(tags('string'));
    const { world } = await World.started({ ...withPolicy(), contracts });
    const { send } = await producer(world, clickWith(tags(['null', 'string'])));
    send(0, { tags: ['a', null] });
    await world.run(INTERVAL_MS + 500);
    await expectExactlyOnce(world);
    expect(await nestedValuesOf(world, 'tags')).toEqual({ '0/0': ['a', null] });
  });
});

const device = (...symbols: string[]): AvroField =>
  optional('device', { type: 'enum', name: 'Device', symbols, default: 'OTHER' });

describe('a producer with more symbols than an enumeration of the contract, which has a default', () => {
  const contracts = contractsWith(device('OTHER', 'PHONE'));
  const wider = clickWith(device('OTHER', 'PHONE', 'TV'));

  it('gets them into the table where that is followed', async () => {
    const { world } = await World.started({ ...withPolicy('reject', followed), contracts });
    const { send } = await producer(world, wider);
    send(0, { device: 'TV' });
    await world.run(INTERVAL_MS + 500);
    expect(valuesOf(await expectExactlyOnce(world), 'device')).toEqual({ '0/0': 'TV' });
  });

  it('gets the default where they are ignored, and the log says so', async () => {
    const { world, process } = await World.started({ ...withPolicy('ignore'), contracts });
    const { schemaId, send } = await producer(world, wider);
    send(0, { device: 'TV' });
    send(0, { device: 'PHONE' });
    await world.run(INTERVAL_MS + 500);
    const rows = await expectExactlyOnce(world);
    expect(valuesOf(rows, 'device')).toEqual({ '0/0': 'OTHER', '0/1': 'PHONE' });
    expect(process.lines).toContainEqual(
      expect.objectContaining({
        schemaId,
        ignored: [
          'field device is an enum of OTHER, PHONE, TV, and an enum of OTHER, PHONE in the contract (widen-type)',
        ],
      }),
    );
  });

  it('gets dead letters where they are rejected', async () => {
    const { world } = await World.started({ ...withPolicy('reject'), contracts });
    const { encode } = await producer(world, wider);
    world.reject(0, [encode({ device: 'PHONE' })]);
    world.click(0, [{}]);
    await world.run(INTERVAL_MS + 500);
    await expectExactlyOnce(world);
    expect(await world.deadLetters()).toMatchObject([{ error_kind: 'schema-change' }]);
  });
});

describe('a field with a default within a record that producers bring', () => {
  it.each([
    ['all is followed', withPolicy()],
    ['fields alone are', withPolicy('ignore', new Set(['add-field']))],
    ['all else holds up', withPolicy('pause', new Set(['add-field']))],
  ])(
    'has it in rows that lack it, whatever rows they are committed with, where %s',
    async (_, config) => {
      const { world } = await World.started({ ...config });
      const os: AvroField = { name: 'os', type: 'string', default: 'unknown' };
      const newer = await producer(world, clickWith(geo(city, os)));
      const older = await producer(world, clickWith(geo(city)));
      newer.send(0, { geo: { city: 'A', os: 'linux' } });
      await world.run(INTERVAL_MS + 500);
      older.send(0, { geo: { city: 'B' } });
      await world.run(INTERVAL_MS + 500);
      newer.send(0, { geo: { city: 'C', os: 'linux' } });
      older.send(0, { geo: { city: 'D' } });
      await world.run(QUIET_MS);
      expect(await nestedValuesOf(world, 'geo')).toEqual({
        '0/0': { city: 'A', os: 'linux' },
        '0/1': { city: 'B', os: 'unknown' },
        '0/2': { city: 'C', os: 'linux' },
        '0/3': { city: 'D', os: 'unknown' },
      });
    },
  );
});

describe('what the table has of one producer', () => {
  const addOnly = new Set(['add-field'] as const);
  const long = 2 ** 40;

  it.each([
    ['a wider number', 'score', field('score', 'long'), field('score', 'int'), long, 1],
    [
      'a record without a field',
      'geo',
      geo(city),
      geo(city, field('os', 'string')),
      { city: 'A' },
      { city: 'B', os: 'x' },
    ],
    [
      'items that may be null',
      'tags',
      tags(['null', 'string']),
      tags('string'),
      ['a', null],
      ['b'],
    ],
  ] as const)(
    'is written also where another one is met first after a restart: %s',
    async (_, column, first, second, value, other) => {
      for (const policy of ['ignore', 'pause'] as const) {
        const options = withPolicy(policy, addOnly);
        const { world, process } = await World.started({ ...options });
        const one = await producer(world, clickWith(first));
        const two = await producer(world, clickWith(second));
        one.send(0, { [column]: value });
        await world.run(INTERVAL_MS + 500);
        two.send(0, { [column]: other });
        await world.run(INTERVAL_MS + 500);
        process.kill();
        await world.start(options);
        two.send(0, { [column]: other });
        await world.run(INTERVAL_MS + 500);
        one.send(0, { [column]: value });
        await world.run(QUIET_MS);
        const values = Object.values(await nestedValuesOf(world, column));
        const wide = values.map((found) => (typeof found === 'bigint' ? Number(found) : found));
        expect({ policy, wide }).toMatchObject({ policy, wide: [value, other, other, value] });
      }
    },
  );
});
