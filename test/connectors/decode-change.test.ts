import { describe, expect, it } from 'vitest';
import type { Change } from '../../connectors/change.ts';
import { createChangeDecoder } from '../../connectors/decode-change.ts';
import type { ChangeRecord } from '../../connectors/decode-change.ts';
import { avscType } from '../schemas/avro-encoding.ts';
import { bytesOfHex, framed, goldenOf, goldenRecords, resolveGolden } from './golden-records.ts';

const decoder = createChangeDecoder({ resolve: resolveGolden });
const isHeartbeat = (topic: string): boolean => topic.startsWith('__debezium-heartbeat');
const changesOf = (sample: string): Change[] =>
  goldenOf(sample).map(({ record }) => decoder.decode(record));
const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** An independent statement of what the columns of the sample tables mean. */
function expectedValue(column: string, value: unknown): unknown {
  if (value === null) return null;
  if (column === 'updated_at') return instantOf(value as string);
  if (column === 'user_id' || column === 'url_id') return BigInt(value as number);
  return value;
}

function expectedRow(entries: [string, unknown][]): object {
  return Object.fromEntries(entries.map(([name, value]) => [name, expectedValue(name, value)]));
}

function instantOf(text: string): bigint {
  return BigInt(Date.parse(text)) * 1000n + BigInt(/\.\d{3}(\d{3})Z$/.exec(text)?.[1] ?? 0);
}

function reasonOf(record: ChangeRecord): string {
  const change = decoder.decode(record);
  return change.kind === 'reject' ? change.reject.reason : change.kind;
}

describe('real change events', () => {
  const rows = goldenRecords.filter(
    ({ topic, decoded }) =>
      !isHeartbeat(topic) && !topic.endsWith('.types') && decoded.value?.after,
  );

  it.each(rows.map((golden, index) => [index, golden.sample, golden] as const))(
    '%i: a row of %s carries every column',
    (_index, _sample, { record, decoded }) => {
      const after = Object.entries(decoded.value?.after ?? {});
      const toasted = after.filter(([, value]) => value === '__debezium_unavailable_value');
      const present = after.filter((entry) => !toasted.includes(entry));
      expect(decoder.decode(record)).toEqual({
        kind: 'upsert',
        sourcePosition: BigInt(decoded.value?.lsn ?? -1),
        initialSnapshot: decoded.value?.op === 'r',
        rowKey: expectedRow(Object.entries(decoded.key ?? {})),
        after: expectedRow(present),
        unavailable: toasted.map(([name]) => name),
      });
    },
  );

  it('types of every kind become canonical', () => {
    expect(changesOf('types-r')[0]).toEqual({
      kind: 'upsert',
      sourcePosition: 43_098_952n,
      initialSnapshot: true,
      rowKey: { id: 1 },
      after: {
        id: 1,
        price: { unscaled: 123_450n, scale: 2 },
        n: { unscaled: 314_159_265_358_979n, scale: 14 },
        ts: 1_772_359_200_123_456n,
        tstz: 1_772_359_200_123_456n,
        d: 20_513,
        t: 36_672_500_000n,
        b: true,
        f8: 1.5,
        u: '00000000-0000-0000-0000-000000000001',
        j: '{"a": 1}',
        ba: Buffer.from([1, 2]),
        si: 7,
        arr: ['a', 'b'],
        iv: 86_400_000_000n,
      },
      unavailable: [],
    });
    expect(changesOf('types-u')[0]).toMatchObject({
      after: { price: { unscaled: 999_999n, scale: 2 }, n: { unscaled: -1n, scale: 3 } },
    });
    expect(changesOf('types-c')[0]).toMatchObject({ after: { price: null, b: true, arr: null } });
  });

  it('a delete carries its key and nothing of before', () => {
    expect(changesOf('users-d')[0]).toEqual({
      kind: 'delete',
      sourcePosition: 43_099_728n,
      rowKey: { user_id: 200_001n },
    });
  });

  it('a tombstone carries its key', () => {
    expect(changesOf('users-tombstone')[0]).toEqual({
      kind: 'tombstone',
      rowKey: { user_id: 200_001n },
    });
  });

  it('a truncate needs no key', () => {
    expect(goldenOf('devices-truncate')[0]?.record.key).toBeNull();
    expect(changesOf('devices-truncate')).toEqual([
      { kind: 'truncate', sourcePosition: expect.any(BigInt) as bigint },
    ]);
  });

  it('a changed primary key is a delete of the old and a create of the new key', () => {
    const changes = changesOf('users-primary-key-change').map((change) => ({
      kind: change.kind,
      rowKey: 'rowKey' in change ? change.rowKey : undefined,
    }));
    expect(changes).toEqual([
      { kind: 'upsert', rowKey: { user_id: 300_001n } },
      { kind: 'delete', rowKey: { user_id: 300_001n } },
      { kind: 'tombstone', rowKey: { user_id: 300_001n } },
      { kind: 'upsert', rowKey: { user_id: 300_002n } },
    ]);
  });

  it('columns that are not wanted are left out', () => {
    const narrow = createChangeDecoder({
      resolve: resolveGolden,
      columns: ['user_id', 'tier', 'gone'],
    });
    const golden = goldenOf('users-u').at(-1);
    const change = narrow.decode(golden?.record ?? { key: null, value: null });
    expect(change).toMatchObject({ kind: 'upsert', unavailable: [] });
    expect(Object.keys('after' in change ? change.after : {})).toEqual(['user_id', 'tier']);
  });

  it('a heartbeat is not a change', () => {
    const heartbeat = goldenRecords.find(({ topic }) => isHeartbeat(topic));
    const change = decoder.decode(heartbeat?.record ?? { key: null, value: null });
    expect(change).toMatchObject({ kind: 'reject', reject: { reason: 'not-an-envelope' } });
  });
});

describe('JSON envelopes', () => {
  const source = { connector: 'postgresql', lsn: 42, snapshot: 'false' };
  const after = { id: 9_007_199_254_740_993n, name: 'Ann' };
  const key = new TextEncoder().encode('{"id":9007199254740993}');

  it('without a schema keep their values, integers beyond 2^53 exactly', () => {
    const value = new TextEncoder().encode(
      `{"op":"c","source":${JSON.stringify(source)},"after":{"id":9007199254740993,"name":"Ann"}}`,
    );
    expect(decoder.decode({ key, value })).toEqual({
      kind: 'upsert',
      sourcePosition: 42n,
      initialSnapshot: false,
      rowKey: { id: 9_007_199_254_740_993n },
      after,
      unavailable: [],
    });
  });

  it('with Connect’s schema have the values that Avro gives', () => {
    const fields = [
      { field: 'id', type: 'int64' },
      { field: 'at', type: 'int64', name: 'io.debezium.time.Timestamp' },
      { field: 'day', type: 'int32', name: 'io.debezium.time.Date' },
      {
        field: 'price',
        type: 'bytes',
        name: 'org.apache.kafka.connect.data.Decimal',
        parameters: { scale: '2' },
      },
      {
        field: 'any',
        type: 'struct',
        name: 'io.debezium.data.VariableScaleDecimal',
        fields: [
          { field: 'scale', type: 'int32' },
          { field: 'value', type: 'bytes' },
        ],
      },
      { field: 'raw', type: 'bytes' },
      { field: 'big', type: 'bytes' },
    ];
    const value = json({
      schema: { type: 'struct', fields: [{ field: 'after', type: 'struct', fields }] },
      payload: {
        op: 'u',
        source,
        after: {
          id: 7,
          at: 5,
          day: 3,
          price: 'AeI6',
          any: { scale: 3, value: '/w==' },
          raw: 'AQI=',
          big: Buffer.from('__debezium_unavailable_value').toString('base64'),
        },
      },
    });
    const wrappedKey = json({
      schema: { type: 'struct', fields: [{ field: 'id', type: 'int64' }] },
      payload: { id: 7 },
    });
    expect(decoder.decode({ key: wrappedKey, value })).toMatchObject({
      rowKey: { id: 7n },
      after: {
        id: 7n,
        at: 5000n,
        day: 3,
        price: { unscaled: 123_450n, scale: 2 },
        any: { unscaled: -1n, scale: 3 },
        raw: new Uint8Array([1, 2]),
      },
      unavailable: ['big'],
    });
  });

  it.each([
    ['missing-position', { op: 'c', source: {}, after: {} }],
    ['missing-after', { op: 'c', source, after: null }],
    ['unknown-op', { op: 'm', source, after: null }],
    ['not-an-envelope', { id: 1, name: 'flattened' }],
  ])('are rejected as %s: %j', (reason, value) => {
    expect(decoder.decode({ key, value: json(value) })).toMatchObject({
      kind: 'reject',
      reject: { reason },
    });
  });
});

describe('records that cannot be decoded', () => {
  const whole = goldenOf('users-c')[0]?.record ?? { key: null, value: null };

  it.each([
    ['missing-key', { ...whole, key: null }],
    ['missing-key', { key: null, value: null }],
    ['unknown-framing', { ...whole, value: new Uint8Array([1, 2, 3]) }],
    ['unknown-framing', { ...whole, value: new Uint8Array() }],
    ['unknown-schema-id', { ...whole, value: framed(999, new Uint8Array([1])) }],
    ['malformed', { ...whole, value: new TextEncoder().encode('{"op":') }],
    ['truncated', { ...whole, value: whole.value?.slice(0, -1) ?? null }],
    ['malformed', { ...whole, value: Uint8Array.from([...(whole.value ?? []), 0]) }],
    ['truncated', { ...whole, key: bytesOfHex('0000000001') }],
  ])('are rejects with the reason %s', (reason, record) => {
    expect(reasonOf(record)).toBe(reason);
  });

  it('tell the schema ids to load, once each is asked for', () => {
    const record = { key: framed(1, new Uint8Array([2])), value: framed(999, new Uint8Array([0])) };
    expect(decoder.missingSchemaIds(record)).toEqual([999]);
    expect(decoder.missingSchemaIds(whole)).toEqual([]);
    expect(decoder.missingSchemaIds({ key: json({}), value: null })).toEqual([]);
  });
});

describe('unchanged TOAST', () => {
  it('is told from the form it has in each type', () => {
    const placeholder = '__debezium_unavailable_value';
    const row = {
      type: 'record',
      name: 'Value',
      fields: [
        { name: 'text', type: 'string' },
        { name: 'bytes', type: 'bytes' },
        { name: 'texts', type: { type: 'array', items: 'string' } },
        { name: 'longs', type: { type: 'array', items: 'long' } },
        { name: 'kept', type: { type: 'array', items: 'string' } },
      ],
    };
    const source = { type: 'record', name: 'Source', fields: [{ name: 'lsn', type: 'long' }] };
    const schema = {
      type: 'record',
      name: 'Envelope',
      fields: [
        { name: 'after', type: ['null', row] },
        { name: 'source', type: source },
        { name: 'op', type: 'string' },
      ],
    };
    const after = {
      text: placeholder,
      bytes: Buffer.from(placeholder),
      texts: [placeholder],
      longs: [...Buffer.from(placeholder)].map(BigInt),
      kept: ['a', placeholder],
    };
    const bytes = avscType(schema).toBuffer({ after, source: { lsn: 1n }, op: 'u' });
    const own = createChangeDecoder({ resolve: () => schema });
    expect(own.decode({ key: json({ id: 1 }), value: framed(5, bytes) })).toMatchObject({
      unavailable: ['text', 'bytes', 'texts', 'longs'],
      after: { kept: ['a', placeholder] },
    });
  });
});
