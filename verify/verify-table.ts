import { openOffsetSet, type OffsetSet } from './offset-set.ts';
import {
  recordedCommits,
  recordedState,
  type OffsetRange,
  type RecordedCommit,
  type RecordedState,
} from './recorded.ts';
import { openFindings, type Findings, type Report } from './report.ts';
import { rejectBlocks, type TableSource } from './reject-rows.ts';
import { bigintAt, numberAt } from './table-rows.ts';

export type VerifyTableOptions = TableSource & { pipeline: string };

type PartitionCheck = { range: OffsetRange; rows: OffsetSet; rejects: OffsetSet };

const REJECT_COLUMNS = ['_kafka_topic', '_kafka_partition', '_kafka_offset'];
const EXAMPLES_MAX = 5;

/**
 * Checks INVARIANTS.md 5 on the table itself: every offset from the first one taken up to the recorded
 * position is exactly one row, one reject or one counted filter. Reads two columns of each live data
 * file; memory is two bits for each offset. Rows deleted on purpose count as missing.
 * Errors: `config`, `corrupt`, those of the readers.
 */
export async function verifyTable(options: VerifyTableOptions): Promise<Report> {
  const state = recordedState(options.events, options.pipeline);
  const commits = recordedCommits(options.events, options.pipeline);
  const findings = openFindings();
  const partitions = partitionChecks(state);
  const rows = await takeRows(options, partitions, findings);
  const { rejects, others } = await takeRejects(options, state, partitions, findings);
  checkTotals(state, partitions, findings);
  for (const commit of commits) checkCommit(commit, partitions, findings);
  checkChain(commits, findings);
  const offsets = [...partitions.values()].reduce((sum, { range }) => sum + size(range), 0);
  return {
    title: 'every offset is one row, one reject or one counted filter',
    facts: {
      offsets,
      rows,
      rejects,
      filtered: [...state.filtered.values()].reduce((sum, count) => sum + Number(count), 0),
      partitions: partitions.size,
      'commits checked one by one': commits.length,
    },
    findings: findings.list(),
    notes: notesOf(options, commits, others),
  };
}

function notesOf(
  { events, pipeline }: VerifyTableOptions,
  commits: readonly RecordedCommit[],
  otherRejects: number,
): string[] {
  const notes: string[] = [];
  if (otherRejects > 0) {
    notes.push(`${otherRejects} rejects of change topics are not checked: no commit counts them`);
  }
  if (commits.length === 0) {
    notes.push(
      'all snapshots of the pipeline have expired: checked against the table property alone',
    );
  }
  const others = Object.keys(events.properties).filter(
    (key) => key.startsWith('tributary.') && key !== `tributary.${pipeline}`,
  );
  if (others.length > 0) {
    notes.push(`rows of ${others.join(', ')} are in this table too, and cannot be told apart`);
  }
  return notes;
}

function partitionChecks(state: RecordedState): Map<number, PartitionCheck> {
  const checks = new Map<number, PartitionCheck>();
  for (const [partition, end] of state.next) {
    const range = { start: state.start.get(partition) ?? end, end };
    checks.set(partition, { range, rows: openOffsetSet(range), rejects: openOffsetSet(range) });
  }
  return checks;
}

async function takeRows(
  { events, readRows }: VerifyTableOptions,
  partitions: ReadonlyMap<number, PartitionCheck>,
  findings: Findings,
): Promise<number> {
  let taken = 0;
  for await (const block of readRows(events, ['_kafka_partition', '_kafka_offset'])) {
    const partition = block.column('_kafka_partition');
    const offset = block.column('_kafka_offset');
    taken += block.rowCount;
    for (let row = 0; row < block.rowCount; row += 1) {
      const at = { partition: numberAt(partition, row), offset: bigintAt(offset, row) };
      const check = partitions.get(at.partition);
      const example = (): string => `${place(at)} in ${block.location}`;
      switch (check?.rows.add(at.offset) ?? 'outside') {
        case 'again':
          findings.add('doubled rows', example);
          break;
        case 'outside':
          findings.add(outside(check, at.offset, 'rows'), example);
          break;
        case 'added':
          break;
      }
    }
  }
  return taken;
}

async function takeRejects(
  options: VerifyTableOptions,
  state: RecordedState,
  partitions: ReadonlyMap<number, PartitionCheck>,
  findings: Findings,
): Promise<{ rejects: number; others: number }> {
  let [taken, others] = [0, 0];
  for await (const block of rejectBlocks(options, state, REJECT_COLUMNS)) {
    const topic = block.column('_kafka_topic');
    const partition = block.column('_kafka_partition');
    const offset = block.column('_kafka_offset');
    for (let row = 0; row < block.rowCount; row += 1) {
      if (topic[row] !== state.topic) {
        others += 1;
        continue;
      }
      taken += 1;
      const at = { partition: numberAt(partition, row), offset: bigintAt(offset, row) };
      const check = partitions.get(at.partition);
      const example = (): string => `${place(at)} in ${block.location}`;
      switch (check?.rejects.add(at.offset) ?? 'outside') {
        case 'again':
          findings.add('doubled rejects', example);
          break;
        case 'outside':
          findings.add(outside(check, at.offset, 'rejects'), example);
          break;
        case 'added':
          if (check?.rows.has(at.offset) === true) findings.add('both row and reject', example);
          break;
      }
    }
  }
  return { rejects: taken, others };
}

function checkTotals(
  state: RecordedState,
  partitions: ReadonlyMap<number, PartitionCheck>,
  findings: Findings,
): void {
  for (const [partition, { range, rows, rejects }] of partitions) {
    compareAbsent(findings, {
      where: `partition ${partition}, offsets ${range.start} to ${range.end}`,
      absent: size(range) - rows.countWith(rejects, range),
      filtered: Number(state.filtered.get(partition) ?? 0n),
      examples: () => rows.absentFrom(rejects, range, EXAMPLES_MAX),
      kinds: ['missing offsets', 'offsets counted as filtered, but in the table'],
    });
    const expected = state.rejects.get(partition) ?? 0n;
    const found = BigInt(rejects.countWith(rejects, range));
    if (expected !== found) {
      findings.add(
        'partitions whose rejects differ from the count',
        () => `partition ${partition}: ${expected} recorded, ${found} found`,
      );
    }
  }
}

/** Tells which commit the fault lies in; the totals have counted it already. */
function checkCommit(
  commit: RecordedCommit,
  partitions: ReadonlyMap<number, PartitionCheck>,
  findings: Findings,
): void {
  let found = 0;
  for (const [partition, range] of commit.ranges) {
    const check = partitions.get(partition);
    if (check === undefined || range.start < check.range.start || range.end > check.range.end) {
      findings.add('ranges outside the position', () => `${name(commit)}, partition ${partition}`);
      continue;
    }
    const present = check.rows.countWith(check.rejects, range);
    found += present;
    compareAbsent(findings, {
      where: `${name(commit)}, partition ${partition}, offsets ${range.start} to ${range.end}`,
      absent: size(range) - present,
      filtered: Number(commit.filtered.get(partition) ?? 0n),
      examples: () => check.rows.absentFrom(check.rejects, range, EXAMPLES_MAX),
      kinds: ['of these missing, by commit', 'of these in the table, by commit'],
    });
  }
  const expected = commit.rows + commit.rejects;
  if (found !== expected) {
    findings.add(
      'commits whose count differs',
      () => `${name(commit)}: ${expected} rows and rejects recorded, ${found} found`,
    );
  }
}

/** Each commit starts where the one before it ended: nothing was skipped, nothing taken twice. */
function checkChain(commits: readonly RecordedCommit[], findings: Findings): void {
  for (const [i, commit] of commits.entries()) {
    for (const [partition, range] of commit.ranges) {
      const before = commits[i - 1]?.next.get(partition);
      if (before !== undefined && before !== range.start) {
        findings.add(
          'breaks in the chain of commits',
          () => `${name(commit)}, partition ${partition}: from ${range.start}, after ${before}`,
        );
      }
      if (commit.next.get(partition) !== range.end) {
        findings.add(
          'positions that differ from the range',
          () => `${name(commit)}, partition ${partition}: ends at ${range.end}`,
        );
      }
    }
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
    kinds: readonly [missing: string, surplus: string];
  },
): void {
  const { where, absent, filtered, examples, kinds } = seen;
  if (absent > filtered) {
    const of = filtered === 0 ? '' : ` (${filtered} of the absent ones were filtered)`;
    findings.add(kinds[0], () => `${where}: ${examples().join(', ')}${of}`, absent - filtered);
  }
  if (absent < filtered) findings.add(kinds[1], () => where, filtered - absent);
}

function outside(check: PartitionCheck | undefined, offset: bigint, what: string): string {
  const isBefore = check !== undefined && offset < check.range.start;
  return isBefore ? `${what} before the first offset taken` : `${what} at or beyond the position`;
}

function place({ partition, offset }: { partition: number; offset: bigint }): string {
  return `partition ${partition}, offset ${offset}`;
}

function name(commit: RecordedCommit): string {
  return `commit ${commit.commitId} (snapshot ${commit.snapshotId})`;
}

function size(range: OffsetRange): number {
  return Number(range.end - range.start);
}
