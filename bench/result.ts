import { renderTable } from '../cli/terminal.ts';
import type { Machine } from './machine.ts';

/** Of the figures of several runs. */
export type Spread = { min: number; median: number; max: number };

/** Errors: RangeError without values. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) throw new RangeError('no values');
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] ?? min) + (sorted[Math.ceil(middle)] ?? max)) / 2;
  return { min: rounded(min), median: rounded(median), max: rounded(max) };
}

/** Each figure of all runs that have the same names and values under `keys`, in order of their first. */
export function spreadByKey<R extends Readonly<Record<string, unknown>>>(
  runs: readonly R[],
  keys: readonly (keyof R & string)[],
): Readonly<Record<string, unknown>>[] {
  const groups = Map.groupBy(runs, (run) => JSON.stringify(keys.map((key) => run[key])));
  return [...groups.values()].map((group) => {
    const [first] = group;
    const names = Object.keys(first ?? {}).filter((name) => typeof first?.[name] === 'number');
    const figures = names
      .filter((name) => !keys.includes(name))
      .map((name) => [name, spreadOf(group.map((run) => Number(run[name])))]);
    return {
      ...Object.fromEntries(keys.map((key) => [key, first?.[key]])),
      runs: group.length,
      ...Object.fromEntries(figures),
    };
  });
}

/**
 * The end of every bench: the spread of the runs as one table, then one line of JSON with each run, the machine and
 * whether the results were right.
 */
export function printResult<R extends Readonly<Record<string, unknown>>>(result: {
  bench: string;
  machine: Machine;
  runs: readonly R[];
  /** Fields that tell the kinds of runs apart. */
  keys: readonly (keyof R & string)[];
  /** The figures of the table, in its order. */
  figures: readonly (keyof R & string)[];
  correct: boolean;
  more?: Readonly<Record<string, unknown>>;
}): void {
  const { bench, machine, runs, keys, figures, correct, more } = result;
  const spreads = spreadByKey(runs, keys);
  const header = [...keys, 'runs', ...figures];
  const rows = spreads.map((spread) => header.map((name) => cellOf(spread[name])));
  console.log(renderTable(header, rows));
  console.log(JSON.stringify({ bench, correct, machine, spreads, runs, ...more }));
}

function cellOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { min, median, max } = value as Spread;
  return min === max ? String(median) : `${median} (${min} to ${max})`;
}

/** Three significant decimals are more than a figure of a shared machine has. */
export function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 1000) / 1000;
}
