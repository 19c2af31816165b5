import type { ConnectorsConfig } from './connectors-config.ts';
import { withSource } from './source-client.ts';
import type { Unreachable } from './source-client.ts';

/** A row's key columns as decoded from a record's key. */
export type RowKey = Readonly<Record<string, unknown>>;

/** Types whose values a record's key holds as PostgreSQL reads them from text. */
const comparable =
  /^(smallint|integer|bigint|text|uuid|boolean|character( varying)?\(\d+\)|character varying)$/;
const keysAtOnce = 5_000;

/**
 * Which of the keys stand in the table now, by index. Undefined where the table's keys are of types that
 * cannot be looked up by their text, such as dates.
 */
export async function findInSource(
  config: ConnectorsConfig,
  table: string,
  keys: readonly RowKey[],
): Promise<ReadonlySet<number> | undefined | Unreachable> {
  const columns = Object.keys(keys[0] ?? {});
  return withSource(config, async (client) => {
    const { rows: types } = await client.query<{ name: string; type: string }>(
      `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
       where attrelid = $1::regclass and attnum > 0 and attname = any ($2)`,
      [quoted(table), columns],
    );
    const typeOf = new Map(types.map(({ name, type }) => [name, type]));
    if (columns.some((name) => !comparable.test(typeOf.get(name) ?? ''))) return undefined;
    const lists = columns.map((_name, i) => `$${i + 1}::text[]`).join(', ');
    const names = columns.map((_name, i) => `c${i}`).join(', ');
    const equal = columns.map((name, i) => `t.${identifier(name)} = k.c${i}::${typeOf.get(name)}`);
    const query =
      `select i::int - 1 as i from unnest(${lists}) with ordinality as k(${names}, i) ` +
      `where exists (select from ${quoted(table)} t where ${equal.join(' and ')})`;
    const found = new Set<number>();
    for (let at = 0; at < keys.length; at += keysAtOnce) {
      const part = keys.slice(at, at + keysAtOnce);
      const values = columns.map((name) => part.map((key) => textOf(key[name])));
      const { rows } = await client.query<{ i: number }>(query, values);
      for (const { i } of rows) found.add(at + i);
    }
    return found;
  });
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === 'string' ? value : `${value as number | bigint | boolean}`;
}

function quoted(table: string): string {
  return table.split('.').map(identifier).join('.');
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
