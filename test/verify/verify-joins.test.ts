import avsc from 'avsc';
import { describe, expect, it } from 'vitest';
import type { TableMetadata } from '../../catalog/spec/table-metadata.ts';
import { debeziumSchemas } from '../../generate/debezium-schema.ts';
import type { Report } from '../../verify/report.ts';
import type { TopicRecord } from '../../verify/topic-reader.ts';
import { verifyJoins } from '../../verify/verify-joins.ts';
import {
  createTableBench,
  type BenchCommit,
  type BenchRow,
  type TableBench,
} from './table-bench.ts';

const AVRO = debeziumSchemas('app.public.urls', 'urls');
const [KEY_ID, VALUE_ID] = [1, 2];
const PAGE = 'https://a.example/page';

type ChangeOf = { id: number; lsn: number; url?: string; title?: string; op?: string };

/** A record of the urls topic as Debezium writes it; without a url it is a delete. */
function record(offset: number, { id, lsn, url, title, op = 'u' }: ChangeOf): TopicRecord {
  const times = { ts_ms: 1, ts_us: 1, ts_ns: 1 };
  const row = { url_id: id, url, domain: null, category: null, title: title ?? null, price: null };
  const value = {
    before: null,
    after: url === undefined ? null : { ...row, updated_at: null },
    source: {
      version: '3.7.0.Final',
      connector: 'postgresql',
      name: 'app',
      ...times,
      snapshot: 'false',
      db: 'app',
      sequence: null,
      schema: 'public',
      table: 'urls',
      txId: null,
      lsn,
      xmin: null,
      origin: null,
      origin_lsn: null,
    },
    transaction: null,
    op: url === undefined ? 'd' : op,
    ...times,
  };
  return {
    partition: 0,
    offset: BigInt(offset),
    timestampMs: offset,
    key: framed(KEY_ID, AVRO.key, { url_id: id }),
    value: framed(VALUE_ID, AVRO.envelope, value),
  };
}

function framed(schemaId: number, avroSchema: unknown, value: unknown): Buffer {
  const frame = Buffer.alloc(5);
  frame.writeInt32BE(schemaId, 1);
  const type = avsc.Type.forSchema(avroSchema as avsc.Schema, { logicalTypes: {} });
  return Buffer.concat([frame, type.toBuffer(value)]);
}

/** One click on a page, with what the table says about its join. */
const click = (offset: number, url: string, match: string, title: string | null): BenchRow => ({
  partition: 0,
  offset,
  url,
  url_title: title,
  _urls_match: match,
});

/** Commits of one click each; commit n saw the first `seen` records of the topic, or knew no such dimension. */
async function report(
  records: readonly TopicRecord[],
  clicks: readonly { seen: number | undefined; row: BenchRow; topicId?: string }[],
  made: TableBench | Promise<TableBench> = createTableBench(),
  edit: (events: TableMetadata) => TableMetadata = (events) => events,
): Promise<Report> {
  const bench = await made;
  for (const [i, { seen, row, topicId = 'urls' }] of clicks.entries()) {
    const commit: BenchCommit = {
      ranges: { 0: [i, i + 1] },
      rows: [{ ...row, offset: i }],
      dimensions: seen === undefined ? {} : { urls: { 0: seen } },
      topicIds: { urls: topicId },
    };
    await bench.commit(commit);
  }
  const source = await bench.source();
  return verifyJoins({
    ...source,
    events: edit(source.events),
    pipeline: 'clicks',
    dimensions: [
      {
        name: 'urls',
        topic: 'app.public.urls',
        primaryKey: 'url_id',
        joinKey: 'url',
        streamField: 'url',
        normaliser: 'url',
        columns: ['title'],
        prefix: 'url_',
        fields: [],
      },
    ],
    readTopic: async (_topic, until, onRecord) => {
      for (const one of records) if (one.offset < (until.get(0) ?? 0n)) await onRecord(one);
    },
    fetchAvroSchema: async (id) => (id === KEY_ID ? AVRO.key : AVRO.envelope),
    log: () => undefined,
  });
}

const faults = ({ findings }: Report): number => {
  expect(findings.filter(({ kind }) => kind !== 'wrong joins')).toEqual([]);
  return findings.reduce((sum, { count }) => sum + count, 0);
};

const CREATED = record(0, { id: 5, lsn: 10, url: PAGE, title: 'one', op: 'c' });
const RETITLED = record(1, { id: 5, lsn: 11, url: PAGE, title: 'two' });

/** The pipeline has refused the change of the title. */
async function withRefused(clicks: Parameters<typeof report>[1]): Promise<Report> {
  const bench = await createTableBench();
  const reject = { partition: 0, offset: 1, _kafka_topic: 'app.public.urls', error_kind: 'x' };
  await bench.commit({ ranges: { 9: [0, 1] }, rejects: [reject] });
  return report([CREATED, RETITLED], clicks, bench);
}

describe('a change that stands among the dead letters', () => {
  it('has no part in the replay', async () => {
    const found = await withRefused([{ seen: 2, row: click(0, PAGE, 'hit', 'one') }]);
    expect(found.findings).toEqual([]);
    expect(found.notes).toEqual([]);
  });

  it('may have been taken by a state that was built again: that is told and no violation', async () => {
    const found = await withRefused([{ seen: 2, row: click(0, PAGE, 'hit', 'two') }]);
    expect(found.findings).toEqual([]);
    expect(found.notes).toEqual([expect.stringMatching(/^1 differences .* dead letters/)]);
  });

  it('excuses no other row', async () => {
    const other = 'https://a.example/other';
    const found = await withRefused([{ seen: 2, row: click(0, other, 'hit', 'two') }]);
    expect(faults(found)).toBe(1);
  });
});

describe('joins are judged at the dimension position of their own commit (INVARIANTS.md 7)', () => {
  it('before a row, with it, and after a change of it', async () => {
    const found = await report(
      [CREATED, RETITLED],
      [
        { seen: 0, row: click(0, PAGE, 'miss', null) },
        { seen: 1, row: click(1, PAGE, 'hit', 'one') },
        { seen: 2, row: click(2, PAGE, 'hit', 'two') },
      ],
    );
    expect(found.findings).toEqual([]);
    expect(found.facts).toMatchObject({ 'rows compared': 3, hits: 2 });
  });

  it.each([
    ['a value of a later commit', click(0, PAGE, 'hit', 'two')],
    ['a miss where a row was', click(0, PAGE, 'miss', null)],
    ['a null where a value was', click(0, PAGE, 'hit', null)],
    ['a hit on a page that nobody described', click(0, 'https://a.example/else', 'hit', 'one')],
    ['a miss that carries a value', click(0, 'https://a.example/else', 'miss', 'one')],
    ['an unknown status', click(0, PAGE, 'maybe', 'one')],
  ])('%s is caught', async (_name, row) => {
    const rows = [
      { seen: 1, row },
      { seen: 2, row: click(1, PAGE, 'hit', 'two') },
    ];
    expect(faults(await report([CREATED, RETITLED], rows))).toBe(1);
  });

  it('also where a process that is behind commits after one that is ahead', async () => {
    const clicks = [
      { seen: 2, row: click(0, PAGE, 'hit', 'two') },
      { seen: 1, row: click(1, PAGE, 'hit', 'one') },
      { seen: 0, row: click(2, PAGE, 'miss', null) },
      { seen: 1, row: click(3, PAGE, 'hit', 'two') },
    ];
    const found = await report([CREATED, RETITLED], clicks);
    expect(found.findings.map(({ examples }) => examples)).toEqual([
      [expect.stringContaining('offset 3')],
    ]);
  });

  it('rows of another pipeline in the same table are told, not compared', async () => {
    const bench = await createTableBench();
    const renamed = await createTableBench('renamed', bench);
    const wrong = [0, 1].map((offset) => click(offset, PAGE, 'hit', 'nobody said so'));
    await renamed.commit({ ranges: { 0: [0, 2] }, rows: wrong });
    const own = { seen: 1, row: click(0, PAGE, 'hit', 'one') };
    const found = await report([CREATED], [own], bench);
    expect(found.findings).toEqual([]);
    expect(found.facts['rows compared']).toBe(1);
    expect(found.notes[0]).toMatch(/^2 rows are, or may be, of another pipeline/);
    expect(faults(await report([RETITLED], [own], bench))).toBeGreaterThan(0);
  });

  it('commits that saw another topic of a dimension, or none, are told, not compared', async () => {
    const clicks = [
      { seen: undefined, row: click(0, PAGE, 'null', null) },
      { seen: 2, row: click(1, PAGE, 'hit', 'of old'), topicId: 'recreated since' },
      { seen: 1, row: click(2, PAGE, 'hit', 'one') },
    ];
    const found = await report([CREATED], clicks);
    expect(found.findings).toEqual([]);
    expect(found.facts).toMatchObject({ 'joins compared': 1, hits: 1 });
    expect(found.notes[0]).toMatch(/^2 joins saw a topic before it was recreated, or came before/);
    const wrong = { seen: 1, row: click(3, PAGE, 'hit', 'nobody said so') };
    expect(faults(await report([CREATED], [...clicks, wrong]))).toBe(1);
  });

  it('other spellings of a url find its row', async () => {
    const row = click(0, 'HTTPS://A.Example/page#top', 'hit', 'one');
    expect(faults(await report([CREATED], [{ seen: 1, row }]))).toBe(0);
  });

  it('a deleted row and a renamed one are misses', async () => {
    const deleted = [CREATED, record(1, { id: 5, lsn: 11 })];
    const renamed = [CREATED, record(1, { id: 5, lsn: 11, url: `${PAGE}?v=2`, title: 'one' })];
    for (const records of [deleted, renamed]) {
      const rows = [{ seen: 2, row: click(0, PAGE, 'miss', null) }];
      expect(faults(await report(records, rows))).toBe(0);
    }
  });

  it('an older change that arrives later changes nothing', async () => {
    const late = record(1, { id: 5, lsn: 9, url: PAGE, title: 'old' });
    const rows = [{ seen: 2, row: click(0, PAGE, 'hit', 'one') }];
    expect(faults(await report([CREATED, late], rows))).toBe(0);
  });

  it('the lowest primary key answers, by size and not by text', async () => {
    const twin = record(1, { id: 10, lsn: 11, url: PAGE, title: 'twin', op: 'c' });
    const rows = [{ seen: 2, row: click(0, PAGE, 'hit', 'one') }];
    expect(faults(await report([CREATED, twin], rows))).toBe(0);
    const wrong = [{ seen: 2, row: click(0, PAGE, 'hit', 'twin') }];
    expect(faults(await report([CREATED, twin], wrong))).toBe(1);
  });

  it.each([
    ['any later row', 'two', 0],
    ['nothing else', 'never', 1],
  ])('a repaired miss may carry %s', async (_name, title, expected) => {
    const repaired = { seen: 0, row: click(0, PAGE, 'repaired', title) };
    const later = { seen: 2, row: click(1, PAGE, 'hit', 'two') };
    expect(faults(await report([CREATED, RETITLED], [repaired, later]))).toBe(expected);
  });

  it('an unchanged long value keeps what it was', async () => {
    const placeholder = { id: 5, lsn: 11, url: PAGE, title: '__debezium_unavailable_value' };
    const rows = [{ seen: 2, row: click(0, PAGE, 'hit', 'one') }];
    expect(faults(await report([CREATED, record(1, placeholder)], rows))).toBe(0);
  });

  it('a difference that compaction may explain is no fault, but told', async () => {
    // Offset 0 is gone; what is left begins with an update, which the first commit had not seen.
    const rows = [
      { seen: 1, row: click(0, PAGE, 'hit', 'one') },
      { seen: 2, row: click(1, PAGE, 'hit', 'two') },
    ];
    const found = await report([RETITLED], rows);
    expect(faults(found)).toBe(0);
    expect(found.facts).toMatchObject({ 'not decidable after compaction': 1 });
  });
});

/** The first commit saw a table without the title. */
function gotLater(events: TableMetadata): TableMetadata {
  const [schema] = events.schemas;
  if (schema === undefined) throw new Error('a table has a schema');
  const before = schema.fields.filter(({ name }) => name !== 'url_title');
  const [first, ...others] = events.snapshots;
  if (first === undefined) throw new Error('there are commits');
  return {
    ...events,
    schemas: [...events.schemas, { ...schema, schemaId: 7, fields: before }],
    snapshots: [{ ...first, schemaId: 7 }, ...others],
  };
}

const hits = (titles: readonly (string | null)[]) =>
  titles.map((title, at) => ({ seen: 1, row: click(at, PAGE, 'hit', title) }));

describe('a column that the table got later', () => {
  it.each([
    [[null, 'one'], 0],
    [['one', 'one'], 1],
    [[null, null], 1],
  ])('is null in rows of before, and in no other: %j', async (titles, wrong) => {
    expect(faults(await report([CREATED], hits(titles), undefined, gotLater))).toBe(wrong);
  });
});
