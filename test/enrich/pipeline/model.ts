import type { Snapshot } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { expect } from 'vitest';
import { readCommitted } from '../../../enrich/core/position.ts';
import { normaliseUrl } from '../../../verify/normal-form.ts';
import { placeOf, START_MS } from './harness.ts';
import type { TableRow, World } from './harness.ts';
import { EVENT_TIME_MS } from './records.ts';
import type { Click, DimensionName, SourceRow } from './records.ts';

/** Positions of the dimension topics as a commit recorded them. */
type Positions = Readonly<Record<string, { next: Readonly<Record<string, string>> }>>;

type Rows = Map<string | number, SourceRow>;

/** The rows of a dimension after all changes below the position, by primary key. */
function rowsAt(world: World, dimension: DimensionName, positions: Positions): Rows {
  const rows: Rows = new Map();
  for (const change of world.changes) {
    const next = BigInt(positions[dimension]?.next[String(change.partition)] ?? 0);
    if (change.dimension !== dimension || change.offset >= next) continue;
    if (change.row === undefined) rows.delete(change.rowKey);
    else rows.set(change.rowKey, change.row);
  }
  return rows;
}

/** Of several rows with one url, the one with the lowest primary key. */
function byUrl(rows: Rows, url: string): SourceRow {
  const found = [...rows]
    .filter(([, row]) => normaliseUrl(String(row?.['url'])) === normaliseUrl(url))
    .toSorted(([a], [b]) => Number(a) - Number(b));
  return found[0]?.[1];
}

function match(row: SourceRow): string {
  return row === undefined ? 'miss' : 'hit';
}

/** What the row of a click must hold when the dimensions stood at these positions. */
function joined(world: World, click: Click, positions: Positions): Record<string, unknown> {
  const user = rowsAt(world, 'users', positions).get(click.userId);
  const device = rowsAt(world, 'devices', positions).get(click.deviceId);
  const url = byUrl(rowsAt(world, 'urls', positions), click.url);
  return {
    event_time: BigInt(EVENT_TIME_MS) * 1000n,
    user_id: BigInt(click.userId),
    url: click.url,
    device_id: click.deviceId,
    user_name: user?.['name'] ?? null,
    user_birth_year: user?.['birth_year'] ?? null,
    device_os: device?.['os'] ?? null,
    url_title: url?.['title'] ?? null,
    _users_match: match(user),
    _devices_match: match(device),
    _urls_match: match(url),
  };
}

/**
 * Holds for a table that has seen every record of the stream: each is one row, right for the dimension
 * positions that its commit recorded (INVARIANTS.md 7), or one dead letter, and never both or twice
 * (INVARIANTS.md 5); every other offset is counted as filtered.
 */
export async function expectExactlyOnce(world: World): Promise<TableRow[]> {
  const metadata = await world.metadata();
  const rows = await world.rows();
  const wanted = (rejects: boolean): string[] =>
    world.stream
      .filter(({ click }) => (click === 'reject') === rejects)
      .map(({ partition, offset }) => `${partition}/${offset}`)
      .toSorted(byText);
  expect(places(rows)).toEqual(wanted(false));
  const deadLetters = await world.deadLetters();
  const ofStream = deadLetters.filter((row) => row['_kafka_topic'] === 'clicks');
  expect(places(ofStream)).toEqual(wanted(true));
  const snapshots = new Map(metadata.snapshots.map((one) => [one.snapshotId, one]));
  for (const row of rows) expectRight(world, row, snapshots.get(row.snapshotId));
  await expectAccounted(world);
  return rows;
}

function expectRight(world: World, row: TableRow, snapshot: Snapshot | undefined): void {
  const record = world.stream.find(
    ({ partition, offset }) =>
      partition === row['_kafka_partition'] && offset === row['_kafka_offset'],
  );
  if (snapshot === undefined || record === undefined || record.click === 'reject') {
    throw new Error(`no click and commit for ${placeOf(row)}`);
  }
  const recorded = JSON.parse(snapshot.summary['tributary.dimensions'] ?? '{}') as Positions;
  expect(row).toMatchObject(joined(world, record.click, recorded));
  expect(row['_ingested_at']).toBeGreaterThanOrEqual(
    BigInt(START_MS - world.clockBehindMsMax) * 1000n,
  );
}

function places(rows: readonly TableRow[]): string[] {
  return rows.map(placeOf).toSorted(byText);
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** INVARIANTS.md 5, by the table's own account. */
async function expectAccounted(world: World): Promise<void> {
  const committed = readCommitted(await world.metadata(), 'clicks');
  if (committed === undefined) return expect(world.stream).toEqual([]);
  const bounds = await world.log.bounds('clicks');
  for (const [partition, next] of committed.next) {
    const ofPartition = world.stream.filter((record) => record.partition === partition);
    const rejects = ofPartition.filter(({ click }) => click === 'reject').length;
    expect(next).toBe(bounds.get(partition)?.endOffset);
    expect(committed.rejects.get(partition) ?? 0n).toBe(BigInt(rejects));
    const start = committed.start.get(partition) ?? 0n;
    const filtered = next - start - BigInt(ofPartition.length);
    expect(committed.filtered.get(partition) ?? 0n).toBe(filtered);
  }
}
