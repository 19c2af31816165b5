import { randomBytes } from 'node:crypto';
import { newTableMetadata } from '@iceberg-js/rest-client-shim/spec/new-table.ts';
import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { describe, expect, it } from 'vitest';
import type { EvolutionConfig } from '../../../enrich/config/pipeline-config.ts';
import { createJudge } from '../../../enrich/dead-letters/judge-record.ts';
import {
  readDeadLetters,
  readRawDeadLetters,
} from '../../../enrich/dead-letters/read-dead-letters.ts';
import type {
  DeadLetter,
  DeadLetterFilter,
  RawDeadLetter,
} from '../../../enrich/dead-letters/read-dead-letters.ts';
import { markOf, readMarks, ReplayMarks } from '../../../enrich/dead-letters/replay-marks.ts';
import { replay } from '../../../enrich/dead-letters/replay.ts';
import { summarise } from '../../../enrich/dead-letters/summarise.ts';
import { EnrichError } from '../../../enrich/error.ts';
import { eventFields } from '../../../enrich/pipeline/event-fields.ts';
import { judgeWriters } from '../../../enrich/pipeline/judge-writer.ts';
import type { JudgeWriter } from '../../../enrich/pipeline/judge-writer.ts';
import { MemoryLog } from '../../../enrich/source/memory-log.ts';
import { loadContract } from '../../../schemas/load-contracts.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { evolving, pipelineConfig, shippedContracts, World } from '../pipeline/harness.ts';
import { encodeClick, frame } from '../pipeline/records.ts';
import { virtualClock, VirtualTime } from '../pipeline/virtual-time.ts';
import { letterAt } from './letters.ts';

/** A world whose dead-letter table has three files: two commits of clicks, then one of another topic. */
async function worldWithLetters(): Promise<World> {
  const { world } = await World.started();
  world.reject(0, [null, Buffer.from('first')]);
  world.reject(1, [frame(4711, Buffer.from([1]))]);
  await world.run(5_000);
  world.reject(0, [Buffer.from('second')]);
  await world.run(5_000);
  world.log.append('app.public.users', 0, [{ key: Buffer.from('x'), value: Buffer.from('y') }]);
  await world.run(10_000);
  return world;
}

async function read(world: World, filter: DeadLetterFilter): Promise<DeadLetter[]> {
  const metadata = await world.metadata('clicks_dead_letter');
  const found: DeadLetter[] = [];
  for await (const letters of readDeadLetters({ store: world.store, metadata, filter })) {
    found.push(...letters);
  }
  return found;
}

/** The store, with the files that were asked for ranges, which is how data files are read, and their bytes. */
function watched(store: ObjectStore) {
  const files = new Set<string>();
  const fetched = { bytes: 0 };
  const proxy = new Proxy(store, {
    get(target, name) {
      if (name !== 'getRange') return Reflect.get(target, name) as unknown;
      return (location: string, start: number, end: number) => {
        files.add(location);
        fetched.bytes += end - start;
        return target.getRange(location, start, end);
      };
    },
  });
  return { store: proxy, files, fetched };
}

const places = (letters: readonly DeadLetter[]): string[] =>
  letters.map(({ topic, partition, offset }) => `${topic}/${partition}/${offset}`).toSorted();

describe('dead letters are read', () => {
  it('all, or those of a topic, partition, kind, schema id and time', async () => {
    const world = await worldWithLetters();
    const all = await read(world, {});
    expect(places(all)).toEqual([
      'app.public.users/0/0',
      'clicks/0/0',
      'clicks/0/1',
      'clicks/0/2',
      'clicks/1/0',
    ]);
    const of = async (filter: DeadLetterFilter) => places(await read(world, filter));
    expect(await of({ topic: 'app.public.users' })).toHaveLength(1);
    expect(await of({ topic: 'clicks', partition: 0 })).toHaveLength(3);
    expect(await of({ kind: 'no-magic-byte' })).toEqual(['clicks/0/1', 'clicks/0/2']);
    expect(await of({ schemaId: 4711 })).toEqual(['clicks/1/0']);
    expect(await of({ offset: 2n })).toEqual(['clicks/0/2']);
    expect(await of({ kind: 'nothing' })).toEqual([]);
    const second = all.find(({ offset }) => offset === 2n)?.ingestedAtUs ?? 0n;
    expect(await of({ sinceUs: second })).toEqual(['app.public.users/0/0', 'clicks/0/2']);
    expect(await of({ sinceUs: second, untilUs: second + 1n })).toEqual(['clicks/0/2']);
    expect(await of({ untilUs: second })).toHaveLength(3);
  });

  it('from the files alone that may hold what is looked for', async () => {
    const world = await worldWithLetters();
    const metadata = await world.metadata('clicks_dead_letter');
    const { store, files } = watched(world.store);
    for await (const letters of readDeadLetters({ store, metadata, filter: { offset: 2n } })) {
      expect(letters).toHaveLength(1);
    }
    expect(files.size).toBe(1);
  });

  it('one row group at a time, and bytes of those alone that are asked for (INVARIANTS.md 12)', async () => {
    const { world } = await World.started();
    const values = Array.from({ length: 45 }, () => randomBytes(20_000));
    world.reject(0, values.slice(0, 45));
    await world.run(10_000);
    const metadata = await world.metadata('clicks_dead_letter');
    const { store, fetched: all } = watched(world.store);
    const offsets: bigint[][] = [];
    for await (const letters of readRawDeadLetters({ store, metadata, filter: {} })) {
      offsets.push(letters.map(({ offset }) => offset));
      for (const { offset, value } of letters)
        expect(value).toEqual(new Uint8Array(values[Number(offset)] ?? []));
    }
    expect(offsets.map(({ length }) => length)).toEqual([20, 20, 5]);
    expect(new Set(offsets.flat()).size).toBe(45);
    const { store: again, fetched: some } = watched(world.store);
    const found: RawDeadLetter[] = [];
    for await (const letters of readRawDeadLetters({
      store: again,
      metadata,
      filter: { offset: 44n },
    })) {
      found.push(...letters);
    }
    expect(found.map(({ value }) => value)).toEqual([new Uint8Array(values[44] ?? [])]);
    expect(some.bytes).toBeLessThan(all.bytes / 2);
  });

  it('with their bytes where they are asked for', async () => {
    const world = await worldWithLetters();
    const metadata = await world.metadata('clicks_dead_letter');
    const filter = { kind: 'no-magic-byte' };
    const texts: string[] = [];
    for await (const letters of readRawDeadLetters({ store: world.store, metadata, filter })) {
      texts.push(...letters.map(({ value }) => Buffer.from(value ?? []).toString()));
    }
    expect(texts.toSorted()).toEqual(['first', 'second']);
  });
});

async function* filesOf<T>(...files: T[][]): AsyncGenerator<T[]> {
  yield* files;
}

describe('a summary', () => {
  it('counts by topic and kind, and keeps the newest in memory, not all', async () => {
    const many = Array.from({ length: 5_000 }, (_, i) => letterAt((i * 7_919) % 5_000));
    const other = letterAt(1, { kind: 'null-value' });
    const summary = await summarise(filesOf(many, [other]), ({ offset }) => offset < 10n, 3);
    expect(summary.count).toBe(5_001);
    expect(summary.groups).toMatchObject([
      { kind: 'truncated', count: 5_000, replayed: 10, firstUs: 0n, lastUs: 4_999n },
      { kind: 'null-value', count: 1, replayed: 1 },
    ]);
    expect(summary.newest.map(({ offset }) => offset)).toEqual([4_999n, 4_998n, 4_997n]);
  });
});

const markRecord = (offset: number) => ({
  key: Buffer.from(markOf(letterAt(offset))),
  value: Buffer.from('{}'),
});

const fine = async (): Promise<undefined> => undefined;

describe('a replay', () => {
  it('sends what can be a row in bounded batches, once, and tells the rest by reason', async () => {
    const batches: number[] = [];
    const sent = new Set<string>();
    const letters = Array.from({ length: 1_300 }, (_, i) => letterAt(i));
    const marks = new ReplayMarks();
    marks.add(markOf(letterAt(7)));
    const run = (files: AsyncGenerator<RawDeadLetter[]>) =>
      replay({
        files,
        marks,
        problemOf: async ({ offset }) => (offset % 100n === 0n ? 'still bad' : undefined),
        send: async (batch) => {
          batches.push(batch.length);
          for (const letter of batch) sent.add(markOf(letter));
        },
      });
    const report = await run(filesOf(letters.slice(0, 900), letters.slice(900), letters));
    expect(report).toMatchObject({
      replayed: 1_286,
      alreadyReplayed: 1 + 1_287,
      leftOut: [{ reason: 'still bad', count: 26 }],
    });
    expect(report.leftOut[0]?.examples).toHaveLength(3);
    expect(report.leftOut[0]?.examples[0]).not.toHaveProperty('value');
    expect(batches).toEqual([500, 500, 286]);
    expect(sent.size).toBe(1_286);
    expect(await run(filesOf(letters))).toMatchObject({ replayed: 0, alreadyReplayed: 1_287 });
  });

  it('keeps a batch within what a partition takes at once, one large record aside', async () => {
    const batches: number[] = [];
    const sizes = [250, 250, 250, 900, 10, 10, 500].map((kib) => Buffer.alloc(kib * 1024));
    await replay({
      files: filesOf(sizes.map((value, i) => letterAt(i, { value }))),
      marks: new ReplayMarks(),
      problemOf: fine,
      send: async (batch) => void batches.push(batch.length),
    });
    expect(batches).toEqual([2, 1, 1, 2, 1]);
  });

  it('ends at the first batch that cannot be sent', async () => {
    let tries = 0;
    const attempt = replay({
      files: filesOf(Array.from({ length: 1_300 }, (_, i) => letterAt(i))),
      marks: new ReplayMarks(),
      problemOf: fine,
      send: async () => {
        if (++tries === 2) throw new EnrichError('unavailable', 'away');
      },
    });
    await expect(attempt).rejects.toMatchObject({ kind: 'unavailable' });
    expect(tries).toBe(2);
  });

  it('tells apart topics of one name, and goes by the name where the id is not known', () => {
    const marks = new ReplayMarks();
    marks.add(markOf(letterAt(1)));
    marks.add(markOf(letterAt(2, { topicId: undefined })));
    expect(marks.has(letterAt(1))).toBe(true);
    expect(marks.has(letterAt(1, { topicId: 'id-2' }))).toBe(false);
    expect(marks.has(letterAt(1, { topicId: undefined }))).toBe(false);
    expect(marks.has(letterAt(2, { topicId: undefined }))).toBe(true);
  });

  it('waits for marks that must be there, and takes a broker that does not know them for no answer', async () => {
    const log = new MemoryLog({ clusterId: 'c' });
    const time = new VirtualTime(0);
    const clock = virtualClock(time);
    const absent = readMarks(log, 'p-replayed', { clock, mustExist: true });
    const outcome = absent.catch((error: EnrichError) => error.kind);
    await time.run(40_000);
    expect(await outcome).toBe('unavailable');
    const late = readMarks(log, 'p-replayed', { clock, mustExist: true });
    await time.run(5_000);
    log.createTopic('p-replayed', 1);
    log.append('p-replayed', 0, [markRecord(1)]);
    await time.run(5_000);
    expect((await late).has(letterAt(1))).toBe(true);
  });

  it('reads the marks of earlier runs to their end', async () => {
    const log = new MemoryLog({ clusterId: 'c' });
    const clock = virtualClock(new VirtualTime(0));
    expect((await readMarks(log, 'p-replayed', { clock })).has(letterAt(1))).toBe(false);
    log.createTopic('p-replayed', 1);
    log.append('p-replayed', 0, [markRecord(1), markRecord(2)]);
    log.append('p-replayed', 0, [markRecord(1), markRecord(9_007_199)]);
    const marks = await readMarks(log, 'p-replayed', { clock });
    expect([1, 2, 9_007_199, 3].map((offset) => marks.has(letterAt(offset)))).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});

describe('a record is judged by the registry and the contract of now', () => {
  it.each<[string, Partial<RawDeadLetter>, RegExp]>([
    ['a good click', {}, /^undefined$/],
    ['a change of a table', { topic: 'app.public.users' }, /connectors resnapshot TABLE/],
    ['no value', { value: null }, /no value/],
    ['no frame', { value: Buffer.from('text') }, /not framed/],
    ['an id that is still unknown', { value: frame(9, Buffer.of(1)) }, /still has no schema/],
    ['a click that was cut', { value: frame(1, Buffer.of(2)) }, /^truncated: field user_id/],
  ])('%s', async (_, more, problem) => {
    const contract = await loadContract('schemas', 'click');
    const judge = createJudge({
      registry: { schemaById: async (id) => (id === 1 ? contract.avroSchema : 'unknown') },
      contract,
      judge: judgedBy({ policy: 'ignore', allow: new Set() }),
      streamTopic: 'clicks',
      elapsedMs: () => 0,
    });
    const value = encodeClick(1, { userId: 1, url: 'https://a/', deviceId: 'd' });
    expect(String(await judge(letterAt(1, { value, ...more })))).toMatch(problem);
  });

  it('and by the policy and the table: what they refuse is not sent again, what they take is', async () => {
    const contract = await loadContract('schemas', 'click');
    const wider = { ...contract.avroSchema.fields[0], name: 'extra', type: 'int' };
    const fields = [...contract.avroSchema.fields, wider];
    const value = Buffer.concat([
      encodeClick(1, { userId: 1, url: 'https://a/', deviceId: 'd' }),
      Buffer.of(2),
    ]);
    const problemOf = (judge: JudgeWriter) =>
      createJudge({
        registry: { schemaById: async () => ({ ...contract.avroSchema, fields }) },
        contract,
        judge,
        streamTopic: 'clicks',
        elapsedMs: () => 0,
      })(letterAt(1, { value }));
    expect(await problemOf(judgedBy({ policy: 'reject', allow: new Set() }))).toMatch(
      /^schema-change: field extra is not in the contract/,
    );
    const adding: EvolutionConfig = { policy: 'reject', allow: new Set(['add-field']) };
    expect(await problemOf(judgedBy(adding))).toBeUndefined();
    expect(await problemOf(judgedBy(adding, 'int'))).toBeUndefined();
    expect(await problemOf(judgedBy(adding, 'string'))).toBe(
      'schema-change: field extra is not in the contract, and it is string in the table and cannot become int (add-field)',
    );
  });
});

/** Where `extra` is given, the table has a column of that name and type. */
function judgedBy(evolution: EvolutionConfig, extra?: PrimitiveType): JudgeWriter {
  const config = { ...pipelineConfig(), ...evolving(evolution).config };
  if (extra === undefined)
    return judgeWriters({ config, contracts: shippedContracts, metadata: undefined });
  const own = eventFields({ config, ...shippedContracts });
  const column = { id: own.length + 1, name: 'extra', type: extra, required: false };
  const metadata = newTableMetadata(
    {
      identifier: { namespace: ['lake'], name: 'clicks' },
      schema: { schemaId: 0, fields: [...own, column] },
      partitionSpec: { specId: 0, fields: [] },
      sortOrder: { orderId: 0, fields: [] },
      properties: {},
    },
    { location: '', tableUuid: '', nowMs: 0 },
  );
  return judgeWriters({ config, contracts: shippedContracts, metadata });
}
