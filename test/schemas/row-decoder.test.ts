import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadContract } from '../../schemas/load-contracts.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import type { DecodeFailure, RowBuffer } from '../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../schemas/row-decoder.ts';
import type { AvroObject, Contract } from '../../schemas/contract.ts';
import { avscType, cell, contractOf, recordOf, rowOf, text } from './avro-encoding.ts';
import { arraysWithin, recordsOfEachOther, recordsOfTwo, recordsWithin } from './deep-schemas.ts';

type Decoded = { failure: DecodeFailure | undefined; buffer: RowBuffer; value: unknown };

/** Decodes one record of `writer` whose bytes are given or encoded from a value by avsc. */
function decode(contract: Contract, writer: AvroObject, record: object): Decoded {
  const bytes =
    record instanceof Uint8Array ? record : new Uint8Array(avscType(writer).toBuffer(record));
  const buffer = createRowBuffer(contract, 2);
  const failure = createRowDecoder(contract, writer).append(bytes, 0, bytes.length, buffer);
  return { failure, buffer, value: cell(buffer.columns[0], 0) };
}

const single = (type: unknown, rest: object = {}): Contract =>
  contractOf([{ name: 'a', type, ...rest }]);
const writes = (type: unknown): AvroObject => recordOf([{ name: 'a', type }]);
const timestamp = (logicalType: string): object => ({ type: 'long', logicalType });

describe('a click of the contract in git', () => {
  const directory = join(import.meta.dirname, '../../schemas');

  it('becomes one row of its columns', async () => {
    const contract = await loadContract(directory, 'click');
    const { failure, buffer } = decode(contract, contract.avroSchema, {
      event_time: 1_795_380_108_753n,
      user_id: 9_007_199_254_740_993n,
      url: 'https://ex.ample/ä',
      device_id: 'd1',
      session_id: null,
      referrer: 'https://from.example/',
      duration_ms: -5,
    });
    expect(failure).toBeUndefined();
    expect(buffer.rowCount).toBe(1);
    expect(rowOf(buffer, 0)).toEqual({
      event_time: 1_795_380_108_753_000n,
      user_id: 9_007_199_254_740_993n,
      url: text('https://ex.ample/ä'),
      device_id: text('d1'),
      session_id: null,
      referrer: text('https://from.example/'),
      duration_ms: -5,
    });
  });

  it('keeps text longer than the copy loop and columns larger than their first memory', async () => {
    const contract = contractOf([{ name: 'a', type: 'string' }]);
    const long = 'ä'.repeat(50_000);
    const { failure, value } = decode(contract, contract.avroSchema, { a: long });
    expect(failure).toBeUndefined();
    expect(value).toEqual(text(long));
  });
});

describe('resolution of a writer schema to the contract', () => {
  it.each([
    ['int to long', 'int', 'long', -7, -7n],
    ['int to float', 'int', 'float', 7, 7],
    ['int to double', 'int', 'double', 7, 7],
    ['long to float', 'long', 'float', 16_777_216n, 16_777_216],
    ['long to double', 'long', 'double', -4_294_967_297n, -4_294_967_297],
    ['float to double', 'float', 'double', 1.5, 1.5],
    ['string to bytes', 'string', 'bytes', 'ab', text('ab')],
    ['bytes to string', 'bytes', 'string', Buffer.from('ab'), text('ab')],
  ])('promotes %s', (_name, writer, reader, written, expected) => {
    expect(decode(single(reader), writes(writer), { a: written }).value).toEqual(expected);
  });

  it.each([
    ['long to int', 'long', 'int'],
    ['double to float', 'double', 'float'],
    ['string to long', 'string', 'long'],
    ['an array', { type: 'array', items: 'long' }, 'long'],
  ])('rejects every record where %s would be needed', (_name, writer, reader) => {
    const { failure, buffer } = decode(single(reader), writes(writer), new Uint8Array([2]));
    expect(failure).toMatchObject({ kind: 'contract-violation' });
    expect(failure?.message).toContain('field a');
    expect(buffer.rowCount).toBe(0);
  });

  it('takes a field of the writer by the contract’s alias', () => {
    const contract = contractOf([{ name: 'a', type: 'int', aliases: ['old'] }]);
    expect(decode(contract, recordOf([{ name: 'old', type: 'int' }]), { old: 3 }).value).toBe(3);
  });

  it('fills fields that the writer lacks with their defaults', () => {
    const contract = contractOf([
      { name: 'a', type: 'int' },
      { name: 'none', type: ['null', 'string'], default: null },
      { name: 'tier', type: 'string', default: 'free' },
      { name: 'count', type: 'long', default: -2 },
      { name: 'at', type: timestamp('timestamp-millis'), default: 1 },
      { name: 'raw', type: 'bytes', default: 'ÿ' },
      { name: 'yes', type: 'boolean', default: true },
      { name: 'ratio', type: 'double', default: 0.5 },
    ]);
    const { failure, buffer } = decode(contract, writes('int'), { a: 1 });
    expect(failure).toBeUndefined();
    expect(rowOf(buffer, 0)).toEqual({
      a: 1,
      none: null,
      tier: text('free'),
      count: -2n,
      at: 1000n,
      raw: new Uint8Array([255]),
      yes: true,
      ratio: 0.5,
    });
  });

  it('rejects records that lack a field without default, nullable or not', () => {
    const contract = contractOf([
      { name: 'a', type: 'int' },
      { name: 'b', type: ['null', 'int'] },
    ]);
    const { failure } = decode(contract, writes('int'), { a: 1 });
    expect(failure).toMatchObject({ kind: 'contract-violation' });
    expect(failure?.message).toContain('field b');
  });

  it('steps over nested, recursive and union fields that the contract does not want', () => {
    const node = {
      type: 'record',
      name: 'Node',
      fields: [
        { name: 'next', type: ['null', 'Node'] },
        {
          name: 'tags',
          type: { type: 'map', values: { type: 'array', items: ['int', 'string'] } },
        },
        { name: 'f', type: { type: 'fixed', name: 'F', size: 3 } },
        { name: 'e', type: { type: 'enum', name: 'E', symbols: ['X', 'Y'] } },
        { name: 'd', type: ['double', 'float', 'boolean'] },
      ],
    };
    const writer = recordOf([
      { name: 'x', type: node },
      { name: 'a', type: 'int' },
    ]);
    const inner = {
      next: null,
      tags: { one: [1, 'two'], none: [] },
      f: Buffer.from([1, 2, 3]),
      e: 'Y',
      d: { double: 0.25 },
    };
    const { failure, value } = decode(single('int'), writer, {
      x: { ...inner, next: inner },
      a: 42,
    });
    expect(failure).toBeUndefined();
    expect(value).toBe(42);
  });

  it('reads blocks that carry their size in bytes', () => {
    const writer = recordOf([
      { name: 'x', type: { type: 'array', items: 'int' } },
      { name: 'a', type: 'int' },
    ]);
    // Count -2, 2 bytes, items 1 and 2, end; then a = 3.
    expect(decode(single('int'), writer, new Uint8Array([3, 4, 2, 4, 0, 6])).value).toBe(3);
  });

  it.each([
    [['null', 'int'], null],
    [['int', 'null'], null],
    [['null', 'int'], 7],
    [['int', 'null'], 7],
  ])('reads the union %j in its own order', (union, written) => {
    expect(decode(single(['null', 'int']), writes(union), { a: written }).value).toBe(written);
  });

  it('decides by the branch where a union of the writer has several types', () => {
    const writer = writes(['null', 'int', 'string']);
    expect(decode(single('int'), writer, { a: 7 }).value).toBe(7);
    expect(decode(single('int'), writer, { a: 'x' }).failure?.kind).toBe('contract-violation');
    expect(decode(single('int'), writer, { a: null }).failure).toEqual({
      kind: 'contract-violation',
      message: 'field a: it is null but the contract requires it',
    });
  });
});

describe('logical types', () => {
  const micros = 1_795_380_108_753_000n;

  it.each([
    ['timestamp-millis', 'timestamp-millis', 1_795_380_108_753n, micros],
    ['timestamp-micros', 'timestamp-micros', micros, micros],
    ['timestamp-micros', 'timestamp-millis', micros, micros],
    ['local-timestamp-millis', 'local-timestamp-micros', -1n, -1000n],
  ])('reads a %s as the µs of a %s', (writer, reader, written, expected) => {
    const decoded = decode(single(timestamp(reader)), writes(timestamp(writer)), { a: written });
    expect(decoded.value).toBe(expected);
  });

  it('takes the contract’s unit where the writer names none', () => {
    const { value } = decode(single(timestamp('timestamp-millis')), writes('long'), { a: 5n });
    expect(value).toBe(5000n);
  });

  it.each([
    ['timestamp-millis', 9_223_372_036_854_775_807n],
    ['timestamp-millis', 253_402_300_800_000n],
    ['timestamp-millis', -62_135_596_800_001n],
    ['timestamp-micros', -9_223_372_036_854_775_808n],
  ])('rejects a %s of %d as out of range', (logicalType, written) => {
    const type = timestamp(logicalType);
    expect(decode(single(type), writes(type), { a: written }).failure?.kind).toBe('out-of-range');
  });

  it.each([253_402_300_799_999n, -62_135_596_800_000n])('keeps the edge %d ms', (written) => {
    const type = timestamp('timestamp-millis');
    expect(decode(single(type), writes(type), { a: written }).value).toBe(written * 1000n);
  });

  it('reads times of day of both widths as µs and rejects what is no time of day', () => {
    const millis = { type: 'int', logicalType: 'time-millis' };
    expect(decode(single(millis), writes(millis), { a: 86_399_999 }).value).toBe(86_399_999_000n);
    expect(decode(single(millis), writes(millis), { a: 86_400_000 }).failure?.kind).toBe(
      'out-of-range',
    );
    const long = { type: 'long', logicalType: 'time-micros' };
    expect(decode(single(long), writes(long), { a: -1n }).failure?.kind).toBe('out-of-range');
  });

  it('reads dates as days and rejects years beyond 9999', () => {
    const date = { type: 'int', logicalType: 'date' };
    expect(decode(single(date), writes(date), { a: 20_513 }).value).toBe(20_513);
    expect(decode(single(date), writes(date), { a: 2_932_897 }).failure?.kind).toBe('out-of-range');
  });

  it('keeps decimals as bytes, and rejects digits beyond the precision and another scale', () => {
    const decimal = { type: 'bytes', logicalType: 'decimal', precision: 4, scale: 2 };
    const kind = (hex: string): unknown =>
      decode(single(decimal), writes(decimal), { a: Buffer.from(hex, 'hex') }).failure?.kind;
    expect(
      decode(single(decimal), writes(decimal), { a: Buffer.from('270f', 'hex') }).value,
    ).toEqual(new Uint8Array([0x27, 0x0f]));
    expect(kind('d8f1')).toBeUndefined();
    expect(kind('0000000000000000000000000000000000000000000000270f')).toBeUndefined();
    expect(kind('2710')).toBe('out-of-range');
    expect(kind('d8f0')).toBe('out-of-range');
    expect(kind('')).toBe('out-of-range');
    const other = writes({ ...decimal, scale: 1 });
    expect(decode(single(decimal), other, { a: Buffer.from('01', 'hex') }).failure?.kind).toBe(
      'contract-violation',
    );
  });

  it('reads a UUID of the contract as 16 bytes, and any text where it is plain text', () => {
    const uuid = { type: 'string', logicalType: 'uuid' };
    const written = { a: '00112233-4455-6677-8899-AABBccddeeff' };
    expect(decode(single(uuid), writes(uuid), written).value).toEqual(
      Uint8Array.from(Buffer.from('00112233445566778899aabbccddeeff', 'hex')),
    );
    expect(decode(single('string'), writes(uuid), written).value).toEqual(text(written.a));
    for (const bad of ['', 'x'.repeat(36), '00112233-4455-6677-8899_AABBccddeeff']) {
      expect(decode(single(uuid), writes(uuid), { a: bad }).failure?.kind).toBe(
        'contract-violation',
      );
    }
  });

  it('reads enums by symbol, not by index, with the contract’s default for unknown symbols', () => {
    const writer = writes({ type: 'enum', name: 'E', symbols: ['C', 'B', 'A'] });
    const known = { type: 'enum', name: 'E', symbols: ['A', 'B'] };
    expect(decode(single(known), writer, { a: 'A' }).value).toEqual(text('A'));
    expect(decode(single(known), writer, { a: 'C' }).failure?.kind).toBe('contract-violation');
    expect(decode(single({ ...known, default: 'B' }), writer, { a: 'C' }).value).toEqual(text('B'));
  });
});

describe('damaged records', () => {
  it.each([
    ['an empty record', 'string', [], 'truncated'],
    ['a length beyond the record', 'string', [20, 65], 'truncated'],
    [
      'a length of 2^60',
      'string',
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20],
      'truncated',
    ],
    ['a negative length', 'string', [1], 'malformed'],
    ['a varint of 11 bytes', 'long', [...Array.from({ length: 10 }, () => 0x80), 0], 'malformed'],
    ['a varint over 64 bits', 'long', [...Array.from({ length: 9 }, () => 0x80), 2], 'malformed'],
    ['an int over 32 bits', 'int', [0x80, 0x80, 0x80, 0x80, 0x20], 'malformed'],
    ['a boolean of 2', 'boolean', [2], 'malformed'],
    ['a branch that does not exist', ['null', 'int'], [4], 'malformed'],
    ['bytes after the record', 'int', [0, 0], 'malformed'],
    ['a double cut short', 'double', [0, 0, 0], 'truncated'],
    ['text that is not UTF-8', 'string', [4, 0xc3, 0x28], 'invalid-utf8'],
    ['text with an overlong form', 'string', [4, 0xc0, 0x80], 'invalid-utf8'],
    ['text with half a surrogate', 'string', [6, 0xed, 0xa0, 0x80], 'invalid-utf8'],
  ])('%s is %s → %j: %s', (_name, type, bytes, kind) => {
    const { failure, buffer } = decode(single(type), writes(type), Uint8Array.from(bytes));
    expect(failure?.kind).toBe(kind);
    expect(buffer.rowCount).toBe(0);
  });

  it('an array that claims 2^62 empty items ends at once', () => {
    const writer = recordOf([{ name: 'x', type: { type: 'array', items: 'null' } }]);
    const huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0];
    const contract = single('int', { default: 0 });
    expect(decode(contract, writer, Uint8Array.from(huge)).failure).toBeUndefined();
  });

  it('nesting deeper than the stack allows is malformed, not a crash', () => {
    const node = { type: 'record', name: 'N', fields: [{ name: 'next', type: ['null', 'N'] }] };
    const bytes = new Uint8Array(100_001).fill(2);
    bytes[100_000] = 0;
    const { failure } = decode(
      single('int', { default: 0 }),
      recordOf([{ name: 'x', type: node }]),
      bytes,
    );
    expect(failure?.kind).toBe('malformed');
  });

  it('a record that ends early never takes bytes of the next one', () => {
    const contract = contractOf([
      { name: 'a', type: 'long' },
      { name: 'b', type: 'string' },
    ]);
    const bytes = new Uint8Array(
      avscType(contract.avroSchema).toBuffer({ a: 1n << 60n, b: 'abc' }),
    );
    const twice = new Uint8Array([...bytes, ...bytes]);
    const decoder = createRowDecoder(contract, contract.avroSchema);
    const buffer = createRowBuffer(contract, 1);
    for (let end = 0; end < bytes.length; end++) {
      expect(decoder.append(twice, 0, end, buffer)?.kind).toBe('truncated');
    }
    expect(decoder.append(twice, 0, bytes.length, buffer)).toBeUndefined();
  });

  it('a failed record leaves no trace: the next row overwrites it', () => {
    const contract = contractOf([
      { name: 'a', type: 'string' },
      { name: 'b', type: 'int' },
    ]);
    const type = avscType(contract.avroSchema);
    const decoder = createRowDecoder(contract, contract.avroSchema);
    const buffer = createRowBuffer(contract, 3);
    const append = (bytes: Uint8Array) => decoder.append(bytes, 0, bytes.length, buffer);
    append(new Uint8Array(type.toBuffer({ a: 'one', b: 1 })));
    expect(append(new Uint8Array(type.toBuffer({ a: 'broken', b: 2 })).slice(0, -1))?.kind).toBe(
      'truncated',
    );
    append(new Uint8Array(type.toBuffer({ a: 'two', b: 2 })));
    expect(buffer.rowCount).toBe(2);
    expect(rowOf(buffer, 0)).toEqual({ a: text('one'), b: 1 });
    expect(rowOf(buffer, 1)).toEqual({ a: text('two'), b: 2 });
  });

  it('a full buffer is a mistake of its owner', () => {
    const { buffer } = decode(single('int'), writes('int'), { a: 1 });
    const decoder = createRowDecoder(single('int'), writes('int'));
    decoder.append(new Uint8Array([2]), 0, 1, buffer);
    expect(() => decoder.append(new Uint8Array([2]), 0, 1, buffer)).toThrow('room for a row');
  });
});

describe('writer schemas that are no records', () => {
  it.each([[{ type: 'string' }], [{ type: 'record', name: 'R' }], [writes('Missing')]])(
    '%j rejects every record and says why',
    (writer) => {
      const { failure } = decode(single('int'), writer, new Uint8Array([0]));
      expect(failure?.kind).toBe('contract-violation');
      expect(failure?.message.length).toBeGreaterThan(10);
    },
  );

  it.each([
    ['arrays', arraysWithin(6_000)],
    ['named records', recordsWithin(6_000)],
    ['records of two', recordsOfTwo(40)],
  ])('%s of any depth or size reject every record, at once', (_name, writer) => {
    const { failure } = decode(single('int'), JSON.parse(writer), new Uint8Array([0]));
    expect(failure?.kind).toBe('contract-violation');
    expect(failure?.message).toMatch(/types are nested too deeply|holds more than 100000 types/);
  });

  it('records that hold each other and no byte are skipped at once', () => {
    const writer = JSON.parse(recordsOfEachOther(13)) as AvroObject;
    const contract = single('int', { default: 0 });
    const { failure } = decode(contract, writer, new Uint8Array([0]));
    expect(failure).toBeUndefined();
  });

  it('as many levels as a contract may have are read', () => {
    const avroSchema = JSON.parse(arraysWithin(390)) as AvroObject;
    const contract = { name: 'deep', avroSchema: avroSchema as Contract['avroSchema'] };
    const { failure } = decode(contract, avroSchema, new Uint8Array([0]));
    expect(failure).toBeUndefined();
  });
});
