import { afterEach, beforeEach, expect, it } from 'vitest';
import type {
  KeyValueStore,
  StoreRange,
  StoreWrite,
} from '../../../enrich/state/key-value-store.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : new TextDecoder().decode(value);
const put = (key: string, value: string): StoreWrite => ({ key: bytes(key), value: bytes(value) });
const remove = (key: string): StoreWrite => ({ key: bytes(key), value: undefined });

async function list(store: KeyValueStore, range: StoreRange): Promise<string[]> {
  const found: string[] = [];
  for await (const { key, value } of store.scan(range)) found.push(`${text(key)}=${text(value)}`);
  return found;
}

const everything = { from: bytes(''), to: Uint8Array.of(255) };

/** What every store promises; each adapter runs it. */
export function describeKeyValueStore(openStore: () => Promise<KeyValueStore>): void {
  let store: KeyValueStore;

  beforeEach(async () => {
    store = await openStore();
  });

  afterEach(async () => {
    await store.close();
  });

  it('answers many keys in their order, undefined where there is none', async () => {
    await store.applyBatch([put('b', '2'), put('a', '1')]);
    const values = await store.getMany([bytes('a'), bytes('none'), bytes('b'), bytes('a')]);
    expect(values.map(text)).toEqual(['1', undefined, '2', '1']);
    expect(await store.getMany([])).toEqual([]);
  });

  it('tells an empty value from none', async () => {
    await store.applyBatch([put('empty', '')]);
    const [empty, none] = await store.getMany([bytes('empty'), bytes('none')]);
    expect(empty?.length).toBe(0);
    expect(none).toBeUndefined();
    expect(await list(store, everything)).toEqual(['empty=']);
  });

  it('lets the last write of a key in one batch win', async () => {
    await store.applyBatch([put('a', '1'), remove('a'), put('a', '2'), put('b', '1'), remove('b')]);
    expect(await list(store, everything)).toEqual(['a=2']);
  });

  it('removes a key that is there and ignores one that is not', async () => {
    await store.applyBatch([put('a', '1')]);
    await store.applyBatch([remove('a'), remove('never')]);
    expect(await list(store, everything)).toEqual([]);
  });

  it('scans a range in the order of the bytes, its end excluded', async () => {
    const keys = [Uint8Array.of(1, 255), Uint8Array.of(2), Uint8Array.of(1), Uint8Array.of(1, 0)];
    await store.applyBatch(keys.map((key) => ({ key, value: bytes('x') })));
    const found: number[][] = [];
    for await (const { key } of store.scan({ from: Uint8Array.of(1), to: Uint8Array.of(2) })) {
      found.push([...key]);
    }
    expect(found).toEqual([[1], [1, 0], [1, 255]]);
  });

  it('scans no more than the limit', async () => {
    await store.applyBatch([put('a', '1'), put('b', '2'), put('c', '3')]);
    expect(await list(store, { ...everything, limit: 2 })).toEqual(['a=1', 'b=2']);
    expect(await list(store, { ...everything, limit: 0 })).toEqual([]);
  });

  it('scans more entries than fit in one chunk, and can be left in the middle', async () => {
    const keys = Array.from({ length: 2_000 }, (_, i) => String(i).padStart(5, '0'));
    await store.applyBatch(keys.map((key) => put(key, key)));
    expect(await list(store, everything)).toEqual(keys.map((key) => `${key}=${key}`));
    let seen = 0;
    for await (const entry of store.scan(everything)) {
      expect(text(entry.key)).toBe(keys[seen++]);
      if (seen === 300) break;
    }
    expect(seen).toBe(300);
  });

  it('does not see batches that are applied during a scan', async () => {
    await store.applyBatch(Array.from({ length: 600 }, (_, i) => put(String(1000 + i), 'old')));
    const found: string[] = [];
    for await (const { value } of store.scan(everything)) {
      if (found.push(text(value) ?? '') === 1) {
        await store.applyBatch([put('1599', 'new'), put('1700', 'new'), remove('1500')]);
      }
    }
    expect(found).toHaveLength(600);
    expect(new Set(found)).toEqual(new Set(['old']));
  });

  it('refuses what is not bytes and applies nothing of the batch', async () => {
    const wrong = [
      undefined,
      null,
      'text',
      7,
      new ArrayBuffer(4),
      new DataView(new ArrayBuffer(4)),
    ];
    for (const key of wrong) {
      const batch = [put('a', '1'), { key: key as unknown as Uint8Array, value: bytes('1') }];
      await expect(store.applyBatch(batch)).rejects.toThrow(/Uint8Array/);
      await expect(store.getMany([key as unknown as Uint8Array])).rejects.toThrow(/Uint8Array/);
    }
    const value = 'text' as unknown as Uint8Array;
    await expect(store.applyBatch([{ key: bytes('a'), value }])).rejects.toThrow(/Uint8Array/);
    expect(await list(store, everything)).toEqual([]);
  });

  it('accepts an empty batch, and values that are large', async () => {
    await store.applyBatch([]);
    const value = 'x'.repeat(100_000);
    await store.applyBatch([put('a', value)]);
    await store.flush();
    const [found] = await store.getMany([bytes('a')]);
    expect(Buffer.from(found ?? []).equals(bytes(value))).toBe(true);
  });

  it('is unavailable once closed; closing twice is harmless', async () => {
    await store.close();
    await store.close();
    await expect(store.applyBatch([put('a', '1')])).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(store.getMany([bytes('a')])).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(list(store, everything)).rejects.toMatchObject({ kind: 'unavailable' });
  });
}
