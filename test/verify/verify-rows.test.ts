import { describe, expect, it } from 'vitest';
import { encodeSingleValue } from '../../catalog/spec/single-value.ts';
import type { ObjectStore } from '../../catalog/store/object-store.ts';
import type { Report } from '../../verify/report.ts';
import { verifyTable } from '../../verify/verify-table.ts';
import { benchOf, kindsOf, range, SOUND } from './sound-table.ts';
import { headOf, newestFiles, rewriteNewestManifest, type Patient } from './surgery.ts';
import { createTableBench, rowsAt, type BenchCommit, type TableBench } from './table-bench.ts';

const [FIRST, SECOND] = SOUND;

const check = async (bench: TableBench, pipeline = 'clicks'): Promise<Report> =>
  verifyTable({ ...(await bench.source()), pipeline });

const patientOf = async (bench: TableBench, table: 'events' | 'deadLetter'): Promise<Patient> => {
  const metadata = (await bench.source())[table];
  if (metadata === undefined) throw new Error(`no ${table}`);
  return { store: bench.store, metadata };
};

describe('rows against the commit that added their file', () => {
  it('are all checked while the commits have not expired', async () => {
    const { facts } = await check(await benchOf());
    expect(facts['rows checked against the range of their commit']).toBe(35);
  });

  it('a row that its commit does not account for, though another does', async () => {
    // Offset 29 of the first commit arrives with the second one: each offset is there once.
    const bench = await benchOf([
      {
        ...FIRST,
        rows: [...rowsAt(0, range(10, 27)), ...rowsAt(1, range(0, 7))],
        filtered: { 0: 2 },
      },
      { ...SECOND, rows: [...rowsAt(0, range(29, 40)), ...rowsAt(1, [8])] },
    ]);
    const report = await check(bench);
    expect(kindsOf(report)).toEqual({
      'rows outside the range of their commit': 1,
      'commits whose count differs': 2,
    });
    expect(report.findings[0]?.examples[0]).toMatch(
      /partition 0, offset 29 in .*clicks-commit-2.parquet, of commit clicks-commit-2/,
    );
  });

  it('a reject that its commit in the dead-letter table does not claim', async () => {
    const both = { ...SECOND, rejects: rowsAt(1, [3, 8]), rows: rowsAt(0, range(30, 40)) };
    const report = await check(await benchOf([FIRST, both]));
    expect(kindsOf(report)).toMatchObject({ 'rejects outside the range of their commit': 1 });
  });

  it('a commit that took offsets which the position does not cover', async () => {
    const bench = await benchOf();
    const source = await bench.source();
    const text = source.events.properties['tributary.clicks'] ?? '';
    const behind = text.replace('"next":{"0":"40"', '"next":{"0":"35"');
    const properties = { ...source.events.properties, 'tributary.clicks': behind };
    const events = { ...source.events, properties };
    const report = await verifyTable({ ...source, events, pipeline: 'clicks' });
    expect(kindsOf(report)).toMatchObject({
      'rows at or beyond the position': 5,
      'ranges outside the position': 1,
    });
  });
});

describe('rows against what the manifest says of their file', () => {
  it('a record count that is not the file’s', async () => {
    const bench = await benchOf();
    await rewriteNewestManifest(await patientOf(bench, 'events'), (files) =>
      files.map((file) => ({ ...file, recordCount: 12n })),
    );
    const report = await check(bench);
    expect(kindsOf(report)).toEqual({ 'record counts that differ from the file': 1 });
    expect(report.findings[0]?.examples[0]).toMatch(/11 rows, listed with 12/);
  });

  it.each([
    ['_kafka_partition', 1, encodeSingleValue('int', 0)],
    ['_kafka_offset', 2, encodeSingleValue('long', 38n)],
  ])('an upper bound of %s below its values', async (name, fieldId, bound) => {
    const bench = await benchOf();
    await rewriteNewestManifest(await patientOf(bench, 'events'), (files) =>
      files.map((file) => ({
        ...file,
        upperBounds: new Map([...file.upperBounds, [fieldId, bound]]),
      })),
    );
    const report = await check(bench);
    expect(kindsOf(report)).toEqual({ 'bounds that do not hold': 1 });
    expect(report.findings[0]?.examples[0]).toContain(name);
  });

  it.each([
    ['gone', 'missing data files'],
    ['damaged', 'unreadable data files'],
  ])('a file that is %s: its rows are missing, the others are still checked', async (how, kind) => {
    const bench = await benchOf();
    const [file] = await newestFiles(await patientOf(bench, 'events'));
    const location = file?.location ?? '';
    const bytes = await bench.store.get(location);
    if (how === 'gone') await bench.store.delete(location);
    else await bench.store.put(location, bytes.fill(7, 4));
    const report = await check(bench);
    expect(kindsOf(report)).toMatchObject({ [kind]: 1, 'missing offsets': 11 });
    expect(report.facts['rows']).toBe(24);
  });

  it('dead letters that are gone', async () => {
    const bench = await benchOf();
    const [file] = await newestFiles(await patientOf(bench, 'deadLetter'));
    await bench.store.delete(file?.location ?? '');
    expect(kindsOf(await check(bench))).toMatchObject({
      'missing data files': 1,
      'partitions whose rejects differ from the count': 1,
    });
  });
});

/** `clicks` and, under another name and from the start of the same offsets, `renamed`. */
async function twoPipelines(last: Partial<BenchCommit> = {}): Promise<TableBench> {
  const bench = await benchOf();
  const renamed = await createTableBench('renamed', bench);
  await renamed.commit({ ranges: { 0: [0, 20] }, rows: rowsAt(0, range(0, 20)), ...last });
  return bench;
}

describe('several pipelines in one table', () => {
  it('are told apart by their commits', async () => {
    const bench = await twoPipelines();
    for (const pipeline of ['clicks', 'renamed']) {
      const { findings, facts, notes } = await check(bench, pipeline);
      expect(findings).toEqual([]);
      expect(facts).toMatchObject({ offsets: 59, rows: 55, rejects: 1, filtered: 3 });
      expect(notes[0]).toMatch(/are in this table too; each is checked/);
    }
  });

  it('a row that one of them lacks is not made up for by the other', async () => {
    const rows = rowsAt(0, [...range(0, 15), ...range(16, 20)]);
    const report = await check(await twoPipelines({ rows }));
    expect(kindsOf(report)).toMatchObject({ 'missing offsets': 1 });
    expect(report.findings[0]?.examples[0]).toMatch(/renamed, partition 0, .*: 15/);
  });

  it('rows whose commit is known take their place first', async () => {
    const source = await (await twoPipelines()).source();
    const events = { ...source.events, snapshots: source.events.snapshots.slice(-1) };
    const { findings } = await verifyTable({ ...source, events, pipeline: 'renamed' });
    expect(findings).toEqual([]);
  });

  it('an offset that one has filtered and the other as a row is one of each, whoever had which', async () => {
    const rows = rowsAt(0, [...range(0, 15), ...range(16, 20)]);
    const source = await (
      await twoPipelines({ rows, filtered: { 0: 1 } })
    ).source({ expired: true });
    const { findings } = await verifyTable({ ...source, pipeline: 'renamed' });
    expect(findings).toEqual([]);
  });

  it('are judged together once their commits have expired', async () => {
    const sound = await (await twoPipelines()).source({ expired: true });
    const { findings, notes } = await verifyTable({ ...sound, pipeline: 'clicks' });
    expect(findings).toEqual([]);
    expect(notes.at(-1)).toMatch(/judged together/);
    const lacking = await twoPipelines({ rows: rowsAt(0, range(0, 19)) });
    const report = await verifyTable({
      ...(await lacking.source({ expired: true })),
      pipeline: 'clicks',
    });
    expect(kindsOf(report)).toEqual({ 'missing offsets': 1 });
    const tripled = await twoPipelines({ rows: rowsAt(0, [...range(0, 20), 15]) });
    const again = await verifyTable({
      ...(await tripled.source({ expired: true })),
      pipeline: 'clicks',
    });
    expect(kindsOf(again)).toEqual({ 'doubled rows': 1 });
  });
});

describe('rejects that are not of this table’s log', () => {
  it('a topic of the same name that was there before is told by its id, not judged', async () => {
    const before = { partition: 1, offset: 8, _kafka_topic_id: 'clicks-0' };
    const bench = await benchOf([FIRST, { ...SECOND, rejects: [before] }]);
    const source = await bench.source();
    const { findings, facts, notes } = await verifyTable({ ...source, pipeline: 'clicks' });
    // The count is one too high now; the offset itself is a row, and no reject beside it.
    expect(findings.map(({ kind }) => kind)).not.toContain('both row and reject');
    expect(facts['rejects']).toBe(1);
    expect(notes[0]).toMatch(/^1 rejects of change topics and of other/);
  });

  it('where the table has no topic ids, the name of the topic decides', async () => {
    const source = await (await benchOf()).source();
    const { deadLetter } = source;
    const [first] = deadLetter?.schemas ?? [];
    if (deadLetter === undefined || first === undefined) throw new Error('no dead letters');
    const schemas = [{ ...first, fields: first.fields.slice(0, -1) }];
    const old = { ...source, deadLetter: { ...deadLetter, schemas } };
    const { findings, facts } = await verifyTable({ ...old, pipeline: 'clicks' });
    expect(findings).toEqual([]);
    expect(facts['rejects']).toBe(1);
  });

  it('dead letters of a pipeline that this table knows nothing of are told, not judged', async () => {
    const bench = await benchOf();
    const gone = await createTableBench('gone', bench);
    await gone.commit({ ranges: { 1: [7, 8] }, rejects: rowsAt(1, [7]) });
    const source = await bench.source();
    const { 'tributary.gone': _gone, ...properties } = source.events.properties;
    const events = { ...source.events, properties };
    const { findings, facts } = await verifyTable({ ...source, events, pipeline: 'clicks' });
    expect(findings).toEqual([]);
    expect(facts['rejects']).toBe(1);
  });
});

/** Text that does not compress well. */
const longUrl = (i: number): string =>
  Array.from({ length: 12 }, (_, n) => (i * 7919 + n) ** 3).join('');

describe('what is read', () => {
  it('of a data file is its footer, once, and the two columns, and progress is told', async () => {
    const bench = await createTableBench();
    const rows = range(0, 8_000).map((i) => ({ partition: 0, offset: i, url: longUrl(i) }));
    await bench.commit({ ranges: { 0: [0, 8_000] }, rows });
    const [file] = await newestFiles(await patientOf(bench, 'events'));
    const sizeBytes = Number(file?.fileSizeBytes);
    expect(sizeBytes).toBeGreaterThan(300_000);
    const asked: { start: number; end: number }[] = [];
    const store: ObjectStore = {
      ...bench.store,
      getRange: (location, start, end) => {
        asked.push({ start, end });
        return bench.store.getRange(location, start, end);
      },
    };
    const told: number[] = [];
    const source = await bench.source();
    const report = await verifyTable({
      ...source,
      store,
      pipeline: 'clicks',
      onProgress: (progress) => told.push(progress.rows),
    });
    expect(report.findings).toEqual([]);
    expect(asked.filter(({ end }) => end === sizeBytes)).toHaveLength(1);
    const bytes = asked.reduce((sum, { start, end }) => sum + end - start, 0);
    expect(bytes).toBeLessThan(65_536 + 0.1 * sizeBytes);
    expect(told.length).toBeGreaterThanOrEqual(8);
    expect(told.at(-1)).toBe(8_000);
  });
});

/** The sound table without its newest rows, under a snapshot that says so. */
const withoutNewest = async (operation: string): Promise<Report> => {
  const bench = await benchOf([FIRST, { ...SECOND, rows: [] }]);
  const source = await bench.source();
  const head = headOf({ store: bench.store, metadata: source.events });
  const summary = { operation, 'deleted-records': '10', 'deleted-data-files': '1' };
  const removal = { ...head, snapshotId: 77n, parentSnapshotId: head.snapshotId, summary };
  const snapshots = [...source.events.snapshots, removal];
  const events = { ...source.events, snapshots, currentSnapshotId: 77n };
  return verifyTable({ ...source, events, pipeline: 'clicks' });
};

describe('rows that another writer took out', () => {
  it.each(['delete', 'overwrite'])('are missing, and the %s is named', async (operation) => {
    const { findings, notes } = await withoutNewest(operation);
    expect(findings.map(({ kind }) => kind)).toContain('missing offsets');
    expect(notes.join('\n')).toMatch(
      new RegExp(
        `events table: snapshot 77 of another writer \\(${operation}, .*\\) took out 10 rows and 1 data files`,
      ),
    );
  });

  it('are not laid to a snapshot that only rewrote files', async () => {
    expect((await withoutNewest('replace')).notes.join('\n')).not.toContain('snapshot 77');
  });
});
