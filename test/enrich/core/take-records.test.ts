import avsc from 'avsc';
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { batchBytes, clearClickBatch, createClickBatch } from '../../../enrich/core/click-batch.ts';
import type { ClickBatch } from '../../../enrich/core/click-batch.ts';
import { skipTo, takeRecords } from '../../../enrich/core/take-records.ts';
import type { RecordColumns } from '../../../enrich/source/log.ts';
import { createCodecCache } from '../../../schemas/codec-cache.ts';
import type { Contract } from '../../../schemas/contract.ts';
import { createRowBuffer } from '../../../schemas/row-buffer.ts';
import { createSchemaCache } from '../../../schemas/schema-cache.ts';
import type { SchemaCache } from '../../../schemas/schema-cache.ts';
import { recordColumns as records } from './record-columns.ts';

const avroSchema = JSON.parse(readFileSync('schemas/click.avsc', 'utf8')) as Contract['avroSchema'];
const contract: Contract = { name: 'click', avroSchema };
const type = avsc.Type.forSchema(avroSchema as avsc.Schema);
const ROWS_MAX = 100;

let batch: ClickBatch;
let schemas: SchemaCache;

beforeEach(async () => {
  batch = createClickBatch(createRowBuffer(contract, ROWS_MAX), ROWS_MAX);
  schemas = createSchemaCache({
    registry: {
      schemaById: async (id) => (id === 7 ? avroSchema : 'unknown'),
    },
    elapsedMs: () => 0,
  });
  await schemas.load(7);
  await schemas.load(9);
});

function click(userId: number, schemaId = 7): Uint8Array {
  const body = type.toBuffer({
    event_time: 1_700_000_000_000,
    user_id: userId,
    url: 'https://example.com/',
    device_id: 'd1',
    session_id: null,
    referrer: null,
    duration_ms: null,
  });
  const frame = Buffer.alloc(5);
  frame.writeInt32BE(schemaId, 1);
  return Buffer.concat([frame, body]);
}

function take(columns: RecordColumns, nextOffset: bigint, rowsMax = ROWS_MAX) {
  return takeRecords({
    topic: 'clicks',
    partition: 3,
    records: columns,
    nextOffset,
    batch,
    codecs: createCodecCache({ schemas, contract }),
    rowsMax,
    bytesMax: 1,
  });
}

function offsetsOfRows(): bigint[] {
  const words = batch.offsetWords.subarray(0, 2 * batch.rows.rowCount);
  return [...new BigInt64Array(words.buffer, words.byteOffset, batch.rows.rowCount)];
}

/** INVARIANTS.md 5: what the range spans is what was counted. */
function expectAccounted(): void {
  const span = [...batch.ranges.values()].reduce((sum, { start, end }) => sum + end - start, 0n);
  const filtered = [...batch.filtered.values()].reduce((sum, count) => sum + count, 0n);
  expect(span).toBe(BigInt(batch.rows.rowCount + batch.rejects.length) + filtered);
}

describe('taking records', () => {
  it('makes a row of each, with its offset', () => {
    const result = take(
      records([
        [10, click(1)],
        [11, click(2)],
      ]),
      10n,
    );
    expect(result).toEqual({ nextOffset: 12n, stopped: undefined });
    expect(offsetsOfRows()).toEqual([10n, 11n]);
    expect(batch.ranges.get(3)).toEqual({ start: 10n, end: 12n });
    expectAccounted();
  });

  it('keeps offsets beyond 2^32 exact', () => {
    const high = 2 ** 40 + 5;
    take(records([[high, click(1)]]), BigInt(high));
    expect(offsetsOfRows()).toEqual([BigInt(high)]);
  });

  it('passes over records below the offset it is at', () => {
    take(
      records([
        [10, click(1)],
        [11, click(2)],
        [12, click(3)],
      ]),
      12n,
    );
    expect(offsetsOfRows()).toEqual([12n]);
    expectAccounted();
  });

  it('counts offsets without a record as filtered, before, between and after records', () => {
    take(
      records([
        [12, click(1)],
        [15, click(2)],
      ]),
      10n,
    );
    skipTo(batch, 3, 16n, 20n);
    expect(batch.filtered.get(3)).toBe(8n);
    expect(batch.ranges.get(3)).toEqual({ start: 10n, end: 20n });
    expectAccounted();
  });

  it.each([
    ['null-value', null],
    ['no-magic-byte', Buffer.from('hello, world')],
    ['no-magic-byte', Buffer.alloc(0)],
    ['unknown-schema-id', click(1, 9)],
    ['truncated', click(1).subarray(0, 12)],
  ])('makes a reject of kind %s and goes on', (kind, value) => {
    take(
      records([
        [10, click(1)],
        [11, value],
        [12, click(3)],
      ]),
      10n,
    );
    expect(offsetsOfRows()).toEqual([10n, 12n]);
    expect(batch.rejects).toMatchObject([{ kind, partition: 3, offset: 11n, topic: 'clicks' }]);
    expectAccounted();
  });

  it('keeps the bytes of a reject after the source has reused its buffer', () => {
    const columns = records([[10, Buffer.from('hello')]]);
    take(columns, 10n);
    columns.bytes.fill(0);
    expect(Buffer.from(batch.rejects[0]?.value ?? []).toString()).toBe('hello');
  });

  it('stops at a schema id that is not loaded, and goes on there once it is', async () => {
    const columns = records([
      [10, click(1)],
      [11, click(2, 8)],
      [12, click(3)],
    ]);
    const first = take(columns, 10n);
    expect(first).toEqual({ nextOffset: 11n, stopped: { schemaIds: [8] } });
    await schemas.load(8);
    const second = take(columns, first.nextOffset);
    expect(second).toEqual({ nextOffset: 13n, stopped: undefined });
    expect(offsetsOfRows()).toEqual([10n, 12n]);
    expect(batch.rejects.map(({ offset }) => offset)).toEqual([11n]);
    expectAccounted();
  });

  it('names every id that the rest of the batch lacks, so that they are asked for at once', () => {
    const columns = records([7, 8, 7, 11, 8, 12].map((id, i) => [10 + i, click(i, id)]));
    expect(take(columns, 10n)).toEqual({ nextOffset: 11n, stopped: { schemaIds: [8, 11, 12] } });
    const many = records(Array.from({ length: 99 }, (_, i) => [11 + i, click(i, 100 + i)]));
    const { stopped } = take(many, 11n);
    expect(stopped).toMatchObject({ schemaIds: { length: 64 } });
  });

  it('stops when rejects fill the batch, and goes on in the next one (INVARIANTS.md 12)', () => {
    const columns = records([0, 1, 2].map((i) => [10 + i, null]));
    expect(take(columns, 10n, 2)).toEqual({ nextOffset: 12n, stopped: 'full' });
    expect(batch.rejects).toHaveLength(2);
    clearClickBatch(batch);
    expect(take(columns, 12n, 2)).toEqual({ nextOffset: 13n, stopped: undefined });
    expectAccounted();
  });

  it('stops when the batch is full, and goes on in the next one', () => {
    const columns = records([
      [10, click(1)],
      [11, click(2)],
      [12, click(3)],
    ]);
    const first = take(columns, 10n, 2);
    expect(first).toEqual({ nextOffset: 12n, stopped: 'full' });
    expectAccounted();
    clearClickBatch(batch);
    expect(take(columns, first.nextOffset, 2).nextOffset).toBe(13n);
    expect(offsetsOfRows()).toEqual([12n]);
    expectAccounted();
  });
});

describe('records with lists', () => {
  const listed: Contract = {
    name: 'listed',
    avroSchema: {
      type: 'record',
      name: 'Listed',
      fields: [{ name: 'items', type: { type: 'array', items: 'long' } }],
    },
  };
  const encoder = avsc.Type.forSchema(listed.avroSchema as avsc.Schema);
  const items = Array.from({ length: 1_000 }, () => 1);
  const bytesMax = 20_000;

  it('fill a batch by what they hold: no more are taken, and the next batch goes on there', async () => {
    const cache = createSchemaCache({
      registry: { schemaById: async () => listed.avroSchema },
      elapsedMs: () => 0,
    });
    await cache.load(7);
    const frame = Buffer.alloc(5);
    frame.writeInt32BE(7, 1);
    const value = Buffer.concat([frame, encoder.toBuffer({ items })]);
    const columns = records(Array.from({ length: 10 }, (_, at) => [at, value] as const));
    const lists = createClickBatch(createRowBuffer(listed, ROWS_MAX), ROWS_MAX);
    const taken: number[] = [];
    for (let nextOffset = 0n; nextOffset < 10n;) {
      const result = takeRecords({
        topic: 'clicks',
        partition: 3,
        records: columns,
        nextOffset,
        batch: lists,
        codecs: createCodecCache({ schemas: cache, contract: listed }),
        rowsMax: ROWS_MAX,
        bytesMax,
      });
      expect(result.stopped).toBe(result.nextOffset < 10n ? 'full' : undefined);
      expect(batchBytes(lists)).toBeLessThan(2 * bytesMax);
      expect(result.nextOffset - nextOffset).toBe(BigInt(lists.rows.rowCount));
      taken.push(lists.rows.rowCount);
      nextOffset = result.nextOffset;
      clearClickBatch(lists);
    }
    expect(taken).toEqual([3, 3, 3, 1]);
  });
});

describe('records with far more items than bytes', () => {
  const inner = Array.from({ length: 40 }, (_, i) => ({ name: `f${i}`, type: ['null', 'long'] }));
  const wide: Contract = {
    name: 'wide',
    avroSchema: {
      type: 'record',
      name: 'Wide',
      fields: [
        {
          name: 'items',
          type: { type: 'array', items: ['null', { type: 'record', name: 'Item', fields: inner }] },
        },
      ],
    },
  };
  const encoder = avsc.Type.forSchema(wide.avroSchema as avsc.Schema);
  const nulls = (count: number): Uint8Array => {
    const frame = Buffer.alloc(5);
    frame.writeInt32BE(7, 1);
    return Buffer.concat([frame, encoder.toBuffer({ items: Array(count).fill(null) })]);
  };

  it(
    'wait for an empty batch where the rest of one is too small, and are rejects where every one is',
    { timeout: 60_000 },
    async () => {
      const cache = createSchemaCache({
        registry: { schemaById: async () => wide.avroSchema },
        elapsedMs: () => 0,
      });
      await cache.load(7);
      const [large, tooLarge] = [nulls(1_200_000), nulls(2 ** 21 + 1)];
      const columns = records([
        [0, large],
        [1, tooLarge],
        [2, large],
        [3, nulls(1)],
      ]);
      const codecs = createCodecCache({ schemas: cache, contract: wide });
      const into = createClickBatch(createRowBuffer(wide, ROWS_MAX), ROWS_MAX);
      const takeFrom = (nextOffset: bigint) =>
        takeRecords({
          topic: 'clicks',
          partition: 3,
          records: columns,
          nextOffset,
          batch: into,
          codecs,
          rowsMax: ROWS_MAX,
          bytesMax: Infinity,
        });
      expect(takeFrom(0n)).toEqual({ nextOffset: 2n, stopped: 'full' });
      expect(into.isClosed).toBe(true);
      expect(into.rows.rowCount).toBe(1);
      expect(into.rejects).toMatchObject([{ offset: 1n, kind: 'out-of-range' }]);
      expect(into.ranges).toEqual(new Map([[3, { start: 0n, end: 2n }]]));
      clearClickBatch(into);
      expect(into.isClosed).toBe(false);
      expect(takeFrom(2n)).toEqual({ nextOffset: 4n, stopped: undefined });
      expect([into.rows.rowCount, into.rejects]).toEqual([2, []]);
    },
  );
});
