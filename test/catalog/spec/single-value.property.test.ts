import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  compareValues,
  fromTwosComplement,
  lowerBound,
  twosComplement,
  upperBound,
} from '../../../catalog/spec/single-value.ts';

const longText = fc.string({ unit: 'binary', maxLength: 40 });
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

it('two complement bytes are the shortest that hold the integer', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 127n), max: 2n ** 127n - 1n }), (value) => {
      const bytes = twosComplement(value);
      expect(fromTwosComplement(bytes)).toBe(value);
      const isShorterEnough = bytes.length > 1 && fromTwosComplement(bytes.subarray(1)) === value;
      expect(isShorterEnough).toBe(false);
    }),
  );
});

it('bounds of text enclose it, are at most 16 code points and valid UTF-8', () => {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  fc.assert(
    fc.property(longText, (text) => {
      const bytes = utf8(text);
      const lower = lowerBound('string', bytes);
      const upper = upperBound('string', bytes) ?? bytes;
      expect(compareValues(lower, bytes)).toBeLessThanOrEqual(0);
      expect(compareValues(bytes, upper)).toBeLessThanOrEqual(0);
      expect(Array.from(strict.decode(lower)).length).toBeLessThanOrEqual(16);
      const isCut = upper !== bytes;
      expect(isCut && Array.from(strict.decode(upper)).length > 16).toBe(false);
    }),
  );
});

it('bounds of binary enclose it', () => {
  const bytes = fc.uint8Array({ maxLength: 20, min: 250 });
  fc.assert(
    fc.property(bytes, (value) => {
      expect(compareValues(lowerBound('binary', value), value)).toBeLessThanOrEqual(0);
      const upper = upperBound('binary', value);
      const isUnbounded = value.length > 16 && value.subarray(0, 16).every((byte) => byte === 0xff);
      expect(upper === undefined).toBe(isUnbounded);
      expect(compareValues(value, upper ?? value)).toBeLessThanOrEqual(0);
    }),
  );
});

it('text compares as its UTF-8 bytes', () => {
  fc.assert(
    fc.property(longText, longText, (left, right) => {
      expect(Math.sign(compareValues(left, right))).toBe(Buffer.compare(utf8(left), utf8(right)));
    }),
  );
});
