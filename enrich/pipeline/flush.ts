import { judgeAppend } from '../core/acceptance.ts';
import type { BatchClaim } from '../core/acceptance.ts';
import type { ClickBatch } from '../core/click-batch.ts';
import { deadLetterBatch } from '../core/dead-letters.ts';
import { joinBatch } from '../core/join.ts';
import type { JoinTarget } from '../core/join.ts';
import { readCommitted } from '../core/position.ts';
import type { LogIdentity, OffsetRange, PendingRejects } from '../core/position.ts';
import type { Position } from '../source/log.ts';
import { appendToTable, writeFiles } from './append-to-table.ts';
import type { LakeContext } from './append-to-table.ts';
import { deadLetterOwner } from './forgotten-commits.ts';
import type { PipelineTables } from './tables.ts';

/** What a flush needs; one object for the life of a pipeline. */
export type FlushContext = LakeContext & {
  pipeline: string;
  identity: LogIdentity;
  tables: PipelineTables;
  joinTarget: JoinTarget;
  /** Positions of the dimension topics that the projections stand at, read in the tick of the join. */
  dimensionPositions: () => ReadonlyMap<string, { topicId: string; next: Position }>;
  /** Commits whose pending rejects have reached the dead-letter table. */
  settled: Set<string>;
};

/** `lostRaces` counts the commits of others that came first. */
export type FlushOutcome =
  { kind: 'committed'; lostRaces: number } | { kind: 'dropped'; reason: string };

/**
 * Joins a batch, writes its files and commits it: exactly once, or dropped because the table has moved on
 * without it. Infrastructure that is away is waited for, visibly, until the signal; nothing is lost by
 * that, since the position moves only with the commit. The files of a dropped batch become orphans.
 */
export async function flushBatch(
  context: FlushContext,
  batch: ClickBatch,
  signal: AbortSignal,
): Promise<FlushOutcome> {
  const { clock, metrics } = context;
  const startedMs = clock.elapsedMs();
  const commitId = clock.newId();
  const { batch: columns, hits } = joinBatch(batch, context.joinTarget, clock.nowMs());
  const dimensions = context.dimensionPositions();
  const joinedMs = clock.elapsedMs();
  metrics.commitSeconds.observe({ step: 'join' }, (joinedMs - startedMs) / 1000);
  const files = await writeFiles(context, {
    table: context.tables.events,
    batch: columns,
    commitId,
    signal,
  });
  const pending = await writeRejects(context, batch, commitId, signal);
  const writtenMs = clock.elapsedMs();
  metrics.commitSeconds.observe({ step: 'write' }, (writtenMs - joinedMs) / 1000);
  const claim = claimOf(context, { batch, commitId, dimensions, pending });
  const outcome = await appendToTable(context, {
    table: context.tables.events,
    commitId,
    files,
    decide: (metadata) => judgeAppend(metadata, claim),
    signal,
  });
  metrics.commitSeconds.observe({ step: 'commit' }, (clock.elapsedMs() - writtenMs) / 1000);
  if (outcome.kind === 'dropped') return { kind: 'dropped', reason: outcome.reason };
  context.settled.clear();
  observeCommit(context, batch, hits);
  context.logger.info('committed', {
    table: context.tables.events.identifier.name,
    rows: batch.rows.rowCount,
    rejects: batch.rejects.length,
    // Not known of a commit that was found in the table: others may stand on it by now.
    ...(outcome.kind === 'committed' ? { snapshotId: outcome.snapshotId } : {}),
    seconds: Math.round(clock.elapsedMs() - startedMs) / 1000,
  });
  tellOfRejects(context, batch);
  if (pending !== undefined) await settleRejects(context, pending, signal);
  return { kind: 'committed', lostRaces: outcome.lostRaces };
}

/** Appends pending rejects to the dead-letter table, once: found there already is as good. */
export async function settleRejects(
  context: FlushContext,
  pending: PendingRejects,
  signal: AbortSignal,
): Promise<void> {
  const rejects = new Map([...pending.ranges.keys()].map((partition) => [partition, 0n]));
  const rows = Number(pending.files.reduce((sum, file) => sum + file.recordCount, 0n));
  const owner = ownerOfRejects(context);
  const claim: BatchClaim = {
    pipeline: owner,
    commitId: pending.commitId,
    identity: context.identity,
    ranges: pending.ranges,
    rows,
    rejects,
    filtered: new Map(),
    dimensions: new Map(),
    pending: undefined,
    settled: new Set(),
    forgottenCommitId: context.forgotten.get(owner),
  };
  await appendToTable(context, {
    table: context.tables.deadLetter,
    commitId: pending.commitId,
    files: pending.files,
    decide: (metadata) => judgeAppend(metadata, claim, 'gaps-allowed'),
    signal,
  });
  context.settled.add(pending.commitId);
}

function ownerOfRejects({ pipeline, identity }: FlushContext): string {
  return deadLetterOwner({ pipeline, topicId: identity.topicId });
}

async function writeRejects(
  context: FlushContext,
  batch: ClickBatch,
  commitId: string,
  signal: AbortSignal,
): Promise<PendingRejects | undefined> {
  const { clock, tables, forgotten } = context;
  if (batch.rejects.length === 0) return undefined;
  // It is ahead only where the events table was rolled back or dropped: what lies below stands in it.
  const owner = ownerOfRejects(context);
  const settled = readCommitted(tables.deadLetter.metadata, owner, forgotten.get(owner))?.next;
  const rejects = batch.rejects.filter(
    ({ partition, offset }) => offset >= (settled?.get(partition) ?? 0n),
  );
  if (rejects.length === 0) return undefined;
  const columns = deadLetterBatch({
    rejects,
    topicId: context.identity.topicId,
    fieldIds: tables.deadLetter.fieldIds,
    ingestedAtMs: clock.nowMs(),
  });
  const files = await writeFiles(context, {
    table: tables.deadLetter,
    batch: columns,
    commitId,
    signal,
  });
  const ranges = new Map<number, OffsetRange>();
  for (const { partition } of rejects) {
    const range = batch.ranges.get(partition);
    if (range === undefined) continue;
    const from = settled?.get(partition) ?? range.start;
    ranges.set(partition, { ...range, start: from > range.start ? from : range.start });
  }
  return { commitId, ranges, files };
}

function claimOf(
  context: FlushContext,
  made: {
    batch: ClickBatch;
    commitId: string;
    dimensions: BatchClaim['dimensions'];
    pending: PendingRejects | undefined;
  },
): BatchClaim {
  const { batch, commitId, dimensions, pending } = made;
  const rejects = new Map<number, bigint>();
  for (const { partition } of batch.rejects) {
    rejects.set(partition, (rejects.get(partition) ?? 0n) + 1n);
  }
  return {
    pipeline: context.pipeline,
    commitId,
    identity: context.identity,
    ranges: batch.ranges,
    rows: batch.rows.rowCount,
    rejects,
    filtered: batch.filtered,
    dimensions,
    pending,
    settled: new Set(context.settled),
    forgottenCommitId: context.forgotten.get(context.pipeline),
  };
}

/** Few rejects are normal; where they are a tenth of a batch, something upstream is wrong. */
const TELLING_REJECT_SHARE = 0.1;

function tellOfRejects({ logger }: FlushContext, batch: ClickBatch): void {
  const rejects = batch.rejects.length;
  const records = batch.rows.rowCount + rejects;
  if (rejects === 0 || rejects < TELLING_REJECT_SHARE * records) return;
  const kinds: Record<string, number> = {};
  for (const { kind } of batch.rejects) kinds[kind] = (kinds[kind] ?? 0) + 1;
  const example = batch.rejects[0]?.message;
  logger.warn('many records were refused: they are in the dead-letter table', {
    rejects,
    records,
    kinds,
    example,
  });
}

function observeCommit(
  { metrics, clock, joinTarget }: FlushContext,
  batch: ClickBatch,
  hits: ReadonlyMap<string, number>,
): void {
  const rows = batch.rows.rowCount;
  const nowMs = clock.nowMs();
  metrics.events.inc({ outcome: 'row' }, rows);
  metrics.events.inc({ outcome: 'reject' }, batch.rejects.length);
  for (const count of batch.filtered.values()) {
    metrics.events.inc({ outcome: 'filtered' }, Number(count));
  }
  for (const { name } of joinTarget.dimensions) {
    const hit = hits.get(name) ?? 0;
    metrics.joined.inc({ dimension: name, match: 'hit' }, hit);
    metrics.joined.inc({ dimension: name, match: 'miss' }, rows - hit);
  }
  metrics.lastCommit.set(nowMs / 1000);
  if (batch.oldestTimestampMs !== undefined) {
    metrics.freshness.observe(Math.max(0, nowMs - batch.oldestTimestampMs) / 1000);
  }
}
