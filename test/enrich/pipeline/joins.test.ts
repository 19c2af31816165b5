import { describe, expect, it } from 'vitest';
import { INTERVAL_MS, World } from './harness.ts';
import { expectExactlyOnce } from './model.ts';

const SETTLED_MS = 5_000;

describe('a click is joined', () => {
  it('to the rows of its keys, and misses where there is none', async () => {
    const { world } = await World.started();
    world.change('users', 1, { name: 'ann', birth_year: 1990 });
    world.change('devices', 'd1', { os: 'linux' });
    world.change('urls', 10, { url: 'https://a/', title: 'A' });
    await world.run(500);
    world.click(0, [{ userId: 1 }, { userId: 2, deviceId: 'd2', url: 'https://b/' }]);
    await world.run(SETTLED_MS);
    const rows = await expectExactlyOnce(world);
    expect(rows).toMatchObject([
      { user_name: 'ann', device_os: 'linux', url_title: 'A', _users_match: 'hit' },
      { user_name: null, _users_match: 'miss', _devices_match: 'miss', _urls_match: 'miss' },
    ]);
  });

  it('across spellings of one url, which the table keeps as they came', async () => {
    const { world } = await World.started();
    world.change('urls', 10, { url: 'HTTPS://Shop.example/Cart', title: 'cart' });
    await world.run(500);
    const urls = [
      'https://shop.example/Cart#top',
      'https://SHOP.EXAMPLE/Cart',
      'https://shop.example/cart',
    ];
    world.click(
      0,
      urls.map((url) => ({ url })),
    );
    await world.run(SETTLED_MS);
    const rows = await expectExactlyOnce(world);
    expect(rows.map((row) => [row['url'], row['url_title']])).toEqual([
      [urls[0], 'cart'],
      [urls[1], 'cart'],
      [urls[2], null],
    ]);
  });

  it('to the row with the lowest primary key where several share the join key', async () => {
    const { world } = await World.started();
    world.change('urls', 30, { url: 'https://a/', title: 'thirty' });
    world.change('urls', 4, { url: 'https://a/', title: 'four' });
    world.change('urls', 200, { url: 'https://A/', title: 'two hundred' });
    await world.run(500);
    world.click(0, [{}]);
    await world.run(SETTLED_MS);
    world.change('urls', 4);
    await world.run(500);
    world.click(0, [{}]);
    await world.run(SETTLED_MS);
    const rows = await expectExactlyOnce(world);
    expect(new Set(rows.map((row) => row['url_title']))).toEqual(new Set(['four', 'thirty']));
  });

  it('to the newest row after an update, and to none after a delete', async () => {
    const { world } = await World.started();
    const seen: unknown[] = [];
    for (const row of [{ name: 'ann' }, { name: 'anna' }, undefined, { name: 'new ann' }]) {
      world.change('users', 1, row);
      await world.run(500);
      world.click(0, [{ userId: 1 }]);
      await world.run(SETTLED_MS);
      const rows = await expectExactlyOnce(world);
      seen.push(
        rows.find((found) => found['_kafka_offset'] === BigInt(seen.length))?.['user_name'],
      );
    }
    expect(seen).toEqual(['ann', 'anna', null, 'new ann']);
  });

  // INVARIANTS.md 7
  it('to a row that arrived after it but before its commit', async () => {
    const { world } = await World.started();
    world.click(0, [{ userId: 7 }]);
    await world.run(INTERVAL_MS / 2);
    expect(await world.rows()).toEqual([]);
    world.change('users', 7, { name: 'late' });
    await world.run(SETTLED_MS);
    expect(await expectExactlyOnce(world)).toMatchObject([{ user_name: 'late' }]);
  });

  it('as of its commit: a row that arrives later changes nothing that is committed', async () => {
    const { world } = await World.started();
    world.click(0, [{ userId: 7 }]);
    await world.run(SETTLED_MS);
    world.change('users', 7, { name: 'too late' });
    await world.run(SETTLED_MS);
    expect(await expectExactlyOnce(world)).toMatchObject([{ user_name: null }]);
  });
});

// INVARIANTS.md 5
describe('every offset is accounted for', () => {
  it('where control records and aborted transactions leave gaps', async () => {
    const { world } = await World.started();
    world.log.appendInvisible('clicks', 0, 3);
    world.click(0, [{}, {}]);
    world.log.appendInvisible('clicks', 0, 2);
    await world.run(SETTLED_MS);
    world.click(0, [{}]);
    world.log.appendInvisible('clicks', 1, 4);
    await world.run(SETTLED_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(3);
  });

  it('where one batch holds rows and rejects of several partitions', async () => {
    const { world } = await World.started();
    world.click(0, [{}, {}]);
    world.reject(0, [null, Buffer.from('junk')]);
    world.click(2, [{}]);
    world.reject(1, [Buffer.from([0, 0, 0, 0])]);
    await world.run(SETTLED_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(3);
  });

  it('across many batches that are full before their time', async () => {
    const { world } = await World.started();
    for (let batch = 0; batch < 30; batch += 1) {
      world.click(
        batch % 3,
        Array.from({ length: 20 }, (_, i) => ({ userId: i })),
      );
    }
    await world.run(SETTLED_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(600);
  });
});
