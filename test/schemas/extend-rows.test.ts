import { describe, expect, it } from 'vitest';
import type { AvroField, AvroType, Contract } from '../../schemas/contract.ts';
import { extendRows } from '../../schemas/extend-rows.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import type { RowBuffer } from '../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../schemas/row-decoder.ts';
import { avscType, contractOf, rowOf } from './avro-encoding.ts';

const ROWS_MAX = 8;
const field = (name: string, type: AvroType): AvroField => ({ name, type });

/** Rows of one contract, then of another that has grown from it, in one buffer. */
function grown(before: Contract, after: Contract, rows: readonly [object[], object[]]) {
  const buffer = createRowBuffer(before, ROWS_MAX);
  for (const [contract, records] of [
    [before, rows[0]],
    [after, rows[1]],
  ] as const) {
    if (contract === after) extendRows(buffer, after, ROWS_MAX);
    for (const record of records) {
      const bytes = avscType(contract.avroSchema).toBuffer(record);
      const decoder = createRowDecoder(contract, contract.avroSchema);
      expect(decoder.append(bytes, 0, bytes.length, buffer)).toBeUndefined();
    }
  }
  return Array.from({ length: buffer.rowCount }, (_, row) => rowOf(buffer, row));
}

describe('rows that a buffer holds when its contract grows', () => {
  it.each<[string, AvroType, unknown]>([
    ['text', ['null', 'string'], new TextEncoder().encode('x')],
    ['a number', ['null', 'long'], 7n],
    ['a flag', ['null', 'boolean'], true],
  ])('have null in a new column of %s', (_, type, found) => {
    const value = found instanceof Uint8Array ? 'x' : found;
    const before = contractOf([field('a', 'int')]);
    const after = contractOf([field('a', 'int'), { ...field('b', type), default: null }]);
    const rows = grown(before, after, [
      [{ a: 1 }, { a: 2 }],
      [
        { a: 3, b: value },
        { a: 4, b: null },
      ],
    ]);
    expect(rows).toEqual([
      { a: 1, b: null },
      { a: 2, b: null },
      { a: 3, b: found },
      { a: 4, b: null },
    ]);
  });

  it('keep their values in a wider column, the least and the greatest too', () => {
    const narrow = [field('n', ['null', 'int']), field('f', ['null', 'float'])];
    const wide = [field('n', ['null', 'long']), field('f', ['null', 'double'])];
    const [least, greatest] = [-(2 ** 31), 2 ** 31 - 1];
    const rows = grown(contractOf(narrow), contractOf(wide), [
      [
        { n: least, f: 0.5 },
        { n: null, f: null },
        { n: -1, f: -0.25 },
        { n: greatest, f: 2 ** 127 },
      ],
      [{ n: 2n ** 62n, f: 0.1 }],
    ]);
    expect(rows).toEqual([
      { n: BigInt(least), f: 0.5 },
      { n: null, f: null },
      { n: -1n, f: -0.25 },
      { n: BigInt(greatest), f: 2 ** 127 },
      { n: 2n ** 62n, f: 0.1 },
    ]);
  });

  it('keep the memory of columns that stay', () => {
    const before = contractOf([field('a', 'string')]);
    const buffer = createRowBuffer(before, ROWS_MAX);
    const [column] = buffer.columns;
    extendRows(buffer, contractOf([field('a', 'string'), field('b', ['null', 'int'])]), ROWS_MAX);
    expect(buffer.columns[0]).toBe(column);
  });
});

const listOf = (...fields: AvroField[]): AvroField =>
  field('l', { type: 'array', items: { type: 'record', name: 'Item', fields } });

const items = (count: number): object[] => Array.from({ length: count }, (_, n) => ({ n }));

describe('rows within lists and maps, when what they hold grows', () => {
  const wide = listOf(field('n', 'long'), { ...field('b', ['null', 'string']), default: null });

  it('keep their values, and have null in what is new', () => {
    const rows = grown(contractOf([listOf(field('n', 'int'))]), contractOf([wide]), [
      [{ l: items(3) }, { l: [] }, { l: [{ n: -1 }] }],
      [{ l: [{ n: 2n ** 40n, b: 'x' }] }],
    ]);
    expect(rows).toEqual([
      { l: [0n, 1n, 2n].map((n) => ({ n, b: null })) },
      { l: [] },
      { l: [{ n: -1n, b: null }] },
      { l: [{ n: 2n ** 40n, b: new TextEncoder().encode('x') }] },
    ]);
  });

  it('count for the memory that a buffer has grown by as in one that was made for them', () => {
    const [before, after] = [contractOf([listOf(field('n', 'int'))]), contractOf([wide])];
    const records = [{ l: items(5_000) }];
    const [growing, made] = [before, after].map((contract) => createRowBuffer(contract, ROWS_MAX));
    for (const [contract, buffer] of [
      [before, growing],
      [after, made],
    ] as const) {
      const bytes = avscType(before.avroSchema).toBuffer(records[0]);
      const decoder = createRowDecoder(contract, before.avroSchema);
      expect(decoder.append(bytes, 0, bytes.length, buffer as RowBuffer)).toBeUndefined();
    }
    extendRows(growing as RowBuffer, after, ROWS_MAX);
    expect(growing?.grown.bytes).toBe(made?.grown.bytes);
    expect(growing?.grown.bytes).toBeGreaterThan(5_000);
  });
});
