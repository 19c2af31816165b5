import { readLedger } from '../../generate/ledger.ts';
import type { Lake } from './lake.ts';

/** Every column that pipeline.yaml carries, and the match of each dimension, as the joined rows have them. */
const joined = [
  "case when u.user_id is null then 'miss' else 'hit' end",
  'u.name',
  'u.country',
  'u.tier',
  'u.birth_year::text',
  'u.signup_date::text',
  "case when d.device_id is null then 'miss' else 'hit' end",
  'd.os',
  'd.os_version',
  'd.model',
  'd.form_factor',
  "case when l.url_id is null then 'miss' else 'hit' end",
  'l.domain',
  'l.category',
  'l.title',
  'l.price::text',
];

/** The same columns of the table, in the same order. */
const carried = [
  '_users_match',
  'user_name',
  'user_country',
  'user_tier',
  'cast(user_birth_year as varchar)',
  'cast(user_signup_date as varchar)',
  '_devices_match',
  'device_os',
  'device_os_version',
  'device_model',
  'device_form_factor',
  '_urls_match',
  'url_domain',
  'url_category',
  'url_title',
  'cast(url_price as varchar)',
];

/** A scheme and a host in lower case (ASCII letters), no fragment. */
const normal = `
  create function pg_temp.normal(url text) returns text language sql immutable as $$
    select coalesce(lower(m[1] collate "C") || coalesce(m[2], '') || coalesce(m[3], '')
      || lower(coalesce(m[4], '') collate "C") || m[5], whole)
    from (select split_part(url, '#', 1) as whole) as cut
    left join lateral (select regexp_match(whole,
      '^([A-Za-z][A-Za-z0-9+.-]*:)(?:(//)([^/?]*@)?([^/?]*))?(.*)$') as m) as parts on true
  $$`;

/** Texts of the joined columns by `partition/offset`. */
export type JoinedRows = Map<string, readonly (string | null)[]>;

/**
 * The clicks of the ledger from the given offsets on, left-joined by PostgreSQL to its own tables as they
 * are now; of rows with the same url the one with the lowest primary key.
 */
export async function joinAtSource(
  lake: Pick<Lake, 'database' | 'ledger'>,
  from: ReadonlyMap<number, bigint>,
): Promise<JoinedRows> {
  const { database } = lake;
  await database.query(normal);
  await database.query(
    'create temp table click (place text, user_id bigint, device_id text, url text)',
  );
  for await (const batch of readLedger(lake.ledger)) {
    const base = batch.baseOffset;
    if (base === undefined || base < (from.get(batch.partition) ?? 0n)) continue;
    const good = Array.from({ length: batch.count }, (_, i) => i).filter(
      (i) => batch.kind[i] === 'good',
    );
    await database.query(
      'insert into click select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[])',
      [
        good.map((i) => `${batch.partition}/${base + BigInt(i)}`),
        good.map((i) => batch.userId[i]),
        good.map((i) => batch.deviceId[i]),
        good.map((i) => batch.url[i]),
      ],
    );
  }
  const { rows } = await database.query<(string | null)[]>({
    rowMode: 'array',
    text: `
      with first_url as (
        select distinct on (pg_temp.normal(url)) pg_temp.normal(url) as key, * from public.urls
        order by pg_temp.normal(url), url_id)
      select c.place, ${joined.join(', ')}
      from click c
      left join public.users u on u.user_id = c.user_id
      left join public.devices d on d.device_id = c.device_id
      left join first_url l on l.key = pg_temp.normal(c.url)`,
  });
  await database.query('drop table click; drop function pg_temp.normal');
  return new Map(rows.map(([place, ...values]) => [place ?? '', values]));
}

/** The same of the table's rows, read through Trino. */
export async function readJoined(
  lake: Pick<Lake, 'trino' | 'table'>,
  from: ReadonlyMap<number, bigint>,
): Promise<JoinedRows> {
  const { rows } = await lake.trino.query(
    `select _kafka_partition, _kafka_offset, ${carried.join(', ')} from ${lake.table}`,
  );
  return new Map(
    rows.flatMap(([at, next, ...values]) => {
      const [partition, offset] = [Number(at), BigInt(Number(next))];
      const isAsked = offset >= (from.get(partition) ?? 0n);
      return isAsked ? [[`${partition}/${offset}`, values as (string | null)[]] as const] : [];
    }),
  );
}
