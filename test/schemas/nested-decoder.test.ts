import { describe, expect, it } from 'vitest';
import {
  clearRows,
  ColumnFull,
  columnBytesMax,
  createRowBuffer,
} from '../../schemas/row-buffer.ts';
import type { RowBuffer } from '../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../schemas/row-decoder.ts';
import { avscType, contractOf, recordOf, rowOf, text } from './avro-encoding.ts';

/** Decodes records of `writer`, given as bytes or as values for avsc, by a contract of these fields. */
function decode(contractFields: unknown[], writerFields: unknown[], ...records: object[]) {
  const contract = contractOf(contractFields);
  const writer = recordOf(writerFields);
  const buffer = createRowBuffer(contract, Math.max(1, records.length));
  const decoder = createRowDecoder(contract, writer);
  const failures = records.map((record) => {
    const bytes =
      record instanceof Uint8Array ? record : new Uint8Array(avscType(writer).toBuffer(record));
    return decoder.append(bytes, 0, bytes.length, buffer);
  });
  return { buffer, failures, failure: failures[0], row: rowOf(buffer, 0) };
}

const listOf = (items: unknown) => [{ name: 'a', type: { type: 'array', items } }];
const record = (name: string, fields: unknown[]) => ({ type: 'record', name, fields });

describe('the blocks of an array', () => {
  it('may be several, and may say how long they are', () => {
    // Two items, then minus one item of one byte.
    const bytes = Uint8Array.of(4, 2, 4, 1, 2, 6, 0);
    expect(decode(listOf('int'), listOf('int'), bytes).row).toEqual({ a: [1, 2, 3] });
  });

  it.each([
    ['a block of another length than it says', [1, 4, 6, 0], 'malformed'],
    ['a block of a negative length', [1, 1, 6, 0], 'malformed'],
    ['more items than bytes are left', [0xfe, 0xff, 0xff, 0xff, 0x0f, 2], 'truncated'],
    ['an end within an item', [4, 2], 'truncated'],
    ['no end', [2, 2], 'truncated'],
    ['a length beyond 64 bits', Array.from({ length: 11 }, () => 0xff), 'malformed'],
  ])('%s', (_name, bytes, kind) => {
    const { failure, buffer } = decode(listOf('int'), listOf('int'), Uint8Array.from(bytes));
    expect(failure).toMatchObject({ kind });
    expect(buffer.rowCount).toBe(0);
  });

  it('a count that no bytes are behind does not make the column grow', () => {
    const { buffer } = decode(
      listOf('int'),
      listOf('int'),
      Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0x0f),
    );
    const [column] = buffer.columns;
    expect(column?.kind === 'list' && column.element.valid.length).toBeLessThan(5_000);
  });

  it('of items that take no bytes are not read: any number of them could be claimed', () => {
    const items = record('Empty', []);
    const wanted = record('Wanted', [{ name: 'x', type: 'int', default: 1 }]);
    const bytes = Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0x0f, 0);
    const { failure } = decode(listOf(wanted), listOf(items), bytes);
    expect(failure).toMatchObject({ kind: 'contract-violation' });
  });
});

it('lists grow far beyond the rows of their batch, each with its own items', () => {
  const values = Array.from({ length: 20 }, (_, row) =>
    Array.from({ length: row * 700 }, (__, item) => ({ s: `${row}/${item}`, n: null })),
  );
  const items = record('Item', [
    { name: 's', type: 'string' },
    { name: 'n', type: ['null', { type: 'array', items: 'long' }] },
  ]);
  const { buffer } = decode(listOf(items), listOf(items), ...values.map((a) => ({ a })));
  for (const [row, items_] of values.entries()) {
    expect(rowOf(buffer, row)).toEqual({ a: items_.map(({ s }) => ({ s: text(s), n: null })) });
  }
});

const lines = (type: unknown) => [
  {
    name: 'address',
    type: record('Address', [{ name: 'lines', type: { type: 'array', items: type } }]),
  },
];

describe('a failure names the path of the field', () => {
  it('where its bytes are wrong', () => {
    const type = record('Line', [{ name: 'text', type: 'string' }]);
    const bytes = Uint8Array.of(2, 2, 0xff, 0);
    const { failure } = decode(lines(type), lines(type), bytes);
    expect(failure).toEqual({
      kind: 'invalid-utf8',
      message: 'field address.lines[].text: its bytes are not UTF-8',
    });
  });

  it('where a null is not allowed', () => {
    const { failure } = decode(lines('int'), lines(['null', 'int']), {
      address: { lines: [1, null] },
    });
    expect(failure).toMatchObject({
      kind: 'contract-violation',
      message: expect.stringContaining('field address.lines[]'),
    });
  });

  it('where its type cannot be read, and there alone of the branches of a union', () => {
    const wanted = [{ name: 'a', type: ['null', record('A', [{ name: 'x', type: 'int' }])] }];
    const written = [{ name: 'a', type: ['null', record('A', [{ name: 'x', type: 'string' }])] }];
    const { failures, buffer } = decode(wanted, written, { a: null }, { a: { x: 'text' } });
    expect(failures[0]).toBeUndefined();
    expect(failures[1]?.message).toContain('field a.x');
    expect(buffer.rowCount).toBe(1);
  });

  it('where the writer lacks it and it has no default', () => {
    const wanted = [
      { name: 'm', type: { type: 'map', values: record('A', [{ name: 'x', type: 'int' }]) } },
    ];
    const written = [
      { name: 'm', type: { type: 'map', values: record('A', [{ name: 'y', type: 'int' }]) } },
    ];
    const { failure } = decode(wanted, written, { m: { k: { y: 1 } } });
    expect(failure).toMatchObject({
      kind: 'contract-violation',
      message: expect.stringContaining('field m{}.x'),
    });
  });
});

const withDefault = (type: unknown, value: unknown) => [
  { name: 'id', type: 'int' },
  { name: 'a', type, default: value },
];

describe('a default', () => {
  const inner = record('Inner', [
    { name: 'x', type: 'int', default: 7 },
    { name: 'tags', type: { type: 'array', items: 'string' } },
    { name: 'none', type: ['null', 'string'], default: null },
  ]);
  const written = [{ name: 'id', type: 'int' }];

  it('of a record may leave out what has a default of its own', () => {
    const { row } = decode(withDefault(inner, { tags: ['p', 'q'] }), written, { id: 1 });
    expect(row).toEqual({ id: 1, a: { x: 7, tags: [text('p'), text('q')], none: null } });
  });

  it('of lists within lists and maps is stored item by item', () => {
    const type = {
      type: 'map',
      values: { type: 'array', items: { type: 'array', items: 'long' } },
    };
    const value = { k: [[1, 2], [], [3]], l: [] };
    const { buffer } = decode(withDefault(type, value), written, { id: 1 }, { id: 2 });
    const shown = { k: [[1n, 2n], [], [3n]], l: [] };
    expect([rowOf(buffer, 0), rowOf(buffer, 1)]).toEqual([
      { id: 1, a: shown },
      { id: 2, a: shown },
    ]);
  });

  it.each([
    ['a record without a member that has none', inner, {}],
    ['a null among items that may not be null', { type: 'array', items: 'int' }, [1, null]],
    ['an object for a list', { type: 'array', items: 'int' }, {}],
    ['a list for a map', { type: 'map', values: 'int' }, [1]],
    ['a value of another type within', { type: 'map', values: 'int' }, { k: 'text' }],
  ])('that is %s is no default', (_name, type, value) => {
    const { failure } = decode(withDefault(type, value), written, { id: 1 });
    expect(failure).toMatchObject({ kind: 'contract-violation' });
    expect(failure?.message).toContain('no usable default');
  });
});

it('a null record is null in all its columns, whatever the row before it had', () => {
  const type = ['null', record('A', [{ name: 's', type: 'string' }, ...listOf('string')])];
  const fields = [
    { name: 'r', type },
    { name: 'z', type: 'int' },
  ];
  const filled = { r: { s: 'long text', a: ['x', 'y'] }, z: 1 };
  const { buffer } = decode(fields, fields, filled, { r: null, z: 2 }, filled);
  const shown = { r: { s: text('long text'), a: [text('x'), text('y')] }, z: 1 };
  expect([0, 1, 2].map((row) => rowOf(buffer, row))).toEqual([shown, { r: null, z: 2 }, shown]);
});

it('a recursive type of the writer is read as deep as the contract goes', () => {
  const written = [
    {
      name: 'a',
      type: record('Node', [
        { name: 'x', type: 'int' },
        { name: 'next', type: ['null', 'Node'] },
      ]),
    },
  ];
  const wanted = [
    {
      name: 'a',
      type: record('Node', [
        { name: 'next', type: ['null', record('Next', [{ name: 'x', type: 'long' }])] },
      ]),
    },
  ];
  const value = { a: { x: 1, next: { x: 2, next: { x: 3, next: null } } } };
  expect(decode(wanted, written, value).row).toEqual({ a: { next: { x: 2n } } });
});

/** A record with a list of so many nulls, fewer than 2^27. */
function nulls(count: number): Uint8Array {
  const bytes = new Uint8Array(count + 5);
  for (let at = 0, rest = count * 2; at < 4; at++, rest >>>= 7) bytes[at] = (rest & 0x7f) | 0x80;
  bytes[3] = (bytes[3] ?? 0) & 0x7f;
  return bytes;
}

describe('a record whose items are far more in memory than on the wire', () => {
  // A null struct takes one byte of a record, and a row of 361 bytes.
  const inner = Array.from({ length: 40 }, (_, i) => ({ name: `f${i}`, type: ['null', 'long'] }));
  const wide = listOf(['null', record('Wide', inner)]);
  const contract = contractOf(wide);
  const decoder = createRowDecoder(contract, recordOf(wide));
  const append = (bytes: Uint8Array, into: RowBuffer) =>
    decoder.append(bytes, 0, bytes.length, into);
  const fits = nulls(1_200_000);
  const tooMany = nulls(2 ** 21 + 1);
  const keptBytesMax = columnBytesMax / 2;

  it('is a reject, and its memory is given back', { timeout: 60_000 }, () => {
    const buffer = createRowBuffer(contract, 2);
    expect(append(tooMany, buffer)).toMatchObject({
      kind: 'out-of-range',
      message: expect.stringContaining('more memory than a batch may have'),
    });
    expect(buffer.grown.bytes).toBe(0);
    expect(append(Uint8Array.of(2, 0, 0), buffer)).toBeUndefined();
    expect(append(tooMany, buffer)).toMatchObject({ kind: 'out-of-range' });
    expect(buffer.grown.bytes).toBeLessThanOrEqual(columnBytesMax);
    expect([buffer.rowCount, rowOf(buffer, 0)]).toEqual([1, { a: [null] }]);
    clearRows(buffer);
    expect(buffer.grown.bytes).toBeLessThan(keptBytesMax);
  });

  it('is told apart from one that fits an empty buffer alone', { timeout: 60_000 }, () => {
    const buffer = createRowBuffer(contract, 3);
    expect(append(fits, buffer)).toBeUndefined();
    expect(() => append(fits, buffer)).toThrow(ColumnFull);
    expect(buffer.rowCount).toBe(1);
    clearRows(buffer);
    expect(append(fits, buffer)).toBeUndefined();
  });

  it('fits an empty buffer whatever that has held before', { timeout: 60_000 }, () => {
    const two = [...wide, { ...listOf(['null', record('Wider', inner)])[0], name: 'b' }];
    const both = createRowDecoder(contractOf(two), recordOf(two));
    const buffer = createRowBuffer(contractOf(two), 2);
    const first = new Uint8Array([...nulls(600_000), 0]);
    const second = new Uint8Array([0, ...fits]);
    expect(both.append(first, 0, first.length, buffer)).toBeUndefined();
    buffer.rowCount = 0;
    expect(buffer.grown.bytes).toBeGreaterThan(0);
    expect(both.append(second, 0, second.length, buffer)).toBeUndefined();
    expect(buffer.rowCount).toBe(1);
  });

  it('may be of few bytes that stand for long texts', { timeout: 60_000 }, () => {
    // 280 items of one byte each, 4 MiB as text.
    const symbols = ['S'.repeat(4 * 1024 ** 2), 'T'];
    const fields = listOf({ type: 'enum', name: 'E', symbols });
    const texts = createRowDecoder(contractOf(fields), recordOf(fields));
    const buffer = createRowBuffer(contractOf(fields), 2);
    const long = Uint8Array.of(0xb0, 0x04, ...Array.from({ length: 280 }, () => 0), 0);
    expect(texts.append(long, 0, long.length, buffer)).toMatchObject({ kind: 'out-of-range' });
    const few = Uint8Array.of(2, 2, 0);
    expect(texts.append(few, 0, few.length, buffer)).toBeUndefined();
    expect([buffer.rowCount, rowOf(buffer, 0)]).toEqual([1, { a: [text('T')] }]);
  });
});
