import { describe, expect, it } from 'vitest';
import { openTrino } from '../../verify/trino.ts';
import { endpoints } from '../stack/endpoints.ts';

const trino = openTrino({ url: endpoints.trinoUrl, user: 'test' });

describe('a query of Trino', () => {
  it('gives columns and rows, whole numbers exact and timestamps to the microsecond', async () => {
    const sql = `select bigint '9223372036854775807' as big, 7 as small,
      timestamp '2026-01-02 03:04:05.678901' as t, cast(null as varchar) as nothing`;
    const { columns, rows } = await trino.query(sql);
    expect(columns.map(({ name, type }) => [name, type])).toEqual([
      ['big', 'bigint'],
      ['small', 'integer'],
      ['t', 'timestamp(6)'],
      ['nothing', 'varchar'],
    ]);
    expect(rows).toEqual([[9223372036854775807n, 7, '2026-01-02 03:04:05.678901', null]]);
  });

  it('gives all rows of a long answer', async () => {
    const { rows } = await trino.query('select * from unnest(sequence(1, 10000)) as t(n)');
    expect(rows.length).toBe(10_000);
  });

  it('that is wrong says what Trino says', async () => {
    await expect(trino.query('select nothing from nowhere')).rejects.toMatchObject({
      kind: 'config',
      message: expect.stringMatching(/nowhere|Catalog|Schema/),
    });
  });

  it('that takes too long is given up', async () => {
    const hasty = openTrino({ url: endpoints.trinoUrl, user: 'test', timeoutMs: 1_000 });
    const endless = `select count(*) from unnest(sequence(1, 10000)) a(n)
      cross join unnest(sequence(1, 10000)) b(n) cross join unnest(sequence(1, 10000)) c(n)`;
    await expect(hasty.query(endless)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('too long'),
    });
  });

  it('finds out that nobody is there', async () => {
    const nobody = openTrino({ url: 'http://127.0.0.1:9', user: 'test' });
    await expect(nobody.query('select 1')).rejects.toMatchObject({ kind: 'unavailable' });
  });
});
