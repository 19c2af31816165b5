import { createHash } from 'node:crypto';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { openStore } from '@iceberg-js/rest-client-shim/store/open-store.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CORRUPT_KINDS } from '../../generate/corrupt.ts';
import { readLedger } from '../../generate/ledger.ts';
import { openTableReader } from '../../verify/table-reader.ts';
import type { Cell } from '../../verify/table-rows.ts';
import { openTopicReader } from '../../verify/topic-reader.ts';
import { endpoints } from '../stack/endpoints.ts';
import { stopCleanly } from './command.ts';
import { openLake } from './lake.ts';
import type { Lake } from './lake.ts';
import { findPython, runPython } from './python.ts';
import type { Python } from './python.ts';

/** What a reader says about the table; checksums by column, over the rows in order of their offsets. */
type Reading = {
  rows: number;
  durations: string;
  prices: string;
  checksums: Record<string, string>;
};

type PythonReading = Reading & { files: string[]; recentFiles: string[]; recentRows: number };

type Column = { name: string; type: string };

const commitsOfLoad = 4;

let lake: Lake;
let metadata: TableMetadata;
let columns: Column[];
let python: Python;
/** Some files lie before it, others behind it; microseconds. */
let middle: bigint;
let byPython: PythonReading | undefined;

beforeAll(async () => {
  python = await findPython();
  if (python.kind === 'missing') process.stdout.write(`readers: no pyiceberg: ${python.reason}\n`);
  lake = await openLake('readers');
  const pipeline = await lake.startPipeline();
  await pipeline.ready();
  for (let commit = 0; commit < commitsOfLoad; commit += 1) {
    await lake.sendClicks('--count', '3000', '--corrupt', '0.02', '--late', '0.05');
    await lake.caughtUp();
  }
  await stopCleanly(pipeline);
  const loaded = await lake.metadata();
  if (loaded === undefined) throw new Error('the table is missing');
  metadata = loaded;
  columns = (metadata.schemas.at(-1)?.fields ?? []).map(({ name, type }) => ({
    name,
    type: typeof type === 'string' ? type : 'nested',
  }));
  const middleMs = await lake.count(
    `select approx_percentile(to_unixtime(event_time) * 1000, 0.8) from ${lake.table}`,
  );
  middle = BigInt(Math.round(middleMs)) * 1_000n;
  if (python.kind === 'ready') byPython = await readByPython(python.python);
});
afterAll(() => lake.close());

describe('the same table, read by three readers', () => {
  it('has the same rows, sums and checksums of every column in Trino as in our own reader', async () => {
    const [byTrino, byUs] = [await readByTrino(), await readByUs()];
    expect(byTrino.rows).toBeGreaterThan(11_000);
    expect(columns.length).toBeGreaterThan(25);
    expect(Object.keys(byTrino.checksums)).toHaveLength(columns.length);
    expect(byTrino).toEqual(byUs);
  });

  it('has the same in pyiceberg', async ({ skip }) => {
    if (python.kind === 'missing') skip(`pyiceberg cannot be had here: ${python.reason}`);
    expect(byPython).toMatchObject(await readByUs());
  });
});

describe('statistics', () => {
  it('let Trino read only the files that a filter on event_time needs', async () => {
    const { all, needed } = await filesBySize();
    expect(needed.rows).toBeLessThan(all.rows);
    const recent = `select count(*) from ${lake.table} where event_time >= ${literal(middle)}`;
    expect(await rowsRead(`select count(url) from ${lake.table}`)).toBe(all.rows);
    expect(await rowsRead(recent)).toBeLessThanOrEqual(needed.rows);
  });

  it('let pyiceberg plan only the files that a filter on event_time needs', async ({ skip }) => {
    if (byPython === undefined) return skip('pyiceberg cannot be had here');
    const { all, needed } = await filesBySize();
    expect(byPython.files.toSorted()).toEqual(all.paths);
    expect(byPython.recentFiles.toSorted()).toEqual(needed.paths);
    expect(byPython.recentRows).toBe(
      await lake.count(`select count(*) from ${lake.table} where event_time >= ${literal(middle)}`),
    );
  });

  it('state the null counts and the least and greatest value of every column of every file', async () => {
    const fields = metadata.schemas.at(-1)?.fields ?? [];
    const wrong: string[] = [];
    for (const { name, id, type } of fields) {
      const { rows: files } = await lake.trino.query(
        `select file_path, record_count, null_value_counts[${id}], cast(lower_bounds."${id}" as varchar),
           cast(upper_bounds."${id}" as varchar) from "${lake.table}$files"`,
      );
      const { rows } = await lake.trino.query(
        `select "$path", count(*), count_if(${name} is null), cast(min(${name}) as varchar),
           cast(max(${name}) as varchar) from ${lake.table} group by 1`,
      );
      expect(files.length).toBeGreaterThan(commitsOfLoad);
      const actual = new Map(rows.map(([path, ...values]) => [path, values]));
      for (const [path, ...said] of files) {
        const difference = statisticsDifference(type === 'string', said, actual.get(path) ?? []);
        if (difference !== undefined) wrong.push(`${name} of ${String(path)}: ${difference}`);
      }
    }
    expect(wrong.slice(0, 5)).toEqual([]);
  });
});

describe('the dead-letter table', () => {
  it('holds the bytes that were produced, and why they are no row', async () => {
    const kinds = new Map<string, string>();
    for await (const { baseOffset, count, kind, partition } of readLedger(lake.ledger)) {
      for (let i = 0; i < count; i += 1) {
        const place = `${partition}/${(baseOffset ?? 0n) + BigInt(i)}`;
        if (kind[i] !== 'good') kinds.set(place, kind[i] ?? '');
      }
    }
    const produced = new Map<string, unknown[]>();
    const readTopic = openTopicReader({
      brokers: endpoints.kafkaBrokers,
      clientId: lake.name,
      groupId: `${lake.name}-bytes`,
      log: () => undefined,
    });
    await readTopic(
      lake.topic,
      await lake.ends(lake.topic),
      ({ partition, offset, key, value }) => {
        const place = `${partition}/${offset}`;
        const kind = kinds.get(place);
        if (kind === undefined) return;
        const bytes = value === null ? null : value.toString('hex').toUpperCase();
        produced.set(place, [kind, key?.toString('hex').toUpperCase() ?? null, bytes]);
      },
    );
    const { rows } = await lake.trino.query(
      `select _kafka_partition, _kafka_offset, error_kind, to_hex(record_key), to_hex(record_value),
         error_message from ${lake.deadLetter} where _kafka_topic = '${lake.topic}'`,
    );
    const found = new Map(
      rows.map(([at, offset, ...values]) => [
        `${String(at)}/${String(offset)}`,
        values.slice(0, 3),
      ]),
    );
    expect(new Set(kinds.values())).toEqual(new Set(CORRUPT_KINDS));
    expect(found).toEqual(produced);
    expect(rows.filter((row) => String(row[5]).trim() === '')).toEqual([]);
  });
});

/** Bounds of texts may be cut to 16 characters, an upper one then rounded up; all else is exact. */
function statisticsDifference(
  isText: boolean,
  said: readonly unknown[],
  actual: readonly unknown[],
): string | undefined {
  if (JSON.stringify(said) === JSON.stringify(actual)) return undefined;
  const [low = '', high = ''] = said.slice(2).map(String);
  const [first = '', last = ''] = actual.slice(2).map(String);
  const sameCounts = said[0] === actual[0] && said[1] === actual[1];
  const holds =
    (low === first || (low.length === 16 && first.startsWith(low))) &&
    (high === last || (high.length === 16 && last.length > 16 && high > last));
  if (isText && sameCounts && holds) return undefined;
  return `rows, nulls and bounds ${JSON.stringify(said)}, in fact ${JSON.stringify(actual)}`;
}

function literal(micros: bigint): string {
  const at = new Date(Number(micros / 1_000n)).toISOString();
  return `timestamp '${at.slice(0, 10)} ${at.slice(11, 23)} UTC'`;
}

/** Input rows of the table scan, as Trino counts them. */
async function rowsRead(sql: string): Promise<number> {
  const { rows } = await lake.trino.query(`explain analyze ${sql}`);
  const text = String(rows[0]?.[0]);
  const found = /(?:TableScan|ScanFilter\w*)\[[\s\S]*?Input: ([\d.]+)([KM]?) rows?/.exec(text);
  if (found === null) throw new Error(text);
  return Number(found[1]) * ({ K: 1e3, M: 1e6 }[found[2] ?? ''] ?? 1);
}

const sumOf = (some: readonly (readonly unknown[])[]) => ({
  paths: some.map(([path]) => String(path)).toSorted(),
  rows: some.reduce((sum, [, count]) => sum + Number(count), 0),
});

/** All files of the table, and those whose bounds reach beyond `middle`, by what is in them. */
async function filesBySize() {
  const { rows } = await lake.trino.query(
    `select "$path", count(*), max(event_time) >= ${literal(middle)} from ${lake.table} group by 1`,
  );
  return { all: sumOf(rows), needed: sumOf(rows.filter(([, , isNeeded]) => isNeeded === true)) };
}

async function readByPython(executable: string): Promise<PythonReading> {
  const table = `lake.${lake.table}`;
  const args = [endpoints.catalogUri, endpoints.s3Endpoint, table, String(middle)];
  return (await runPython(executable, 'read-table.py', args)) as PythonReading;
}

/** Rows in order of partition and offset as columns of texts, as `read-table.py` has them. */
function readingOf(
  texts: ReadonlyMap<string, readonly (string | null)[]>,
  prices: string,
): Reading {
  const durations = texts.get('duration_ms') ?? [];
  const checksums = [...texts].map(([name, values]) => {
    const digest = createHash('sha256');
    for (const value of values) digest.update(`${JSON.stringify(value)}\n`);
    return [name, digest.digest('hex')] as const;
  });
  return {
    rows: durations.length,
    durations: String(durations.reduce((sum, value) => sum + BigInt(value ?? 0), 0n)),
    prices,
    checksums: Object.fromEntries(checksums),
  };
}

async function readByTrino(): Promise<Reading> {
  const texts = columns.map(({ name, type }) => {
    if (type === 'date') return `cast(date_diff('day', date '1970-01-01', ${name}) as varchar)`;
    if (type.startsWith('decimal')) return `replace(cast(${name} as varchar), '.', '')`;
    return `cast(${name} as varchar)`;
  });
  const { rows } = await lake.trino.query(
    `select ${texts.join(', ')} from ${lake.table} order by _kafka_partition, _kafka_offset`,
  );
  const [[price] = []] = (
    await lake.trino.query(`select cast(sum(url_price) as varchar) from ${lake.table}`)
  ).rows;
  const columnTexts = columns.map(({ name, type }, at) => {
    const values = rows.map((row) => (row[at] ?? null) as string | null);
    if (type.startsWith('timestamp')) return [name, values.map(microsOf)] as const;
    if (type.startsWith('decimal')) return [name, values.map(wholeOf)] as const;
    return [name, values] as const;
  });
  return readingOf(new Map(columnTexts), String(price));
}

/** `2026-11-22 10:00:00.123456 UTC` in microseconds. */
function microsOf(text: string | null): string | null {
  if (text === null) return null;
  const [seconds = '', fraction = ''] = text.replace(' UTC', '').split('.');
  const ms = BigInt(Date.parse(`${seconds.replace(' ', 'T')}Z`));
  return String(ms * 1_000n + BigInt(fraction.padEnd(6, '0')));
}

/** Without leading zeros: `0.05` is 5 hundredths. */
function wholeOf(text: string | null): string | null {
  return text === null ? null : String(BigInt(text));
}

async function readByUs(): Promise<Reading> {
  const { store, close } = openStore(metadata.location, {
    s3: {
      region: 'us-east-1',
      pathStyle: true,
      endpoint: endpoints.s3Endpoint,
      accessKeyId: endpoints.s3AccessKeyId,
      secretAccessKey: endpoints.s3SecretAccessKey,
    },
  });
  const names = columns.map(({ name }) => name);
  const rows: Cell[][] = [];
  for await (const block of openTableReader(store).readRows(metadata, names)) {
    const cells = names.map((name) => block.column(name));
    for (let row = 0; row < block.rowCount; row += 1) rows.push(cells.map((c) => c[row] ?? null));
  }
  close();
  const [partition, offset] = [names.indexOf('_kafka_partition'), names.indexOf('_kafka_offset')];
  rows.sort(
    (a, b) => Number(a[partition]) - Number(b[partition]) || Number(a[offset]) - Number(b[offset]),
  );
  const texts = names.map((name, at) => {
    const values = rows.map((row) => row[at] ?? null);
    return [name, values.map((cell) => (cell === null ? null : String(cell)))] as const;
  });
  const cents = rows.reduce(
    (sum, row) => sum + BigInt(String(row[names.indexOf('url_price')] ?? 0)),
    0n,
  );
  const digits = String(cents).padStart(3, '0');
  return readingOf(new Map(texts), `${digits.slice(0, -2)}.${digits.slice(-2)}`);
}
