import { describe, expect, it } from 'vitest';
import {
  compareValues,
  decodeSingleValue,
  encodeSingleValue,
  lowerBound,
  upperBound,
} from '../../../catalog/spec/single-value.ts';
import type { PrimitiveType } from '../../../catalog/spec/table-schema.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes);

describe('binary single values', () => {
  it.each<[PrimitiveType, Parameters<typeof encodeSingleValue>[1], string]>([
    ['boolean', false, '00'],
    ['boolean', true, '01'],
    ['int', 1234, 'd2040000'],
    ['long', 1234n, 'd204000000000000'],
    ['float', -4.5, '000090c0'],
    ['double', 6, '0000000000001840'],
    ['date', 1000, 'e8030000'],
    ['time', 10000000000n, '00e40b5402000000'],
    ['timestamptz', -1n, 'ffffffffffffffff'],
    ['string', 'ABC', '414243'],
    ['uuid', hex('f79c3e09677c4bbda4793f349cb785e7'), 'f79c3e09677c4bbda4793f349cb785e7'],
    ['fixed[2]', hex('6162'), '6162'],
    ['binary', hex('00ff'), '00ff'],
    ['decimal(14, 2)', 345n, '0159'],
    ['decimal(9, 0)', 0n, '00'],
    ['decimal(9, 0)', 128n, '0080'],
    ['decimal(9, 0)', -128n, '80'],
    ['decimal(9, 0)', -129n, 'ff7f'],
  ])('%s %s', (type, value, bytes) => {
    expect(encodeSingleValue(type, value)).toEqual(hex(bytes));
    expect(decodeSingleValue(type, hex(bytes))).toEqual(value);
  });

  it('values written before a promotion are read at their old width', () => {
    expect(decodeSingleValue('long', hex('d2040000'))).toBe(1234n);
    expect(decodeSingleValue('double', hex('000090c0'))).toBe(-4.5);
  });

  it.each<[PrimitiveType, string]>([
    ['int', '00'],
    ['long', '000000'],
    ['timestamp', '00000000'],
    ['uuid', '00'],
    ['string', 'ff'],
  ])('%s of %s is corrupt', (type, bytes) => {
    expect(() => decodeSingleValue(type, hex(bytes))).toThrowError(
      expect.objectContaining({ kind: 'corrupt' }),
    );
  });
});

describe('bounds', () => {
  it('keep values that are short enough', () => {
    expect(text(upperBound('string', utf8('sixteen letters!')))).toBe('sixteen letters!');
    expect(upperBound('long', hex('d204000000000000'))).toEqual(hex('d204000000000000'));
  });

  it('cut text after 16 code points and round the upper one up', () => {
    expect(text(lowerBound('string', utf8('seventeen letters')))).toBe('seventeen letter');
    expect(text(upperBound('string', utf8('seventeen letters')))).toBe('seventeen lettes');
    expect(text(lowerBound('string', utf8('😀'.repeat(17))))).toBe('😀'.repeat(16));
    expect(text(upperBound('string', utf8('😀'.repeat(17))))).toBe(`${'😀'.repeat(15)}😁`);
  });

  it('drop code points that cannot grow, and step over surrogates', () => {
    const last = '\u{10ffff}';
    expect(text(upperBound('string', utf8(`a${last.repeat(20)}`)))).toBe('b');
    expect(upperBound('string', utf8(last.repeat(17)))).toBeUndefined();
    expect(text(upperBound('string', utf8('\ud7ff'.repeat(17))))).toBe(
      `${'\ud7ff'.repeat(15)}\ue000`,
    );
  });

  it('cut binary after 16 bytes and carry over 0xff', () => {
    expect(lowerBound('binary', new Uint8Array(20).fill(1))).toEqual(new Uint8Array(16).fill(1));
    expect(upperBound('binary', hex(`01${'ff'.repeat(19)}`))).toEqual(hex('02'));
    expect(upperBound('binary', hex('ff'.repeat(17)))).toBeUndefined();
    expect(upperBound('binary', hex('ff'.repeat(16)))).toEqual(hex('ff'.repeat(16)));
  });
});

describe('compareValues', () => {
  it('orders text by code point, not by UTF-16 unit', () => {
    expect(compareValues('\uffff', '\u{10000}')).toBeLessThan(0);
  });

  it('orders bytes as unsigned and by length', () => {
    expect(compareValues(hex('80'), hex('7f'))).toBeGreaterThan(0);
    expect(compareValues(hex('01'), hex('0100'))).toBeLessThan(0);
  });

  it('orders -0 below 0 and NaN above everything', () => {
    expect(compareValues(-0, 0)).toBeLessThan(0);
    expect(compareValues(Number.NaN, Infinity)).toBeGreaterThan(0);
    expect(compareValues(Number.NaN, Number.NaN)).toBe(0);
  });

  it('orders 64-bit integers exactly', () => {
    expect(compareValues(2n ** 62n, 2n ** 62n + 1n)).toBeLessThan(0);
    expect(compareValues(true, false)).toBeGreaterThan(0);
  });
});
