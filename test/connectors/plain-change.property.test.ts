import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createChangeDecoder } from '../../connectors/decode-change.ts';
import { avscType } from '../schemas/avro-encoding.ts';
import { withFrame } from '../schemas/mutations.ts';
import { goldenRecords, resolveGolden } from './golden-records.ts';
import { isPlain, readBothWays } from './plain-change.ts';

/** A type of a column with values of it. */
type Typed = { type: unknown; value: fc.Arbitrary<unknown> };

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ maxLength: 200, size: 'max' }),
  fc.constantFrom('__debezium_unavailable_value', 'X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=='),
  fc.constantFrom('x'.repeat(28), 'y'.repeat(40), '\ufffd', ''),
);
const bytes = fc.uint8Array({ maxLength: 40 }).map((value) => Buffer.from(value));
const named = (type: string, name: string, more: object = {}) => ({
  type,
  'connect.name': name,
  ...more,
});

const types: Typed[] = [
  { type: 'int', value: fc.integer() },
  { type: 'long', value: fc.oneof(int64, fc.integer().map(BigInt)) },
  { type: 'boolean', value: fc.boolean() },
  { type: 'double', value: fc.double() },
  { type: 'float', value: fc.float() },
  { type: 'string', value: text },
  { type: 'bytes', value: bytes },
  { type: { type: 'array', items: 'string' }, value: fc.array(text, { maxLength: 3 }) },
  { type: { type: 'map', values: 'long' }, value: fc.constantFrom({}, { a: 5n, b: -(2n ** 60n) }) },
  { type: { type: 'enum', name: 'Enum', symbols: ['A', 'B'] }, value: fc.constantFrom('A', 'B') },
  { type: { type: 'fixed', name: 'Fixed', size: 4 }, value: fc.constant(Buffer.of(1, 2, 3, 255)) },
  {
    type: { type: 'record', name: 'Inner', fields: [{ name: 'x', type: 'int' }] },
    value: fc.integer().map((x) => ({ x })),
  },
  { type: named('int', 'io.debezium.time.Date'), value: fc.integer() },
  { type: { type: 'int', logicalType: 'date' }, value: fc.integer() },
  { type: named('long', 'io.debezium.time.MicroTimestamp'), value: int64 },
  { type: { type: 'long', logicalType: 'timestamp-millis' }, value: int64 },
  {
    type: named('string', 'io.debezium.time.ZonedTimestamp'),
    value: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-01T00:00:00.123456+02:00', 'never'),
  },
  {
    type: named('bytes', 'org.apache.kafka.connect.data.Decimal', { scale: 2 }),
    value: bytes.filter(({ length }) => length < 12),
  },
  { type: named('string', 'io.debezium.data.Uuid'), value: text },
];

type Field = { name: string; type: unknown; value: unknown };

const cell = fc
  .record({
    typed: fc.constantFrom(...types),
    union: fc.constantFrom('none', 'null-first', 'null-last'),
    isNull: fc.boolean(),
  })
  .chain(({ typed, union, isNull }) => {
    if (union === 'none') return typed.value.map((value) => ({ type: typed.type, value }));
    const type = union === 'null-first' ? ['null', typed.type] : [typed.type, 'null'];
    return typed.value.map((value) => ({ type, value: isNull ? null : value }));
  });

/** Fields with types whose names are their own: each may be defined once. */
const row = (prefix: string, minLength: number): fc.Arbitrary<Field[]> =>
  fc.array(cell, { minLength, maxLength: 6 }).map((cells) =>
    cells.map(({ type, value }, index) => {
      const name = `${prefix}${index}`;
      const renamed = JSON.stringify(type).replace(/(?<="name":"(Enum|Fixed|Inner))/, name);
      return { name, type: JSON.parse(renamed) as unknown, value };
    }),
  );

const lsn = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }) },
  { weight: 1, arbitrary: fc.constantFrom(0n, -1n, null) },
);
const changeValue = fc.record({
  key: row('k', 1),
  after: row('f', 0),
  stepped: row('s', 0),
  isGone: fc.nat(19).map((n) => n === 0),
  op: fc.constantFrom('c', 'u', 'r', 'r', 'd', 't', 'create'),
  lsn,
  snapshot: fc.constantFrom('true', 'false', 'last', 'incremental', null, '__debezium_'),
  hasBefore: fc.boolean(),
});

const optional = (type: unknown) => ['null', type];
const recordType = (name: string, fields: readonly { name: string; type: unknown }[]) => ({
  type: 'record',
  name,
  fields: fields.map(({ name: field, type }) => ({ name: field, type })),
});
const valuesOf = (fields: readonly Field[]) =>
  Object.fromEntries(fields.map(({ name, value }) => [name, value]));

type Made = typeof changeValue extends fc.Arbitrary<infer T> ? T : never;

function schemasOf({ key, after, stepped }: Made) {
  const envelope = recordType('Envelope', [
    { name: 'before', type: optional(recordType('Row', [...after, ...stepped])) },
    { name: 'after', type: optional('Row') },
    {
      name: 'source',
      type: recordType('Source', [
        { name: 'version', type: 'string' },
        { name: 'snapshot', type: ['string', 'null'] },
        { name: 'ts_ms', type: 'long' },
        { name: 'lsn', type: optional('long') },
      ]),
    },
    { name: 'transaction', type: optional(recordType('Block', [{ name: 'id', type: 'string' }])) },
    { name: 'op', type: 'string' },
    { name: 'ts_ns', type: optional('long') },
  ]);
  return { key: recordType('Key', key), envelope };
}

function encoded(schema: unknown, value: unknown): Buffer {
  return avscType(schema).toBuffer(value);
}

function recordOf(made: Made) {
  const { key, after, stepped, isGone, op, snapshot, hasBefore } = made;
  const values = { ...valuesOf(after), ...valuesOf(stepped) };
  const schemas = schemasOf(made);
  const value = encoded(schemas.envelope, {
    before: hasBefore ? values : null,
    after: isGone ? null : values,
    source: { version: '3', snapshot, ts_ms: 5n, lsn: made.lsn },
    transaction: hasBefore ? { id: 'a' } : null,
    op,
    ts_ns: -(2n ** 63n),
  });
  const keyBytes = encoded(schemas.key, valuesOf(key));
  return { schemas, record: { key: withFrame(1, keyBytes), value: withFrame(2, value) } };
}

const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 });

function damaged(of: Uint8Array, changes: readonly [number, number][]): Uint8Array {
  const copy = Buffer.from(of);
  for (const [at, byte] of changes) copy[5 + (at % Math.max(1, copy.length - 5))] = byte;
  return copy;
}

describe('a change that is read as columns', { timeout: 60_000 }, () => {
  it('is what the strict decoder gives, and every plain one of any schema is read so', () => {
    let plainCount = 0;
    fc.assert(
      fc.property(changeValue, fc.boolean(), (made, hasMissingColumn) => {
        const { schemas, record } = recordOf(made);
        const columns = made.after.map(({ name }) => name).toReversed();
        if (hasMissingColumn) columns.splice(1, 0, 'missing');
        const resolve = (id: number) => (id === 1 ? schemas.key : schemas.envelope);
        const decoder = createChangeDecoder({ resolve, columns });
        const { change, isReadPlain } = readBothWays(decoder, record, { columns, what: 'any' });
        // A key that is a placeholder is none.
        const keys = 'rowKey' in change ? Object.keys(change.rowKey) : [];
        expect(isReadPlain).toBe(isPlain(change) && keys.length === made.key.length);
        if (isReadPlain) plainCount++;
      }),
      { numRuns: 500 },
    );
    expect(plainCount).toBeGreaterThan(50);
  });

  it('is never anything else where its bytes are damaged', () => {
    fc.assert(
      fc.property(changeValue, damage, damage, fc.nat(), (made, inKey, inValue, cut) => {
        const { schemas, record } = recordOf(made);
        const columns = made.after.map(({ name }) => name);
        const resolve = (id: number) => (id === 1 ? schemas.key : schemas.envelope);
        const decoder = createChangeDecoder({ resolve, columns });
        const value = damaged(record.value, inValue);
        const end = cut % 3 === 0 ? cut % (value.length + 1) : value.length;
        const mutated = { key: damaged(record.key, inKey), value: value.subarray(0, end) };
        const read = () => readBothWays(decoder, mutated, { columns, what: 'damaged' });
        expect(read).not.toThrow();
      }),
      { numRuns: 500 },
    );
  });

  it('is each plain one that Debezium wrote', () => {
    const columns = ['user_id', 'id', 'url_id', 'device_id', 'name', 'tier', 'url', 'price', 'ts'];
    const decoder = createChangeDecoder({ resolve: resolveGolden, columns });
    const found = goldenRecords.map(({ sample, record }) => {
      const { change, isReadPlain } = readBothWays(decoder, record, { columns, what: sample });
      const isFramed = record.value?.[0] === 0 && record.key?.[0] === 0;
      expect([sample, isReadPlain]).toEqual([sample, isFramed && isPlain(change)]);
      return isReadPlain;
    });
    expect(found.filter(Boolean).length).toBeGreaterThan(4);
  });
});
