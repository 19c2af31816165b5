import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson, stringifyJson } from '../../../catalog/rest/json.ts';

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

/** What a parsed integer is: a number where a double holds it exactly, a bigint elsewhere. */
function asParsed(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function hasLargeInteger(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).some(hasLargeInteger);
}

describe('64-bit-safe JSON', () => {
  test('every 64-bit integer survives writing and reading with all its digits', () => {
    fc.assert(
      fc.property(int64, (value) => {
        const text = stringifyJson({ id: value, list: [value] });
        expect(text).toBe(`{"id":${value},"list":[${value}]}`);
        expect(parseJson(text)).toEqual({ id: asParsed(value), list: [asParsed(value)] });
      }),
    );
  });

  test('any JSON value without large integers reads as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!hasLargeInteger(value));
        expect(parseJson(text)).toEqual(JSON.parse(text));
        expect(stringifyJson(parseJson(text))).toBe(text);
      }),
    );
  });

  test.each([
    ['9007199254740991', 9_007_199_254_740_991],
    ['9007199254740992', 9_007_199_254_740_992n],
    ['-9007199254740992', -9_007_199_254_740_992n],
    ['9223372036854775807', 9_223_372_036_854_775_807n],
    ['1e300', 1e300],
    ['-0.5', -0.5],
    ['"9223372036854775807"', '9223372036854775807'],
  ])('%s is read as what it says', (text, value) => {
    expect(parseJson(text)).toBe(value);
  });

  test('digits inside a string stay a string, also after an escaped quote', () => {
    expect(parseJson(String.raw`{"a":"\":9223372036854775807,"}`)).toEqual({
      a: '":9223372036854775807,',
    });
  });

  test('a text that is not JSON is a SyntaxError', () => {
    expect(() => parseJson('<html>')).toThrow(SyntaxError);
  });
});
