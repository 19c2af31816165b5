import { ancestors } from '@iceberg-js/rest-client-shim/spec/snapshot-walk.ts';
import type { Snapshot, TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { VerifyError } from './error.ts';

/**
 * What the table records about a pipeline, read here a second time and on purpose not with the
 * pipeline's own code: a mistake there must not hide itself.
 */
export type OffsetsByPartition = ReadonlyMap<number, bigint>;

export type OffsetRange = { start: bigint; end: bigint };

/** The log that offsets count in. A recreated topic has another id. */
export type RecordedLog = { clusterId: string; topic: string; topicId: string };

/** What is known after a commit: `filtered` and `rejects` count since `start`. */
export type RecordedTotals = {
  next: OffsetsByPartition;
  start: OffsetsByPartition;
  filtered: OffsetsByPartition;
  rejects: OffsetsByPartition;
};

/** One snapshot of the pipeline in the ancestry of `main`. */
export type RecordedCommit = {
  snapshotId: bigint;
  commitId: string;
  log: RecordedLog;
  /** The position after it. */
  next: OffsetsByPartition;
  ranges: ReadonlyMap<number, OffsetRange>;
  rows: number;
  rejects: number;
  filtered: OffsetsByPartition;
  dimensions: ReadonlyMap<string, { topicId: string; next: OffsetsByPartition }>;
  totals: RecordedTotals;
  /** What the snapshot says of itself, as every writer of Iceberg does. */
  addedRows: number;
  /** Of the table as it was then. */
  schemaId: number | undefined;
};

/** A data file of rejects that the dead-letter table may still lack. */
type PendingFile = { location: string; fileSizeBytes: bigint; recordCount: bigint };

/** The table property: it survives the expiry of snapshots. */
export type RecordedState = RecordedTotals & {
  commitId: string;
  sequenceNumber: bigint;
  log: RecordedLog;
  pendingFiles: readonly PendingFile[];
};

const PREFIX = 'tributary.';

/** The names of all pipelines that have written to this table. */
export function recordedPipelines(metadata: TableMetadata): string[] {
  const names = Object.keys(metadata.properties).filter((name) => name.startsWith(PREFIX));
  return names.map((name) => name.slice(PREFIX.length));
}

/** Reads the table property. Errors: `config` where there is none, `corrupt` where it cannot be read. */
export function recordedState(metadata: TableMetadata, pipeline: string): RecordedState {
  const text = metadata.properties[PREFIX + pipeline];
  if (text === undefined) {
    throw new VerifyError('config', `no pipeline "${pipeline}" has committed to this table yet`);
  }
  return readable(`property ${PREFIX}${pipeline}`, () => stateOf(JSON.parse(text) as StateJson));
}

/** The pipeline's snapshots that have not expired, oldest first. Errors: `corrupt`. */
export function recordedCommits(metadata: TableMetadata, pipeline: string): RecordedCommit[] {
  const own = [...ancestors(metadata)].filter(({ summary }) => ownerOf(summary) === pipeline);
  return own.toReversed().map(commitOf);
}

/** The pipeline that made a snapshot; undefined for another writer. */
export function ownerOf(summary: Snapshot['summary']): string | undefined {
  return summary[`${PREFIX}pipeline`];
}

/**
 * The snapshots of other pipelines in the same table: their files have rows of another log, or of the same
 * one read again under another name.
 */
export function snapshotsOfOthers(metadata: TableMetadata, pipeline: string): ReadonlySet<bigint> {
  const others = metadata.snapshots.filter(
    ({ summary }) => (ownerOf(summary) ?? pipeline) !== pipeline,
  );
  return new Set(others.map(({ snapshotId }) => snapshotId));
}

/**
 * What other writers took out of the table, oldest first, in words: it is missing now, and was there. A rewrite that
 * keeps all rows is no such snapshot. Source: Iceberg table spec, "Snapshots" (`operation`) and "Optional Snapshot
 * Summary Fields".
 */
export function removalsOfOthers(metadata: TableMetadata): string[] {
  const removals: string[] = [];
  for (const { snapshotId, timestampMs, summary } of ancestors(metadata)) {
    if (ownerOf(summary) !== undefined) continue;
    const { operation } = summary;
    if (operation !== 'delete' && operation !== 'overwrite') continue;
    const rows =
      Number(summary['deleted-records'] ?? 0) + Number(summary['added-position-deletes'] ?? 0);
    const files = Number(summary['deleted-data-files'] ?? 0);
    const at = new Date(timestampMs).toISOString();
    removals.push(
      `snapshot ${snapshotId} of another writer (${operation}, ${at}) took out ${rows} rows and ${files} data files`,
    );
  }
  return removals.toReversed();
}

/** Whether the ancestry of `main` is there back to the table's first snapshot. */
export function isAncestryWhole(metadata: TableMetadata): boolean {
  const oldest = [...ancestors(metadata)].at(-1);
  return oldest === undefined || oldest.parentSnapshotId === undefined;
}

/** The sum of counts by partition. */
export function total(counts: OffsetsByPartition): number {
  return [...counts.values()].reduce((sum, count) => sum + Number(count), 0);
}

type OffsetsJson = Record<string, string | number>;

type PositionJson = { cluster: string; topic: string; topicId: string; next: OffsetsJson };

type StateJson = {
  commitId: string;
  sequenceNumber: string;
  position: PositionJson;
  start: OffsetsJson;
  filtered: OffsetsJson;
  rejects: OffsetsJson;
  pending: { files: { location: string; fileSizeBytes: string; recordCount: string }[] }[];
};

function stateOf(json: StateJson): RecordedState {
  return {
    commitId: json.commitId,
    sequenceNumber: BigInt(json.sequenceNumber),
    log: logOf(json.position),
    next: offsets(json.position.next),
    start: offsets(json.start),
    filtered: offsets(json.filtered),
    rejects: offsets(json.rejects),
    pendingFiles: json.pending.flatMap(({ files }) =>
      files.map(({ location, fileSizeBytes, recordCount }) => ({
        location,
        fileSizeBytes: BigInt(fileSizeBytes),
        recordCount: BigInt(recordCount),
      })),
    ),
  };
}

function commitOf({ summary, snapshotId, schemaId }: Snapshot): RecordedCommit {
  const parsed = (name: string): unknown => JSON.parse(summary[PREFIX + name] ?? '');
  return readable(`snapshot ${snapshotId}`, () => {
    const position = parsed('position') as PositionJson;
    const ranges = parsed('ranges') as Record<string, [string, string]>;
    const counts = parsed('counts') as { rows: number; rejects: number; filtered: OffsetsJson };
    const dimensions = parsed('dimensions') as Record<
      string,
      { topicId: string; next: OffsetsJson }
    >;
    return {
      snapshotId,
      schemaId,
      commitId: summary[`${PREFIX}commit-id`] ?? '',
      log: logOf(position),
      next: offsets(position.next),
      ranges: new Map(
        Object.entries(ranges).map(([partition, [start, end]]) => [
          Number(partition),
          { start: BigInt(start), end: BigInt(end) },
        ]),
      ),
      rows: counts.rows,
      rejects: counts.rejects,
      filtered: offsets(counts.filtered),
      dimensions: new Map(
        Object.entries(dimensions).map(([name, { topicId, next }]) => [
          name,
          { topicId, next: offsets(next) },
        ]),
      ),
      totals: stateOf(parsed('state') as StateJson),
      addedRows: Number(summary['added-records'] ?? 0),
    };
  });
}

function logOf({ cluster, topic, topicId }: PositionJson): RecordedLog {
  return { clusterId: cluster, topic, topicId };
}

function offsets(json: OffsetsJson): Map<number, bigint> {
  return new Map(
    Object.entries(json).map(([partition, value]) => [Number(partition), BigInt(value)]),
  );
}

function readable<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new VerifyError('corrupt', `${where} cannot be read: ${reason}`, { cause });
  }
}
