import { describe, expect, it } from 'vitest';
import { renderCommits } from '../../cli/commit-table.ts';
import type { LedgerLine } from '../../verify/commit-ledger.ts';

const own = (i: number): LedgerLine => ({
  time: `2026-01-02T03:04:${String(i).padStart(2, '0')}.500Z`,
  snapshotId: String(1_000 + i),
  parentSnapshotId: i === 0 ? null : String(999 + i),
  pipeline: 'clicks',
  what: 'rows',
  filesAdded: 1,
  filesRemoved: 0,
  bytesAdded: 2_048,
  rowsAdded: 18,
  account: {
    commitId: `commit-${i}`,
    ranges: { 0: [String(10 * i), String(10 * i + 10)], 1: ['0', '10'] },
    rows: 18,
    rejects: 2,
    filtered: 0,
    dimensions: { urls: { 0: '7' } },
  },
});

const optimize: LedgerLine = {
  ...own(1),
  pipeline: null,
  what: 'rewrite of files',
  filesRemoved: 9,
  account: null,
};

const linesOf = (commits: readonly LedgerLine[], all: boolean): string[] =>
  renderCommits(commits, { all }).split('\n');

describe('the ledger of commits on a terminal', () => {
  it('has a line for each commit, the newest last, aligned', () => {
    const [header = '', rule = '', first = '', last = ''] = linesOf([own(0), optimize], false);
    expect(header.trim().split(/\s+/)).toEqual([
      'time',
      'snapshot',
      'by',
      'rows',
      'rejects',
      'filtered',
      'files',
      'bytes',
      'ranges',
    ]);
    expect(rule).toMatch(/^ +-+/);
    expect(first).toMatch(
      /2026-01-02 03:04:00 +1000 +clicks +18 +2 +0 +1 +2048 +0: 0-10, 1: 0-10$/,
    );
    expect(last).toMatch(/rewrite of files +18 +- +- +\+1 -9 +2048$/);
  });

  it('is folded when it is long, and tells how much and how to see it', () => {
    const commits = Array.from({ length: 30 }, (_, i) => own(i));
    const lines = linesOf(commits, false);
    expect(lines).toHaveLength(2 + 1 + 1 + 10);
    expect(lines[2]).toContain(' 1000 ');
    expect(lines[3]).toBe('  ... 19 more: --commits shows all');
    expect(lines.at(-1)).toContain(' 1029 ');
  });

  it('is whole on request, with parents, commit ids and dimension positions', () => {
    const commits = Array.from({ length: 30 }, (_, i) => own(i));
    const lines = linesOf(commits, true);
    expect(lines).toHaveLength(2 + 30);
    expect(lines.at(-1)).toMatch(/1028 +commit-29 +urls 0: 7$/);
  });

  it('tells of many ranges only how many offsets and partitions they are', () => {
    const ranges = Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [i, ['1000', '1010'] as const]),
    );
    const { account } = own(0);
    if (account === null) throw new Error('no account');
    const wide = { ...own(0), account: { ...account, ranges } };
    expect(linesOf([wide], false).at(-1)).toMatch(/120 offsets of 12 partitions$/);
    expect(linesOf([wide], true).at(-1)).toContain('11: 1000-1010');
  });
});
