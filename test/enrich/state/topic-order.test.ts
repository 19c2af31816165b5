import { describe, expect, it } from 'vitest';
import type { Change } from '../../../connectors/change.ts';
import type { PositionedChange } from '../../../enrich/state/fold-changes.ts';
import { applyAll, source } from './state-model.ts';
import { openWith, remove, upsert, users } from './state-fixture.ts';

const gone: Change = { kind: 'tombstone', rowKey: { user_id: 1n } };

const at = (offset: number, change: Change): PositionedChange => ({
  offset: BigInt(offset),
  change,
});
const told = (position: number, name: string): Change => upsert(position, { user_id: 1n, name });
const read = (name: string): Change => ({
  ...upsert(0, { user_id: 1n, name }),
  initialSnapshot: true,
});

describe('a row that an incremental snapshot read', () => {
  it('replaces a row of any position, and what was streamed before it stays older', async () => {
    const { state, answer } = await openWith(users);
    const take = (...changes: PositionedChange[]) => applyAll(state, 'users', changes);
    await take(at(0, told(100, 'streamed')));
    await take(at(1, read('read')));
    expect(answer(1n)?.['name']).toBe('read');
    await take(at(2, told(90, 'older')), at(3, told(100, 'streamed')));
    expect(answer(1n)?.['name']).toBe('read');
    await take(at(4, told(101, 'newer')));
    expect(answer(1n)?.['name']).toBe('newer');
    // Read again from an earlier place, as after a failed write.
    await take(at(1, read('read')), at(4, told(101, 'newer')));
    expect(answer(1n)?.['name']).toBe('newer');
  });

  it('brings a deleted row back, and is ended by a later deletion', async () => {
    const { take, answer } = await openWith(users);
    await take(told(100, 'a'), remove(110, { user_id: 1n }), gone, read('read'));
    expect(answer(1n)?.['name']).toBe('read');
    const again = await openWith(users);
    await again.take(read('read'), remove(120, { user_id: 1n }), gone);
    expect(again.answer(1n)).toBeUndefined();
  });
});

describe('a tombstone', () => {
  it('ends a row whose delete was compacted away, and the row may come again as it was', async () => {
    const { state, answer } = await openWith(users);
    const row = upsert(120, { user_id: 1n, name: 'Ann' });
    await applyAll(state, 'users', [at(8, row)]);
    await applyAll(state, 'users', [at(10, gone)]);
    expect(answer(1n)).toBeUndefined();
    await applyAll(state, 'users', [at(11, upsert(119, { user_id: 1n, name: 'older' }))]);
    expect(answer(1n)).toBeUndefined();
    await applyAll(state, 'users', [at(12, row)]);
    expect(answer(1n)).toEqual({ name: 'Ann', score: null });
  });

  it('changes nothing after a delete that is older than the row, also in another batch', async () => {
    const { state, answer } = await openWith(users);
    const row = upsert(120, { user_id: 1n, name: 'Ann' });
    const old = remove(110, { user_id: 1n });
    await applyAll(state, 'users', [at(0, row), at(1, old), at(2, gone), at(3, old)]);
    await applyAll(state, 'users', [at(4, gone)]);
    expect(answer(1n)?.['name']).toBe('Ann');
    await applyAll(state, 'users', [at(5, gone)]);
    expect(answer(1n)).toBeUndefined();
  });

  it('says nothing of a row that came from another partition, under another form of its key', async () => {
    const { state, answer } = await openWith(users);
    await applyAll(state, 'users', [at(0, upsert(120, { user_id: 1n, name: 'Ann' }))]);
    await state.apply('users', { ...source, partition: 1, nextOffset: 8n }, [at(7, gone)]);
    expect(answer(1n)?.['name']).toBe('Ann');
  });

  it('of a key that no row can have is no dead letter', async () => {
    const { take } = await openWith(users);
    const { refused } = await take({ kind: 'tombstone', rowKey: { user_id: 'seven' } });
    expect(refused).toEqual([]);
  });
});
