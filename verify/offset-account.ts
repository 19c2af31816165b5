import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { openOffsetSet, type OffsetSet } from './offset-set.ts';
import {
  recordedCommits,
  recordedPipelines,
  recordedState,
  type OffsetRange,
  type RecordedCommit,
  type RecordedState,
} from './recorded.ts';
import type { Findings } from './report.ts';
import { nameOf } from './verify-commits.ts';

/** The offsets that a pipeline answers for in one Kafka partition, and which were found as what. */
export type PartitionAccount = { range: OffsetRange; rows: OffsetSet; rejects: OffsetSet };

/** What one pipeline says that the table holds of it, and what was found. */
export type Account = {
  pipeline: string;
  state: RecordedState;
  commits: readonly RecordedCommit[];
  partitions: ReadonlyMap<number, PartitionAccount>;
};

/**
 * An account for each pipeline that has written to the table, the asked one first: a pipeline that was given
 * another name leaves the rows of the old one where they are. Memory: two bits an offset.
 * Errors: `config` where the asked one has none; `corrupt`.
 */
export function openAccounts(metadata: TableMetadata, asked: string): Account[] {
  const others = recordedPipelines(metadata).filter((name) => name !== asked);
  return [asked, ...others].map((pipeline) => {
    const state = recordedState(metadata, pipeline);
    const partitions = new Map<number, PartitionAccount>();
    for (const [partition, end] of state.next) {
      const range = { start: state.start.get(partition) ?? end, end };
      partitions.set(partition, {
        range,
        rows: openOffsetSet(range),
        rejects: openOffsetSet(range),
      });
    }
    return { pipeline, state, commits: recordedCommits(metadata, pipeline), partitions };
  });
}

/** Whether an offset was put into an account; for `outside`, what it lies before or beyond. */
export type Placing = 'added' | 'again' | 'before' | 'beyond';

/** Puts one row or reject into the first account that has room for it. */
export function place(
  accounts: readonly Account[],
  as: 'rows' | 'rejects',
  at: { partition: number; offset: number },
): { placing: Placing; account: PartitionAccount | undefined } {
  let best: { placing: Placing; account: PartitionAccount | undefined } = {
    placing: 'beyond',
    account: undefined,
  };
  for (const { partitions } of accounts) {
    const account = partitions.get(at.partition);
    if (account === undefined) continue;
    const added = account[as].add(at.offset);
    if (added === 'added') return { placing: 'added', account };
    if (added === 'again') best = { placing: 'again', account };
    else if (best.account === undefined) {
      best = { placing: at.offset < account.range.start ? 'before' : 'beyond', account };
    }
  }
  return best;
}

const EXAMPLES_MAX = 5;

/**
 * Compares what was found with what was recorded, in all and for each commit. Accounts that hold rows
 * which cannot be told apart are judged together, in all alone.
 */
export function settleAccounts(
  accounts: readonly Account[],
  areMixed: boolean,
  findings: Findings,
): void {
  if (areMixed) return settleMixed(accounts, findings);
  for (const account of accounts) {
    const of = accounts.length > 1 ? `${account.pipeline}, ` : '';
    for (const [partition, found] of account.partitions) {
      const { range, rows, rejects } = found;
      compareAbsent(findings, {
        where: `${of}partition ${partition}, offsets ${range.start} to ${range.end}`,
        absent: size(range) - rows.countWith(rejects, range),
        filtered: Number(account.state.filtered.get(partition) ?? 0n),
        examples: () => rows.absentFrom(rejects, range, EXAMPLES_MAX),
        kinds: ['missing offsets', 'offsets counted as filtered, but in the table'],
      });
      const expected = Number(account.state.rejects.get(partition) ?? 0n);
      compareRejects(findings, {
        where: `${of}partition ${partition}`,
        expected,
        found: rejects.countWith(rejects, range),
      });
    }
    for (const commit of account.commits) settleCommit(commit, account.partitions, findings);
  }
}

function settleMixed(accounts: readonly Account[], findings: Findings): void {
  const partitions = new Set(accounts.flatMap((account) => [...account.partitions.keys()]));
  for (const partition of partitions) {
    let [absent, filtered, expected, found] = [0, 0, 0, 0];
    const examples: bigint[] = [];
    for (const { partitions: own, state } of accounts) {
      const account = own.get(partition);
      if (account === undefined) continue;
      const { range, rows, rejects } = account;
      absent += size(range) - rows.countWith(rejects, range);
      filtered += Number(state.filtered.get(partition) ?? 0n);
      expected += Number(state.rejects.get(partition) ?? 0n);
      found += rejects.countWith(rejects, range);
      examples.push(...rows.absentFrom(rejects, range, EXAMPLES_MAX));
    }
    const where = `all pipelines, partition ${partition}`;
    compareAbsent(findings, {
      where,
      absent,
      filtered,
      examples: () => examples.slice(0, EXAMPLES_MAX),
      kinds: ['missing offsets', 'offsets counted as filtered, but in the table'],
    });
    compareRejects(findings, { where, expected, found });
  }
}

/** Tells which commit the fault lies in; the totals have counted it already. */
function settleCommit(
  commit: RecordedCommit,
  partitions: ReadonlyMap<number, PartitionAccount>,
  findings: Findings,
): void {
  const found = { rows: 0, rejects: 0 };
  for (const [partition, range] of commit.ranges) {
    const account = partitions.get(partition);
    if (account === undefined || !covers(account.range, range)) {
      const example = (): string => `${nameOf(commit)}, partition ${partition}`;
      findings.add('ranges outside the position', example);
      continue;
    }
    const { rows, rejects } = account;
    found.rows += rows.countWith(rows, range);
    found.rejects += rejects.countWith(rejects, range);
    compareAbsent(findings, {
      where: `${nameOf(commit)}, partition ${partition}, offsets ${range.start} to ${range.end}`,
      absent: size(range) - rows.countWith(rejects, range),
      filtered: Number(commit.filtered.get(partition) ?? 0n),
      examples: () => rows.absentFrom(rejects, range, EXAMPLES_MAX),
      kinds: ['of these missing, by commit', 'of these in the table, by commit'],
    });
  }
  for (const what of ['rows', 'rejects'] as const) {
    if (found[what] === commit[what]) continue;
    findings.add(
      'commits whose count differs',
      () => `${nameOf(commit)}: ${commit[what]} ${what} recorded, ${found[what]} found`,
    );
  }
}

/** Offsets that are neither row nor reject must be as many as were counted as filtered. */
function compareAbsent(
  findings: Findings,
  seen: {
    where: string;
    absent: number;
    filtered: number;
    examples: () => readonly bigint[];
    kinds: readonly [
      missing: 'missing offsets' | 'of these missing, by commit',
      surplus: 'offsets counted as filtered, but in the table' | 'of these in the table, by commit',
    ];
  },
): void {
  const { where, absent, filtered, examples, kinds } = seen;
  if (absent > filtered) {
    const of = filtered === 0 ? '' : ` (${filtered} of the absent ones were filtered)`;
    findings.add(kinds[0], () => `${where}: ${examples().join(', ')}${of}`, absent - filtered);
  }
  if (absent < filtered) findings.add(kinds[1], () => where, filtered - absent);
}

function compareRejects(
  findings: Findings,
  { where, expected, found }: { where: string; expected: number; found: number },
): void {
  if (expected === found) return;
  findings.add(
    'partitions whose rejects differ from the count',
    () => `${where}: ${expected} recorded, ${found} found`,
  );
}

function covers(outer: OffsetRange, inner: OffsetRange): boolean {
  return inner.start >= outer.start && inner.end <= outer.end;
}

function size({ start, end }: OffsetRange): number {
  return Number(end - start);
}
