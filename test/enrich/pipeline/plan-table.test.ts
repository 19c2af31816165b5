import { expect, it } from 'vitest';
import type { AvroField, AvroType } from '../../../schemas/contract.ts';
import { INTERVAL_MS, World } from './harness.ts';
import { clickWith, columnsOf, contractsWith, field, producer, withPolicy } from './producers.ts';

function box(type: AvroType): AvroField {
  const fields = [field('n', type), field('all', { type: 'array', items: type })];
  return field('box', { type: 'record', name: 'Box', fields });
}

it('a column that is wider in the table is written as it is there, however deep it stands', async () => {
  const { world, process } = await World.started({ contracts: contractsWith(box('long')) });
  const before = await columnsOf(world);
  process.stop();
  await world.run(5_000);
  await world.start({ ...withPolicy('ignore'), contracts: contractsWith(box('int')) });
  const { send } = await producer(world, clickWith(box('int')));
  send(0, { box: { n: -7, all: [1, 2] } });
  await world.run(INTERVAL_MS + 5_000);
  const { snapshots } = await world.metadata();
  expect(snapshots.map(({ summary }) => summary['added-records'])).toEqual(['1']);
  expect(await columnsOf(world)).toEqual(before);
});
