import { describe, expect, it } from 'vitest';
import type { Change } from '../../../connectors/change.ts';
import type { PositionedChange } from '../../../enrich/state/fold-changes.ts';
import { applyAll, at, source } from './state-model.ts';
import { openWith, remove, upsert, users } from './state-fixture.ts';

const gone: Change = { kind: 'tombstone', rowKey: { user_id: 1n } };

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

type Told = { partition: number; offset: number; timestampMs: number; change: Change };

const inThree = (offset: number, timestampMs: number, change: Change): Told => ({
  partition: 3,
  offset,
  timestampMs,
  change,
});

// INVARIANTS.md 8: whatever order partitions are read in, of a topic that got more or whose keys changed their form.
describe('a row that an incremental snapshot read in another partition', () => {
  const old: Told = { partition: 0, offset: 0, timestampMs: 100, change: read('read') };
  const updated = inThree(0, 200, told(500, 'updated'));
  const deleted = inThree(1, 300, remove(600, { user_id: 1n }));
  const again: Told = { partition: 0, offset: 1, timestampMs: 400, change: read('again') };

  async function nameAfter(...log: Told[]) {
    const { state, answer } = await openWith(users);
    for (const { partition, offset, timestampMs, change } of log) {
      const from = { ...source, partition, nextOffset: BigInt(offset + 1) };
      await state.apply('users', from, [{ offset: BigInt(offset), timestampMs, change }]);
    }
    return answer(1n)?.['name'];
  }

  it('is older than an update and a delete that were told later, read first or last', async () => {
    expect(await nameAfter(old, updated)).toBe('updated');
    expect(await nameAfter(updated, old)).toBe('updated');
    expect(await nameAfter(old, updated, old, updated)).toBe('updated');
    expect(await nameAfter(updated, deleted, old)).toBeUndefined();
    expect(await nameAfter(updated, old, deleted)).toBeUndefined();
  });

  it('is newer than what was told earlier, read first or last', async () => {
    expect(await nameAfter(updated, again)).toBe('again');
    expect(await nameAfter(again, updated)).toBe('again');
    expect(await nameAfter(again, updated, deleted)).toBe('again');
    const last = inThree(2, 500, told(700, 'last'));
    expect(await nameAfter(again, updated, deleted, last)).toBe('last');
    // A replay of what the read knew already.
    expect(await nameAfter(again, updated, inThree(3, 600, told(500, 'updated')))).toBe('again');
  });
});

it('a truncation ends the rows that were read before it, in the same batch too', async () => {
  const truncation: Change = { kind: 'truncate', sourcePosition: 1_000n };
  const batches = [
    [[at(5, read('old')), at(6, truncation)]],
    [[at(5, read('old'))], [at(6, truncation)]],
  ];
  for (const batch of batches) {
    const { state, answer } = await openWith(users);
    for (const changes of batch) await applyAll(state, 'users', changes);
    expect(answer(1n)).toBeUndefined();
    await applyAll(state, 'users', [at(7, told(900, 'older')), at(8, read('new'))]);
    expect(answer(1n)?.['name']).toBe('new');
  }
});
