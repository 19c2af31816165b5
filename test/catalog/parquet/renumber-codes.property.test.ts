import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { renumberCodes } from '../../../catalog/parquet/renumber-codes.ts';

/** Far more codes than rows, or fewer: both ways of looking them up. */
const cases = fc.integer({ min: 1, max: 2000 }).chain((codeCount) =>
  fc.record({
    codeCount: fc.constant(codeCount),
    codes: fc.array(fc.integer({ min: -2, max: codeCount - 1 }), { maxLength: 200 }),
  }),
);

it('codes that occur are numbered from 0 on in the order of first use; the others become -1', () => {
  fc.assert(
    fc.property(fc.array(cases, { minLength: 1, maxLength: 3 }), (batches) => {
      // One after the other: nothing is left of the one before.
      for (const { codes, codeCount } of batches) {
        const renumbered = Int32Array.from(codes);
        const used = [...renumberCodes(renumbered, codeCount)];
        expect(used).toEqual([...new Set(codes.filter((code) => code >= 0))]);
        expect([...renumbered].map((number) => used[number])).toEqual(
          codes.map((code) => (code < 0 ? undefined : code)),
        );
        expect(Math.min(0, ...renumbered)).toBeGreaterThanOrEqual(-1);
      }
    }),
  );
});
