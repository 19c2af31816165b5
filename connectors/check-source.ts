import type { Client } from 'pg';
import type { ConnectorsConfig } from './connectors-config.ts';
import { ConnectorsError } from './error.ts';
import { withSource } from './source-client.ts';
import type { Unreachable } from './source-client.ts';

/** `warnings` are what Debezium will not tell as it is, which only the owner of the table can mend. */
export type SourceCheck = { kind: 'ready'; warnings: readonly string[] } | Unreachable;

/**
 * Looks at the source as Debezium's role: a table that is not in the publication, or that the role
 * cannot read, or that has no primary key, would give no changes, or changes without keys, in silence.
 * Errors: `config`, saying what its owner has to run. The database may be reachable for Connect alone:
 * then nothing is checked, and the answer says so.
 */
export async function checkSource(config: ConnectorsConfig): Promise<SourceCheck> {
  return withSource(config, async (client) => {
    const issues = await findIssues(client, config);
    if (issues.length === 0) {
      return { kind: 'ready', warnings: await findHiddenNulls(client, config) };
    }
    throw new ConnectorsError('config', `the source is not ready: ${issues.join('; ')}`, {
      context: { issues },
    });
  });
}

type TableRow = {
  table: string;
  exists: boolean;
  published: boolean;
  readable: boolean;
  keyed: boolean;
};

const tablesQuery = `
  select wanted as table,
    c.oid is not null as exists,
    exists (select from pg_publication_tables p
      where p.pubname = $2 and p.schemaname || '.' || p.tablename = wanted) as published,
    coalesce(has_table_privilege(c.oid, 'select'), false) as readable,
    exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) as keyed
  from unnest($1::text[]) as wanted
  left join pg_namespace n on n.nspname = split_part(wanted, '.', 1)
  left join pg_class c on c.relnamespace = n.oid and c.relname = split_part(wanted, '.', 2)`;

async function findIssues(client: Client, config: ConnectorsConfig): Promise<string[]> {
  const { publication, user } = config.database;
  const level = await client.query<{ wal_level: string }>('show wal_level');
  const walLevel = level.rows[0]?.wal_level;
  const issues = walLevel === 'logical' ? [] : [`wal_level is ${walLevel}, it must be logical`];
  const { rows } = await client.query<TableRow>(tablesQuery, [config.tables, publication]);
  return [...issues, ...rows.flatMap((row) => tableIssues(row, publication, user))];
}

function tableIssues(row: TableRow, publication: string, user: string): string[] {
  if (!row.exists) return [`there is no table ${row.table}`];
  return [
    row.published
      ? undefined
      : `${row.table} is not published, run: alter publication ${publication} add table ${row.table}`,
    row.readable
      ? undefined
      : `${user} cannot read ${row.table}, run: grant select on ${row.table} to ${user}`,
    row.keyed ? undefined : `${row.table} has no primary key, and a compacted topic needs one`,
  ].filter((issue) => issue !== undefined);
}

const nullableDefaultsQuery = `
  select format('%I.%I', n.nspname, c.relname) as table, quote_ident(a.attname) as column
  from unnest($1::text[]) as wanted
  join pg_namespace n on n.nspname = split_part(wanted, '.', 1)
  join pg_class c on c.relnamespace = n.oid and c.relname = split_part(wanted, '.', 2)
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where a.atthasdef and not a.attnotnull and a.attgenerated = ''
  order by 1, 2`;

/** Apicurio's converter writes a column's default where the row has null, and has no setting against it. */
async function findHiddenNulls(client: Client, config: ConnectorsConfig): Promise<string[]> {
  if (config.converter.kind !== 'apicurio') return [];
  type Found = { table: string; column: string };
  const { rows } = await client.query<Found>(nullableDefaultsQuery, [config.tables]);
  return rows.map(
    ({ table, column }) =>
      `${table}.${column} may be null and has a default, which Apicurio's converter writes in place of null. ` +
      `Run: alter table ${table} alter column ${column} drop default; or make it not null; ` +
      `then: tributary connectors resnapshot ${table}`,
  );
}
