import type { Snapshot, TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { normaliseUrl } from '../../verify/normal-form.ts';
import { topicOf } from '../enrich/pipeline/records.ts';
import type { DimensionName } from '../enrich/pipeline/records.ts';
import { checkEvolution, checkValues } from './schema-checks.ts';
import type { LiveRows, StateModel } from './state-model.ts';
import { readPosition, sameNext, toNumbers } from './table-model.ts';
import type { CommitSummary, NamedRow, PipelineState, TableModel } from './table-model.ts';
import { streamKey } from './truth.ts';
import type { SourceValue, StreamEntry, Truth } from './truth.ts';
import { Violation } from './violation.ts';

/** What is known of the process that sent a commit. */
export type Sender = {
  state: StateModel;
  /** Ends of the dimension topics when the process started, by dimension and partition. */
  startEnds: ReadonlyMap<DimensionName, readonly number[]>;
};

/** What the checks know of the world. */
export type Surroundings = {
  truth: Truth;
  dimensions: readonly DimensionName[];
  events: TableModel;
  deadLetters: TableModel | undefined;
  senderOf: (commitId: string) => Sender | undefined;
  /** Ends of the dimension topics when the first load was told complete; undefined before. */
  loadedEnds: ReadonlyMap<DimensionName, readonly number[]> | undefined;
};

/** A snapshot of ours that has just landed. */
export type Landed = {
  before: TableMetadata;
  after: TableMetadata;
  snapshot: Snapshot;
  summary: CommitSummary;
  addedFiles: readonly string[];
};

const PREFIX = 'tributary.';

/** Changes of the table that are no commit of ours must leave the position alone (INVARIANTS.md 2). */
export function checkPropertiesUntouched(before: TableMetadata, after: TableMetadata): void {
  for (const name of new Set([
    ...Object.keys(before.properties),
    ...Object.keys(after.properties),
  ])) {
    if (!name.startsWith(PREFIX) || before.properties[name] === after.properties[name]) continue;
    throw new Violation(2, `the position in ${name} moved without rows`);
  }
}

/** What every reader takes for the position is what the commits have made it (INVARIANTS.md 2). */
export function checkPositions(model: TableModel): void {
  for (const [pipeline, { commitId, next }] of model.states) {
    const read = readPosition(model.metadata, pipeline);
    if (read === undefined) throw new Violation(2, `the position of ${pipeline} is gone`);
    if (read.commitId !== commitId || !sameNext(read.next, next)) {
      throw new Violation(
        2,
        `the position of ${pipeline} reads ${show(read.next)}, rows say ${show(next)}`,
      );
    }
  }
}

/** A commit to the events table: INVARIANTS.md 2, 3, 5, 6, 7, 9, 11 and 13, against what the logs hold. */
export function checkEventsCommit(around: Surroundings, landed: Landed): PipelineState {
  const { before, after, snapshot, summary, addedFiles } = landed;
  const { pipeline, commitId, position, ranges } = summary;
  if (snapshot.parentSnapshotId !== before.currentSnapshotId) {
    throw new Violation(3, `commit ${commitId} took main from a head that it did not build on`);
  }
  if (after.properties[`${PREFIX}${pipeline}`] !== snapshot.summary[`${PREFIX}state`]) {
    // Not yet a loss: the position is read from the summary until that is expired.
    if (after.properties[`${PREFIX}${pipeline}`] !== undefined) {
      throw new Violation(2, `commit ${commitId} left another position in the table property`);
    }
  }
  const stream = streamKey(position.cluster, position.topicId);
  const committed = around.events.statesAt(snapshot.parentSnapshotId).get(pipeline);
  if (committed !== undefined && committed.stream !== stream) {
    throw new Violation(9, `the position of ${committed.stream} went on as one of ${stream}`);
  }
  const next = new Map(committed?.next);
  for (const [partition, [start, end]] of entriesOf(ranges)) {
    const expected = next.get(partition);
    if (expected !== undefined && expected !== start) {
      throw new Violation(
        3,
        `partition ${partition}: a batch from ${start} landed, the table is at ${expected}`,
      );
    }
    next.set(partition, end);
  }
  if (!sameNext(toNumbers(position.next), next)) {
    throw new Violation(
      2,
      `the position moved to ${show(toNumbers(position.next))}, its ranges to ${show(next)}`,
    );
  }
  const rows = addedFiles.flatMap((location) => around.events.named(location));
  checkOffsets(around, summary, rows);
  checkEvolution(clicksOf(around, stream, ranges), { before, after });
  const sender = around.senderOf(commitId);
  if (sender !== undefined) checkJoins(around, { summary, rows, sender });
  return { commitId, stream, next };
}

/** Every offset of the ranges is one row, one reject or one counted filter (INVARIANTS.md 5). */
function checkOffsets(
  around: Surroundings,
  summary: CommitSummary,
  rows: readonly NamedRow[],
): void {
  const { commitId, position, ranges, counts } = summary;
  const stream = streamKey(position.cluster, position.topicId);
  const places = new Map<string, NamedRow>();
  for (const row of rows) {
    const place = placeOf(row);
    if (places.has(place)) throw new Violation(5, `${place} is in commit ${commitId} twice`);
    places.set(place, row);
  }
  let rejected: ReadonlySet<string> | undefined;
  let rejects = 0;
  for (const [partition, [start, end]] of entriesOf(ranges)) {
    const log = around.truth.stream(stream, partition);
    let filtered = 0;
    for (let offset = start; offset < end; offset += 1) {
      const place = `${partition}/${offset}`;
      const entry = log[offset];
      if (entry === undefined)
        throw new Violation(5, `commit ${commitId} has ${place}, which the log has not`);
      if (entry.kind === 'click') checkRow(places, place, entry, commitId);
      else if (places.has(place)) throw new Violation(5, `${place} is a row and no click`);
      if (entry.kind === 'invisible') filtered += 1;
      if (entry.kind !== 'reject') continue;
      rejects += 1;
      rejected ??= rejectedPlaces(around, summary);
      if (!rejected.has(place)) throw new Violation(5, `the reject ${place} has no dead letter`);
    }
    const counted = Number(counts.filtered[String(partition)] ?? 0);
    if (counted !== filtered) {
      throw new Violation(
        5,
        `commit ${commitId} counts ${counted} filtered in ${partition}, it has ${filtered}`,
      );
    }
  }
  if (places.size !== 0) throw new Violation(5, `commit ${commitId} has rows outside its ranges`);
  if (counts.rejects !== rejects || counts.rows !== rows.length) {
    throw new Violation(
      5,
      `commit ${commitId} counts ${counts.rows} rows and ${counts.rejects} rejects`,
    );
  }
}

/** The clicks that a commit has taken. */
function clicksOf(
  around: Surroundings,
  stream: string,
  ranges: CommitSummary['ranges'],
): (StreamEntry & { kind: 'click' })[] {
  return entriesOf(ranges).flatMap(([partition, [start, end]]) =>
    around.truth
      .stream(stream, partition)
      .slice(start, end)
      .filter((entry) => entry.kind === 'click'),
  );
}

function checkRow(
  places: Map<string, NamedRow>,
  place: string,
  click: StreamEntry & { kind: 'click' },
  commitId: string,
): void {
  const row = places.get(place);
  if (row === undefined)
    throw new Violation(5, `${place} was passed by commit ${commitId} and is no row`);
  places.delete(place);
  const isThis =
    row['user_id'] === BigInt(click.userId) &&
    row['device_id'] === click.deviceId &&
    row['url'] === click.url &&
    row['event_time'] === BigInt(click.eventTimeMs) * 1000n;
  if (!isThis) throw new Violation(5, `the row ${place} is not the click that stands there`);
  checkValues(place, row, click);
}

/** Rejects that this commit has decided on, or that the dead-letter table has from before a roll-back. */
function rejectedPlaces(
  around: Surroundings,
  { commitId, state }: CommitSummary,
): ReadonlySet<string> {
  const { deadLetters } = around;
  const places = new Set<string>();
  if (deadLetters === undefined) return places;
  const own = state.pending.find((entry) => entry.commitId === commitId);
  const files = [
    ...(own?.files ?? []).map(({ location }) => location),
    ...deadLetters.liveAt(deadLetters.metadata.currentSnapshotId),
  ];
  for (const location of files) {
    for (const row of deadLetters.named(location)) {
      if (row['_kafka_topic'] === 'clicks') places.add(placeOf(row));
    }
  }
  return places;
}

/** INVARIANTS.md 6, 7 and 13. */
function checkJoins(
  around: Surroundings,
  commit: { summary: CommitSummary; rows: readonly NamedRow[]; sender: Sender },
): void {
  const { summary, rows, sender } = commit;
  if (rows.length === 0) return;
  const { loadedEnds } = around;
  if (loadedEnds === undefined)
    throw new Violation(6, 'clicks were joined before the first load was complete');
  for (const name of around.dimensions) {
    const next = summary.dimensions[name]?.next ?? {};
    for (const ends of [sender.startEnds.get(name), loadedEnds.get(name)]) {
      for (const [partition, end] of (ends ?? []).entries()) {
        if (Number(next[String(partition)] ?? 0) >= end) continue;
        throw new Violation(6, `clicks were joined before ${name}-${partition} was read to ${end}`);
      }
    }
    const live = sender.state.at(name, next);
    if (live === undefined) {
      throw new Violation(
        7,
        `the state was never at the position of ${name} that the commit records`,
      );
    }
    for (const row of rows) checkJoin(name, row, live);
  }
}

const CARRIED: Record<DimensionName, string> = {
  users: 'user_name',
  devices: 'device_os',
  urls: 'url_title',
};

function checkJoin(name: DimensionName, row: NamedRow, live: LiveRows): void {
  const expected = matchOf(name, row, live);
  const found = row[CARRIED[name]] ?? null;
  const match = row[`_${name}_match`];
  if (found === (expected?.value ?? null) && match === (expected === undefined ? 'miss' : 'hit'))
    return;
  const isOthers = found !== null && [...live.values()].some(({ value }) => value === found);
  throw new Violation(
    isOthers && expected?.value !== found && collides(name, row, live, found) ? 13 : 7,
    `the row ${placeOf(row)} has ${String(match)} ${String(found)} of ${name}, its commit makes it ` +
      (expected?.value ?? 'a miss'),
  );
}

/** Whether the value is that of another key than the row's. */
function collides(name: DimensionName, row: NamedRow, live: LiveRows, found: unknown): boolean {
  return [...live].some(([key, value]) => value.value === found && !isKeyOf(name, row, key, value));
}

function isKeyOf(
  name: DimensionName,
  row: NamedRow,
  key: string | number,
  { url }: SourceValue,
): boolean {
  if (name === 'users') return row['user_id'] === BigInt(key);
  if (name === 'devices') return row['device_id'] === key;
  return normaliseUrl(String(row['url'])) === normaliseUrl(url ?? '');
}

/** The row that answers: of several the one with the lowest primary key. */
function matchOf(name: DimensionName, row: NamedRow, live: LiveRows): SourceValue | undefined {
  let best: { key: string | number; value: SourceValue } | undefined;
  for (const [key, value] of live) {
    if (!isKeyOf(name, row, key, value)) continue;
    if (best === undefined || key < best.key) best = { key, value };
  }
  return best?.value;
}

/** A commit to the dead-letter table: each row a reject that was decided on, none twice (INVARIANTS.md 5). */
export function checkDeadLetterCommit(around: Surroundings, landed: Landed): PipelineState {
  const { before, snapshot, summary, addedFiles } = landed;
  const { pipeline, commitId, position, ranges } = summary;
  const model = around.deadLetters;
  if (model === undefined) throw new Violation(0, 'a commit to a table that nobody made');
  if (snapshot.parentSnapshotId !== before.currentSnapshotId) {
    throw new Violation(3, `commit ${commitId} took main from a head that it did not build on`);
  }
  const stream = streamKey(position.cluster, position.topicId);
  // Each name has dead letters of its own: those of changes come again under another name.
  model.own(addedFiles, pipeline);
  const ownFiles = model
    .liveAt(snapshot.parentSnapshotId)
    .filter((location) => model.ownerOf(location) === pipeline);
  const known = new Set(ownFiles.flatMap((location) => model.named(location).map(letterOf)));
  for (const row of addedFiles.flatMap((location) => model.named(location))) {
    const letter = letterOf(row);
    if (known.has(letter)) throw new Violation(5, `the dead letter ${letter} is there twice`);
    known.add(letter);
    checkLetter(around, row, stream);
  }
  const next = new Map(model.statesAt(snapshot.parentSnapshotId).get(pipeline)?.next);
  for (const [partition, [, end]] of entriesOf(ranges)) next.set(partition, end);
  return { commitId, stream, next };
}

function checkLetter(around: Surroundings, row: NamedRow, stream: string): void {
  const partition = Number(row['_kafka_partition']);
  const offset = Number(row['_kafka_offset']);
  const topic = String(row['_kafka_topic']);
  const dimension = around.dimensions.find((name) => topicOf[name] === topic);
  if (dimension !== undefined) {
    if (around.truth.change(dimension, partition)[offset]?.kind === 'reject') return;
    throw new Violation(
      5,
      `the change ${topic} ${partition}/${offset} is a dead letter and no reject`,
    );
  }
  if (around.truth.stream(stream, partition)[offset]?.kind !== 'reject') {
    throw new Violation(5, `the record ${partition}/${offset} is a dead letter and no reject`);
  }
  if (offset >= around.events.everTaken(stream, partition)) {
    throw new Violation(5, `the dead letter ${partition}/${offset} came before its events`);
  }
}

/** The rows and dead letters of a table that has taken everything: each offset once (INVARIANTS.md 5). */
export function checkComplete(around: Surroundings, pipeline: string): void {
  const { truth, events } = around;
  const rows = new Map<string, number>();
  for (const location of events.liveAt(events.metadata.currentSnapshotId)) {
    for (const row of events.named(location)) count(rows, placeOf(row), 1);
  }
  const letters = lettersOf(around);
  for (const [name, { stream, next }] of events.states) {
    for (const [partition, end] of next) {
      const log = truth.stream(stream, partition);
      for (const [offset, { kind }] of log.slice(0, end).entries()) {
        if (kind === 'click') count(rows, `${partition}/${offset}`, -1);
        const letter = `clicks/${partition}/${offset}`;
        // Nobody settles what a pipeline that was given another name has left pending.
        if (kind === 'reject' && (name === pipeline || letters.has(letter))) {
          count(letters, letter, -1);
        }
      }
    }
  }
  for (const [place, surplus] of rows) {
    if (surplus !== 0) throw new Violation(5, `${place} is ${surplus + 1} rows`);
  }
  for (const [letter, surplus] of letters) {
    if (surplus === 0 || !letter.startsWith('clicks/')) continue;
    throw new Violation(5, `${letter} is ${surplus + 1} dead letters`);
  }
}

function count(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

/** Every reject of a change topic stands in the dead-letter table once (INVARIANTS.md 5). */
export function checkChangeRejects(around: Surroundings): void {
  const letters = lettersOf(around);
  for (const name of around.dimensions) {
    for (const [partition, log] of (around.truth.changes.get(name) ?? []).entries()) {
      for (const [offset, { kind }] of log.entries()) {
        const dead = letters.get(`${topicOf[name]}/${partition}/${offset}`) ?? 0;
        if (kind === 'reject' ? dead > 0 : dead === 0) continue;
        throw new Violation(5, `the change ${name} ${partition}/${offset} is ${dead} dead letters`);
      }
    }
  }
}

function lettersOf({ deadLetters }: Surroundings): Map<string, number> {
  const letters = new Map<string, number>();
  for (const location of deadLetters?.liveAt(deadLetters.metadata.currentSnapshotId) ?? []) {
    for (const row of deadLetters?.named(location) ?? []) {
      letters.set(letterOf(row), (letters.get(letterOf(row)) ?? 0) + 1);
    }
  }
  return letters;
}

function letterOf(row: NamedRow): string {
  return `${String(row['_kafka_topic'])}/${placeOf(row)}`;
}

function placeOf(row: NamedRow): string {
  return `${String(row['_kafka_partition'])}/${String(row['_kafka_offset'])}`;
}

function entriesOf(
  ranges: Readonly<Record<string, readonly [string, string]>>,
): (readonly [number, readonly [number, number]])[] {
  return Object.entries(ranges).map(
    ([partition, [start, end]]) => [Number(partition), [Number(start), Number(end)]] as const,
  );
}

function show(next: ReadonlyMap<number, number>): string {
  return JSON.stringify(Object.fromEntries(next));
}
