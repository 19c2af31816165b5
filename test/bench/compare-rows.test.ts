import { describe, expect, it } from 'vitest';
import { assertAllCompared, compareBlocks, comparedColumns } from '../../bench/compare-rows.ts';
import type { Expectation } from '../../bench/compare-rows.ts';
import { openClickModel } from '../../bench/data/click-model.ts';
import { firstLoadRow } from '../../bench/data/expected-join.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import { deriveTableSchema } from '../../schemas/table-schema.ts';
import { normaliseUrl } from '../../verify/normal-form.ts';
import type { Cell, RowBlock } from '../../verify/table-rows.ts';

const SEED = 3;
const SIZE = { users: 200, devices: 200, urls: 50 };
const COUNT = 300;
const evolution = { policy: 'ignore' as const, allow: new Set<never>() };
const dimension = {
  evolution,
  topic: '',
  primaryKey: '',
  joinKey: '',
  normaliser: 'none' as const,
};
const contract = await loadContract('schemas', 'click');
const config = {
  stream: { topic: '', contract: 'click', eventTime: 'event_time', evolution },
  dimensions: [
    {
      ...dimension,
      name: 'users',
      contract: 'user',
      streamField: 'user_id',
      columns: ['name', 'signup_date'],
      prefix: 'user_',
    },
    {
      ...dimension,
      name: 'urls',
      contract: 'url',
      streamField: 'url',
      normaliser: 'url' as const,
      columns: ['price'],
      prefix: 'url_',
    },
  ],
};

const model = openClickModel({ seed: SEED, size: SIZE, skew: 'zipf' });
const expectation: Expectation = {
  count: COUNT,
  indexOf: ({ offset }) => Number(offset),
  click: (index) => model.at(index),
  joined: (table, key) => firstLoadRow(table, key, { seed: SEED, size: SIZE }),
};

type Row = Record<string, Cell>;

/** The rows as a right pipeline has them. */
function rightRows(): Row[] {
  return Array.from({ length: COUNT }, (_, index) => {
    const click = model.at(index);
    const user = expectation.joined('users', String(click.user_id), { partition: 0, offset: 0n });
    const url = expectation.joined('urls', normaliseUrl(click.url), { partition: 0, offset: 0n });
    const price = url?.['price'] ?? null;
    return {
      ...click,
      _kafka_partition: 0,
      _kafka_offset: BigInt(index),
      event_time: BigInt(click.event_time) * 1000n,
      user_id: BigInt(click.user_id),
      user_name: user?.['name'] ?? null,
      user_signup_date: user?.['signup_date'] ?? null,
      _users_match: user === undefined ? 'miss' : 'hit',
      url_price: price === null ? null : BigInt(price),
      _urls_match: url === undefined ? 'miss' : 'hit',
    };
  });
}

function blockOf(rows: readonly Row[]): RowBlock {
  const named = new Set(comparedColumns({ config, contract, statuses: true }));
  return {
    location: 'memory',
    snapshotId: 1n,
    rowCount: rows.length,
    column(name) {
      if (!named.has(name)) throw new TypeError(`${name} was not asked for`);
      return rows.map((row) => row[name] ?? null);
    },
  };
}

function compared(rows: readonly Row[]) {
  return compareBlocks({
    blocks: [blockOf(rows)],
    config,
    contract,
    expectation,
    statuses: true,
  });
}

/** The right rows with one of them made otherwise. */
function withRow(index: number, change: Row): Row[] {
  return rightRows().map((row, i) => (i === index ? { ...row, ...change } : row));
}

describe('the comparison of rows', () => {
  it('finds nothing wrong in what is right, and counts the misses', async () => {
    const found = await compared(rightRows());
    const missed = rightRows().filter((row) => row['_urls_match'] === 'miss').length;
    expect(missed).toBeGreaterThan(0);
    expect(found).toMatchObject({ rows: COUNT, distinct: COUNT, missing: 0, wrong: 0 });
    expect(found).toMatchObject({ isRight: true, examples: [], misses: { urls: missed } });
  });

  it('tells of a value that is another, in each column of the table but one', async () => {
    const columns = deriveTableSchema({
      streamContract: contract,
      eventTimeField: config.stream.eventTime,
      dimensions: await Promise.all(
        config.dimensions.map(async (one) => ({
          ...one,
          contract: await loadContract('schemas', one.contract),
        })),
      ),
    }).map(({ name }) => name);
    const known = comparedColumns({ config, contract, statuses: true });
    expect(columns.toSorted()).toEqual([...known, '_ingested_at'].toSorted());
    expect(() => assertAllCompared(columns, known)).not.toThrow();
    expect(() => assertAllCompared([...columns, 'basket'], known)).toThrow(/column basket/);
    const unnoticed: string[] = [];
    for (const name of known.filter((one) => !one.startsWith('_kafka_'))) {
      const other = name === config.stream.eventTime ? 1n : 'another';
      const { wrong } = await compared(withRow(5, { [name]: other }));
      if (wrong !== 1) unnoticed.push(name);
    }
    expect(unnoticed).toEqual([]);
  });

  it('tells of a carried value that is another, missing, or there without a row', async () => {
    const rows = rightRows();
    const hit = rows.findIndex((row) => typeof row['user_name'] === 'string');
    const miss = rows.findIndex((row) => row['_users_match'] === 'miss');
    expect((await compared(withRow(hit, { user_name: 'Nobody' }))).wrong).toBe(1);
    expect((await compared(withRow(hit, { user_name: null }))).wrong).toBe(1);
    expect((await compared(withRow(miss, { user_name: 'Somebody' }))).wrong).toBe(1);
  });

  it('tells of a hit that is said to be a miss, and of a price that is a cent more', async () => {
    const rows = rightRows();
    const hit = rows.findIndex((row) => row['_users_match'] === 'hit');
    expect((await compared(withRow(hit, { _users_match: 'miss' }))).wrong).toBe(1);
    const priced = rows.findIndex((row) => typeof row['url_price'] === 'bigint');
    const price = rows[priced]?.['url_price'] as bigint;
    expect((await compared(withRow(priced, { url_price: price + 1n }))).wrong).toBe(1);
  });

  it('tells of rows that are missing, twice there, or that nobody sent', async () => {
    const rows = rightRows();
    expect(await compared(rows.slice(1))).toMatchObject({ missing: 1, isRight: false });
    expect(await compared([...rows, ...rows.slice(0, 1)])).toMatchObject({
      rows: COUNT + 1,
      distinct: COUNT,
      wrong: 1,
      isRight: false,
    });
    const stranger = withRow(9, { _kafka_offset: 1_000_000n });
    expect(await compared(stranger)).toMatchObject({ missing: 1, wrong: 1, isRight: false });
  });
});
