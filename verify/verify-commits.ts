import { ancestors } from '@iceberg-js/rest-client-shim/spec/snapshot-walk.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { commitLedger } from './commit-ledger.ts';
import {
  isAncestryWhole,
  recordedCommits,
  recordedPipelines,
  recordedState,
  type OffsetsByPartition,
  type RecordedCommit,
  type RecordedLog,
  type RecordedState,
  type RecordedTotals,
  total,
} from './recorded.ts';
import { openFindings, type Findings, type Report } from './report.ts';

export type VerifyCommitsOptions = {
  table: 'events' | 'dead letters';
  metadata: TableMetadata;
};

/** One owner of positions in the table: a pipeline; in the dead-letter table one for each topic. */
type Owner = {
  name: string;
  metadata: TableMetadata;
  state: RecordedState;
  commits: readonly RecordedCommit[];
  /** Batches without rejects do not touch the dead-letter table. */
  allowsGaps: boolean;
};

/**
 * Checks what the commits of a table say about themselves, by metadata alone: each starts where the one
 * before it ended (INVARIANTS.md 3), its position and totals are those before it and its own together, the
 * table property is that of the newest (INVARIANTS.md 2), and all count in one log (INVARIANTS.md 9). The
 * report has the ledger of all commits, also of other writers.
 * Errors: `corrupt` for what is recorded but cannot be read.
 */
export function verifyCommits({ table, metadata }: VerifyCommitsOptions): Report {
  const findings = openFindings();
  const notes: string[] = [];
  const owners = recordedPipelines(metadata).map((name): Owner => ({
    name,
    metadata,
    state: recordedState(metadata, name),
    commits: recordedCommits(metadata, name),
    allowsGaps: table === 'dead letters',
  }));
  for (const owner of owners) {
    checkNewest(owner, findings);
    checkChain(owner, findings);
    checkTotals(owner, findings);
    for (const commit of owner.commits) checkLogAndCounts(owner, commit, findings);
    notes.push(...notesOf(owner));
  }
  const commits = commitLedger(metadata);
  const own = owners.reduce((sum, owner) => sum + owner.commits.length, 0);
  if (!isAncestryWhole(metadata)) notes.push('older snapshots have expired');
  return {
    title: `the commits of the ${table === 'events' ? 'events' : 'dead-letter'} table follow each other`,
    facts: { commits: own, 'commits of other writers': commits.length - own },
    findings: findings.list(),
    notes,
    commits,
  };
}

/**
 * The property and the newest commit are written by one request. A property that is newer was rolled back, as was
 * one that is newer than any ancestor: only what is older than all that are left can have expired.
 */
function checkNewest({ name, metadata, state, commits }: Owner, findings: Findings): void {
  const newest = commits.at(-1);
  const oldest = [...ancestors(metadata)].at(-1);
  const isKnown = commits.some(({ commitId }) => commitId === state.commitId);
  const isGone =
    newest === undefined
      ? isAncestryWhole(metadata) || state.sequenceNumber > (oldest?.sequenceNumber ?? 0n)
      : !isKnown;
  if (isGone) {
    const shown = newest === undefined ? 'no commit of it' : nameOf(newest);
    findings.add(
      'tables that were rolled back',
      () =>
        `${name}: the property records commit ${state.commitId}, the current snapshot has ${shown}`,
    );
    return;
  }
  if (newest === undefined) return;
  const differences = [
    ...(newest.commitId === state.commitId ? [] : ['commit id']),
    ...(sameLog(newest.log, state.log) ? [] : ['log']),
    ...(sameOffsets(newest.next, state.next) ? [] : ['position']),
    ...differingTotals(newest.totals, state),
  ];
  if (differences.length > 0) {
    findings.add(
      'properties that differ from the newest commit',
      () => `${name}, ${nameOf(newest)}: ${differences.join(', ')}`,
    );
  }
}

function checkChain({ commits, allowsGaps }: Owner, findings: Findings): void {
  for (const [i, commit] of commits.entries()) {
    for (const [partition, { start, end }] of commit.ranges) {
      const before = commits[i - 1]?.next.get(partition);
      const place = `${nameOf(commit)}, partition ${partition}`;
      if (before !== undefined && start > before && !allowsGaps) {
        const example = (): string => `${place}: from ${start}, but the position was ${before}`;
        findings.add('gaps between commits', example, Number(start - before));
      }
      if (before !== undefined && start < before) {
        const example = (): string => `${place}: from ${start}, but the position was ${before}`;
        findings.add('overlaps between commits', example, Number(before - start));
      }
      const next = commit.next.get(partition);
      if (next !== end) {
        findings.add(
          'positions that differ from the range',
          () => `${place}: the range ends at ${end}, the position is ${next ?? 'unknown'}`,
        );
      }
    }
  }
}

/**
 * Every commit's totals from those before it and what it says of itself; the first one's only where none
 * before it is missing.
 */
function checkTotals({ metadata, commits }: Owner, findings: Findings): void {
  const none: RecordedTotals = {
    next: new Map(),
    start: new Map(),
    filtered: new Map(),
    rejects: new Map(),
  };
  let before = isAncestryWhole(metadata) ? none : undefined;
  for (const commit of commits) {
    if (before !== undefined) {
      const differing = differingTotals(advanced(before, commit), commit.totals);
      const rejects = total(commit.totals.rejects) - total(before.rejects);
      if (rejects !== commit.rejects) differing.push('rejects');
      if (!sameOffsets(commit.next, commit.totals.next)) differing.push('position');
      if (differing.length > 0) {
        const what = [...new Set(differing)].join(', ');
        findings.add('totals that do not add up', () => `${nameOf(commit)}: ${what}`);
      }
    }
    before = commit.totals;
  }
}

/** A commit counts its rejects in all, not by partition: those are taken as they are. */
function advanced(before: RecordedTotals, commit: RecordedCommit): RecordedTotals {
  const next = new Map(before.next);
  const start = new Map(before.start);
  const filtered = new Map(before.filtered);
  for (const [partition, range] of commit.ranges) {
    next.set(partition, range.end);
    if (!start.has(partition)) start.set(partition, range.start);
  }
  for (const [partition, count] of commit.filtered) {
    filtered.set(partition, (filtered.get(partition) ?? 0n) + count);
  }
  return { next, start, filtered, rejects: commit.totals.rejects };
}

function checkLogAndCounts(
  { name, state }: Owner,
  commit: RecordedCommit,
  findings: Findings,
): void {
  if (!sameLog(commit.log, state.log)) {
    const { clusterId, topic, topicId } = commit.log;
    findings.add(
      'commits of another log',
      () => `${name}, ${nameOf(commit)}: topic ${topic} (${topicId}) of cluster ${clusterId}`,
    );
  }
  if (commit.addedRows !== commit.rows) {
    findings.add(
      'snapshot counts that differ',
      () => `${nameOf(commit)}: ${commit.addedRows} rows in the snapshot, ${commit.rows} accounted`,
    );
  }
}

/**
 * Dimension positions may go back: of two processes in one group one is ahead of the other, and each
 * records what its own join saw.
 */
function notesOf({ name, commits }: Owner): string[] {
  let back = 0;
  for (const [i, { dimensions }] of commits.entries()) {
    const before = commits[i - 1]?.dimensions;
    const goesBack = [...dimensions].some(([dimension, { topicId, next }]) => {
      const known = before?.get(dimension);
      if (known === undefined || known.topicId !== topicId) return false;
      return [...known.next].some(([partition, offset]) => (next.get(partition) ?? 0n) < offset);
    });
    if (goesBack) back += 1;
  }
  if (back === 0) return [];
  return [
    `${name}: ${back} commits saw dimensions at earlier positions than the commit before them did; ` +
      'that is usual with several processes, and unusual with one',
  ];
}

const TOTALS = ['next', 'start', 'filtered', 'rejects'] as const;

function differingTotals(left: RecordedTotals, right: RecordedTotals): string[] {
  return TOTALS.filter((name) => !sameOffsets(left[name], right[name])).map((name) =>
    name === 'next' ? 'position' : name,
  );
}

/** A partition that is not mentioned counts as 0. */
function sameOffsets(left: OffsetsByPartition, right: OffsetsByPartition): boolean {
  const partitions = new Set([...left.keys(), ...right.keys()]);
  return [...partitions].every((at) => (left.get(at) ?? 0n) === (right.get(at) ?? 0n));
}

function sameLog(left: RecordedLog, right: RecordedLog): boolean {
  return (
    left.clusterId === right.clusterId &&
    left.topic === right.topic &&
    left.topicId === right.topicId
  );
}

/**
 * For an events table that knows nothing of the pipeline: a report where the dead-letter table has rejects
 * that an events table decided on, so that there must have been another one under this name.
 */
export function reportRecreated(of: {
  pipeline: string;
  deadLetter: TableMetadata | undefined;
}): Report | undefined {
  const { pipeline, deadLetter } = of;
  if (deadLetter === undefined) return undefined;
  // The stream's rejects are kept under pipeline and topic id, those of a dimension's topic under three names.
  const isOfStream = (name: string): boolean =>
    name.startsWith(`${pipeline}.`) && !name.slice(pipeline.length + 1).includes('.');
  const owner = recordedPipelines(deadLetter).find(isOfStream);
  if (owner === undefined) return undefined;
  const findings = openFindings();
  const { commitId, log } = recordedState(deadLetter, owner);
  findings.add(
    'tables that were recreated',
    () => `commit ${commitId} put rejects of topic ${log.topic} (${log.topicId}) beside it`,
  );
  return {
    title: 'the events table is the one that the pipeline wrote to',
    facts: {},
    findings: findings.list(),
    notes: [],
  };
}

/** A commit as examples name it. */
export function nameOf(commit: RecordedCommit): string {
  return `commit ${commit.commitId} (snapshot ${commit.snapshotId})`;
}
