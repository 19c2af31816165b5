import { ancestors } from '@iceberg-js/rest-client-shim/spec/snapshot-walk.ts';
import type { Snapshot, TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { VerifyError } from './error.ts';

/**
 * What the table records about a pipeline, read here a second time and on purpose not with the
 * pipeline's own code: a mistake there must not hide itself.
 */
type OffsetsByPartition = ReadonlyMap<number, bigint>;

export type OffsetRange = { start: bigint; end: bigint };

/** One snapshot of the pipeline in the ancestry of `main`. */
export type RecordedCommit = {
  snapshotId: bigint;
  commitId: string;
  /** The position after it. */
  next: OffsetsByPartition;
  ranges: ReadonlyMap<number, OffsetRange>;
  rows: number;
  rejects: number;
  filtered: OffsetsByPartition;
  dimensions: ReadonlyMap<string, { topicId: string; next: OffsetsByPartition }>;
};

/** The table property: it survives the expiry of snapshots. */
export type RecordedState = {
  commitId: string;
  topic: string;
  next: OffsetsByPartition;
  start: OffsetsByPartition;
  /** Since `start`, like `rejects`. */
  filtered: OffsetsByPartition;
  rejects: OffsetsByPartition;
  /** Data files of rejects that the dead-letter table may still lack. */
  pendingFiles: readonly string[];
};

/** Reads the table property. Errors: `config` where there is none, `corrupt` where it cannot be read. */
export function recordedState(metadata: TableMetadata, pipeline: string): RecordedState {
  const text = metadata.properties[`tributary.${pipeline}`];
  if (text === undefined) {
    throw new VerifyError('config', `no pipeline "${pipeline}" has committed to this table yet`);
  }
  return readable(`property tributary.${pipeline}`, () => {
    const json = JSON.parse(text) as {
      commitId: string;
      position: { topic: string; next: Record<string, string> };
      start: Record<string, string>;
      filtered: Record<string, string>;
      rejects: Record<string, string>;
      pending: { files: { location: string }[] }[];
    };
    return {
      commitId: json.commitId,
      topic: json.position.topic,
      next: offsets(json.position.next),
      start: offsets(json.start),
      filtered: offsets(json.filtered),
      rejects: offsets(json.rejects),
      pendingFiles: json.pending.flatMap(({ files }) => files.map(({ location }) => location)),
    };
  });
}

/** The pipeline's snapshots that have not expired, oldest first. Errors: `corrupt`. */
export function recordedCommits(metadata: TableMetadata, pipeline: string): RecordedCommit[] {
  const own = [...ancestors(metadata)].filter(
    ({ summary }) => summary['tributary.pipeline'] === pipeline,
  );
  return own.toReversed().map(commitOf);
}

function commitOf(snapshot: Snapshot): RecordedCommit {
  const { summary, snapshotId } = snapshot;
  return readable(`snapshot ${snapshotId}`, () => {
    const position = JSON.parse(summary['tributary.position'] ?? '') as {
      next: Record<string, string>;
    };
    const ranges = JSON.parse(summary['tributary.ranges'] ?? '') as Record<
      string,
      [string, string]
    >;
    const counts = JSON.parse(summary['tributary.counts'] ?? '') as {
      rows: number;
      rejects: number;
      filtered?: Record<string, string | number>;
    };
    const dimensions = JSON.parse(summary['tributary.dimensions'] ?? '{}') as Record<
      string,
      { topicId: string; next: Record<string, string> }
    >;
    return {
      snapshotId,
      commitId: summary['tributary.commit-id'] ?? '',
      next: offsets(position.next),
      ranges: new Map(
        Object.entries(ranges).map(([partition, [start, end]]) => [
          Number(partition),
          { start: BigInt(start), end: BigInt(end) },
        ]),
      ),
      rows: counts.rows,
      rejects: counts.rejects,
      filtered: offsets(counts.filtered ?? {}),
      dimensions: new Map(
        Object.entries(dimensions).map(([name, { topicId, next }]) => [
          name,
          { topicId, next: offsets(next) },
        ]),
      ),
    };
  });
}

function offsets(json: Record<string, string | number>): Map<number, bigint> {
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
