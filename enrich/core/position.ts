import { ancestors } from '@iceberg-js/rest-client-shim/spec/snapshot-walk.ts';
import {
  dataFileFromJson,
  dataFileToJson,
} from '@iceberg-js/rest-client-shim/manifest/data-file-json.ts';
import type { DataFileJson } from '@iceberg-js/rest-client-shim/manifest/data-file-json.ts';
import type { DataFile } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import type { Snapshot, TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { EnrichError } from '../error.ts';
import type { Position } from '../source/log.ts';

/** Which log a position counts in. A recreated topic has another `topicId`. */
export type LogIdentity = { clusterId: string; topic: string; topicId: string };

/** [start, end) of one partition, in offsets. */
export type OffsetRange = { start: bigint; end: bigint };

/**
 * Rejects that a commit of the events table has decided on and the dead-letter table may still lack.
 * The events table alone decides what is a reject; the dead-letter table follows, also after a crash.
 */
export type PendingRejects = {
  commitId: string;
  ranges: ReadonlyMap<number, OffsetRange>;
  files: readonly DataFile[];
};

/**
 * What the table says about one pipeline: the whole truth about its progress (INVARIANTS.md 2).
 * `start` is the first offset ever taken of each partition; `filtered` and `rejects` count, since then,
 * offsets that are no records (control batches, aborted, compacted away) and records that were refused.
 */
export type CommittedState = {
  commitId: string;
  sequenceNumber: bigint;
  identity: LogIdentity;
  next: Position;
  start: Position;
  filtered: ReadonlyMap<number, bigint>;
  rejects: ReadonlyMap<number, bigint>;
  pending: readonly PendingRejects[];
};

const SUMMARY_PREFIX = 'tributary.';
/** Snapshots walked in search of our own; beyond it the table property alone is taken. */
const ANCESTORS_MAX = 10_000;

export function propertyName(pipeline: string): string {
  return `${SUMMARY_PREFIX}${pipeline}`;
}

/**
 * Reads the position that the table holds for this pipeline; undefined when it never committed.
 *
 * The newest snapshot of ours in the ancestry of `main` and the table property are written by the same
 * request, so they must agree, unless expiry has taken the snapshot away. A property that is newer than
 * what the ancestry shows means that the table was rolled back: `fenced`, with what to do; the context
 * names the lost commit as `commitId`. `forgottenCommitId` is such a commit that the user has given up.
 */
export function readCommitted(
  metadata: TableMetadata,
  pipeline: string,
  forgottenCommitId?: string,
): CommittedState | undefined {
  const fromProperty = mirroredState(metadata, pipeline, forgottenCommitId);
  const { own, oldest, complete } = newestOwnSnapshot(metadata, pipeline);
  const fromSnapshot = own === undefined ? undefined : stateOfSnapshot(own);
  if (fromProperty === undefined) {
    const isLost = forgottenCommitId !== undefined && own === undefined && !complete;
    return isLost ? stateBeforeLost(metadata, pipeline, forgottenCommitId) : fromSnapshot;
  }
  if (fromSnapshot !== undefined) {
    if (fromSnapshot.commitId === fromProperty.commitId) return fromSnapshot;
    throw rolledBack(metadata, pipeline, fromProperty, fromSnapshot);
  }
  // Back to before the commit, without having met it: it was no ancestor, expired or not.
  const isPassed = fromProperty.sequenceNumber > (oldest?.sequenceNumber ?? 0n);
  if (complete || isPassed) {
    throw rolledBack(metadata, pipeline, fromProperty, undefined);
  }
  return fromProperty;
}

function mirroredState(
  metadata: TableMetadata,
  pipeline: string,
  forgottenCommitId: string | undefined,
): CommittedState | undefined {
  const text = metadata.properties[propertyName(pipeline)];
  if (text === undefined) return undefined;
  const state = parseState(text, 'table property');
  return state.commitId === forgottenCommitId ? undefined : state;
}

/** True when the commit stands in the ancestry of `main`, as far as expiry has left it. */
export function standsInAncestry(
  metadata: TableMetadata,
  pipeline: string,
  commitId: string,
): boolean {
  for (const snapshot of boundedAncestors(metadata)) {
    if (isOwn(snapshot, pipeline) && snapshot.summary[`${SUMMARY_PREFIX}commit-id`] === commitId) {
      return true;
    }
  }
  return false;
}

function isOwn(snapshot: Snapshot, pipeline: string): boolean {
  return snapshot.summary[`${SUMMARY_PREFIX}pipeline`] === pipeline;
}

function* boundedAncestors(metadata: TableMetadata): Generator<Snapshot> {
  let walked = 0;
  for (const snapshot of ancestors(metadata)) {
    if (walked++ >= ANCESTORS_MAX) return;
    yield snapshot;
  }
}

/**
 * The newest of ours; without one, the oldest ancestor that is left. `complete` says that the ancestry was seen
 * back to the table's first snapshot.
 */
function newestOwnSnapshot(
  metadata: TableMetadata,
  pipeline: string,
): { own: Snapshot | undefined; oldest: Snapshot | undefined; complete: boolean } {
  let oldest: Snapshot | undefined;
  for (const snapshot of boundedAncestors(metadata)) {
    if (isOwn(snapshot, pipeline)) return { own: snapshot, oldest: undefined, complete: false };
    oldest = snapshot;
  }
  return { own: undefined, oldest, complete: oldest?.parentSnapshotId === undefined };
}

/**
 * The position at the current snapshot, after a roll-back to one of somebody else's whose own ancestors are
 * expired: what stood before the oldest commit of ours that the roll-back took away.
 */
function stateBeforeLost(
  metadata: TableMetadata,
  pipeline: string,
  lostCommitId: string,
): CommittedState | undefined {
  const kept = new Set([...boundedAncestors(metadata)].map(({ snapshotId }) => snapshotId));
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]));
  let oldest: Snapshot | undefined;
  let lost = metadata.snapshots.find(
    (snapshot) =>
      isOwn(snapshot, pipeline) && snapshot.summary[`${SUMMARY_PREFIX}commit-id`] === lostCommitId,
  );
  while (lost !== undefined && !kept.has(lost.snapshotId)) {
    if (isOwn(lost, pipeline)) oldest = lost;
    const { parentSnapshotId } = lost;
    if (parentSnapshotId !== undefined && kept.has(parentSnapshotId)) {
      const text = oldest?.summary[`${SUMMARY_PREFIX}before`];
      return text === undefined ? undefined : parseState(text, `snapshot ${oldest?.snapshotId}`);
    }
    lost = parentSnapshotId === undefined ? undefined : byId.get(parentSnapshotId);
  }
  throw new EnrichError(
    'fenced',
    'the position at the current snapshot cannot be told: the snapshots that held it are expired. Roll the ' +
      'table forward again, or give the pipeline another name and a new table in pipeline.yaml',
    { context: { tableUuid: metadata.tableUuid, pipeline, lostCommitId } },
  );
}

function rolledBack(
  metadata: TableMetadata,
  pipeline: string,
  property: CommittedState,
  snapshot: CommittedState | undefined,
): EnrichError {
  const shown = snapshot === undefined ? 'no commit of ours' : `our commit ${snapshot.commitId}`;
  return new EnrichError(
    'fenced',
    `the table was rolled back: its property ${propertyName(pipeline)} records commit ` +
      `${property.commitId}, but the current snapshot descends from ${shown}. Rows after it would be lost ` +
      `or doubled by going on. Either roll the table forward again, or accept the roll-back with ` +
      `"tributary run --accept-rollback", which reads on from the position of the current snapshot`,
    { context: { tableUuid: metadata.tableUuid, pipeline, commitId: property.commitId } },
  );
}

/** Summary entries of a snapshot and the table property, to be written in one request. */
export function describeCommit(options: {
  pipeline: string;
  state: CommittedState;
  /** What the table held before; undefined at the first commit. */
  before: CommittedState | undefined;
  ranges: ReadonlyMap<number, OffsetRange>;
  counts: { rows: number; rejects: number; filtered: ReadonlyMap<number, bigint> };
  dimensions: ReadonlyMap<string, { topicId: string; next: Position }>;
}): { summary: Record<string, string>; properties: Record<string, string> } {
  const { pipeline, state, before, ranges, counts, dimensions } = options;
  const dimensionPositions = Object.fromEntries(
    [...dimensions].map(([name, at]) => [name, { topicId: at.topicId, next: toJson(at.next) }]),
  );
  const text = JSON.stringify(formatState(state));
  return {
    summary: {
      [`${SUMMARY_PREFIX}pipeline`]: pipeline,
      [`${SUMMARY_PREFIX}commit-id`]: state.commitId,
      [`${SUMMARY_PREFIX}position`]: JSON.stringify(formatPosition(state)),
      [`${SUMMARY_PREFIX}state`]: text,
      // A roll-back may lead to a snapshot that nothing else tells the position of.
      ...(before === undefined
        ? {}
        : { [`${SUMMARY_PREFIX}before`]: JSON.stringify(formatState(before)) }),
      [`${SUMMARY_PREFIX}ranges`]: JSON.stringify(rangesToJson(ranges)),
      [`${SUMMARY_PREFIX}counts`]: JSON.stringify({
        rows: counts.rows,
        rejects: counts.rejects,
        filtered: toJson(counts.filtered),
      }),
      [`${SUMMARY_PREFIX}dimensions`]: JSON.stringify(dimensionPositions),
    },
    properties: { [propertyName(pipeline)]: text },
  };
}

function stateOfSnapshot(snapshot: Snapshot): CommittedState {
  const text = snapshot.summary[`${SUMMARY_PREFIX}state`];
  if (text === undefined) throw unreadable(`snapshot ${snapshot.snapshotId}`, 'it has no state');
  return parseState(text, `snapshot ${snapshot.snapshotId}`);
}

type StateJson = {
  commitId: string;
  sequenceNumber: string;
  position: { cluster: string; topic: string; topicId: string; next: Record<string, string> };
  start: Record<string, string>;
  filtered: Record<string, string>;
  rejects: Record<string, string>;
  pending: { commitId: string; ranges: Record<string, [string, string]>; files: DataFileJson[] }[];
};

function formatPosition(state: CommittedState): StateJson['position'] {
  const { clusterId, topic, topicId } = state.identity;
  return { cluster: clusterId, topic, topicId, next: toJson(state.next) };
}

function formatState(state: CommittedState): StateJson {
  return {
    commitId: state.commitId,
    sequenceNumber: String(state.sequenceNumber),
    position: formatPosition(state),
    start: toJson(state.start),
    filtered: toJson(state.filtered),
    rejects: toJson(state.rejects),
    pending: state.pending.map(({ commitId, ranges, files }) => ({
      commitId,
      ranges: rangesToJson(ranges),
      files: files.map(dataFileToJson),
    })),
  };
}

function parseState(text: string, where: string): CommittedState {
  try {
    const json = JSON.parse(text) as StateJson;
    const { cluster, topic, topicId, next } = json.position;
    return {
      commitId: json.commitId,
      sequenceNumber: BigInt(json.sequenceNumber),
      identity: { clusterId: cluster, topic, topicId },
      next: fromJson(next),
      start: fromJson(json.start),
      filtered: fromJson(json.filtered),
      rejects: fromJson(json.rejects),
      pending: json.pending.map(({ commitId, ranges, files }) => ({
        commitId,
        ranges: rangesFromJson(ranges),
        files: files.map(dataFileFromJson),
      })),
    };
  } catch (cause) {
    throw unreadable(where, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function unreadable(where: string, reason: string, cause?: unknown): EnrichError {
  return new EnrichError(
    'fenced',
    `the position that the table holds in its ${where} cannot be read (${reason}); ` +
      `restore it from an older metadata file, or write to a new table`,
    { cause },
  );
}

function toJson(counts: ReadonlyMap<number, bigint>): Record<string, string> {
  return Object.fromEntries([...counts].map(([partition, value]) => [partition, String(value)]));
}

function fromJson(counts: Record<string, string>): Map<number, bigint> {
  return new Map(Object.entries(counts).map(([key, value]) => [Number(key), BigInt(value)]));
}

function rangesToJson(ranges: ReadonlyMap<number, OffsetRange>): Record<string, [string, string]> {
  return Object.fromEntries(
    [...ranges].map(([partition, { start, end }]) => [partition, [String(start), String(end)]]),
  );
}

function rangesFromJson(ranges: Record<string, [string, string]>): Map<number, OffsetRange> {
  return new Map(
    Object.entries(ranges).map(([key, [start, end]]) => [
      Number(key),
      { start: BigInt(start), end: BigInt(end) },
    ]),
  );
}
