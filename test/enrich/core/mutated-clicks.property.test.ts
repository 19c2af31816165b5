import { readFileSync } from 'node:fs';
import avsc from 'avsc';
import { describe, expect, it } from 'vitest';
import { clearClickBatch, createClickBatch } from '../../../enrich/core/click-batch.ts';
import { takeRecords } from '../../../enrich/core/take-records.ts';
import { VIOLATING_AVRO_SCHEMA } from '../../../generate/corrupt.ts';
import { openRandom } from '../../../generate/random.ts';
import { createCodecCache } from '../../../schemas/codec-cache.ts';
import type { AvroObject, Contract } from '../../../schemas/contract.ts';
import { createRowBuffer } from '../../../schemas/row-buffer.ts';
import { createSchemaCache } from '../../../schemas/schema-cache.ts';
import { avscType, rowOf } from '../../schemas/avro-encoding.ts';
import { readByOracle } from '../../schemas/avro-oracle.ts';
import {
  everyMutation,
  randomMutation,
  sized,
  withFrame,
  zigzag,
} from '../../schemas/mutations.ts';
import { mustEqual } from '../../schemas/must-equal.ts';
import type { Mutation } from '../../schemas/mutations.ts';
import { clickOracle } from './click-oracle.ts';
import type { Writer } from './click-oracle.ts';
import { recordColumns } from './record-columns.ts';
import { click, richBody, richClick, richSchema } from './rich-click.ts';

const clickSchema = JSON.parse(
  readFileSync('schemas/click.avsc', 'utf8'),
) as Contract['avroSchema'];
const userSchema = JSON.parse(readFileSync('schemas/user.avsc', 'utf8')) as AvroObject;

const seed = Number(process.env['MUTATION_SEED'] ?? Date.now() % 2 ** 31);
/** Beyond those that are tried at every byte. */
const RANDOM_MUTATIONS = 12_000;
const CHUNK = 64;
const ROWS_MAX = 4_096;
const UNKNOWN_ID = 999;

/** The click's contract with a column that holds NaN and Infinity. */
const contract: Contract = {
  name: 'click',
  avroSchema: {
    ...clickSchema,
    fields: [...clickSchema.fields, { name: 'score', type: ['null', 'double'], default: null }],
  },
};

const writers = new Map<number, Writer>([
  [1, { avroSchema: clickSchema, isReadable: true }],
  [2, { avroSchema: richSchema, isReadable: true }],
  [3, { avroSchema: userSchema, isReadable: false }],
  [4, { avroSchema: { type: 'string' }, isReadable: false }],
  [5, { avroSchema: VIOLATING_AVRO_SCHEMA, isReadable: true }],
]);
const others = [3, 4, 5];

const goodClick = withFrame(1, avscType(clickSchema).toBuffer(click));
const goodRich = withFrame(2, avscType(richSchema).toBuffer(richClick));

const expectedOf = clickOracle(contract, writers);

async function openCodecs() {
  const schemas = createSchemaCache({
    registry: { schemaById: async (id) => writers.get(id)?.avroSchema ?? 'unknown' },
    elapsedMs: () => 0,
  });
  return { schemas, codecs: createCodecCache({ schemas, contract }) };
}

/** Takes values in turn with good ones, as one batch of the log, and says what became of each. */
class Taker {
  readonly batch = createClickBatch(createRowBuffer(contract, ROWS_MAX), ROWS_MAX);
  readonly kinds = new Map<string, number>();
  #offset = 0;

  async take(codecs: Awaited<ReturnType<typeof openCodecs>>, mutations: readonly Mutation[]) {
    const { batch } = this;
    const values = mutations.flatMap(({ bytes }) => [bytes, goodClick]);
    const first = this.#offset;
    let next = BigInt(first);
    for (;;) {
      const result = takeRecords({
        topic: 'clicks',
        partition: 0,
        records: recordColumns(values.map((value, i) => [first + i, value])),
        nextOffset: next,
        batch,
        codecs: codecs.codecs,
        rowsMax: ROWS_MAX,
        bytesMax: Number.POSITIVE_INFINITY,
      });
      next = result.nextOffset;
      if (result.stopped === undefined) break;
      if (result.stopped === 'full') throw new Error('the batch is too small for the chunk');
      for (const id of result.stopped.schemaIds) await codecs.schemas.load(id);
    }
    this.#offset += values.length;
    this.#check(first, mutations);
    clearClickBatch(batch);
  }

  #check(first: number, mutations: readonly Mutation[]): void {
    const { batch } = this;
    const rejects = new Map(batch.rejects.map((reject) => [Number(reject.offset) - first, reject]));
    let row = 0;
    for (const [index, { name, bytes }] of mutations.entries()) {
      const what = `seed ${seed}, ${name}: ${Buffer.from((bytes ?? new Uint8Array()).subarray(0, 300)).toString('hex')}`;
      const expected = expectedOf(bytes);
      const reject = rejects.get(2 * index);
      const outcome = 'kind' in expected ? expected.kind : 'row';
      this.kinds.set(outcome, (this.kinds.get(outcome) ?? 0) + 1);
      mustEqual(reject?.kind ?? 'row', outcome, what);
      if ('row' in expected) mustEqual(rowOf(batch.rows, row++), expected.row, what);
      else mustEqual(Buffer.compare(reject?.value ?? Buffer.of(), bytes ?? Buffer.of()), 0, what);
      mustEqual(rejects.has(2 * index + 1), false, `the good one after ${what}`);
      row++;
    }
    // INVARIANTS.md 5
    mustEqual(batch.rows.rowCount + batch.rejects.length, 2 * mutations.length, 'all records');
    mustEqual(row, batch.rows.rowCount, 'rows');
  }
}

function memoryBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Takes them chunk by chunk; the most memory that was held above the start, in bytes. */
async function takeAll(
  mutations: Iterable<Mutation>,
): Promise<{ taker: Taker; count: number; grownBytes: number }> {
  const taker = new Taker();
  const codecs = await openCodecs();
  const before = memoryBytes();
  let [count, grownBytes] = [0, 0];
  let chunk: Mutation[] = [];
  for (const mutation of mutations) {
    chunk.push(mutation);
    count++;
    if (chunk.length < CHUNK) continue;
    await taker.take(codecs, chunk);
    grownBytes = Math.max(grownBytes, memoryBytes() - before);
    chunk = [];
  }
  await taker.take(codecs, chunk);
  return { taker, count, grownBytes };
}

function* chosenByChance(): Generator<Mutation> {
  const random = openRandom(seed, 'mutations');
  for (let i = 0; i < RANDOM_MUTATIONS; i++) {
    yield randomMutation(random.chance(0.5) ? goodClick : goodRich, random);
  }
}

describe('a click whose bytes are wrong', { timeout: 60_000 }, () => {
  const ids = { unknown: UNKNOWN_ID, others };

  it.each([
    ['a click', goodClick, 1_500],
    ['a click with more than the contract asks for', goodRich, 1_800],
  ])(
    'in every place of %s is the reject it ought to be, and none beside it',
    async (_, good, least) => {
      const { taker, count, grownBytes } = await takeAll(everyMutation(good, ids));
      expect(count).toBeGreaterThan(least);
      expect(grownBytes).toBeLessThan(256 * 1024 ** 2);
      expect([...taker.kinds.keys()]).toEqual(
        expect.arrayContaining(['row', 'truncated', 'malformed', 'invalid-utf8', 'out-of-range']),
      );
    },
  );

  it(`by chance, seed ${seed} (MUTATION_SEED), likewise`, async () => {
    const { count, grownBytes, taker } = await takeAll(chosenByChance());
    expect(count).toBe(RANDOM_MUTATIONS);
    expect(grownBytes).toBeLessThan(256 * 1024 ** 2);
    expect(taker.kinds.size).toBeGreaterThan(6);
  });
});

/** The rich click with one field's bytes replaced by others. */
function richWith(field: string, bytes: Uint8Array): Uint8Array {
  return withFrame(2, richBody(field, bytes));
}

/** So many records, each in the one before it. */
function deep(levels: number): Uint8Array {
  return Buffer.concat([Buffer.alloc(levels, 2), Buffer.of(0)]);
}

function double(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

describe('a click at the edge', { timeout: 60_000 }, () => {
  const mega = 'm'.repeat(1 << 20);
  const cases: [name: string, bytes: Uint8Array, outcome: string][] = [
    ['NaN', richWith('score', double(Number.NaN)), 'row'],
    ['Infinity', richWith('score', double(Number.POSITIVE_INFINITY)), 'row'],
    ['-Infinity', richWith('score', double(Number.NEGATIVE_INFINITY)), 'row'],
    ['a megabyte of text', richWith('url', sized(mega)), 'row'],
    [
      'a megabyte of text that ends in half a character',
      richWith('url', sized(Buffer.concat([Buffer.from(mega), Buffer.of(0xe2)]))),
      'invalid-utf8',
    ],
    ['a text named __proto__', richWith('url', sized('__proto__')), 'row'],
    ['a text of zeros', richWith('url', sized(new Uint8Array(10))), 'row'],
    ['nesting of 10', richWith('tree', deep(10)), 'row'],
    ['nesting of 1 000', richWith('tree', deep(1_000)), 'malformed'],
    ['nesting of 1 000 000', richWith('tree', deep(1_000_000)), 'malformed'],
    ['an array of 2^40 items', richWith('clicks', zigzag(2n ** 40n)), 'truncated'],
    ['a map of -2^63 entries', richWith('tags', zigzag(-(2n ** 63n))), 'truncated'],
    ['a block that is not of its size', richWith('clicks', Buffer.of(1, 8, 0, 0)), 'malformed'],
    ['a block of its size', richWith('clicks', Buffer.of(1, 2, 0, 0)), 'row'],
    ['a union index of 2', richWith('device_id', Buffer.of(4)), 'malformed'],
    ['a union index of -1', richWith('device_id', Buffer.of(1)), 'malformed'],
    ['null where the contract has none', richWith('device_id', Buffer.of(2)), 'contract-violation'],
    ['an enum index of 2', richWith('kind', Buffer.of(4)), 'malformed'],
    ['a boolean of 2', richWith('bot', Buffer.of(2)), 'malformed'],
    ['an int of 33 bits', richWith('user_id', zigzag(2n ** 32n)), 'malformed'],
  ];

  it.each(cases)('%s', async (name, bytes, outcome) => {
    const before = memoryBytes();
    const taker = new Taker();
    await taker.take(await openCodecs(), [{ name, bytes }]);
    expect([...taker.kinds.keys()]).toEqual([outcome]);
    expect(memoryBytes() - before).toBeLessThan(256 * 1024 ** 2);
  });
});

describe('the oracle', () => {
  it('reads what avsc reads', () => {
    const options = { isRead: () => true, depthMax: 64 };
    const read = readByOracle(clickSchema, goodClick.subarray(5), options);
    expect(read).toEqual(click);
    const type = avsc.Type.forSchema(clickSchema as avsc.Schema);
    expect(type.fromBuffer(Buffer.from(goodClick.subarray(5)))).toMatchObject({ url: click.url });
  });
});
