import type { Validity } from './columns.ts';

/** Whether row `row` has a value. */
export function isValid(valid: Validity, row: number): boolean {
  return valid === undefined || valid[row] !== 0;
}
