import { describe, expect, it } from 'vitest';
import type { ProducedBatch } from '../../verify/ledger-index.ts';
import type { Report } from '../../verify/report.ts';
import { verifyLedger } from '../../verify/verify-ledger.ts';
import { createTableBench, rowsAt, type BenchCommit } from './table-bench.ts';

const MS = 1_800_000_000_000;

/** Ten produced records of partition 0 from offset 100: number 7 corrupt, the others good. */
const produced = (): ProducedBatch => {
  const numbers = Array.from({ length: 10 }, (_, i) => i);
  return {
    topic: 'clicks',
    partition: 0,
    baseOffset: 100n,
    count: 10,
    eventTimeMs: numbers.map((i) => MS + i),
    userId: numbers.map((i) => 7_000 + i),
    url: numbers.map((i) => `https://a.example/${i}`),
    deviceId: numbers.map((i) => `d-${i % 3}`),
    sessionId: numbers.map((i) => (i === 4 ? null : `s-${i}`)),
    kind: numbers.map((i) => (i === 7 ? 'truncated' : 'good')),
  };
};

/** Number 7 breaks the contract alone. */
const violating = (): ProducedBatch => {
  const batch = produced();
  return {
    ...batch,
    kind: batch.kind.map((kind) => (kind === 'good' ? kind : 'contract-violation')),
  };
};

const rowOf = (i: number, change: Record<string, string | bigint | null> = {}) => ({
  partition: 0,
  offset: 100 + i,
  event_time: BigInt(MS + i) * 1000n,
  user_id: BigInt(7_000 + i),
  url: `https://a.example/${i}`,
  device_id: `d-${i % 3}`,
  session_id: i === 4 ? null : `s-${i}`,
  ...change,
});

const GOOD = [0, 1, 2, 3, 4, 5, 6, 8, 9];
const SOUND: BenchCommit = {
  ranges: { 0: [100, 110] },
  rows: GOOD.map((i) => rowOf(i)),
  rejects: rowsAt(0, [107]),
};

async function report(
  commit: BenchCommit,
  ledger: readonly ProducedBatch[] = [produced()],
): Promise<Report> {
  const bench = await createTableBench();
  await bench.commit(commit);
  return verifyLedger({
    ...(await bench.source()),
    ledger: (async function* () {
      yield* ledger;
    })(),
    pipeline: 'clicks',
  });
}

it('rows and rejects of another pipeline in the same table are looked past', async () => {
  const bench = await createTableBench();
  await bench.commit(SOUND);
  const renamed = await createTableBench('renamed', bench);
  const rows = [rowOf(0), rowOf(1, { url: 'https://b.example/' })];
  await renamed.commit({ ranges: { 0: [100, 108] }, rows, rejects: rowsAt(0, [107]) });
  const found = await verifyLedger({
    ...(await bench.source()),
    ledger: (async function* () {
      yield produced();
    })(),
    pipeline: 'clicks',
  });
  expect(found.findings).toEqual([]);
  expect(found.facts).toMatchObject({ 'found as rows': 9, 'found as rejects': 1 });
});

const kindsOf = ({ findings }: Report): Record<string, number> =>
  Object.fromEntries(findings.map(({ kind, count }) => [kind, count]));

describe('a table that holds what was produced', () => {
  it('is sound', async () => {
    const { findings, facts } = await report(SOUND);
    expect(findings).toEqual([]);
    expect(facts).toMatchObject({ produced: 10, 'found as rows': 9, 'found as rejects': 1 });
  });

  it('is sound while the last records are still to be committed, and says so', async () => {
    const rows = [0, 1, 2, 3, 4].map((i) => rowOf(i));
    const { findings, facts } = await report({ ranges: { 0: [100, 105] }, rows });
    expect(findings).toEqual([]);
    expect(facts).toMatchObject({ 'not committed yet': 5 });
  });

  it('is sound with records of another producer in between', async () => {
    const rows = [...(SOUND.rows ?? []), ...rowsAt(0, [110])];
    const { findings, facts } = await report({ ...SOUND, ranges: { 0: [100, 111] }, rows });
    expect(findings).toEqual([]);
    expect(facts).toMatchObject({ 'records of other producers': 1 });
  });

  it('is sound with rejects that were replayed: they stand at offsets that no ledger knows', async () => {
    const sound = GOOD.filter((i) => i !== 5).map((i) => rowOf(i));
    const replayed = [5, 7].map((i) => ({ ...rowOf(i), offset: 120 + i }));
    const rows = [...sound, ...replayed];
    const rejects = rowsAt(0, [105, 107]);
    const { findings, facts } = await report({ ranges: { 0: [100, 130] }, rows, rejects });
    expect(findings).toEqual([]);
    expect(facts).toMatchObject({
      'found as rows': 8,
      'found as rejects': 2,
      'of these replayed': 2,
      'records of other producers': 0,
    });
  });

  it.each(['event_time', 'user_id', 'url', 'device_id'])(
    'is sound with a corrupt record that was replayed once %s might be null, and says so',
    async (column) => {
      const replayed = { ...rowOf(7, { [column]: null }), offset: 127 };
      const rows = [...(SOUND.rows ?? []), replayed];
      const { findings, facts, notes } = await report({
        ...SOUND,
        ranges: { 0: [100, 130] },
        rows,
      });
      expect(findings).toEqual([]);
      expect(facts).toMatchObject({ 'of these replayed': 0, 'records of other producers': 1 });
      expect(notes).toEqual([expect.stringMatching(/^1 rows of other producers have a null/)]);
    },
  );

  it('is sound with a row that was made to break the contract, taken since it is mended, and says so', async () => {
    const rows = [...(SOUND.rows ?? []), rowOf(7, { user_id: null, session_id: null })];
    const { findings, facts, notes } = await report({ ranges: SOUND.ranges, rows }, [violating()]);
    expect(findings).toEqual([]);
    expect(facts).toMatchObject({ 'found as rows': 10, 'found as rejects': 0 });
    expect(notes).toEqual([
      expect.stringMatching(/^1 records that were made to break the contract/),
    ]);
  });

  it('is sound with a record that broke the contract and was replayed once', async () => {
    const replayed = { ...rowOf(7, { user_id: null, session_id: null }), offset: 127 };
    const rejects = [{ partition: 0, offset: 107, error_kind: 'contract-violation' }];
    const rows = [...(SOUND.rows ?? []), replayed];
    const found = await report({ ranges: { 0: [100, 130] }, rows, rejects }, [violating()]);
    expect(found.findings).toEqual([]);
    expect(found.facts).toMatchObject({ 'of these replayed': 1, 'records of other producers': 0 });
  });

  it('finds sends of unknown outcome by their values', async () => {
    const { findings, facts } = await report(SOUND, [{ ...produced(), baseOffset: undefined }]);
    expect(findings).toEqual([]);
    expect(facts).toMatchObject({ 'sends of unknown outcome': 10, 'of these in the table': 10 });
  });
});

describe('a fault is caught', () => {
  it('a click that is no row', async () => {
    const rows = GOOD.slice(1).map((i) => rowOf(i));
    expect(kindsOf(await report({ ...SOUND, rows }))).toEqual({ 'missing clicks': 1 });
  });

  it('a corrupt record that is nowhere', async () => {
    expect(kindsOf(await report({ ...SOUND, rejects: [] }))).toEqual({ 'missing rejects': 1 });
  });

  it('a click that is there twice', async () => {
    const rows = [...(SOUND.rows ?? []), rowOf(2)];
    expect(kindsOf(await report({ ...SOUND, rows }))).toEqual({ 'doubled clicks': 1 });
  });

  it.each([
    ['event_time', BigInt(MS) * 1000n + 1n],
    ['user_id', 1n],
    ['url', 'https://a.example/0#'],
    ['device_id', 'd-1'],
    ['session_id', null],
    ['event_time', null],
    ['user_id', null],
    ['url', null],
    ['device_id', null],
  ])('a row with another %s', async (column, value) => {
    const rows = GOOD.map((i) => rowOf(i, i === 0 ? { [column]: value } : {}));
    const found = await report({ ...SOUND, rows });
    expect(kindsOf(found)).toEqual({ 'wrong rows': 1 });
    expect(found.findings[0]?.examples[0]).toContain('offset 100');
  });

  it('a corrupt record that became a row, and a good one that was rejected', async () => {
    const rows = [...GOOD.filter((i) => i !== 5), 7].map((i) => rowOf(i));
    const found = await report({ ...SOUND, rows, rejects: rowsAt(0, [105]) });
    expect(kindsOf(found)).toEqual({ 'wrong rows': 1, 'wrong rejects': 1 });
  });

  it.each([{ user_id: 7_007n }, { user_id: null, url: 'https://a.example/8' }])(
    'a record that was made to break the contract, as a row of other values',
    async (change) => {
      const rows = [...(SOUND.rows ?? []), rowOf(7, { session_id: null, ...change })];
      const found = await report({ ranges: SOUND.ranges, rows }, [violating()]);
      expect(kindsOf(found)).toEqual({ 'wrong rows': 1 });
    },
  );

  it('a record that was replayed twice', async () => {
    const again = [120, 121].map((offset) => ({ ...rowOf(7), offset }));
    const rows = [...(SOUND.rows ?? []), ...again];
    const found = await report({ ...SOUND, ranges: { 0: [100, 130] }, rows });
    expect(kindsOf(found)).toEqual({ 'doubled clicks': 1 });
    expect(found.findings[0]?.examples[0]).toContain('a replay');
  });

  it('a good click that was rejected, and replayed into another partition', async () => {
    const rows = GOOD.filter((i) => i !== 5).map((i) => rowOf(i));
    const astray = { ...rowOf(5), partition: 1, offset: 7 };
    const found = await report({
      ranges: { 0: [100, 110], 1: [0, 8] },
      rows: [...rows, astray],
      rejects: rowsAt(0, [105, 107]),
    });
    expect(kindsOf(found)).toEqual({ 'wrong rejects': 1 });
  });

  it('a reject of another kind', async () => {
    const rejects = [{ partition: 0, offset: 107, error_kind: 'malformed' }];
    expect(kindsOf(await report({ ...SOUND, rejects }))).toEqual({ 'wrong rejects': 1 });
  });
});
