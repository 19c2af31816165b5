import { expect, it } from 'vitest';
import type { PrimitiveType } from '../../../catalog/spec/table-schema.ts';
import { isPromotion } from '../../../catalog/spec/type-promotion.ts';

it.each<[PrimitiveType, PrimitiveType]>([
  ['int', 'long'],
  ['float', 'double'],
  ['decimal(9, 2)', 'decimal(18, 2)'],
])('%s becomes %s as it stands, and not the other way round', (from, to) => {
  expect(isPromotion(from, to)).toBe(true);
  expect(isPromotion(to, from)).toBe(false);
});

it.each<[PrimitiveType, PrimitiveType]>([
  ['int', 'int'],
  ['int', 'double'],
  ['int', 'float'],
  ['long', 'double'],
  ['decimal(9, 2)', 'decimal(9, 2)'],
  ['decimal(9, 2)', 'decimal(18, 4)'],
  ['decimal(9, 2)', 'decimal(18, 0)'],
  ['date', 'timestamp'],
  ['timestamp', 'timestamptz'],
  ['fixed[4]', 'fixed[8]'],
  ['string', 'binary'],
])('%s never becomes %s', (from, to) => {
  expect(isPromotion(from, to)).toBe(false);
});
