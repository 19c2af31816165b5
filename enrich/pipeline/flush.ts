import type { AppendVerdict } from '@iceberg-js/rest-client-shim/commit/append.ts';
import type { DataFile } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { layoutOf } from '@iceberg-js/rest-client-shim/write/write-data-files.ts';
import { judgeAppend } from '../core/acceptance.ts';
import type { BatchClaim } from '../core/acceptance.ts';
import { readCommitted } from '../core/position.ts';
import type { LogIdentity, PendingRejects } from '../core/position.ts';
import type { Position } from '../source/log.ts';
import type { DimensionState } from '../state/dimension-state.ts';
import { accountOfAll } from '../worker/sealed-account.ts';
import { appendToTable } from './append-to-table.ts';
import type { LakeContext } from './append-to-table.ts';
import type { SealedPart } from './click-crew.ts';
import { deadLetterOwner } from './forgotten-commits.ts';
import { isSamePlan, plannedLayout } from './plan-table.ts';
import type { TablePlan } from './plan-table.ts';
import { retryUntilAvailable } from './retry.ts';
import type { StreamEvolution } from './stream-evolution.ts';
import type { PipelineTables } from './tables.ts';

type CommitAccount = ReturnType<typeof accountOfAll>;

/** What a flush needs; one object for the life of a pipeline. */
export type FlushContext = LakeContext & {
  pipeline: string;
  identity: LogIdentity;
  tables: PipelineTables;
  dimensionNames: readonly string[];
  state: Pick<DimensionState, 'position' | 'projectionMemory' | 'holdProjections'>;
  evolution: Pick<StreamEvolution, 'plan'>;
  /** Commits whose pending rejects have reached the dead-letter table. */
  settled: Set<string>;
};

/**
 * `lostRaces` counts the commits of others that came first, `position` is where the committed ranges end; `nothing`
 * where no offset was taken.
 */
export type FlushOutcome =
  | { kind: 'committed'; lostRaces: number; position: Position }
  | { kind: 'dropped'; reason: string }
  | { kind: 'nothing' };

/** A table whose schema changes more often than this under one commit is somebody's to look at: it starts over. */
const REWRITES_MAX = 10;

/** What becomes one commit, whatever it takes. */
type Flight = {
  parts: readonly SealedPart[];
  account: CommitAccount;
  commitId: string;
  /** A number that no try to write has had before. */
  newAttempt: () => number;
  signal: AbortSignal;
};

/**
 * Has every worker join and write what it has sealed, and commits all of it at once: exactly once, or dropped because
 * the table has moved on without it. Columns that rows need and the table lacks come in the very commit that carries
 * them; where others have changed its schema meanwhile, all is written again with the ids that it has now. Infrastructure
 * that is away is waited for, visibly, until the signal; nothing is lost by that, since the position moves only with the
 * commit. The files of what is dropped or written again become orphans.
 */
export async function flushBatches(
  context: FlushContext,
  parts: readonly SealedPart[],
  signal: AbortSignal,
): Promise<FlushOutcome> {
  if (parts.length === 0) return { kind: 'nothing' };
  const startedMs = context.clock.elapsedMs();
  const account = accountOfAll(parts.map(({ batch }) => batch));
  const commitId = context.clock.newId();
  let attempts = 0;
  const flight = { parts, account, commitId, newAttempt: () => attempts++, signal };
  let lostRaces = 0;
  for (let rewrites = 0; rewrites <= REWRITES_MAX; rewrites += 1) {
    const { outcome, hits, pending } = await commitOnce(context, flight);
    lostRaces += outcome.lostRaces;
    if (outcome.kind === 'dropped') return { kind: 'dropped', reason: outcome.reason };
    if (outcome.kind === 'rewrite') continue;
    context.settled.clear();
    observeCommit(context, account, hits);
    context.logger.info('committed', {
      table: context.tables.events.identifier.name,
      rows: account.rows,
      rejects: countOf(account.rejectKinds),
      // Not known of a commit that was found in the table: others may stand on it by now.
      ...(outcome.kind === 'committed' ? { snapshotId: outcome.snapshotId } : {}),
      seconds: Math.round(context.clock.elapsedMs() - startedMs) / 1000,
    });
    tellOfRejects(context, account);
    if (pending !== undefined) await settleRejects(context, pending, signal);
    const position = new Map([...account.ranges].map(([partition, { end }]) => [partition, end]));
    return { kind: 'committed', lostRaces, position };
  }
  return { kind: 'dropped', reason: 'the schema of the table changes all the time' };
}

/** Joins and writes for the table as it was last seen, and commits unless its schema asks for other files. */
async function commitOnce(context: FlushContext, flight: Flight) {
  const { clock, metrics, tables } = context;
  const { parts, account, commitId, signal } = flight;
  const startedMs = clock.elapsedMs();
  const plan = context.evolution.plan(account.schemaIds, tables.events.metadata);
  const { hits, dimensions } = await join(context, parts, plan);
  const joinedMs = clock.elapsedMs();
  metrics.commitSeconds.observe({ step: 'join' }, (joinedMs - startedMs) / 1000);
  const { files, pending } = await write(context, flight, plan);
  const writtenMs = clock.elapsedMs();
  metrics.commitSeconds.observe({ step: 'write' }, (writtenMs - joinedMs) / 1000);
  const claim = claimOf(context, { account, commitId, dimensions, pending });
  const outcome = await appendToTable(context, {
    table: tables.events,
    commitId,
    files,
    decide: (metadata) =>
      planned(context, { plan, account }, metadata, judgeAppend(metadata, claim)),
    signal,
  });
  metrics.commitSeconds.observe({ step: 'commit' }, (clock.elapsedMs() - writtenMs) / 1000);
  return { outcome, hits, pending };
}

/** An append with what becomes of the schema of this very parent; where that asks for other files, none. */
function planned(
  { evolution }: FlushContext,
  written: { plan: TablePlan; account: CommitAccount },
  metadata: TableMetadata,
  verdict: AppendVerdict,
): AppendVerdict {
  const { plan, account } = written;
  if (verdict.kind !== 'append' || account.rows === 0) return verdict;
  const now = evolution.plan(account.schemaIds, metadata);
  return isSamePlan(plan, now) ? { ...verdict, evolution: now.evolution } : { kind: 'rewrite' };
}

/**
 * All workers join while no projection changes: every row of the commit sees one state, that of the positions which it
 * records (INVARIANTS.md 7).
 */
function join(context: FlushContext, parts: readonly SealedPart[], { columns }: TablePlan) {
  const { clock, dimensionNames: names, state } = context;
  return state.holdProjections(async () => {
    const dimensions = dimensionPositions(context);
    const projections = new Map(names.map((name) => [name, state.projectionMemory(name)]));
    const ingestedAtMs = clock.nowMs();
    const joining = parts.map(({ worker, batch: { id } }) =>
      worker.join({ id, ingestedAtMs, columns, projections }),
    );
    // Also where one fails: the others read the projections until they are done.
    await Promise.allSettled(joining);
    const joined = await Promise.all(joining);
    const hits = new Map<string, number>();
    for (const [name, count] of joined.flatMap((one) => [...one])) {
      hits.set(name, (hits.get(name) ?? 0) + count);
    }
    return { hits, dimensions };
  });
}

/** Positions of the dimension topics that the projections stand at. */
function dimensionPositions({ dimensionNames, state }: FlushContext): BatchClaim['dimensions'] {
  return new Map(
    dimensionNames.map((name) => {
      const position = state.position(name);
      return [name, { topicId: position?.topicId ?? '', next: position?.next ?? new Map() }];
    }),
  );
}

/** All workers write their files, each waiting while the store is away. */
async function write(
  context: FlushContext,
  { parts, commitId, newAttempt, signal }: Flight,
  plan: TablePlan,
): Promise<{ files: readonly DataFile[]; pending: PendingRejects | undefined }> {
  const { tables, clock, logger, status, forgotten } = context;
  // It is ahead only where the events table was rolled back or dropped: what lies below stands in it.
  const owner = ownerOfRejects(context);
  const settled = readCommitted(tables.deadLetter.metadata, owner, forgotten.get(owner))?.next;
  const written = await Promise.all(
    parts.map(({ worker, name, batch: { id } }) => {
      return retryUntilAvailable({
        what: `writing data files of ${tables.events.identifier.name} (${name})`,
        attempt: () =>
          worker.write({
            id,
            commitId,
            attempt: newAttempt(),
            events: plannedLayout(plan, tables.events.metadata),
            deadLetter: layoutOf(tables.deadLetter.metadata),
            settled: settled ?? new Map(),
          }),
        clock,
        logger,
        signal,
        status,
      });
    }),
  );
  const rejects = written.flatMap((one) => (one.rejects === undefined ? [] : [one.rejects]));
  const pending = {
    commitId,
    ranges: new Map(rejects.flatMap(({ ranges }) => [...ranges])),
    files: rejects.flatMap(({ files }) => files),
  };
  const files = written.flatMap((one) => one.files);
  return { files, pending: rejects.length === 0 ? undefined : pending };
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

function claimOf(
  context: FlushContext,
  made: {
    account: CommitAccount;
    commitId: string;
    dimensions: BatchClaim['dimensions'];
    pending: PendingRejects | undefined;
  },
): BatchClaim {
  const { account, commitId, dimensions, pending } = made;
  const { ranges, rows, rejects, filtered } = account;
  return {
    pipeline: context.pipeline,
    commitId,
    identity: context.identity,
    ranges,
    rows,
    rejects,
    filtered,
    dimensions,
    pending,
    settled: new Set(context.settled),
    forgottenCommitId: context.forgotten.get(context.pipeline),
  };
}

/** Few rejects are normal; where they are a tenth of a batch, something upstream is wrong. */
const TELLING_REJECT_SHARE = 0.1;

function tellOfRejects({ logger }: FlushContext, account: CommitAccount): void {
  const rejects = countOf(account.rejectKinds);
  const records = account.rows + rejects;
  if (rejects === 0 || rejects < TELLING_REJECT_SHARE * records) return;
  logger.warn('many records were refused: they are in the dead-letter table', {
    rejects,
    records,
    kinds: account.rejectKinds,
    example: account.rejectExample,
  });
}

function countOf(kinds: ReadonlyMap<string, number>): number {
  return [...kinds.values()].reduce((sum, count) => sum + count, 0);
}

function observeCommit(
  { metrics, clock, dimensionNames }: FlushContext,
  { rows, rejectKinds, filtered, oldestTimestampMs }: CommitAccount,
  hits: ReadonlyMap<string, number>,
): void {
  const nowMs = clock.nowMs();
  metrics.events.inc({ outcome: 'row' }, rows);
  metrics.events.inc({ outcome: 'reject' }, countOf(rejectKinds));
  for (const count of filtered.values()) {
    metrics.events.inc({ outcome: 'filtered' }, Number(count));
  }
  for (const name of dimensionNames) {
    const hit = hits.get(name) ?? 0;
    metrics.joined.inc({ dimension: name, match: 'hit' }, hit);
    metrics.joined.inc({ dimension: name, match: 'miss' }, rows - hit);
  }
  metrics.lastCommit.set(nowMs / 1000);
  if (oldestTimestampMs !== undefined) {
    metrics.freshness.observe(Math.max(0, nowMs - oldestTimestampMs) / 1000);
  }
}
