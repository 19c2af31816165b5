import { describe, expect, it } from 'vitest';
import type { AvroField } from '../../../schemas/contract.ts';
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
import { clickSchema } from './records.ts';

describe('a schema of another sort of record', () => {
  const contracts = contractsWith(field('source', 'string'));
  const lacking = { ...clickSchema, name: 'page_view' };

  it.each([
    ['a schema was met that lacks what it lacks', 0],
    ['such a schema has brought rows', 1],
  ])('gets dead letters also once %s', async (_, rows) => {
    const { world, process } = await World.started({ ...withPolicy(), contracts });
    const foreign = await producer(world, lacking);
    const dropping = await producer(world, clickSchema);
    world.reject(0, [foreign.encode({})]);
    await world.run(INTERVAL_MS + 500);
    world.reject(1, [dropping.encode({}).subarray(0, -1)]);
    for (let row = 0; row < rows; row++) dropping.send(1, {});
    await world.run(INTERVAL_MS + 500);
    const late = await producer(world, { ...lacking, doc: 'met when the contract has grown' });
    world.reject(0, [foreign.encode({}), late.encode({})]);
    await world.run(QUIET_MS);
    await expectExactlyOnce(world);
    expect(process.ended()).toBeUndefined();
    const letters = await world.deadLetters();
    expect(letters.filter((letter) => letter['error_kind'] === 'contract-violation')).toMatchObject(
      [0, 1, 2].map(() => ({
        error_message: 'field source: the writer lacks it and it has no usable default',
      })),
    );
    expect(letters).toHaveLength(4);
  });

  it('that can be read goes on where others have made a column optional', async () => {
    const aliased = contractsWith({ ...field('source', 'string'), aliases: ['origin'] });
    const { world, process } = await World.started({ ...withPolicy(), contracts: aliased });
    const origin = clickWith(field('origin', ['null', 'string']));
    const foreign = await producer(world, { ...origin, name: 'page_view' });
    const dropping = await producer(world, clickSchema);
    foreign.send(0, { origin: 'a' });
    world.reject(1, [dropping.encode({}).subarray(0, -1)]);
    await world.run(INTERVAL_MS + 500);
    foreign.send(0, { origin: null });
    await world.run(QUIET_MS);
    expect(process.ended()).toBeUndefined();
    expect(valuesOf(await expectExactlyOnce(world), 'source')).toEqual({ '0/0': 'a', '0/1': null });
  });
});

const nested = (type: string) => {
  const fields = [field('a', type), field('b', 'int')];
  return field('f', { type: 'record', name: 'F', fields });
};
const listed = (type: string) => field('f', { type: 'array', items: type });

/** After a restart, whoever comes first then. */
async function goOn(one: [AvroField, unknown], other: [AvroField, unknown], isFirst: boolean) {
  const { world, process } = await World.started(withPolicy());
  const before = await producer(world, clickWith(one[0]));
  const after = await producer(world, clickWith(other[0]));
  before.send(0, { f: one[1] });
  await world.run(INTERVAL_MS + 500);
  const columns = await columnsOf(world);
  process.stop();
  await world.run(5_000);
  await world.start(withPolicy());
  const sends = [() => before.send(0, { f: one[1] }), () => after.send(1, { f: other[1] })];
  for (const send of isFirst ? sends : sends.toReversed()) {
    send();
    await world.run(INTERVAL_MS + 500);
  }
  await world.run(QUIET_MS);
  expect(await world.deadLetters()).toEqual([]);
  expect(await columnsOf(world)).toEqual(columns);
  return await expectExactlyOnce(world);
}

describe('of two producers that have a new field in two types, each goes on as it was', () => {
  it.each([true, false])('text and numbers (the first one first: %s)', async (isFirst) => {
    const rows = await goOn([field('f', 'string'), 'x'], [field('f', 'int'), 1], isFirst);
    expect(valuesOf(rows, 'f')).toEqual({ '0/0': 'x', '0/1': 'x', '1/0': null });
  });

  it.each([true, false])('lists (the first one first: %s)', async (isFirst) => {
    const rows = await goOn([listed('string'), ['x']], [listed('int'), [1]], isFirst);
    expect(rows).toHaveLength(3);
  });

  it.each([true, false])('records (the first one first: %s)', async (isFirst) => {
    const [text, number] = [nested('string'), nested('int')];
    const rows = await goOn([text, { a: 'x', b: 1 }], [number, { a: 1, b: 1 }], isFirst);
    expect(rows).toHaveLength(3);
  });
});
