import { describe, expect, it } from 'vitest';
import type { TableMetadata } from '../../catalog/spec/table-metadata.ts';
import type { Report } from '../../verify/report.ts';
import { reportRecreated, verifyCommits } from '../../verify/verify-commits.ts';
import { benchOf, kindsOf, range, SOUND } from './sound-table.ts';
import { withEntry, withProperty, withSnapshot } from './surgery.ts';
import { rowsAt, type BenchCommit } from './table-bench.ts';

const [FIRST, SECOND] = SOUND;

async function eventsOf(commits: readonly BenchCommit[] = SOUND): Promise<TableMetadata> {
  return (await (await benchOf(commits)).source()).events;
}

/** An edit that replaces some entries. */
const changing =
  (change: Record<string, unknown>) =>
  (json: Record<string, unknown>): Record<string, unknown> => ({ ...json, ...change });

const check = (metadata: TableMetadata): Report => verifyCommits({ table: 'events', metadata });

describe('the commits of a sound table (INVARIANTS.md 2, 3 and 9)', () => {
  it('have no faults, and stand in the ledger with all that they account for', async () => {
    const { findings, facts, notes, commits } = check(await eventsOf());
    expect(findings).toEqual([]);
    expect(notes).toEqual([]);
    expect(facts).toEqual({ commits: 2, 'commits of other writers': 0 });
    expect(commits).toMatchObject([
      {
        pipeline: 'clicks',
        what: 'rows',
        parentSnapshotId: null,
        filesAdded: 1,
        account: {
          commitId: 'clicks-commit-1',
          ranges: { 0: ['10', '30'], 1: ['0', '8'] },
          rows: 24,
          rejects: 1,
          filtered: 3,
          dimensions: { urls: { 0: '5' } },
        },
      },
      { parentSnapshotId: commits?.[0]?.snapshotId, account: { rows: 11, rejects: 0 } },
    ]);
  });

  it('of the dead-letter table may leave offsets out, and none may come twice', async () => {
    const third = { ranges: { 1: [20, 21] as [number, number] }, rejects: rowsAt(1, [20]) };
    const bench = await benchOf([...SOUND, third]);
    const { deadLetter } = await bench.source();
    if (deadLetter === undefined) throw new Error('no dead-letter table');
    expect(verifyCommits({ table: 'dead letters', metadata: deadLetter }).findings).toEqual([]);
    const twice = withEntry(deadLetter, 'tributary.ranges', () => ({ 1: ['7', '21'] }));
    expect(kindsOf(verifyCommits({ table: 'dead letters', metadata: twice }))).toMatchObject({
      'overlaps between commits': 1,
    });
  });

  it('of other writers are named in the ledger, and looked past', async () => {
    const events = await eventsOf([...SOUND, { ranges: {}, rows: [] }]);
    const optimized = withSnapshot(events, (snapshot) => ({
      ...snapshot,
      summary: { operation: 'replace', 'added-data-files': '1', 'deleted-data-files': '2' },
    }));
    const back = withProperty(optimized, () =>
      JSON.parse(events.snapshots[1]?.summary['tributary.state'] ?? ''),
    );
    const { findings, commits, facts } = check(back);
    expect(findings).toEqual([]);
    expect(facts).toEqual({ commits: 2, 'commits of other writers': 1 });
    expect(commits?.[2]).toMatchObject({
      pipeline: null,
      what: 'rewrite of files',
      filesAdded: 1,
      filesRemoved: 2,
      account: null,
    });
  });

  it('may have expired but for the newest', async () => {
    const events = await eventsOf();
    const { findings, notes, commits } = check({ ...events, snapshots: events.snapshots.slice(1) });
    expect(findings).toEqual([]);
    expect(notes).toEqual(['older snapshots have expired']);
    expect(commits).toHaveLength(1);
  });

  it('that saw an earlier position of a dimension are told, not judged', async () => {
    const events = await eventsOf([FIRST, { ...SECOND, dimensions: { urls: { 0: 4 } } }]);
    const { findings, notes } = check(events);
    expect(findings).toEqual([]);
    expect(notes[0]).toMatch(/1 commits saw dimensions at earlier positions/);
  });
});

it('a dimension topic that was recreated starts over, which is no earlier position', async () => {
  const events = await eventsOf([FIRST, { ...SECOND, dimensions: { urls: { 0: 4 } } }]);
  const recreated = withEntry(events, 'tributary.dimensions', () => ({
    urls: { topicId: 'urls-2', next: { 0: '4' } },
  }));
  expect(check(recreated).notes).toEqual([]);
});

describe('a fault between commits is caught', () => {
  it('a commit that starts behind the end of the one before it', async () => {
    const events = await eventsOf([FIRST, { ...SECOND, ranges: { 0: [32, 40], 1: [8, 9] } }]);
    const report = check(events);
    expect(kindsOf(report)).toEqual({ 'gaps between commits': 2 });
    expect(report.findings[0]?.examples[0]).toMatch(/partition 0: from 32, but .* was 30/);
  });

  it('a commit that starts before the end of the one before it', async () => {
    const events = await eventsOf([FIRST, { ...SECOND, ranges: { 0: [27, 40], 1: [8, 9] } }]);
    expect(kindsOf(check(events))).toEqual({ 'overlaps between commits': 3 });
  });

  it('a position that is not where the range ends', async () => {
    const changed = withEntry(await eventsOf(), 'tributary.ranges', () => ({
      0: ['30', '39'],
      1: ['8', '9'],
    }));
    expect(kindsOf(check(changed))).toEqual({
      'positions that differ from the range': 1,
      'totals that do not add up': 1,
    });
  });

  it.each([
    ['filtered', { filtered: { 0: '4' } }],
    ['rejects', { rejects: { 1: '2' } }],
    ['start', { start: { 0: '11', 1: '0' } }],
  ])('a total that does not add up: %s', async (name, change) => {
    const edit = changing(change);
    const events = withProperty(withEntry(await eventsOf(), 'tributary.state', edit), edit);
    const report = check(events);
    expect(kindsOf(report)).toEqual({ 'totals that do not add up': 1 });
    expect(report.findings[0]?.examples[0]).toContain(name);
  });

  it('a first commit whose totals come from nowhere, unless those before it have expired', async () => {
    const edit = changing({ filtered: { 0: '9' } });
    const one = withProperty(withEntry(await eventsOf([FIRST]), 'tributary.state', edit), edit);
    expect(kindsOf(check(one))).toEqual({ 'totals that do not add up': 1 });
    const later = withSnapshot(one, (snapshot) => ({ ...snapshot, parentSnapshotId: 1n }));
    expect(check(later).findings).toEqual([]);
  });

  it('a property that is ahead in its offsets, of the same commit', async () => {
    const events = withProperty(await eventsOf(), (json) => ({
      ...json,
      position: { ...(json['position'] as object), next: { 0: '41', 1: '9' } },
    }));
    const report = check(events);
    expect(kindsOf(report)).toEqual({ 'properties that differ from the newest commit': 1 });
    expect(report.findings[0]?.examples[0]).toContain('position');
  });

  it('a property that is behind: of a commit that is not the newest', async () => {
    const events = await eventsOf();
    const first = events.snapshots[0]?.summary['tributary.state'] ?? '';
    const report = check(withProperty(events, () => JSON.parse(first)));
    expect(kindsOf(report)).toEqual({ 'properties that differ from the newest commit': 1 });
    expect(report.findings[0]?.examples[0]).toContain('commit id');
  });

  it.each([{ cluster: 'another' }, { topicId: 'clicks-2' }, { topic: 'other' }])(
    'a commit whose offsets count in another log: %o',
    async (change) => {
      const edit = changing(change);
      const events = withEntry(await eventsOf(), 'tributary.position', edit, 0);
      expect(kindsOf(check(events))).toEqual({ 'commits of another log': 1 });
    },
  );

  it('a commit that accounts for other rows than its snapshot added', async () => {
    const edit = changing({ rows: 12 });
    const events = withEntry(await eventsOf(), 'tributary.counts', edit);
    expect(kindsOf(check(events))).toEqual({ 'snapshot counts that differ': 1 });
  });
});

describe('a table under which the position does not stand any more', () => {
  it('a table that was rolled back to an earlier commit', async () => {
    const events = await eventsOf();
    const [first] = events.snapshots;
    if (first === undefined) throw new Error('no snapshot');
    const report = check({ ...events, currentSnapshotId: first.snapshotId });
    expect(kindsOf(report)).toEqual({ 'tables that were rolled back': 1 });
    expect(report.findings[0]?.meaning).toContain('--accept-rollback');
  });

  it('a table that was rolled back to before the first commit', async () => {
    const events = await eventsOf([{ ranges: {}, rows: [] }, ...SOUND]);
    const foreign = withSnapshot(events, (one) => ({ ...one, summary: {} }), 0);
    const [first] = foreign.snapshots;
    if (first === undefined) throw new Error('no snapshot');
    const report = check({ ...foreign, currentSnapshotId: first.snapshotId });
    expect(kindsOf(report)).toEqual({ 'tables that were rolled back': 1 });
  });

  it('a roll-back is told from an expiry by the sequence number', async () => {
    const events = await eventsOf();
    const head = events.snapshots.at(-1);
    if (head === undefined) throw new Error('no snapshot');
    const foreign = { ...head, parentSnapshotId: 1n, summary: { operation: 'replace' } };
    const expired = { ...events, snapshots: [foreign] };
    expect(check(expired).findings).toEqual([]);
    const older = { ...foreign, sequenceNumber: 1n };
    const rolledBack = { ...events, snapshots: [older] };
    expect(kindsOf(check(rolledBack))).toEqual({ 'tables that were rolled back': 1 });
    const [snapshotId, sequenceNumber] = [older.snapshotId + 1n, head.sequenceNumber + 1n];
    const onTop = { ...older, snapshotId, parentSnapshotId: older.snapshotId, sequenceNumber };
    const grown = { ...events, snapshots: [older, onTop], currentSnapshotId: snapshotId };
    expect(kindsOf(check(grown))).toEqual({ 'tables that were rolled back': 1 });
  });

  it('a table that was recreated beside the dead letters of the one before it', async () => {
    const { deadLetter } = await (await benchOf()).source();
    const report = reportRecreated({ pipeline: 'clicks', deadLetter });
    expect(report === undefined ? {} : kindsOf(report)).toEqual({
      'tables that were recreated': 1,
    });
    const ofChanges = (await benchOf([{ ranges: {}, rows: rowsAt(0, range(0, 0)) }])).source();
    expect(
      reportRecreated({ pipeline: 'clicks', deadLetter: (await ofChanges).deadLetter }),
    ).toBeUndefined();
    expect(reportRecreated({ pipeline: 'other', deadLetter })).toBeUndefined();
  });
});
