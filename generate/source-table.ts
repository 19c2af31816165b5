import type { DeviceRow, UrlRow, UserRow } from './dimension-rows.ts';

/** A source table as SQL knows it: `value` gives a column of a row in PostgreSQL's text form. */
export type SourceTable<Row> = {
  name: string;
  primaryKey: string;
  columns: readonly SourceColumn<Row>[];
};

type SourceColumn<Row> = {
  name: string;
  sqlType: string;
  notNull?: string;
  value: (row: Row) => string | number | null;
};

/** public.users, as `schemas/user.avsc` has it. */
export const USERS: SourceTable<UserRow> = {
  name: 'users',
  primaryKey: 'user_id',
  columns: [
    { name: 'user_id', sqlType: 'bigint', value: (row) => row.userId },
    { name: 'name', sqlType: 'text', value: (row) => row.name },
    { name: 'country', sqlType: 'text', value: (row) => row.country },
    { name: 'tier', sqlType: 'text', notNull: "'free'", value: (row) => row.tier },
    { name: 'birth_year', sqlType: 'integer', value: (row) => row.birthYear },
    { name: 'signup_date', sqlType: 'date', value: (row) => dateText(row.signupDate) },
    { name: 'bio', sqlType: 'text', value: (row) => row.bio },
    { name: 'updated_at', sqlType: 'timestamptz', value: (row) => timestampText(row.updatedAtMs) },
  ],
};

/** public.devices, as `schemas/device.avsc` has it. */
export const DEVICES: SourceTable<DeviceRow> = {
  name: 'devices',
  primaryKey: 'device_id',
  columns: [
    { name: 'device_id', sqlType: 'text', value: (row) => row.deviceId },
    { name: 'user_id', sqlType: 'bigint', value: (row) => row.userId },
    { name: 'os', sqlType: 'text', value: (row) => row.os },
    { name: 'os_version', sqlType: 'text', value: (row) => row.osVersion },
    { name: 'model', sqlType: 'text', value: (row) => row.model },
    {
      name: 'form_factor',
      sqlType: 'text',
      notNull: "'unknown'",
      value: (row) => row.formFactor,
    },
    { name: 'updated_at', sqlType: 'timestamptz', value: (row) => timestampText(row.updatedAtMs) },
  ],
};

/** public.urls, as `schemas/url.avsc` has it; `url` is not unique. */
export const URLS: SourceTable<UrlRow> = {
  name: 'urls',
  primaryKey: 'url_id',
  columns: [
    { name: 'url_id', sqlType: 'bigint', value: (row) => row.urlId },
    { name: 'url', sqlType: 'text', notNull: "''", value: (row) => row.url },
    { name: 'domain', sqlType: 'text', value: (row) => row.domain },
    { name: 'category', sqlType: 'text', value: (row) => row.category },
    { name: 'title', sqlType: 'text', value: (row) => row.title },
    { name: 'price', sqlType: 'numeric(12,2)', value: (row) => priceText(row.priceHundredths) },
    { name: 'updated_at', sqlType: 'timestamptz', value: (row) => timestampText(row.updatedAtMs) },
  ],
};

/** `create table if not exists` for the table in a PostgreSQL schema. */
export function createTableStatement<Row>(namespace: string, table: SourceTable<Row>): string {
  const columns = table.columns.map((column) => {
    if (column.name === table.primaryKey) return `${column.name} ${column.sqlType} primary key`;
    const fallback = column.notNull === undefined ? '' : ` not null default ${column.notNull}`;
    return `${column.name} ${column.sqlType}${fallback}`;
  });
  return `create table if not exists ${namespace}.${table.name} (${columns.join(', ')})`;
}

/**
 * Inserts rows given as one array for each column, in column order; rows that are there already are
 * brought to the same values, and left untouched (no change event) where they have them.
 */
export function upsertStatement<Row>(namespace: string, table: SourceTable<Row>): string {
  const names = table.columns.map((column) => column.name);
  const arrays = table.columns.map(({ sqlType }, i) => `$${i + 1}::${sqlType}[]`);
  const others = names.filter((name) => name !== table.primaryKey);
  return `insert into ${namespace}.${table.name} as t (${names.join(', ')})
    select * from unnest(${arrays.join(', ')})
    on conflict (${table.primaryKey}) do update
    set ${others.map((name) => `${name} = excluded.${name}`).join(', ')}
    where (${others.map((name) => `t.${name}`).join(', ')})
      is distinct from (${others.map((name) => `excluded.${name}`).join(', ')})`;
}

/** Rows as one array for each column, as `upsertStatement` takes them. */
export function columnArrays<Row>(
  table: SourceTable<Row>,
  rows: readonly Row[],
): (string | number | null)[][] {
  return table.columns.map((column) => rows.map(column.value));
}

/** `2026-01-31` for days since the epoch. */
function dateText(days: number | null): string | null {
  return days === null ? null : new Date(days * 86_400_000).toISOString().slice(0, 10);
}

/** `2026-01-31T10:00:00.000Z`. */
export function timestampText(ms: number): string {
  return new Date(ms).toISOString();
}

/** `12.30` for 1230 hundredths. */
function priceText(hundredths: number | null): string | null {
  return hundredths === null ? null : (hundredths / 100).toFixed(2);
}
