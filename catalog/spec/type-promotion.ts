import type { PrimitiveType } from './table-schema.ts';
import { decimalShape } from './type-text.ts';

/**
 * Whether a column of the type may become the other one without a file being written again: int to long, float to
 * double, and decimals of more digits at the same scale. Source: Iceberg table spec, "Schema Evolution", version 2.
 */
export function isPromotion(from: PrimitiveType, to: PrimitiveType): boolean {
  if (from === 'int' || from === 'float') return to === (from === 'int' ? 'long' : 'double');
  const [narrow, wide] = [decimalShape(from), decimalShape(to)];
  if (narrow === undefined || wide === undefined) return false;
  return narrow.scale === wide.scale && narrow.precision < wide.precision;
}
