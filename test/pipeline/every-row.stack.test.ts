import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DimensionChange } from '../../generate/dimension-changes.ts';
import { recordedCommits } from '../../verify/recorded.ts';
import { sendByHand } from './hand-made.ts';
import { stopCleanly, until } from './command.ts';
import type { Pipeline } from './command.ts';
import { openLake } from './lake.ts';
import type { Lake } from './lake.ts';
import { factOf, proveExactlyOnce } from './prove.ts';
import { joinAtSource, readJoined } from './source-join.ts';

const dimensions = ['users', 'devices', 'urls'];

let lake: Lake;
let pipeline: Pipeline;
beforeAll(async () => {
  lake = await openLake('every_row');
  pipeline = await lake.startPipeline();
  await pipeline.ready();
});
afterAll(() => lake.close());

it('every row equals an independent join, while rows change in every way (INVARIANTS.md 7)', async () => {
  await lake.sendClicks('--count', '40000', '--rate', '4000', '--changes', '150');
  await lake.caughtUp();

  const journal = await readFile(join(lake.ledgerDirectory, 'changes.ndjson'), 'utf8');
  const changes = journal
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as DimensionChange);
  const made = new Set(
    changes.flatMap(({ table, op, rows }) => (rows > 0 ? [`${table}: ${op}`] : [])),
  );
  const everywhere = ['update', 'insert', 'delete', 'primary-key-change'];
  expect([...made]).toEqual(
    expect.arrayContaining([
      ...dimensions.flatMap((table) => everywhere.map((op) => `${table}: ${op}`)),
      'urls: rename',
      'urls: duplicate',
    ]),
  );

  const { rows, reports } = await proveExactlyOnce(lake, '--joins');
  expect(factOf(reports, 'rows compared')).toBe(rows);
  expect(factOf(reports, 'not decidable after compaction')).toBe(0);
  expect(factOf(reports, 'rows of expired commits')).toBe(0);
  const joins = rows * dimensions.length;
  expect(factOf(reports, 'hits')).toBeGreaterThan(joins / 2);
  expect(factOf(reports, 'hits'), 'some keys have no row').toBeLessThan(joins);
});

it('once changes have stopped, every carried value equals a left join in PostgreSQL', async () => {
  await lake.database.query(oddRows);
  await lake.followed();
  const changesEnd = new Map(
    await Promise.all(
      dimensions.map(async (name) => [name, await lake.ends(`app.public.${name}`)] as const),
    ),
  );
  await until('the pipeline has applied every change', async () => {
    const lags = dimensions.map((name) =>
      pipeline.metric(`tributary_dimension_lag_records{dimension="${name}"}`),
    );
    return (await Promise.all(lags)).every((lag) => lag === 0);
  });
  await lake.caughtUp();
  const from = await lake.position();
  const commitsBefore = (await commits()).length;
  await sendByHand(lake, oddClicks());
  await lake.sendClicks('--count', '12000', '--unknown', '0.05');
  await lake.caughtUp();

  for (const { dimensions: positions, commitId } of (await commits()).slice(commitsBefore)) {
    for (const [name, end] of changesEnd) {
      const next = positions.get(name)?.next;
      const behind = [...end].filter(
        ([partition, offset]) => (next?.get(partition) ?? 0n) < offset,
      );
      expect(behind, `commit ${commitId} joined every change of ${name}`).toEqual([]);
    }
  }
  const expected = await joinAtSource(lake, from);
  const found = await readJoined(lake, from);
  expect(expected.size).toBeGreaterThan(11_000);
  expect(found.size).toBe(expected.size);
  const different = [...expected].flatMap(([place, values]) => {
    const row = found.get(place);
    return JSON.stringify(row) === JSON.stringify(values) ? [] : [{ place, values, row }];
  });
  expect(different.slice(0, 5)).toEqual([]);
  for (const at of [0, 6, 11]) {
    const statuses = new Set([...found.values()].map((values) => values[at]));
    expect(statuses).toEqual(new Set(['hit', 'miss']));
  }
  await stopCleanly(pipeline);
});

async function commits() {
  const metadata = await lake.metadata();
  return metadata === undefined ? [] : recordedCommits(metadata, lake.name);
}

/** Values at the edges of their types, in Unicode, empty and null, under keys that the generator never makes. */
const oddRows = `
  insert into public.users (user_id, name, country, tier, birth_year, signup_date) values
    (8000000001, 'Zoë 🦊 שלום e\u0301', 'DE', 'pro', 1950, '1900-01-01'),
    (8000000002, '', '', '', 0, '9999-12-31'),
    (8000000003, null, null, 'free', null, null),
    (8000000004, repeat('ü🦊', 500), 'XX', 'vip', -2147483648, '0001-01-01'),
    (8000000005, e'line\\nbreak\\t"quoted"', 'ÆØ', 'free', 2147483647, '1582-10-10'),
    (0, 'zero', 'US', 'free', 1, '1970-01-01'),
    (-1, 'negative', 'US', 'free', 1, '1969-12-31'),
    (4503599627370497, 'large', 'US', 'free', 1, '2026-02-28');
  insert into public.devices (device_id, os, os_version, model, form_factor) values
    ('d-ünï-🦊', 'ös', null, 'モデル', 'odd'),
    ('', 'empty key', '', '', 'odd'),
    (' d-padded ', null, null, null, 'odd');
  insert into public.urls (url_id, url, domain, category, title, price) values
    (8000000010, 'https://prices.example/low', 'prices.example', 'a', 'lowest', -9999999999.99),
    (8000000011, 'https://prices.example/high', 'prices.example', 'a', 'highest', 9999999999.99),
    (8000000012, 'https://prices.example/cent', 'prices.example', '', '', -0.01),
    (8000000013, 'https://prices.example/zero', null, null, null, 0),
    (8000000014, 'https://prices.example/none', null, null, 'ε', null),
    (8000000021, 'HTTPS://User:Pass@Twice.Example:8080/Path?Q=A#part', 'second', null, null, 2),
    (8000000020, 'https://User:Pass@twice.example:8080/Path?Q=A', 'first', null, null, 1),
    (8000000022, 'https://twice.example:8080/Path?Q=A', 'other user', null, null, 3),
    (8000000030, 'https://ÜBER.example/ß?q=é#ü', 'unicode', 'ü', '🦊', 10.10),
    (8000000031, 'mailto:Someone@Example.org', 'no host', null, null, 4),
    (8000000032, 'relative/Path', 'no scheme', null, null, 5),
    (-5, 'https://twice.example/negative', 'lowest key', null, null, 6),
    (8000000033, 'https://TWICE.example/negative#x', 'highest key', null, null, 7),
    (0, '', 'empty url', null, null, 8)`;

function oddClicks() {
  const users = [8e9 + 1, 8e9 + 2, 8e9 + 3, 8e9 + 4, 8e9 + 5, 8e9 + 6, 0, -1, -2, 4503599627370497];
  const devices = ['d-ünï-🦊', '', ' d-padded ', 'd-padded', 'D-ÜNÏ-🦊'];
  const urls = [
    'https://prices.example/low',
    'https://Prices.EXAMPLE/high#top',
    'https://prices.example/cent',
    'https://prices.example/zero',
    'https://prices.example/none',
    'https://prices.example/LOW',
    'https://User:Pass@TWICE.example:8080/Path?Q=A#other',
    'https://user:pass@twice.example:8080/Path?Q=A',
    'https://twice.example:8080/Path?Q=A',
    'https://ÜBER.EXAMPLE/ß?q=é',
    'https://über.example/ß?q=é',
    'MAILTO:Someone@Example.org',
    'mailto:someone@example.org',
    'relative/Path#x',
    'RELATIVE/Path',
    'https://twice.example/negative',
    '#only a fragment',
    '',
  ];
  return Array.from({ length: 180 }, (_, i) => ({
    userId: users[i % users.length] ?? 0,
    deviceId: devices[i % devices.length] ?? '',
    url: urls[i % urls.length] ?? '',
  }));
}
