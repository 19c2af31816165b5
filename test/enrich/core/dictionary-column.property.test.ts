import { columnValue } from '@iceberg-js/rest-client-shim/parquet/column-value.ts';
import { encodeSingleValue } from '@iceberg-js/rest-client-shim/spec/single-value.ts';
import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { joinBytes } from '../../../enrich/byte-slices.ts';
import { dictionaryColumn } from '../../../enrich/core/dictionary-column.ts';
import type { DictionaryView } from '../../../enrich/state/projection.ts';
import { ALL_TYPES, valueOf } from '../../catalog/parquet/build-batch.ts';

type Value = Parameters<typeof encodeSingleValue>[1];

/** Codes from 1 on, as a projection has them. */
function viewOf(type: PrimitiveType, values: readonly Value[]): DictionaryView {
  const all = values.map((value) => encodeSingleValue(type, value));
  const bytesOf = (code: number): Uint8Array => all[code - 1] ?? new Uint8Array(0);
  return {
    size: values.length + 1,
    value: (code) => values[code - 1] ?? null,
    gather: (codes) => joinBytes([...codes].map(bytesOf)),
  };
}

function carried(view: DictionaryView, codes: readonly number[]) {
  return { view, codes: Int32Array.from(codes), spend: () => {} };
}

const cases = fc.constantFrom(...ALL_TYPES).chain((type) =>
  fc.array(valueOf(type) as fc.Arbitrary<Value>, { minLength: 1, maxLength: 20 }).chain((values) =>
    fc.record({
      type: fc.constant(type),
      values: fc.constant(values),
      codes: fc.shuffledSubarray(values.map((_, index) => index + 1)),
    }),
  ),
);

it('the values of the codes, in their order, whatever the type', () => {
  fc.assert(
    fc.property(cases, ({ type, values, codes }) => {
      const { size, values: column } = dictionaryColumn(type, carried(viewOf(type, values), codes));
      expect(size).toBe(codes.length);
      expect(codes.map((_, index) => columnValue(column, type, index))).toEqual(
        codes.map((code) => values[code - 1]),
      );
    }),
  );
});

it('a value of another width than its type is a bug that is not passed on', () => {
  for (const [type, narrower] of [
    ['long', 'boolean'],
    ['int', 'long'],
    ['date', 'long'],
  ] as const) {
    const values = narrower === 'boolean' ? [true] : [1n];
    const view = viewOf(narrower, values);
    expect(() => dictionaryColumn(type, carried(view, [1]))).toThrow(/assert/);
  }
  const mixed = {
    ...viewOf('int', [1, 2]),
    gather: () => joinBytes([Buffer.alloc(4), Buffer.alloc(8)]),
  };
  expect(() => dictionaryColumn('long', carried(mixed, [1, 2]))).toThrow(/assert/);
});

it('values of a narrower contract are the same in a table whose column was widened', () => {
  const ints = [0, -1, 2 ** 31 - 1, -(2 ** 31)];
  const { values: longs } = dictionaryColumn('long', carried(viewOf('int', ints), [4, 3, 2, 1]));
  expect([0, 1, 2, 3].map((index) => columnValue(longs, 'long', index))).toEqual(
    ints.toReversed().map(BigInt),
  );
  const reals = [0.5, -1.25, 3e30];
  const { values: doubles } = dictionaryColumn(
    'double',
    carried(viewOf('float', reals), [1, 2, 3]),
  );
  expect([0, 1, 2].map((index) => columnValue(doubles, 'double', index))).toEqual(
    reals.map(Math.fround),
  );
});
