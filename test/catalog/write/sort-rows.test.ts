import { describe, expect, it } from 'vitest';
import type { FlatColumn } from '../../../catalog/parquet/columns.ts';
import type { SortField } from '../../../catalog/spec/table-metadata.ts';
import type { PrimitiveType } from '../../../catalog/spec/table-schema.ts';
import { sortRows } from '../../../catalog/write/sort-rows.ts';
import { plainColumn } from '../parquet/build-batch.ts';

function key(column: FlatColumn | undefined, type: PrimitiveType, field: Partial<SortField> = {}) {
  const ascending = { transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' } as const;
  return { column, type, field: { sourceId: 1, ...ascending, ...field } };
}

describe('sortRows', () => {
  it.each(['float', 'double'] as const)('orders a %s by IEEE total order', (type) => {
    const tiny = type === 'double' ? -5e-324 : -1.401298464324817e-45;
    const column = plainColumn(type, [Number.NaN, 0, -0, 1, -Infinity, tiny, Infinity, -1]);
    expect(sortRows([key(column, type)], 8)).toEqual(Int32Array.of(4, 7, 5, 2, 1, 3, 6, 0));
  });

  it('orders 64-bit integers exactly', () => {
    const values = [2n ** 62n + 1n, -1n, 2n ** 62n, -(2n ** 63n), 0n];
    expect(sortRows([key(plainColumn('long', values), 'long')], 5)).toEqual(
      Int32Array.of(3, 1, 4, 2, 0),
    );
  });

  it('what lies under nulls does not order them: the next field does', () => {
    const first: FlatColumn = {
      kind: 'int32',
      values: Int32Array.of(1, 2, 3, 4),
      valid: Uint8Array.of(0, 0, 0, 1),
    };
    const keys = [
      key(first, 'int', { direction: 'desc', nullOrder: 'nulls-last' }),
      key(plainColumn('int', [9, 7, 8, 0]), 'int'),
    ];
    expect(sortRows(keys, 4)).toEqual(Int32Array.of(3, 1, 2, 0));
  });

  it('rows that are in order need no new order, nor do rows without sort fields', () => {
    expect(sortRows([key(plainColumn('long', [-5n, -5n, 3n]), 'long')], 3)).toBeUndefined();
    expect(sortRows([key(undefined, 'long')], 3)).toBeUndefined();
    expect(sortRows([], 3)).toBeUndefined();
  });

  it('equal rows stay in their order', () => {
    const column = plainColumn('string', ['b', 'a', 'b', 'a']);
    expect(sortRows([key(column, 'string')], 4)).toEqual(Int32Array.of(1, 3, 0, 2));
    expect(sortRows([key(column, 'string', { direction: 'desc' })], 4)).toEqual(
      Int32Array.of(0, 2, 1, 3),
    );
  });

  it('many rows are ordered as few are: by all words, equal ones in their order', () => {
    const rows = Array.from({ length: 10_000 }, (_, row) => row);
    const values = rows.map((row) => BigInt(Math.imul(row, 0x9e37_79b1) % 300) * 2n ** 40n);
    const times = rows.map((row) => Math.imul(row, 0x85eb_ca6b) % 7);
    const keys = [
      key(plainColumn('long', values), 'long', { direction: 'desc' }),
      key(plainColumn('int', times), 'int'),
    ];
    const expected = rows.toSorted((a, b) => {
      const [left, right] = [values[a] ?? 0n, values[b] ?? 0n];
      return left === right ? (times[a] ?? 0) - (times[b] ?? 0) : left > right ? -1 : 1;
    });
    expect(sortRows(keys, rows.length)).toEqual(Int32Array.from(expected));
  });
});
