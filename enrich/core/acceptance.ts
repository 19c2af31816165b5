import type { AppendVerdict } from '@iceberg-js/rest-client-shim/commit/append.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { EnrichError } from '../error.ts';
import type { Position } from '../source/log.ts';
import { describeCommit, readCommitted, standsInAncestry } from './position.ts';
import type { CommittedState, LogIdentity, OffsetRange, PendingRejects } from './position.ts';

/** What one batch of ours claims: these ranges, all of them and nothing else. */
export type BatchClaim = {
  pipeline: string;
  commitId: string;
  identity: LogIdentity;
  ranges: ReadonlyMap<number, OffsetRange>;
  rows: number;
  rejects: ReadonlyMap<number, bigint>;
  filtered: ReadonlyMap<number, bigint>;
  /** Positions of the dimension topics that the join saw. */
  dimensions: ReadonlyMap<string, { topicId: string; next: Position }>;
  /** Present when the batch has rejects: their files, decided on by this very commit. */
  pending: PendingRejects | undefined;
  /** Commits whose pending rejects are known to stand in the dead-letter table. */
  settled: ReadonlySet<string>;
  forgottenCommitId: string | undefined;
};

/**
 * The acceptance rule (INVARIANTS.md 3): a batch lands only if, for every partition in it, its start
 * equals the position that this very parent holds. Less means a duplicate or a zombie, more means a gap;
 * both drop the batch. A partition without a position accepts any start: nothing of it was ever taken.
 * The dead-letter table allows gaps: batches without rejects do not touch it, and the events table has
 * decided already what it gets.
 */
export function judgeAppend(
  metadata: TableMetadata,
  claim: BatchClaim,
  gaps: 'gaps-refused' | 'gaps-allowed' = 'gaps-refused',
): AppendVerdict {
  if (standsInAncestry(metadata, claim.pipeline, claim.commitId)) return { kind: 'landed' };
  const committed = readCommitted(metadata, claim.pipeline, claim.forgottenCommitId);
  if (committed?.commitId === claim.commitId) return { kind: 'landed' };
  if (committed !== undefined) assertSameLog(committed.identity, claim.identity);
  for (const [partition, range] of claim.ranges) {
    const expected = committed?.next.get(partition);
    if (expected === undefined || expected === range.start) continue;
    if (expected > range.start || gaps === 'gaps-refused') {
      const relation = range.start < expected ? 'already committed' : 'a gap lies before it';
      return {
        kind: 'drop',
        reason: `partition ${partition} starts at ${range.start}, the table is at ${expected}: ${relation}`,
      };
    }
  }
  const state = advance(committed, claim, metadata.lastSequenceNumber + 1n);
  const { pipeline, ranges, rows, dimensions, filtered } = claim;
  const rejects = Number(sum(claim.rejects));
  const counts = { rows, rejects, filtered };
  return {
    kind: 'append',
    ...describeCommit({ pipeline, state, before: committed, ranges, counts, dimensions }),
  };
}

/**
 * The position that the table holds for this pipeline in this very log; undefined when it never committed.
 * Errors: `fenced` where the table was rolled back or the position counts in another log.
 */
export function committedInLog(
  metadata: TableMetadata,
  owner: { pipeline: string; identity: LogIdentity; forgottenCommitId: string | undefined },
): CommittedState | undefined {
  const committed = readCommitted(metadata, owner.pipeline, owner.forgottenCommitId);
  if (committed !== undefined) assertSameLog(committed.identity, owner.identity);
  return committed;
}

/** Another cluster or a recreated topic makes every stored offset meaningless: `fenced` (INVARIANTS.md 9). */
export function assertSameLog(committed: LogIdentity, actual: LogIdentity): void {
  const { clusterId, topic, topicId } = committed;
  if (clusterId === actual.clusterId && topic === actual.topic && topicId === actual.topicId) {
    return;
  }
  const what =
    clusterId !== actual.clusterId
      ? `Kafka cluster ${actual.clusterId} is not the cluster ${clusterId}`
      : topic !== actual.topic
        ? `topic ${actual.topic} is not the topic ${topic}`
        : `topic ${topic} was recreated: its id ${actual.topicId} is not the id ${topicId}`;
  throw new EnrichError(
    'fenced',
    `${what} that the table's position counts in. Its offsets mean nothing here: point the pipeline at the ` +
      `old log, or give it another name in pipeline.yaml to read the new log from its start into the same table`,
    { context: { committed, actual } },
  );
}

function advance(
  committed: CommittedState | undefined,
  claim: BatchClaim,
  sequenceNumber: bigint,
): CommittedState {
  const next = new Map(committed?.next);
  const start = new Map(committed?.start);
  for (const [partition, range] of claim.ranges) {
    next.set(partition, range.end);
    if (!start.has(partition)) start.set(partition, range.start);
  }
  const unsettled = (committed?.pending ?? []).filter(
    (entry) => !claim.settled.has(entry.commitId),
  );
  return {
    commitId: claim.commitId,
    sequenceNumber,
    identity: claim.identity,
    next,
    start,
    filtered: added(committed?.filtered, claim.filtered),
    rejects: added(committed?.rejects, claim.rejects),
    pending: claim.pending === undefined ? unsettled : [...unsettled, claim.pending],
  };
}

function added(
  before: ReadonlyMap<number, bigint> | undefined,
  more: ReadonlyMap<number, bigint>,
): Map<number, bigint> {
  const total = new Map(before);
  for (const [partition, count] of more) {
    if (count !== 0n) total.set(partition, (total.get(partition) ?? 0n) + count);
  }
  return total;
}

function sum(counts: ReadonlyMap<number, bigint>): bigint {
  let total = 0n;
  for (const count of counts.values()) total += count;
  return total;
}
