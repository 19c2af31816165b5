import { describe, expect, it } from 'vitest';
import type { Change } from '../../connectors/change.ts';
import { createChangeDecoder } from '../../connectors/decode-change.ts';
import type { ChangeRecord } from '../../connectors/decode-change.ts';
import { sourceFields, sourcePositionOf } from '../../connectors/source-position.ts';
import type { DimensionDefinition } from '../../enrich/state/dimension-record.ts';
import { openDimensionState } from '../../enrich/state/dimension-state.ts';
import { openMemoryStore } from '../../enrich/state/memory-store.ts';
import { openRandom } from '../../generate/random.ts';
import { OracleFault, readByOracle } from '../schemas/avro-oracle.ts';
import { everyMutation, randomMutation, sized, withFrame, zigzag } from '../schemas/mutations.ts';
import { mustEqual } from '../schemas/must-equal.ts';
import type { Mutation } from '../schemas/mutations.ts';
import { goldenOf, goldenRecords, resolveGolden } from './golden-records.ts';

const seed = Number(process.env['MUTATION_SEED'] ?? Date.now() % 2 ** 31);
const RANDOM_MUTATIONS = 8_000;
const ids = { unknown: 999, others: [1, 9] };

const users: DimensionDefinition = {
  name: 'users',
  primaryKey: 'user_id',
  joinKey: 'user_id',
  joinKeyType: 'long',
  normaliser: 'none',
  columns: [
    { name: 'name', type: 'string' },
    { name: 'tier', type: 'string' },
    { name: 'country', type: 'string' },
  ],
};
const types: DimensionDefinition = {
  name: 'types',
  primaryKey: 'id',
  joinKey: 'id',
  joinKeyType: 'long',
  normaliser: 'none',
  columns: [
    { name: 'price', type: 'decimal(12, 2)' },
    { name: 'n', type: 'decimal(20, 4)' },
    { name: 'ts', type: 'timestamptz' },
    { name: 'tstz', type: 'timestamptz' },
    { name: 'd', type: 'date' },
    { name: 'f8', type: 'double' },
    { name: 'ba', type: 'binary' },
    // An array where the contract has text: each of its rows is refused, whatever its bytes.
    { name: 'arr', type: 'string' },
  ],
};

type Struct = Readonly<Record<string, unknown>>;

/** A reason that the bytes alone decide, or what the record means where they are sound. */
type Expected = { reason: string } | { kind: Change['kind']; after?: Struct };

class Decided extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

/** The one reason that no byte decides: text that must be a time is none. */
function isNoTime(change: Change): boolean {
  return change.kind === 'reject' && change.reject.message.startsWith('not an ISO time');
}

function hexOf(bytes: Uint8Array | null): string {
  return bytes === null ? 'null' : Buffer.from(bytes.subarray(0, 400)).toString('hex');
}

function readFramed(bytes: Uint8Array, isRead: (path: string) => boolean): Struct {
  const buffer = Buffer.from(bytes);
  if (buffer[0] === 0x7b) throw new Decided('json');
  if (buffer[0] !== 0 || buffer.length < 5 || buffer.readInt32BE(1) < 0) {
    throw new Decided('unknown-framing');
  }
  const avroSchema = resolveGolden(buffer.readInt32BE(1));
  if (avroSchema === undefined) throw new Decided('unknown-schema-id');
  const { fields = [] } = avroSchema as { fields?: { name: string }[] };
  const names = fields.map(({ name }) => name);
  const isEnvelope = ['after', 'source', 'op'].every((name) => names.includes(name));
  if (isRead('after') && !isEnvelope) throw new Decided('not-an-envelope');
  return readByOracle(avroSchema, buffer.subarray(5), { isRead, depthMax: 64 }) as Struct;
}

function expectedOf({ key, value }: ChangeRecord, columns: ReadonlySet<string>): Expected {
  const readKey = (): void => {
    if (key === null) throw new Decided('missing-key');
    readFramed(key, (path) => path !== 'after');
  };
  const isRead = (path: string): boolean => {
    const [field = '', column = '', ...rest] = path.split(/[.[{]/);
    if (field === 'after') return column === '' || (columns.has(column) && rest.length >= 0);
    if (field === 'source') return (sourceFields as readonly string[]).includes(column);
    return field === 'op';
  };
  try {
    if (value === null) {
      readKey();
      return { kind: 'tombstone' };
    }
    const envelope = readFramed(value, isRead);
    const { op, after, source } = envelope;
    if (sourcePositionOf(source as Struct) === undefined) return { reason: 'missing-position' };
    if (!['c', 'u', 'r', 'd', 't'].includes(op as string)) return { reason: 'unknown-op' };
    if (op === 't') return { kind: 'truncate' };
    if (op === 'd') {
      readKey();
      return { kind: 'delete' };
    }
    if (after === null) return { reason: 'missing-after' };
    readKey();
    return { kind: 'upsert', after: after as Struct };
  } catch (error) {
    if (error instanceof OracleFault) return { reason: error.kind };
    if (error instanceof Decided) return { reason: error.reason };
    throw error;
  }
}

/** Decodes and applies mutated records between good ones, and holds each against the oracle. */
class Feed {
  readonly kinds = new Map<string, number>();
  readonly #columns: ReadonlySet<string>;
  readonly #decoder: ReturnType<typeof createChangeDecoder>;
  readonly #definition: DimensionDefinition;
  readonly #state: Awaited<ReturnType<typeof openDimensionState>>;
  #offset = 0n;

  private constructor(
    definition: DimensionDefinition,
    state: Awaited<ReturnType<typeof openDimensionState>>,
  ) {
    this.#definition = definition;
    this.#state = state;
    const columns = [definition.primaryKey, ...definition.columns.map(({ name }) => name)];
    this.#columns = new Set(columns);
    this.#decoder = createChangeDecoder({ resolve: resolveGolden, columns });
  }

  static async open(definition: DimensionDefinition): Promise<Feed> {
    const state = await openDimensionState({ store: openMemoryStore(), dimensions: [definition] });
    return new Feed(definition, state);
  }

  async take(name: string, record: ChangeRecord): Promise<void> {
    const { key, value } = record;
    const what = `seed ${seed}, ${name}: key ${hexOf(key)} value ${hexOf(value)}`;
    const change = this.#decoder.decode(record);
    const expected = expectedOf(record, this.#columns);
    const actual = change.kind === 'reject' ? change.reject.reason : change.kind;
    this.kinds.set(actual, (this.kinds.get(actual) ?? 0) + 1);
    if ('reason' in expected) {
      if (expected.reason !== 'json') mustEqual(actual, expected.reason, what);
    } else if (!isNoTime(change)) {
      mustEqual(actual, expected.kind, what);
      this.#compare(change, expected.after, what);
    }
    await this.#apply(change, what);
  }

  /** Columns whose values stand as they were written. */
  #compare(change: Change, after: Struct | undefined, what: string): void {
    if (change.kind !== 'upsert' || after === undefined) return;
    for (const { name, type } of this.#definition.columns) {
      if (type !== 'string' && type !== 'double') continue;
      if (!(name in after) || change.unavailable.includes(name) || name === 'arr') continue;
      mustEqual(change.after[name], after[name], what);
    }
  }

  /** Whatever the decoder lets through, the state takes or refuses, and never fails on. */
  async #apply(change: Change, what: string): Promise<void> {
    const offset = this.#offset++;
    if (change.kind === 'reject' || change.kind === 'truncate') return;
    const source = { partition: 0, nextOffset: offset + 1n, topicId: 't', clusterId: 'c' };
    try {
      await this.#state.apply(this.#definition.name, source, [{ offset, timestampMs: 0, change }]);
    } catch (error) {
      throw new Error(`the state failed: ${what}`, { cause: error });
    }
  }
}

function memoryBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const usable = goldenRecords.filter(({ topic }) =>
  ['app.public.users', 'app.public.types'].includes(topic),
);

async function feeds(): Promise<(topic: string) => Feed> {
  const [ofUsers, ofTypes] = [await Feed.open(users), await Feed.open(types)];
  return (topic) => (topic === 'app.public.users' ? ofUsers : ofTypes);
}

function hasBytes(record: ChangeRecord): record is { key: Uint8Array; value: Uint8Array } {
  return record.key !== null && record.value !== null;
}

describe('a change event whose bytes are wrong', () => {
  it(
    'in every place is what it ought to be, and the state lives on',
    { timeout: 60_000 },
    async () => {
      const feedOf = await feeds();
      const before = memoryBytes();
      let [count, grownBytes] = [0, 0];
      for (const sample of ['users-c', 'types-r']) {
        for (const { topic, record } of goldenOf(sample).slice(0, 1)) {
          if (!hasBytes(record)) throw new Error(`${sample} lacks key or value`);
          const feed = feedOf(topic);
          const each = async (
            mutations: Iterable<Mutation>,
            of: (bytes: Uint8Array | null) => ChangeRecord,
          ) => {
            for (const { name, bytes } of mutations) {
              await feed.take(`${sample}, ${name}`, of(bytes));
              grownBytes = Math.max(grownBytes, memoryBytes() - before);
              count++;
            }
          };
          await each(everyMutation(record.value, ids), (value) => ({ ...record, value }));
          await each(everyMutation(record.key, ids), (key) => ({ ...record, key }));
        }
      }
      expect(count).toBeGreaterThan(10_000);
      expect(grownBytes).toBeLessThan(256 * 1024 ** 2);
      const { kinds } = feedOf('app.public.users');
      const met = [
        'upsert',
        'tombstone',
        'truncated',
        'malformed',
        'invalid-utf8',
        'unknown-framing',
        'unknown-schema-id',
        'missing-key',
        'not-an-envelope',
      ];
      expect([...kinds.keys()]).toEqual(expect.arrayContaining(met));
    },
  );

  it(`by chance, seed ${seed} (MUTATION_SEED), likewise`, { timeout: 60_000 }, async () => {
    const random = openRandom(seed, 'changes');
    const feedOf = await feeds();
    for (let i = 0; i < RANDOM_MUTATIONS; i++) {
      const golden = usable[random.below(usable.length)];
      if (golden === undefined) continue;
      const { record, topic } = golden;
      const inKey = random.chance(0.2);
      const bytes = inKey ? record.key : record.value;
      if (bytes === null) continue;
      const mutation = randomMutation(bytes, random);
      const mutated = inKey
        ? { ...record, key: mutation.bytes }
        : { ...record, value: mutation.bytes };
      await feedOf(topic).take(mutation.name, mutated);
    }
    expect(feedOf('app.public.users').kinds.size).toBeGreaterThan(6);
  });
});

/** An envelope as a table with this column would send it. */
function envelopeOf(type: unknown, column: Uint8Array, columns: readonly string[]) {
  const avroSchema = {
    type: 'record',
    name: 'Envelope',
    fields: [
      {
        name: 'after',
        type: { type: 'record', name: 'Row', fields: [{ name: 'column', type }] },
      },
      {
        name: 'source',
        type: { type: 'record', name: 'Source', fields: [{ name: 'lsn', type: 'long' }] },
      },
      { name: 'op', type: 'string' },
    ],
  };
  const decoder = createChangeDecoder({
    resolve: (id) => (id === 1 ? keySchema : avroSchema),
    columns,
  });
  const value = withFrame(2, Buffer.concat([column, zigzag(7n), sized('c')]));
  return decoder.decode({ key: withFrame(1, zigzag(1n)), value });
}

/** So many records, each in the one before it. */
function deep(levels: number): Uint8Array {
  return Buffer.concat([Buffer.alloc(levels, 2), Buffer.of(0)]);
}

const keySchema = { type: 'record', name: 'Key', fields: [{ name: 'id', type: 'long' }] };

describe('a change event at the edge', { timeout: 60_000 }, () => {
  const longs = { type: 'array', items: 'long' };
  const nulls = { type: 'array', items: 'null' };
  const map = { type: 'map', values: 'string' };
  const tree = {
    type: 'record',
    name: 'Tree',
    fields: [{ name: 'child', type: ['null', 'Tree'] }],
  };
  const mega = 'm'.repeat(1 << 20);

  it.each<[name: string, type: unknown, column: Uint8Array, outcome: string]>([
    ['an array of 2^53 items', longs, zigzag(2n ** 53n), 'truncated'],
    ['an array of 2^31 items', longs, zigzag(2n ** 31n), 'truncated'],
    ['an array of 2^40 nulls', nulls, zigzag(2n ** 40n), 'truncated'],
    [
      'a block of -2^62 items',
      longs,
      Buffer.concat([zigzag(-(2n ** 62n)), zigzag(3n)]),
      'truncated',
    ],
    ['a block that steps back', longs, Buffer.concat([zigzag(-1n), zigzag(-9n)]), 'malformed'],
    ['a block of its size', longs, Buffer.of(1, 2, 6, 0), 'upsert'],
    ['a block that is not of its size', longs, Buffer.of(1, 4, 6, 0), 'malformed'],
    ['text of 2^40 bytes', 'string', zigzag(2n ** 40n), 'truncated'],
    ['bytes of -1 bytes', 'bytes', zigzag(-1n), 'malformed'],
    ['a megabyte of text', 'string', sized(mega), 'upsert'],
    ['text that is not UTF-8', 'string', sized(Buffer.of(0x61, 0xff)), 'invalid-utf8'],
    ['text that holds U+FFFD', 'string', sized('a\ufffdb'), 'upsert'],
    ['an 11-byte varint', 'long', Buffer.from([...Array<number>(10).fill(0x80), 0]), 'malformed'],
    ['nesting of 10', tree, deep(10), 'upsert'],
    ['nesting of 1 000 000', tree, deep(1_000_000), 'malformed'],
  ])('%s', (_, type, column, outcome) => {
    const startMs = performance.now();
    for (const columns of [['column'], ['other']]) {
      const change = envelopeOf(type, column, columns);
      const actual = change.kind === 'reject' ? change.reject.reason : change.kind;
      // Text of a column that nobody carries is stepped over.
      const isStepped = outcome === 'invalid-utf8' && columns[0] === 'other';
      expect(actual).toBe(isStepped ? 'upsert' : outcome);
    }
    expect(performance.now() - startMs).toBeLessThan(20_000);
  });

  it('names such as __proto__ are names', () => {
    const entries = Buffer.concat([
      zigzag(2n),
      sized('__proto__'),
      sized('p'),
      sized('constructor'),
      sized('c'),
      zigzag(0n),
    ]);
    const change = envelopeOf(map, entries, ['column']);
    if (change.kind !== 'upsert') throw new Error(JSON.stringify(change));
    expect(Object.entries(change.after['column'] as object)).toEqual([
      ['__proto__', 'p'],
      ['constructor', 'c'],
    ]);
  });
});

function jsonEnvelope(after: string, source = '{"lsn":7}'): string {
  return `{"after":${after},"source":${source},"op":"c"}`;
}

describe('a change event in JSON at the edge', () => {
  const decoder = createChangeDecoder({ resolve: () => undefined, columns: ['user_id', 'name'] });
  const decode = (value: string | Uint8Array): Change =>
    decoder.decode({ key: Buffer.from('{"user_id":1}'), value: Buffer.from(value) });

  it.each<[reason: string, value: string | Uint8Array]>([
    ['not-an-envelope', jsonEnvelope('5')],
    ['not-an-envelope', jsonEnvelope('"row"')],
    ['not-an-envelope', jsonEnvelope('[1]')],
    ['not-an-envelope', jsonEnvelope('{}', '"source"')],
    ['not-an-envelope', jsonEnvelope('{}', '[]')],
    ['missing-position', jsonEnvelope('{}', 'null')],
    ['missing-after', jsonEnvelope('null')],
    ['malformed', jsonEnvelope('NaN')],
    ['malformed', jsonEnvelope(`{"user_id":${'9'.repeat(1_000_000)}}`)],
    ['malformed', jsonEnvelope('['.repeat(500_000))],
    ['malformed', jsonEnvelope(`${'['.repeat(500_000)}${']'.repeat(500_000)}`)],
    ['malformed', '{'],
    ['invalid-utf8', Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xff), Buffer.from('"}')])],
    ['unknown-framing', '[]'],
  ])('is a reject with the reason %s', (reason, value) => {
    const change = decode(value);
    expect(change.kind === 'reject' ? change.reject.reason : change.kind).toBe(reason);
  });

  it('inherits nothing from a key named __proto__', () => {
    const change = decode(jsonEnvelope('{"__proto__":{"name":"Mallory"},"user_id":1}'));
    if (change.kind !== 'upsert') throw new Error(JSON.stringify(change));
    expect(change.after['name']).toBeUndefined();
    expect(change.after['user_id']).toBe(1);
  });

  it('has no column for what only every object has', () => {
    const schema =
      '{"type":"struct","fields":[{"field":"after","type":"struct","fields":[{"field":"constructor","type":"string","name":"constructor"}]}]}';
    const all = createChangeDecoder({ resolve: () => undefined });
    const change = all.decode({
      key: Buffer.from('{"user_id":1}'),
      value: Buffer.from(`{"schema":${schema},"payload":${jsonEnvelope('{}')}}`),
    });
    if (change.kind !== 'upsert') throw new Error(JSON.stringify(change));
    expect(Object.entries(change.after)).toEqual([['constructor', null]]);
  });
});
