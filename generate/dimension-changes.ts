import { deviceId, deviceRow, renamedUrlText, urlRow, urlText, userRow } from './dimension-rows.ts';
import type { SqlConnection } from './postgres.ts';
import { openRandom, type Random } from './random.ts';
import {
  columnArrays,
  DEVICES,
  timestampText,
  upsertStatement,
  URLS,
  USERS,
  type SourceTable,
} from './source-table.ts';

/** What a change does to a source table. */
type ChangeOp =
  | 'update'
  | 'insert'
  | 'delete'
  | 'primary-key-change'
  /** The join key of a row changes: clicks on the old url miss from then on. */
  | 'rename'
  /** A second row with the join key of another; the lower primary key keeps answering. */
  | 'duplicate';

/** One statement as it was run; `rows` is 0 where the row had gone, or was there, already. */
export type DimensionChange = {
  atMs: number;
  table: string;
  op: ChangeOp;
  rowKey: string;
  newKey?: string;
  rows: number;
};

export type DimensionChangesOptions = {
  pg: SqlConnection;
  namespace: string;
  users: number;
  devices: number;
  urls: number;
  seed: number;
  nowMs: () => number;
};

/** Keys that only changes give, far above those of first loads and new rows. */
const CHANGED_KEY_BASE = 3_000_000_000;
const DUPLICATE_KEY_BASE = 4_000_000_000;
const WEIGHTS: readonly (readonly [ChangeOp, number])[] = [
  ['update', 8],
  ['insert', 3],
  ['delete', 2],
  ['primary-key-change', 1],
  ['rename', 2],
  ['duplicate', 1],
];
const OPS = WEIGHTS.flatMap(([op, weight]) => Array.from({ length: weight }, () => op));

/**
 * A seeded stream of changes to the source tables, each one statement of its own: updates of
 * frequent rows, new rows just above the last one, deletes, new primary keys, renamed urls and urls
 * told twice. Errors of `next`: `unavailable`.
 */
export function openDimensionChanges(options: DimensionChangesOptions): {
  next(): Promise<DimensionChange>;
} {
  const random = openRandom(options.seed, 'changes');
  const tables = [userChanges(options), deviceChanges(options), urlChanges(options)];
  return {
    async next() {
      const table = tables[random.below(tables.length)];
      const op = OPS[random.below(OPS.length)];
      if (table === undefined || op === undefined) throw new RangeError('no table or no change');
      const atMs = options.nowMs();
      const change = table.change(op, random, atMs);
      const { rowCount } = await options.pg.query(change.statement, change.values);
      const { statement: _statement, values: _values, ...said } = change;
      return { atMs, table: table.name, ...said, rows: rowCount };
    },
  };
}

type PlannedChange = {
  op: ChangeOp;
  rowKey: string;
  newKey?: string;
  statement: string;
  values: readonly unknown[];
};

type TableChanges = {
  name: string;
  change(op: ChangeOp, random: Random, nowMs: number): PlannedChange;
};

function userChanges({ namespace, users, seed }: DimensionChangesOptions): TableChanges {
  let inserted = 0;
  const table = `${namespace}.users`;
  return {
    name: 'users',
    change(op, random, nowMs) {
      const number = frequentNumber(users, random);
      const other = 1 + random.below(users);
      switch (op) {
        case 'insert':
          inserted += 1;
          return insert(namespace, USERS, {
            ...userRow(seed, users + inserted),
            updatedAtMs: nowMs,
          });
        case 'delete':
          return remove(table, 'user_id', other);
        case 'primary-key-change':
          return rekey(table, 'user_id', other, CHANGED_KEY_BASE + other);
        case 'update':
        case 'rename':
        case 'duplicate': {
          const { tier, country, name } = userRow(random.uint32(), number);
          const set = 'tier = $2, country = $3, name = $4, updated_at = $5';
          const values = [number, tier, country, name, timestampText(nowMs)];
          return update(table, 'user_id', set, values);
        }
      }
    },
  };
}

function deviceChanges({ namespace, users, devices, seed }: DimensionChangesOptions): TableChanges {
  let inserted = 0;
  const table = `${namespace}.devices`;
  return {
    name: 'devices',
    change(op, random, nowMs) {
      const id = deviceId(seed, frequentNumber(devices, random));
      const other = deviceId(seed, 1 + random.below(devices));
      switch (op) {
        case 'insert':
          inserted += 1;
          return insert(namespace, DEVICES, {
            ...deviceRow(seed, devices + inserted, users),
            updatedAtMs: nowMs,
          });
        case 'delete':
          return remove(table, 'device_id', other);
        case 'primary-key-change':
          return rekey(table, 'device_id', other, `${other}-moved`);
        case 'update':
        case 'rename':
        case 'duplicate': {
          const { os, osVersion, model } = deviceRow(random.uint32(), 1, users);
          const set = 'os = $2, os_version = $3, model = $4, updated_at = $5';
          const values = [id, os, osVersion, model, timestampText(nowMs)];
          return update(table, 'device_id', set, values);
        }
      }
    },
  };
}

function urlChanges({ namespace, urls, seed }: DimensionChangesOptions): TableChanges {
  let inserted = 0;
  const table = `${namespace}.urls`;
  return {
    name: 'urls',
    change(op, random, nowMs) {
      const number = frequentNumber(urls, random);
      const other = 1 + random.below(urls);
      switch (op) {
        case 'insert':
          inserted += 1;
          return insert(namespace, URLS, { ...urlRow(seed, urls + inserted), updatedAtMs: nowMs });
        case 'delete':
          return remove(table, 'url_id', other);
        case 'primary-key-change':
          return rekey(table, 'url_id', other, CHANGED_KEY_BASE + other);
        case 'duplicate': {
          const row = urlRow(random.uint32(), DUPLICATE_KEY_BASE + number);
          const twin = { ...row, url: urlText(seed, number), updatedAtMs: nowMs };
          return { ...insert(namespace, URLS, twin), op };
        }
        case 'rename': {
          const values = [number, renamedUrlText(seed, number), timestampText(nowMs)];
          return { ...update(table, 'url_id', 'url = $2, updated_at = $3', values), op };
        }
        case 'update': {
          const { category, title, priceHundredths } = urlRow(random.uint32(), number);
          const price = priceHundredths === null ? null : priceHundredths / 100;
          const set = 'category = $2, title = $3, price = $4, updated_at = $5';
          const values = [number, category, title, price, timestampText(nowMs)];
          return update(table, 'url_id', set, values);
        }
      }
    },
  };
}

/** Low numbers are the frequent ones: squaring a uniform draw prefers them. */
function frequentNumber(count: number, random: Random): number {
  return 1 + Math.floor(count * random.float() ** 2);
}

function insert<Row>(namespace: string, table: SourceTable<Row>, row: Row): PlannedChange {
  const values = columnArrays(table, [row]);
  const statement = upsertStatement(namespace, table);
  return { op: 'insert', rowKey: String(values[0]?.[0]), statement, values };
}

function remove(table: string, primaryKey: string, key: number | string): PlannedChange {
  const statement = `delete from ${table} where ${primaryKey} = $1`;
  return { op: 'delete', rowKey: String(key), statement, values: [key] };
}

/** Nothing happens where the new key is taken: an earlier run gave it already. */
function rekey(
  table: string,
  primaryKey: string,
  key: number | string,
  newKey: number | string,
): PlannedChange {
  const statement = `update ${table} set ${primaryKey} = $2 where ${primaryKey} = $1
    and not exists (select from ${table} where ${primaryKey} = $2)`;
  return {
    op: 'primary-key-change',
    rowKey: String(key),
    newKey: String(newKey),
    statement,
    values: [key, newKey],
  };
}

function update(
  table: string,
  primaryKey: string,
  set: string,
  values: readonly unknown[],
): PlannedChange {
  const statement = `update ${table} set ${set} where ${primaryKey} = $1`;
  return { op: 'update', rowKey: String(values[0]), statement, values };
}
