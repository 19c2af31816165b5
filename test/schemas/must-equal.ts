import { inspect, isDeepStrictEqual } from 'node:util';

/** Ends the test where two values differ; for loops over tens of thousands, where `expect` is slow. */
export function mustEqual(actual: unknown, expected: unknown, what: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}\nexpected ${inspect(expected)}\ngot ${inspect(actual)}`);
}
