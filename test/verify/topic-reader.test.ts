import { describe, expect, it } from 'vitest';
import { stillToRead } from '../../verify/topic-reader.ts';

const bounds = (start: bigint, end: bigint) => new Map([[0, { start, end }]]);
const until = new Map([[0, 10n]]);

describe('what is left to read of a topic', () => {
  it('is what its log holds below the next offset', () => {
    expect(stillToRead('t', until, bounds(9n, 10n))).toEqual(until);
    expect(stillToRead('t', until, bounds(0n, 99n))).toEqual(until);
  });

  it('is nothing where all of it was removed, or nothing was ever read', () => {
    expect(stillToRead('t', until, bounds(10n, 10n)).size).toBe(0);
    expect(stillToRead('t', new Map([[0, 0n]]), new Map()).size).toBe(0);
  });

  it.each([
    ['ends before', bounds(0n, 9n)],
    ['is not there', new Map()],
  ])('is an error where the log %s', (_what, found) => {
    expect(() => stillToRead('t', until, found)).toThrow(
      expect.objectContaining({ kind: 'config', message: expect.stringContaining('t-0 ends at') }),
    );
  });
});
