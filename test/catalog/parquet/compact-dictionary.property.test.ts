import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { compactDictionary } from '../../../catalog/parquet/compact-dictionary.ts';
import { slicesOf } from './build-batch.ts';

/** Few codes or many of a dictionary smaller or far larger than the rows. */
const cases = fc.integer({ min: 1, max: 2000 }).chain((size) =>
  fc.record({
    size: fc.constant(size),
    codes: fc.array(fc.integer({ min: -1, max: size - 1 }), { minLength: 1, maxLength: 200 }),
    nullCodes: fc.uniqueArray(fc.nat({ max: size - 1 }), { maxLength: 3 }),
  }),
);

const text = (code: number): string => `value ${code}`;

it('each row keeps its value; only used values remain, each once; nulls have a code that exists', () => {
  fc.assert(
    fc.property(cases, ({ size, codes, nullCodes }) => {
      const all = Array.from({ length: size }, (_, code) => new TextEncoder().encode(text(code)));
      const valid = new Uint8Array(size).fill(1);
      for (const code of nullCodes) valid[code] = 0;
      const compact = compactDictionary(
        Int32Array.from(codes),
        { size, values: { kind: 'bytes', slices: slicesOf(all), valid } },
        codes.length,
      );
      const { bytes, offsets } = compact.slices;
      const values = Array.from({ length: compact.size }, (_, code) =>
        new TextDecoder().decode(bytes.subarray(offsets[code], offsets[code + 1])),
      );
      const isNull = (code: number): boolean => code < 0 || nullCodes.includes(code);
      const present = codes.filter((code) => !isNull(code));
      expect(values).toEqual([...new Set(present.map(text))]);
      codes.forEach((code, row) => {
        const bit =
          compact.nulls === undefined ? 1 : ((compact.nulls.bits[row >> 3] ?? 0) >> (row & 7)) & 1;
        expect(bit).toBe(isNull(code) ? 0 : 1);
        const value = values[compact.codes[row] ?? -1];
        expect(isNull(code) || value === text(code)).toBe(true);
        expect(compact.codes[row]).toBeGreaterThanOrEqual(0);
      });
      expect(compact.nulls?.zeros ?? 0).toBe(codes.length - present.length);
    }),
  );
});
