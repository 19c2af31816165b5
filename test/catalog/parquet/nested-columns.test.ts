import { parquetMetadata } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import type { Column } from '../../../catalog/parquet/columns.ts';
import { createParquetWriter } from '../../../catalog/parquet/parquet-writer.ts';
import type { IcebergType, NestedField, TableSchema } from '../../../catalog/spec/table-schema.ts';
import { plainColumn } from './build-batch.ts';

const ZSTD_FRAME = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

function encode(type: IcebergType, column: Column, rowCount: number, required = false) {
  const tableSchema: TableSchema = {
    schemaId: 0,
    fields: [{ id: 1, name: 'value', required, type }],
  };
  const writer = createParquetWriter({ rowGroupRowsMax: 5_000, zstdLevel: 1, pageBytesMax: 64 });
  return writer.encode(tableSchema, { rowCount, columns: new Map([[1, column]]) });
}

const listOf = (element: IcebergType, elementRequired = false): IcebergType => ({
  type: 'list',
  elementId: 2,
  element,
  elementRequired,
});
const field = (id: number, name: string, type: IcebergType, required = false): NestedField => ({
  id,
  name,
  required,
  type,
});

const config = (message: string) =>
  expect.objectContaining({ kind: 'config', message: expect.stringContaining(message) });

it('a row is in one page, however long its list', () => {
  const rows = 3;
  const items = 1_000;
  const offsets = Int32Array.from({ length: rows + 1 }, (_, row) => row * items);
  const element = plainColumn(
    'int',
    Array.from({ length: rows * items }, (_, item) => item),
  );
  const { bytes } = encode(
    listOf('int'),
    { kind: 'list', offsets, element, valid: undefined },
    rows,
  );
  const frames = Buffer.from(bytes).toString('latin1').split(ZSTD_FRAME.toString('latin1'));
  expect(frames.length - 1).toBe(rows);
  const [chunk] = parquetMetadata(Uint8Array.from(bytes).buffer).row_groups[0]?.columns ?? [];
  expect(chunk?.meta_data?.num_values).toBe(BigInt(rows * items));
});

describe('an optional field that the rows lack', () => {
  const inner: IcebergType = {
    type: 'struct',
    fields: [
      field(3, 'x', 'int'),
      field(4, 'y', 'string'),
      field(5, 'z', {
        type: 'struct',
        fields: [field(6, 'deep', 'long'), field(7, 'list', listOf('int'))],
      }),
    ],
  };
  const present = plainColumn('int', [1, null]);

  it('of a struct counts as null in each row, and so do the fields that it has', () => {
    const file = encode(
      inner,
      { kind: 'struct', fields: new Map([[3, present]]), valid: undefined },
      2,
    );
    expect([...file.valueCounts]).toEqual([
      [3, 2n],
      [4, 2n],
      [6, 2n],
    ]);
    expect([...file.nullValueCounts]).toEqual([
      [3, 1n],
      [4, 2n],
      [6, 2n],
    ]);
  });

  it('within a list is not counted: nobody knows of how many items', () => {
    const element: Column = { kind: 'struct', fields: new Map([[3, present]]), valid: undefined };
    const list: Column = { kind: 'list', offsets: Int32Array.of(0, 2), element, valid: undefined };
    expect([...encode(listOf(inner), list, 1).valueCounts.keys()]).toEqual([3]);
  });
});

const struct = (fields: [number, Column][]): Column => ({
  kind: 'struct',
  fields: new Map(fields),
  valid: undefined,
});

describe('what cannot be written is told by the name of the field', () => {
  const ints = plainColumn('int', [1, null]);
  const list: Column = {
    kind: 'list',
    offsets: Int32Array.of(0, 2),
    element: ints,
    valid: undefined,
  };
  const required: IcebergType = { type: 'struct', fields: [field(3, 'x', 'int', true)] };
  const optional: IcebergType = { type: 'struct', fields: [field(3, 'x', 'int')] };

  it.each<[string, IcebergType, Column, number, string]>([
    ['a null among required items', listOf('int', true), list, 1, '"value.element" has 1 nulls'],
    ['a null in a required field', required, struct([[3, ints]]), 2, '"value.x" has 1 nulls'],
    ['a required field that the rows lack', required, struct([]), 1, '"value.x"'],
    ['a struct of which the rows have nothing', optional, struct([]), 1, 'no field of "value"'],
    ['a list where a struct is expected', optional, list, 1, '"value" holds list'],
    ['a list where a number is expected', 'int', list, 1, '"value" holds a list'],
    ['a number where a list is expected', listOf('int'), ints, 2, '"value" holds int32'],
    ['text of another type within', listOf('string'), list, 1, '"value.element" holds int32'],
  ])('%s', (_name, type, column, rowCount, message) => {
    expect(() => encode(type, column, rowCount)).toThrowError(config(message));
  });

  it('a null where the column itself is required', () => {
    const valid = Uint8Array.of(0);
    const none: Column = { kind: 'list', offsets: Int32Array.of(0, 0), element: ints, valid };
    expect(() => encode(listOf('int'), none, 1, true)).toThrowError(config('"value" has 1 nulls'));
  });

  it('but not a null in a required field of a struct that is null', () => {
    const column: Column = {
      kind: 'struct',
      fields: new Map([[3, ints]]),
      valid: Uint8Array.of(1, 0),
    };
    expect(encode(required, column, 2).nullValueCounts.get(3)).toBe(1n);
  });
});
