import { deviceRow, urlRow, userRow } from './dimension-rows.ts';
import type { SqlConnection } from './postgres.ts';
import {
  columnArrays,
  createTableStatement,
  DEVICES,
  upsertStatement,
  URLS,
  USERS,
  type SourceTable,
} from './source-table.ts';

export type SeedOptions = {
  pg: SqlConnection;
  /** PostgreSQL schema of the tables: `public` unless the tables have a place of their own. */
  namespace: string;
  users: number;
  devices: number;
  urls: number;
  seed: number;
  progress: (line: string) => void;
  signal?: AbortSignal;
};

export type SeedSummary = { users: number; devices: number; urls: number };

const ROWS_PER_STATEMENT = 5_000;
const ROWS_PER_PROGRESS = 100_000;

/** Makes the three tables unless they exist. Errors: `unavailable`. */
export async function createSourceTables(pg: SqlConnection, namespace: string): Promise<void> {
  await pg.query(createTableStatement(namespace, USERS));
  await pg.query(createTableStatement(namespace, DEVICES));
  await pg.query(createTableStatement(namespace, URLS));
}

/**
 * Writes rows 1..n of each table; the same seed gives the same rows, and a second call changes
 * nothing. The tables must exist. Gives the rows that were inserted or changed. Errors: `unavailable`.
 */
export async function seedTables(options: SeedOptions): Promise<SeedSummary> {
  const { seed, users } = options;
  return {
    users: await seedTable(options, USERS, users, (number) => userRow(seed, number)),
    devices: await seedTable(options, DEVICES, options.devices, (number) =>
      deviceRow(seed, number, users),
    ),
    urls: await seedTable(options, URLS, options.urls, (number) => urlRow(seed, number)),
  };
}

async function seedTable<Row>(
  { pg, namespace, progress, signal }: SeedOptions,
  table: SourceTable<Row>,
  count: number,
  rowOf: (number: number) => Row,
): Promise<number> {
  const statement = upsertStatement(namespace, table);
  let changed = 0;
  for (let first = 1; first <= count; first += ROWS_PER_STATEMENT) {
    if (signal?.aborted === true) break;
    const length = Math.min(ROWS_PER_STATEMENT, count - first + 1);
    const rows = Array.from({ length }, (_, i) => rowOf(first + i));
    changed += (await pg.query(statement, columnArrays(table, rows))).rowCount;
    const done = first + length - 1;
    if (done % ROWS_PER_PROGRESS === 0 || done === count) {
      progress(`${table.name}: ${done} of ${count} rows`);
    }
  }
  return changed;
}
