import { ancestors } from '@iceberg-js/rest-client-shim/spec/snapshot-walk.ts';
import type { Snapshot, TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { ownerOf, recordedCommits, total, type RecordedCommit } from './recorded.ts';

/** One commit of a table, by us or by another. Plain JSON: 64-bit numbers and offsets are texts. */
export type LedgerLine = {
  /** ISO 8601, UTC. */
  time: string;
  snapshotId: string;
  parentSnapshotId: string | null;
  /** The pipeline that committed; null for another writer. */
  pipeline: string | null;
  /** `rows` or `progress` for a pipeline; for others what they did. */
  what: string;
  filesAdded: number;
  filesRemoved: number;
  bytesAdded: number;
  rowsAdded: number;
  /** What a pipeline of ours accounts for; null for another writer. */
  account: null | {
    commitId: string;
    /** `[start, end)` by partition. */
    ranges: Readonly<Record<string, readonly [string, string]>>;
    rows: number;
    rejects: number;
    filtered: number;
    /** The next offset by partition of each dimension's topic that the join saw. */
    dimensions: Readonly<Record<string, Readonly<Record<string, string>>>>;
  };
};

/** The commits in the ancestry of `main` that have not expired, oldest first. Errors: `corrupt`. */
export function commitLedger(metadata: TableMetadata): LedgerLine[] {
  const snapshots = [...ancestors(metadata)].toReversed();
  const owners = new Set(snapshots.flatMap(({ summary }) => ownerOf(summary) ?? []));
  const commits = [...owners].flatMap((owner) => recordedCommits(metadata, owner));
  const commitOf = new Map(commits.map((commit) => [commit.snapshotId, commit]));
  return snapshots.map((snapshot) => lineOf(snapshot, commitOf.get(snapshot.snapshotId)));
}

function lineOf(snapshot: Snapshot, commit: RecordedCommit | undefined): LedgerLine {
  const { summary, snapshotId, parentSnapshotId, timestampMs } = snapshot;
  const count = (name: string): number => Number(summary[name] ?? 0);
  return {
    time: new Date(timestampMs).toISOString(),
    snapshotId: String(snapshotId),
    parentSnapshotId: parentSnapshotId === undefined ? null : String(parentSnapshotId),
    pipeline: ownerOf(summary) ?? null,
    what: commit === undefined ? othersWork(snapshot) : commit.rows > 0 ? 'rows' : 'progress',
    filesAdded: count('added-data-files'),
    filesRemoved: count('deleted-data-files'),
    bytesAdded: count('added-files-size'),
    rowsAdded: count('added-records'),
    account: commit === undefined ? null : accountOf(commit),
  };
}

function accountOf(commit: RecordedCommit): NonNullable<LedgerLine['account']> {
  const { commitId, ranges, rows, rejects, filtered, dimensions } = commit;
  return {
    commitId,
    ranges: Object.fromEntries(
      [...ranges].map(([partition, { start, end }]) => [partition, [String(start), String(end)]]),
    ),
    rows,
    rejects,
    filtered: total(filtered),
    dimensions: Object.fromEntries(
      [...dimensions].map(([name, { next }]) => [
        name,
        Object.fromEntries([...next].map(([partition, offset]) => [partition, String(offset)])),
      ]),
    ),
  };
}

/**
 * What a snapshot of another writer is. A `replace` changes no rows: with data files it is a rewrite
 * (Trino's `optimize`), without it one of the manifests. Source: Iceberg table spec, "Snapshots", `operation`.
 */
function othersWork({ summary }: Snapshot): string {
  const operation = summary['operation'] ?? 'unknown operation';
  if (operation !== 'replace') return operation;
  return summary['added-data-files'] === undefined ? 'rewrite of manifests' : 'rewrite of files';
}
