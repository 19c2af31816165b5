import { describe, expect, it } from 'vitest';
import type { DimensionDefinition } from '../../../enrich/state/dimension-record.ts';
import { openWith, upsert, users } from './state-fixture.ts';

describe('a change of the pipeline file', () => {
  const withEmail: DimensionDefinition = {
    ...users,
    columns: [{ name: 'email', type: 'string' }, ...users.columns],
  };
  const ann = upsert(1, { user_id: 1n, name: 'Ann', email: 'a@b', score: 1 });

  it('that adds a column reads the topic again, and fills the column in', async () => {
    const before = await openWith(users);
    await before.take(ann, upsert(2, { user_id: 2n, name: 'Bob', email: 'b@b' }));
    const after = await openWith(withEmail, before.store);
    expect(after.answer(1n)).toEqual({ email: null, name: 'Ann', score: 100n });
    expect(after.state.position('users')).toEqual({
      clusterId: 'cluster',
      topicId: 'topic',
      next: new Map(),
    });
    await after.take(ann);
    expect(after.answer(1n)).toEqual({ email: 'a@b', name: 'Ann', score: 100n });
    expect((await after.take(ann)).ignored).toBe(1);
    const again = await openWith(withEmail, before.store);
    expect(again.state.position('users')?.next.get(0)).toBe(1n);
    expect(again.answer(1n)).toEqual({ email: 'a@b', name: 'Ann', score: 100n });
    expect(again.answer(2n)).toEqual({ email: null, name: 'Bob', score: null });
  });

  it('that removes a column goes on where it was; adding it again reads the topic again', async () => {
    const before = await openWith(withEmail);
    await before.take(ann);
    const without = await openWith(users, before.store);
    expect(without.state.position('users')?.next.get(0)).toBe(1n);
    expect(without.answer(1n)).toEqual({ name: 'Ann', score: 100n });
    await without.take(upsert(2, { user_id: 1n, name: 'Anna', email: 'new' }));
    const again = await openWith(withEmail, before.store);
    expect(again.state.position('users')?.next.size).toBe(0);
    await again.take(ann, upsert(2, { user_id: 1n, name: 'Anna', email: 'new' }));
    expect(again.answer(1n)).toEqual({ email: 'new', name: 'Anna', score: null });
  });

  it('that widens a type keeps the values, and reads the topic again', async () => {
    const { columns: _, ...rest } = users;
    const typed = (name: 'decimal(6, 2)' | 'decimal(10, 4)', type: 'int' | 'long') => ({
      ...rest,
      columns: [
        { name: 'score', type: name },
        { name: 'age', type },
      ],
    });
    const before = await openWith(typed('decimal(6, 2)', 'int'));
    await before.take(upsert(1, { user_id: 1n, score: 1, age: 30 }));
    const after = await openWith(typed('decimal(10, 4)', 'long'), before.store);
    expect(after.answer(1n)).toEqual({ score: 10_000n, age: 30n });
    expect(after.state.position('users')?.next.size).toBe(0);
  });

  it.each<Partial<DimensionDefinition>>([
    { joinKey: 'other', joinKeyType: 'string' },
    { primaryKey: 'other' },
    { normaliser: 'trim' },
    { joinKeyType: 'int' },
  ])('of the keys is refused: %o', async (change) => {
    const { store } = await openWith(users);
    await expect(openWith({ ...users, ...change }, store)).rejects.toMatchObject({
      kind: 'config',
      message: expect.stringContaining('delete state.directory'),
    });
  });

  it('to a join key that no click can have is refused', async () => {
    await expect(openWith({ ...users, joinKeyType: 'double' })).rejects.toMatchObject({
      kind: 'config',
    });
  });
});
