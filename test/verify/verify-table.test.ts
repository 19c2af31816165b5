import { describe, expect, it } from 'vitest';
import type { Report } from '../../verify/report.ts';
import { verifyTable } from '../../verify/verify-table.ts';
import { benchOf, kindsOf, range, SOUND } from './sound-table.ts';
import { rowsAt, type BenchCommit } from './table-bench.ts';

async function report(commits: readonly BenchCommit[], expired = false): Promise<Report> {
  const bench = await benchOf(commits);
  return verifyTable({ ...(await bench.source({ expired })), pipeline: 'clicks' });
}

/** The sound table with its second commit changed. */
const second = (change: Partial<BenchCommit>): readonly BenchCommit[] => [
  SOUND[0],
  { ...SOUND[1], ...change },
];

it('rejects of change topics are told, not checked', async () => {
  const strange = { partition: 9, offset: 7, _kafka_topic: 'users' };
  const [first] = SOUND;
  const { notes } = await report([{ ...first, rejects: [...(first.rejects ?? []), strange] }]);
  expect(notes[0]).toMatch(/^1 rejects of change topics .* are not checked/);
});

describe('a table whose offsets are all accounted for (INVARIANTS.md 5)', () => {
  it('is sound, and the counts are told', async () => {
    const { findings, facts } = await report(SOUND);
    expect(findings).toEqual([]);
    expect(facts).toMatchObject({ offsets: 39, rows: 35, rejects: 1, filtered: 3 });
  });

  it('is sound by the property alone once the snapshots have expired', async () => {
    const { findings, notes } = await report(SOUND, true);
    expect(findings).toEqual([]);
    expect(notes[0]).toMatch(/expired/);
  });

  it('is sound while rejects wait for the dead-letter table', async () => {
    const waiting = { ranges: { 0: [40, 41] as [number, number] }, rejects: rowsAt(0, [40]) };
    expect((await report([...SOUND, { ...waiting, rejectsPending: true }])).findings).toEqual([]);
  });
});

describe('a fault is caught', () => {
  it.each([false, true])('a missing row, with snapshots expired: %s', async (expired) => {
    const rows = [...rowsAt(0, range(30, 39)), ...rowsAt(1, [8])];
    const found = await report(second({ rows }), expired);
    expect(kindsOf(found)).toMatchObject({ 'missing offsets': 1 });
    expect(found.findings[0]?.examples[0]).toContain('39');
  });

  it.each([false, true])(
    'a row that is there twice, with snapshots expired: %s',
    async (expired) => {
      const rows = [...rowsAt(0, [...range(30, 40), 35]), ...rowsAt(1, [8])];
      const found = await report(second({ rows }), expired);
      expect(kindsOf(found)).toMatchObject({ 'doubled rows': 1 });
      expect(found.findings[0]?.examples[0]).toContain('partition 0, offset 35');
    },
  );

  it('an offset that is a row and a reject', async () => {
    const found = await report(second({ rejects: rowsAt(1, [8]) }));
    expect(kindsOf(found)).toMatchObject({ 'both row and reject': 1 });
  });

  it('a reject that is there twice', async () => {
    const found = await report([
      ...SOUND.slice(0, 1),
      { ...SOUND[1], ranges: { 1: [8, 9] }, rows: [], rejects: rowsAt(1, [8, 8]) },
    ]);
    expect(kindsOf(found)).toMatchObject({ 'doubled rejects': 1 });
  });

  it('rows at or beyond the position, and before the first offset taken', async () => {
    const rows = [...rowsAt(0, [...range(30, 40), 40, 9]), ...rowsAt(1, [8]), ...rowsAt(7, [0])];
    expect(kindsOf(await report(second({ rows })))).toMatchObject({
      'rows at or beyond the position': 2,
      'rows before the first offset taken': 1,
    });
  });

  it('rejects at or beyond the position, and before the first offset taken', async () => {
    const found = await report(second({ rejects: rowsAt(0, [40, 9]) }));
    expect(kindsOf(found)).toMatchObject({
      'rejects at or beyond the position': 1,
      'rejects before the first offset taken': 1,
    });
  });

  it('more offsets counted as filtered than are absent', async () => {
    expect(kindsOf(await report(second({ filtered: { 0: 2 } })))).toMatchObject({
      'offsets counted as filtered, but in the table': 2,
    });
  });

  it('a fault that another one hides in the totals', async () => {
    // One row too few in the first commit, a filtered offset too few in the second.
    const first = { ...SOUND[0], ranges: SOUND[0]?.ranges ?? {}, filtered: { 0: 2 } };
    const rest = { ...SOUND[1], ranges: SOUND[1]?.ranges ?? {}, filtered: { 0: 1 } };
    const kinds = Object.keys(kindsOf(await report([first, rest])));
    expect(kinds).toEqual(['of these missing, by commit', 'of these in the table, by commit']);
  });
});

it('a table that no pipeline has written is refused with a reason', async () => {
  await expect(report([])).rejects.toMatchObject({ kind: 'config' });
});
