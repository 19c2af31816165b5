import { describe, expect, it } from 'vitest';
import {
  decimalBytesMin,
  decimalShape,
  fixedLength,
  parsePrimitiveType,
} from '../../../catalog/spec/type-text.ts';

describe('parsePrimitiveType', () => {
  it('brings a decimal into one spelling', () => {
    expect(parsePrimitiveType('decimal(9,2)')).toBe('decimal(9, 2)');
    expect(parsePrimitiveType('decimal( 38 , 0 )')).toBe('decimal(38, 0)');
  });

  it('keeps the others as they are', () => {
    expect(parsePrimitiveType('timestamptz')).toBe('timestamptz');
    expect(parsePrimitiveType('fixed[16]')).toBe('fixed[16]');
  });

  it.each(['timestamp_ns', 'decimal(39, 2)', 'decimal(0, 0)', 'decimal(4, 5)', 'fixed', 'Int', ''])(
    'refuses "%s"',
    (text) => {
      expect(() => parsePrimitiveType(text)).toThrowError(
        expect.objectContaining({ kind: 'config' }),
      );
    },
  );
});

it('a shape belongs to its own type only', () => {
  expect(decimalShape('decimal(9, 2)')).toEqual({ precision: 9, scale: 2 });
  expect(decimalShape('string')).toBeUndefined();
  expect(fixedLength('fixed[3]')).toBe(3);
  expect(fixedLength('binary')).toBeUndefined();
});

it('a decimal takes the bytes that the spec tabulates', () => {
  expect([1, 2, 3, 4, 5, 9, 10, 18, 19, 38].map(decimalBytesMin)).toEqual([
    1, 1, 2, 2, 3, 4, 5, 8, 9, 16,
  ]);
});
