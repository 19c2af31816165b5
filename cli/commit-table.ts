import type { LedgerLine } from '../verify/commit-ledger.ts';
import { renderTable } from './terminal.ts';

/** Commits that are shown of a long ledger: the first, and the newest. */
const FIRST_LINES = 1;
const LAST_LINES = 10;
const RANGES_LENGTH_MAX = 40;

/**
 * The commits of a table as an aligned table, the newest last. A long ledger is folded unless all of it is
 * asked for; then each commit also shows its parent and the dimension positions that its join saw.
 */
export function renderCommits(commits: readonly LedgerLine[], { all }: { all: boolean }): string {
  const folded = all ? 0 : Math.max(0, commits.length - FIRST_LINES - LAST_LINES);
  const header = [
    'time',
    'snapshot',
    'by',
    'rows',
    'rejects',
    'filtered',
    'files',
    'bytes',
    'ranges',
  ];
  const more = all ? ['parent', 'commit', 'dimensions'] : [];
  const cells = (line: LedgerLine): unknown[] => [
    line.time.replace('T', ' ').replace(/\..*/, ''),
    line.snapshotId,
    line.pipeline ?? line.what,
    line.account?.rows ?? line.rowsAdded,
    line.account?.rejects,
    line.account?.filtered,
    line.filesRemoved === 0 ? line.filesAdded : `+${line.filesAdded} -${line.filesRemoved}`,
    line.bytesAdded,
    rangesOf(line, all ? Infinity : RANGES_LENGTH_MAX),
    ...(all ? [line.parentSnapshotId, line.account?.commitId, dimensionsOf(line)] : []),
  ];
  const shown = [
    ...commits.slice(0, folded === 0 ? commits.length : FIRST_LINES),
    ...(folded === 0 ? [] : commits.slice(-LAST_LINES)),
  ];
  const lines = renderTable([...header, ...more], shown.map(cells)).split('\n');
  // Two lines of heading stand before the first commit.
  if (folded > 0) lines.splice(2 + FIRST_LINES, 0, `  ... ${folded} more: --commits shows all`);
  return lines.join('\n');
}

/** `0: 10-30, 1: 0-8`, each `[start, end)`; of many only how many there are. */
function rangesOf({ account }: LedgerLine, lengthMax: number): string {
  const ranges = Object.entries(account?.ranges ?? {});
  const text = ranges
    .map(([partition, [start, end]]) => `${partition}: ${start}-${end}`)
    .join(', ');
  if (text.length <= lengthMax) return text;
  const offsets = ranges.reduce((sum, [, [start, end]]) => sum + BigInt(end) - BigInt(start), 0n);
  return `${offsets} offsets of ${ranges.length} partitions`;
}

/** `users 0: 17, 1: 4; urls 0: 9`: next offsets. */
function dimensionsOf({ account }: LedgerLine): string {
  return Object.entries(account?.dimensions ?? {})
    .map(([name, next]) => {
      const offsets = Object.entries(next).map(([partition, offset]) => `${partition}: ${offset}`);
      return `${name} ${offsets.join(', ')}`;
    })
    .join('; ');
}
