import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { openOffsetSet } from '../../verify/offset-set.ts';

const range = fc
  .tuple(fc.bigInt({ min: 0n, max: 2n ** 52n }), fc.integer({ min: 0, max: 200 }))
  .map(([start, length]) => ({ start, end: start + BigInt(length) }));

it('agrees with plain sets of offsets', () => {
  fc.assert(
    fc.property(range, fc.infiniteStream(fc.integer({ min: -3, max: 205 })), (bounds, steps) => {
      const [first, second] = [openOffsetSet(bounds), openOffsetSet(bounds)];
      const [plainFirst, plainSecond] = [new Set<bigint>(), new Set<bigint>()];
      let turn = 0;
      for (const step of steps) {
        if ((turn += 1) > 150) break;
        const offset = bounds.start + BigInt(step);
        const [set, plain] = turn % 2 === 0 ? [first, plainFirst] : [second, plainSecond];
        const isInside = offset >= bounds.start && offset < bounds.end;
        const expected = isInside ? (plain.has(offset) ? 'again' : 'added') : 'outside';
        expect(set.add(Number(offset))).toBe(expected);
        if (isInside) plain.add(offset);
        expect(set.has(Number(offset))).toBe(isInside);
      }
      const part = { start: (bounds.start + bounds.end) / 2n, end: bounds.end };
      for (const asked of [bounds, part]) {
        const union = plainFirst.union(plainSecond);
        const present = [...union].filter((offset) => offset >= asked.start);
        expect(first.countWith(second, asked)).toBe(present.length);
        const absent: bigint[] = [];
        for (let offset = asked.start; offset < asked.end; offset += 1n) {
          if (!union.has(offset)) absent.push(offset);
        }
        expect(first.absentFrom(second, asked, 5)).toEqual(absent.slice(0, 5));
      }
    }),
  );
});
