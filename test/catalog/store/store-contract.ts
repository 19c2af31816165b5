import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ObjectStore } from '../../../catalog/store/object-store.ts';

/** A store under test and a location, ending in a slash, below which nobody else writes. */
export type StoreUnderTest = { store: ObjectStore; root: string };

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const ascending = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);

/** What every object store must keep; run on memory, on files and on a real S3 server. */
export function describeStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the object store contract`, () => {
    let store: ObjectStore;
    let root: string;

    beforeAll(async () => {
      ({ store, root } = await open());
    });

    afterAll(async () => {
      for await (const object of store.list(root)) await store.delete(object.location);
    });

    const listed = async (prefix: string): Promise<string[]> => {
      const found: string[] = [];
      for await (const object of store.list(prefix)) found.push(object.location);
      return found.toSorted();
    };

    test('an object reads back byte for byte, empty ones too', async () => {
      await store.put(`${root}bytes/full`, ascending);
      await store.put(`${root}bytes/empty`, new Uint8Array());
      expect(Buffer.compare(await store.get(`${root}bytes/full`), ascending)).toBe(0);
      expect(await store.get(`${root}bytes/empty`)).toHaveLength(0);
    });

    test('a put replaces what was there', async () => {
      await store.put(`${root}replace`, text('one'));
      await store.put(`${root}replace`, text('two!'));
      expect(Buffer.from(await store.get(`${root}replace`)).toString()).toBe('two!');
      expect(await store.size(`${root}replace`)).toBe(4);
    });

    test('a part of a larger buffer is stored as that part, and later writes to it do not count', async () => {
      const buffer = text('..middle..');
      await store.put(`${root}view`, buffer.subarray(2, 8));
      buffer.fill(0);
      expect(Buffer.from(await store.get(`${root}view`)).toString()).toBe('middle');
    });

    test('a range has its start and not its end', async () => {
      await store.put(`${root}range`, ascending);
      const bytes = await store.getRange(`${root}range`, 10, 14);
      expect([...bytes]).toEqual([10, 11, 12, 13]);
      expect(await store.getRange(`${root}range`, 5, 5)).toHaveLength(0);
      const tail = await store.getRange(`${root}range`, 996, 1000);
      expect([...tail]).toEqual([...ascending.subarray(996)]);
    });

    test('a range beyond the end is corrupt, not short', async () => {
      await store.put(`${root}short`, text('0123456789'));
      for (const [start, end] of [
        [5, 11],
        [20, 30],
      ] as const) {
        await expect(store.getRange(`${root}short`, start, end)).rejects.toMatchObject({
          kind: 'corrupt',
        });
      }
    });

    test('a missing object has no size and is corrupt to read', async () => {
      expect(await store.size(`${root}missing`)).toBeUndefined();
      await expect(store.get(`${root}missing`)).rejects.toMatchObject({ kind: 'corrupt' });
      await expect(store.getRange(`${root}missing`, 0, 1)).rejects.toMatchObject({
        kind: 'corrupt',
      });
    });

    test('a deleted object is gone, and deleting it again is no error', async () => {
      await store.put(`${root}delete`, text('x'));
      await store.delete(`${root}delete`);
      expect(await store.size(`${root}delete`)).toBeUndefined();
      await store.delete(`${root}delete`);
    });

    test('a listing has every object below its prefix over several pages, with size and date', async () => {
      const keys = Array.from({ length: 25 }, (_, index) => `page/${index % 3}/object-${index}`);
      await Promise.all(keys.map((key) => store.put(root + key, text(key))));
      await store.put(`${root}pages-not`, text('x'));
      expect(await listed(`${root}page/`)).toEqual(keys.map((key) => root + key).toSorted());
      for await (const object of store.list(`${root}page/1/object-1`)) {
        expect(object.sizeBytes).toBe(object.location.length - root.length);
        expect(object.modifiedMs).toBeGreaterThan(1_600_000_000_000);
      }
    });

    test('a prefix need not end at a slash, and one without objects lists nothing', async () => {
      await store.put(`${root}prefix/part-1`, text('x'));
      await store.put(`${root}prefix/part-2`, text('x'));
      await store.put(`${root}prefix/other`, text('x'));
      expect(await listed(`${root}prefix/part-`)).toEqual([
        `${root}prefix/part-1`,
        `${root}prefix/part-2`,
      ]);
      expect(await listed(`${root}nowhere/at/all/`)).toEqual([]);
    });

    test.each([
      'with space',
      'plus+and&ampersand',
      'percent%20twenty',
      'event_day=2026-11-22/file',
      'umlaut-ä-漢字',
      "quote'(paren)!*~",
      'question?and#hash',
      'colon:comma,semi;at@dollar$',
    ])('a key is taken as it is: %s', async (key) => {
      const location = `${root}odd/${key}`;
      await store.put(location, text(key));
      expect(Buffer.from(await store.get(location)).toString()).toBe(key);
      expect(await store.size(location)).toBe(text(key).byteLength);
      expect(await listed(location)).toEqual([location]);
      await store.delete(location);
      expect(await store.size(location)).toBeUndefined();
    });

    test('a conditional put onto an existing object is a conflict and leaves it alone', async () => {
      await store.put(`${root}once`, text('first'), { ifAbsent: true });
      await expect(
        store.put(`${root}once`, text('second'), { ifAbsent: true }),
      ).rejects.toMatchObject({ kind: 'conflict' });
      expect(Buffer.from(await store.get(`${root}once`)).toString()).toBe('first');
    });

    test('of 16 concurrent conditional puts exactly one wins, and its bytes stay', async () => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 16 }, (_, index) =>
          store.put(`${root}race`, text(`writer ${index}`), { ifAbsent: true }),
        ),
      );
      const winners = outcomes.flatMap((outcome, index) =>
        outcome.status === 'fulfilled' ? [index] : [],
      );
      expect(winners).toHaveLength(1);
      const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
      for (const { reason } of refused) expect(reason).toMatchObject({ kind: 'conflict' });
      const stored = Buffer.from(await store.get(`${root}race`)).toString();
      expect(stored).toBe(`writer ${winners[0]}`);
    });
  });
}
