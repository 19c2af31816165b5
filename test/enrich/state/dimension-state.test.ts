import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Change } from '../../../connectors/change.ts';
import { EnrichError } from '../../../enrich/error.ts';
import type { DimensionDefinition } from '../../../enrich/state/dimension-record.ts';
import { openDimensionState } from '../../../enrich/state/dimension-state.ts';
import type {
  KeyValueStore,
  StoreEntry,
  StoreWrite,
} from '../../../enrich/state/key-value-store.ts';
import { openMemoryStore } from '../../../enrich/state/memory-store.ts';
import { openRocksdbStore } from '../../../enrich/state/rocksdb-store.ts';
import { answersOf, applyAll, at, positioned, source } from './state-model.ts';
import type { Values } from './state-model.ts';
import { openWith, remove, upsert, urls, users } from './state-fixture.ts';

const url = (position: number, id: bigint, text: string | null) =>
  upsert(position, { url_id: id, url: text, title: `${id}` });

function failingStore() {
  const memory = openMemoryStore();
  let mode: 'works' | 'fails before' | 'fails after' = 'works';
  const store: KeyValueStore = {
    ...memory,
    async applyBatch(writes: readonly StoreWrite[]) {
      if (mode === 'fails before') throw new EnrichError('unavailable', 'disk full');
      await memory.applyBatch(writes);
      if (mode === 'fails after') throw new EnrichError('unavailable', 'disk full');
    },
  };
  return { store, set: (next: typeof mode) => (mode = next) };
}

describe('a dimension', () => {
  it('answers with the newest values, and with nothing after a deletion', async () => {
    const { take, answer } = await openWith(users);
    await take(upsert(1, { user_id: 7n, name: 'Ann', score: { unscaled: 15n, scale: 1 } }));
    expect(answer(7n)).toEqual({ name: 'Ann', score: 150n });
    await take(upsert(2, { user_id: 7n, name: 'Anna', score: null }));
    expect(answer(7n)).toEqual({ name: 'Anna', score: null });
    await take(remove(3, { user_id: 7n }), { kind: 'tombstone', rowKey: { user_id: 7n } });
    expect(answer(7n)).toBeUndefined();
  });

  // INVARIANTS.md 8
  it('ignores a change that is older than a deletion, and than a deletion of a row it never had', async () => {
    const { take, answer } = await openWith(users);
    await take(upsert(1, { user_id: 1n, name: 'Ann' }), remove(5, { user_id: 1n }));
    const late = await take(upsert(4, { user_id: 1n, name: 'late' }));
    expect(late).toMatchObject({ applied: 0, ignored: 1 });
    await take(remove(9, { user_id: 2n }));
    await take(upsert(8, { user_id: 2n, name: 'late' }), upsert(9, { user_id: 2n, name: 'same' }));
    expect([answer(1n), answer(2n)]).toEqual([undefined, undefined]);
    await take(upsert(10, { user_id: 2n, name: 'new' }));
    expect(answer(2n)).toEqual({ name: 'new', score: null });
  });

  it('remembers a deletion after it was opened again', async () => {
    const { take, store } = await openWith(users);
    await take(upsert(1, { user_id: 1n, name: 'Ann' }), remove(5, { user_id: 1n }));
    const again = await openWith(users, store);
    expect(await again.take(upsert(4, { user_id: 1n, name: 'late' }))).toMatchObject({
      ignored: 1,
    });
    expect(again.answer(1n)).toBeUndefined();
  });

  it('takes a number and a bigint for one and the same key', async () => {
    const { take, answer, state } = await openWith(users);
    await take(upsert(1, { user_id: 7, name: 'a' }), upsert(2, { user_id: 7n, name: 'b' }));
    expect(answer(7n)?.['name']).toBe('b');
    expect(state.projection('users').rowCount).toBe(1);
  });

  it('moves a row to another primary key by its deletion and creation, in either order', async () => {
    const { take, answer } = await openWith(users);
    await take(upsert(1, { user_id: 1n, name: 'Ann' }), upsert(1, { user_id: 5n, name: 'Bob' }));
    await take(remove(2, { user_id: 1n }), upsert(3, { user_id: 2n, name: 'Ann' }));
    await take(upsert(5, { user_id: 6n, name: 'Bob' }), remove(4, { user_id: 5n }));
    expect([1n, 2n, 5n, 6n].map((key) => answer(key)?.['name'])).toEqual([
      undefined,
      'Ann',
      undefined,
      'Bob',
    ]);
  });

  it('keeps unchanged TOAST values, and counts those that it never had', async () => {
    const { take, answer } = await openWith(users);
    await take(upsert(1, { user_id: 1n, name: 'Ann', score: 1 }));
    const kept = await take(upsert(2, { user_id: 1n, score: 2 }, { unavailable: ['name', 'bio'] }));
    expect(kept.unknownValues).toBe(0);
    expect(answer(1n)).toEqual({ name: 'Ann', score: 200n });
    const unknown = await take(upsert(3, { user_id: 2n, score: 2 }, { unavailable: ['name'] }));
    expect(unknown.unknownValues).toBe(1);
    expect(answer(2n)).toEqual({ name: null, score: 200n });
    await take(remove(4, { user_id: 1n }), upsert(5, { user_id: 1n }, { unavailable: ['name'] }));
    expect(answer(1n)).toEqual({ name: null, score: null });
  });

  it('makes a column null that was dropped at the source', async () => {
    const { take, answer } = await openWith(users);
    await take(upsert(1, { user_id: 1n, name: 'Ann', score: 1 }));
    await take(upsert(2, { user_id: 1n, name: 'Ann' }));
    expect(answer(1n)).toEqual({ name: 'Ann', score: null });
  });

  it('refuses values that the contract has no room for, and keeps the row as it was', async () => {
    const { take, answer } = await openWith(users);
    await take(upsert(1, { user_id: 1n, name: 'Ann' }));
    const { refused, applied } = await take(
      upsert(2, { user_id: 1n, name: 'x', score: { unscaled: 1_000_000n, scale: 2 } }),
      upsert(3, { user_id: 1n, name: 5 }),
      upsert(4, { user_id: 'seven', name: 'x' }),
      upsert(5, { name: 'x' }),
      upsert(6, { user_id: 2n, name: 'Bob' }),
    );
    expect(applied).toBe(1);
    expect(refused.map(({ offset, reject }) => [offset, reject.reason, reject.message])).toEqual([
      [2n, 'invalid-key', expect.stringContaining('primary key user_id')],
      [3n, 'invalid-key', expect.stringContaining('primary key user_id')],
      [0n, 'invalid-column', expect.stringContaining('column score')],
      [1n, 'invalid-column', 'column name: number 5 is no string'],
    ]);
    expect([answer(1n)?.['name'], answer(2n)?.['name']]).toEqual(['Ann', 'Bob']);
  });

  it('ends all older rows by a truncation, also those that arrive after it', async () => {
    const { take, answer, state, store } = await openWith(urls);
    await take(
      upsert(1, { url_id: 1n, url: 'http://a/', title: 'old' }),
      upsert(2, { url_id: 2n, url: 'http://b/', title: 'old' }),
      remove(3, { url_id: 3n }),
      upsert(12, { url_id: 4n, url: 'http://d/', title: 'new' }),
    );
    await take(
      upsert(11, { url_id: 1n, url: 'http://c/', title: 'new' }),
      { kind: 'truncate', sourcePosition: 10n },
      upsert(9, { url_id: 5n, url: 'http://e/', title: 'old' }),
    );
    await take(upsert(8, { url_id: 2n, url: 'http://b/', title: 'old' }));
    const keys = ['a', 'b', 'c', 'd', 'e'].map((host) => `http://${host}/`);
    expect(keys.filter((key) => answer(key) !== undefined)).toEqual(['http://c/', 'http://d/']);
    expect(state.projection('urls').rowCount).toBe(2);
    let left = 0;
    for await (const { key } of store.scan({ from: Buffer.from('i'), to: Buffer.from('s') })) {
      left += key.length > 0 ? 1 : 0;
    }
    // Two rows and their two join keys: what the truncation ended is gone from the store too.
    expect(left).toBe(4);
  });

  it('removes more truncated rows than one batch of the store takes', async () => {
    const store = openMemoryStore();
    let told = 0;
    const onProgress = () => (told += 1);
    const state = await openDimensionState({ store, dimensions: [users], onProgress });
    const take = (...changes: Change[]) => applyAll(state, 'users', positioned(changes));
    await take(...Array.from({ length: 5_000 }, (_, i) => upsert(1, { user_id: BigInt(i) })));
    expect(told).toBe(0);
    await take({ kind: 'truncate', sourcePosition: 1n });
    // It reads all rows, and tells that it is at work.
    expect(told).toBe(4);
    expect(state.projection('users').rowCount).toBe(0);
    const rows = store.scan({ from: Buffer.from('r'), to: Buffer.from('s') });
    expect(await rows[Symbol.asyncIterator]().next()).toMatchObject({ done: true });
  });
});

describe('a join key that several rows have', () => {
  it('is answered by the lowest primary key, and by the next when that goes', async () => {
    const { take, answer } = await openWith(urls);
    const title = () => answer('http://a/')?.['title'];
    await take(url(1, 10n, 'http://a/'));
    await take(url(2, 9n, 'http://A/#x'));
    expect(title()).toBe('9');
    await take(url(3, -1n, 'http://a/'), url(3, 2n, 'http://a/'));
    expect(title()).toBe('-1');
    await take(remove(4, { url_id: -1n }));
    expect(title()).toBe('2');
    await take(url(5, 2n, 'http://b/'), url(5, 9n, null));
    expect(title()).toBe('10');
    expect(answer('http://b/')?.['title']).toBe('2');
    await take(url(6, 10n, 'http://b/'));
    expect(title()).toBeUndefined();
    expect(answer('http://b/')?.['title']).toBe('2');
  });

  it('keeps its key where the url is unchanged TOAST', async () => {
    const { take, answer } = await openWith(urls);
    await take(url(1, 1n, 'http://a/'));
    await take(upsert(2, { url_id: 1n, title: 'new' }, { unavailable: ['url'] }));
    expect(answer('http://a/')).toEqual({ title: 'new' });
  });

  it('is found again after the state is opened again', async () => {
    const { take, store } = await openWith(urls);
    await take(url(1, 3n, 'http://a/'), url(1, 2n, 'http://a/'), url(1, 5n, 'http://a/'));
    const again = await openWith(urls, store);
    expect(again.answer('http://a/')?.['title']).toBe('2');
    await again.take(remove(2, { url_id: 2n }));
    expect(again.answer('http://a/')?.['title']).toBe('3');
  });
});

describe('a position', () => {
  it('is there once changes are applied, for each partition, and never goes back', async () => {
    const { state, store } = await openWith(users);
    expect(state.position('users')).toBeUndefined();
    const change = upsert(1, { user_id: 1n, name: 'Ann' });
    await state.apply('users', { ...source, nextOffset: 11n }, [at(10, change)]);
    await state.apply('users', { ...source, partition: 3, nextOffset: 5n }, []);
    await state.apply('users', { ...source, nextOffset: 4n }, []);
    const expected = {
      clusterId: 'cluster',
      topicId: 'topic',
      next: new Map([
        [0, 11n],
        [3, 5n],
      ]),
    };
    expect(state.position('users')).toEqual(expected);
    expect((await openWith(users, store)).state.position('users')).toEqual(expected);
  });

  it.each([{ topicId: 'recreated' }, { clusterId: 'other' }])(
    'is fenced against another source: %o',
    async (other) => {
      const { state, take } = await openWith(users);
      await take(upsert(1, { user_id: 1n, name: 'Ann' }));
      const change = upsert(2, { user_id: 1n, name: 'Bob' });
      const applied = state.apply('users', { ...source, ...other, nextOffset: 2n }, [
        at(1, change),
      ]);
      await expect(applied).rejects.toMatchObject({
        kind: 'fenced',
        message: expect.stringContaining('delete state.directory'),
      });
      expect(answersOf(state, users, [1n]).get(1n)?.['name']).toBe('Ann');
    },
  );

  // INVARIANTS.md 1
  it('enters the store in one batch with its rows, join keys and extra entries', async () => {
    const batches: string[][] = [];
    const memory = openMemoryStore();
    const store: KeyValueStore = {
      ...memory,
      async applyBatch(writes) {
        batches.push(writes.map(({ key }) => String.fromCharCode(key[0] ?? 0)));
        await memory.applyBatch(writes);
      },
    };
    const { state } = await openWith(urls, store);
    batches.length = 0;
    const change = upsert(1, { url_id: 1n, url: 'http://a/', title: 't' });
    const extra = [{ name: 'codec', value: Uint8Array.of(1) }];
    await state.apply('urls', { ...source, nextOffset: 1n }, [at(0, change)], () => extra);
    expect(batches).toEqual([['r', 'i', 'd', 'm']]);
    expect(state.getMeta('codec')).toEqual(Uint8Array.of(1));
    await state.putMeta('ready', Uint8Array.of(2));
    const again = await openWith(urls, memory);
    expect(again.state.getMeta('codec')).toEqual(Uint8Array.of(1));
    expect(again.state.getMeta('ready')).toEqual(Uint8Array.of(2));
    await again.state.putMeta('ready', undefined);
    expect((await openWith(urls, memory)).state.getMeta('ready')).toBeUndefined();
  });

  it('stores what is made of the changes that it refuses in the batch of their position', async () => {
    const memory = openMemoryStore();
    const { state } = await openWith(users, memory);
    const change = upsert(1, { user_id: 'no number' });
    const to = { ...source, nextOffset: 8n };
    await state.apply('users', to, [at(7, change)], (refused) =>
      refused.map(({ offset }) => ({ name: `rejects/${offset}`, value: Uint8Array.of(1) })),
    );
    await state.putMeta('other', Uint8Array.of(2));
    const again = (await openWith(users, memory)).state;
    expect(again.position('users')?.next).toEqual(new Map([[source.partition, 8n]]));
    const stored = [{ name: 'rejects/7', value: Uint8Array.of(1) }];
    expect(state.listMeta('rejects/')).toEqual(stored);
    expect(again.listMeta('rejects/')).toEqual(stored);
    await again.removeMeta(['rejects/7', 'other']);
    expect(again.listMeta('')).toEqual([]);
    expect((await openWith(users, memory)).state.listMeta('')).toEqual([]);
  });

  it('is not ahead of the projection while a batch is being written', async () => {
    const memory = openMemoryStore();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    let hold = false;
    const store: KeyValueStore = {
      ...memory,
      async applyBatch(writes) {
        await memory.applyBatch(writes);
        if (hold) await held;
      },
    };
    const { state, take, answer } = await openWith(users, store);
    hold = true;
    const applied = take(upsert(1, { user_id: 1n, name: 'Ann' }));
    await new Promise((resolve) => setImmediate(resolve));
    expect([state.position('users'), answer(1n)]).toEqual([undefined, undefined]);
    // A crash here loses only the projection: the store has both.
    const other = await openWith(users, memory);
    expect(other.answer(1n)?.['name']).toBe('Ann');
    expect(other.state.position('users')?.next.get(0)).toBe(1n);
    release();
    await applied;
    expect(answer(1n)?.['name']).toBe('Ann');
    expect(state.position('users')?.next.get(0)).toBe(1n);
  });
});

describe('a write that fails', () => {
  it.each(['fails before', 'fails after'] as const)(
    'shows nothing, and is made good by the same call, after another opening where the store has it: it %s that',
    async (mode) => {
      for (const definition of [users, urls]) {
        const { store, set } = failingStore();
        let { take, answer, state } = await openWith(definition, store);
        const isUsers = definition === users;
        const row = (id: bigint, name: string): Values =>
          isUsers ? { user_id: id, name } : { url_id: id, url: `http://${id}/`, title: name };
        const name = (id: bigint) =>
          isUsers ? answer(id)?.['name'] : answer(`http://${id}/`)?.['title'];
        const key = isUsers ? 'user_id' : 'url_id';
        await take(upsert(1, row(1n, 'a')), upsert(1, row(2n, 'a')));
        const changes = [
          upsert(2, row(1n, 'b')),
          upsert(2, row(3n, 'b')),
          remove(2, { [key]: 2n }),
        ];
        set(mode);
        await expect(take(...changes)).rejects.toMatchObject({ kind: 'unavailable' });
        expect([1n, 2n, 3n].map(name)).toEqual(['a', 'a', undefined]);
        set('works');
        const again = await take(...changes).then(
          () => 'applied',
          (error: EnrichError) => error.kind,
        );
        expect(again).toBe(mode === 'fails after' ? 'reopen' : 'applied');
        if (again === 'reopen') ({ take, answer, state } = await openWith(definition, store));
        await take(...changes);
        expect([1n, 2n, 3n].map(name)).toEqual(['b', undefined, 'b']);
        await take(upsert(1, row(2n, 'old')), upsert(1, row(3n, 'old')));
        expect([1n, 2n, 3n].map(name)).toEqual(['b', undefined, 'b']);
        expect(state.projection(definition.name).rowCount).toBe(2);
      }
    },
  );
});

describe('the state', () => {
  it('knows its dimensions by name', async () => {
    const { state } = await openWith(users);
    expect(() => state.projection('nobody')).toThrow(/it has: users/);
  });

  it('applies calls for one dimension one after another, also after one that failed', async () => {
    const { state, answer } = await openWith(users);
    const call = (position: number, topicId: string) =>
      state.apply('users', { ...source, topicId, nextOffset: 1n }, [
        at(0, upsert(position, { user_id: 1n, name: `n${position}` })),
      ]);
    const calls = await Promise.allSettled([
      call(1, 'topic'),
      call(2, 'other'),
      call(3, 'topic'),
      call(2, 'topic'),
    ]);
    expect(calls.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect(answer(1n)?.['name']).toBe('n3');
  });

  it('joins on uuids, whatever their letters', async () => {
    const definition: DimensionDefinition = {
      ...users,
      primaryKey: 'id',
      joinKey: 'id',
      joinKeyType: 'uuid',
    };
    const { state, take } = await openWith(definition);
    const id = '6f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
    await take(
      upsert(1, { id: id.toUpperCase(), name: 'a' }, { key: 'id' }),
      upsert(2, { id, name: 'b' }, { key: 'id' }),
    );
    const bytes = Buffer.from(id.replaceAll('-', ''), 'hex');
    const out = new Int32Array(1);
    const keys = { bytes, offsets: Int32Array.of(0, 16), valid: Uint8Array.of(1), count: 1 };
    state.projection('users').probeBytes(keys, out);
    expect(out[0]).toBe(0);
    expect(state.projection('users').rowCount).toBe(1);
  });

  it('keeps dimensions apart in RocksDB, and has all of it after reopening', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tributary-state-'));
    try {
      const longer = { ...users, name: 'users2' };
      for (let round = 0; round < 3; round++) {
        const store = await openRocksdbStore(directory);
        const state = await openDimensionState({ store, dimensions: [users, longer, urls] });
        expect(state.projection('users').rowCount).toBe(round === 0 ? 0 : 3_000);
        expect(state.projection('users2').rowCount).toBe(round);
        const rows = Array.from({ length: 3_000 }, (_, i) =>
          upsert(round * 10 + 1, { user_id: BigInt(i), name: `round ${round}` }),
        );
        await applyAll(state, 'users', positioned(rows));
        await applyAll(
          state,
          'users2',
          positioned([upsert(1, { user_id: BigInt(round), name: 'x' })]),
        );
        expect(answersOf(state, users, [2_999n]).get(2_999n)?.['name']).toBe(`round ${round}`);
        await applyAll(state, 'users', positioned([remove(round * 10 + 2, { user_id: 0n })]));
        expect(state.projection('users').rowCount).toBe(2_999);
        await applyAll(state, 'users', positioned([upsert(round * 10 + 3, { user_id: 0n })]));
        await store.close();
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});

async function indexEntries(store: KeyValueStore): Promise<StoreEntry[]> {
  const found: StoreEntry[] = [];
  for await (const entry of store.scan({ from: Buffer.from('i'), to: Buffer.from('j') })) {
    found.push(entry);
  }
  return found;
}

describe('the index of join keys', () => {
  it.each([
    ['lacks an entry', (key: Uint8Array) => ({ key, value: undefined })],
    [
      'has one for a row that is not there',
      (key: Uint8Array) => ({
        key: Buffer.concat([key, Uint8Array.of(7)]),
        value: new Uint8Array(),
      }),
    ],
  ])('that %s is found when the state is opened', async (_what, damage) => {
    const { store, take } = await openWith(urls);
    await take(url(1, 1n, 'http://a/'), url(2, 2n, 'http://a/'));
    await expect(openWith(urls, store)).resolves.toBeDefined();
    const [, second] = await indexEntries(store);
    await store.applyBatch([damage(second?.key ?? new Uint8Array())]);
    await expect(openWith(urls, store)).rejects.toMatchObject({ kind: 'rebuild' });
  });
});
