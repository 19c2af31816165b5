import { parquetMetadata } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import type { Column, ColumnBatch } from '../../../catalog/parquet/columns.ts';
import { createParquetWriter } from '../../../catalog/parquet/parquet-writer.ts';
import { decodeSingleValue } from '../../../catalog/spec/single-value.ts';
import type {
  IcebergType,
  PrimitiveType,
  TableSchema,
} from '../../../catalog/spec/table-schema.ts';
import { dictionaryColumn, plainColumn, slicesOf } from './build-batch.ts';

const writer = createParquetWriter({ rowGroupRowsMax: 1000, zstdLevel: 1 });

function schemaOf(type: IcebergType, required = false): TableSchema {
  return { schemaId: 0, fields: [{ id: 1, name: 'value', required, type }] };
}

function batchOf(column: Column, rowCount: number): ColumnBatch {
  return { rowCount, columns: new Map([[1, column]]) };
}

function encodeLong(value: bigint): Uint8Array {
  return writer.encode(schemaOf('long'), batchOf(plainColumn('long', [value]), 1)).bytes;
}

const time = (isAdjustedToUTC: boolean) => ({ isAdjustedToUTC, unit: 'MICROS' });

const config = expect.objectContaining({ kind: 'config' });

describe('what cannot be written is a config error', () => {
  it.each([0, 1.5, 23])('a zstd level of %d', (zstdLevel) => {
    expect(() => createParquetWriter({ rowGroupRowsMax: 1000, zstdLevel })).toThrowError(config);
  });

  it.each([0, -1, 1.5])('row groups of %d rows', (rowGroupRowsMax) => {
    expect(() => createParquetWriter({ rowGroupRowsMax, zstdLevel: 1 })).toThrowError(config);
  });

  it('a null in a required column', () => {
    const batch = batchOf(plainColumn('long', [1n, null]), 2);
    expect(() => writer.encode(schemaOf('long', true), batch)).toThrowError(config);
    const dictionary = batchOf(dictionaryColumn('string', ['a', null], []), 2);
    expect(() => writer.encode(schemaOf('string', true), dictionary)).toThrowError(config);
  });

  it('a required column that the batch lacks', () => {
    const batch = { rowCount: 1, columns: new Map() };
    expect(() => writer.encode(schemaOf('long', true), batch)).toThrowError(config);
  });

  it('a batch without any column of the table', () => {
    const batch = { rowCount: 1, columns: new Map() };
    expect(() => writer.encode(schemaOf('long'), batch)).toThrowError(config);
  });

  it.each<[PrimitiveType, Column]>([
    ['int', plainColumn('long', [1n])],
    ['long', plainColumn('int', [1])],
    ['string', plainColumn('long', [1n])],
    ['long', plainColumn('string', ['1'])],
    ['float', plainColumn('double', [1])],
    ['string', dictionaryColumn('long', [1n], [])],
    ['timestamp', plainColumn('boolean', [true])],
  ])('%s from another kind of column', (type, column) => {
    expect(() => writer.encode(schemaOf(type), batchOf(column, 1))).toThrowError(config);
  });

  it('a value of another length than its fixed type', () => {
    const batch = batchOf(plainColumn('binary', [Uint8Array.of(1, 2)]), 1);
    expect(() => writer.encode(schemaOf('fixed[3]'), batch)).toThrowError(config);
  });

  it.each([2n ** 31n, -(2n ** 31n) - 1n, 2n ** 64n, -(2n ** 64n)])(
    'the decimal %s where four bytes must do',
    (value) => {
      const batch = batchOf(plainColumn('decimal(38, 0)', [value]), 1);
      expect(() => writer.encode(schemaOf('decimal(9, 2)'), batch)).toThrowError(config);
    },
  );

  it.each([
    ['in a value', [Uint8Array.of(0xff)]],
    [
      'where a character is cut by the end of its value',
      [Uint8Array.of(0xc3), Uint8Array.of(0xa9)],
    ],
    ['at the end', [Uint8Array.of(0x61), Uint8Array.of(0xc3)]],
  ])('text that is no UTF-8, %s', (_where, values) => {
    const column: Column = { kind: 'bytes', slices: slicesOf(values), valid: undefined };
    const batch = batchOf(column, values.length);
    expect(() => writer.encode(schemaOf('string'), batch)).toThrowError(config);
  });

  it('a nested column', () => {
    const list = { type: 'list', elementId: 2, element: 'int', elementRequired: false } as const;
    const batch = batchOf(plainColumn('int', [1]), 1);
    expect(() => writer.encode(schemaOf(list), batch)).toThrowError(config);
  });
});

describe('Parquet types are those that the table spec maps to, appendix A', () => {
  it.each<[PrimitiveType, string, unknown]>([
    ['boolean', 'BOOLEAN', undefined],
    ['int', 'INT32', undefined],
    ['long', 'INT64', undefined],
    ['float', 'FLOAT', undefined],
    ['double', 'DOUBLE', undefined],
    ['date', 'INT32', { type: 'DATE' }],
    ['time', 'INT64', { type: 'TIME', ...time(false) }],
    ['timestamp', 'INT64', { type: 'TIMESTAMP', ...time(false) }],
    ['timestamptz', 'INT64', { type: 'TIMESTAMP', ...time(true) }],
    ['string', 'BYTE_ARRAY', { type: 'STRING' }],
    ['uuid', 'FIXED_LEN_BYTE_ARRAY', { type: 'UUID' }],
    ['binary', 'BYTE_ARRAY', undefined],
    ['fixed[3]', 'FIXED_LEN_BYTE_ARRAY', undefined],
    ['decimal(9, 2)', 'INT32', { type: 'DECIMAL', precision: 9, scale: 2 }],
    ['decimal(18, 4)', 'INT64', { type: 'DECIMAL', precision: 18, scale: 4 }],
    ['decimal(19, 4)', 'FIXED_LEN_BYTE_ARRAY', { type: 'DECIMAL', precision: 19, scale: 4 }],
  ])('%s is %s', (type, physical, logical) => {
    const { bytes } = writer.encode(schemaOf(type), batchOf(plainColumn(type, [null]), 1));
    const element = parquetMetadata(Uint8Array.from(bytes).buffer).schema[1];
    expect([element?.type, element?.logical_type]).toEqual([physical, logical]);
  });
});

describe('metrics', () => {
  it('a column left out counts as all null and has no bounds', () => {
    const tableSchema: TableSchema = {
      schemaId: 0,
      fields: [
        { id: 1, name: 'value', required: true, type: 'long' },
        { id: 2, name: 'absent', required: false, type: 'string' },
      ],
    };
    const file = writer.encode(tableSchema, batchOf(plainColumn('long', [1n, 2n]), 2));
    expect(file.valueCounts.get(2)).toBe(2n);
    expect(file.nullValueCounts.get(2)).toBe(2n);
    expect(file.lowerBounds.has(2)).toBe(false);
    expect(file.columnSizes.has(2)).toBe(false);
  });

  it('dictionary values that no row uses stay out of the bounds', () => {
    const column = dictionaryColumn('string', ['m', null, 'k'], ['a', 'z']);
    const { lowerBounds, upperBounds } = writer.encode(schemaOf('string'), batchOf(column, 3));
    expect(decodeSingleValue('string', lowerBounds.get(1) ?? new Uint8Array())).toBe('k');
    expect(decodeSingleValue('string', upperBounds.get(1) ?? new Uint8Array())).toBe('m');
  });

  it('a dictionary far larger than the batch costs no more than the batch', () => {
    const size = 2_000_000;
    const slices = {
      bytes: new Uint8Array(size).fill(65),
      offsets: Int32Array.from({ length: size + 1 }, (_, i) => i),
    };
    const codes = Int32Array.of(size - 1, 5, 5, -1);
    const dictionary = { size, values: { kind: 'bytes' as const, slices, valid: undefined } };
    const column: Column = { kind: 'dictionary', codes, dictionary };
    const { bytes } = writer.encode(schemaOf('string'), batchOf(column, 4));
    expect(bytes.length).toBeLessThan(2000);
  });

  it('NaN does not reach the bounds', () => {
    const column = plainColumn('double', [Number.NaN, 1, 2]);
    const file = writer.encode(schemaOf('double'), batchOf(column, 3));
    expect(file.nanValueCounts.get(1)).toBe(1n);
    expect(decodeSingleValue('double', file.upperBounds.get(1) ?? new Uint8Array())).toBe(2);
  });

  it('a batch shared between threads is read as it is', () => {
    const values = new BigInt64Array(new SharedArrayBuffer(16));
    values.set([7n, -7n]);
    const file = writer.encode(
      schemaOf('long'),
      batchOf({ kind: 'int64', values, valid: undefined }, 2),
    );
    expect(decodeSingleValue('long', file.lowerBounds.get(1) ?? new Uint8Array())).toBe(-7n);
  });

  it('the file bytes are their own: a later encode does not touch them', () => {
    const first = encodeLong(1n);
    const copy = first.slice();
    encodeLong(2n);
    expect(first).toEqual(copy);
  });
});
