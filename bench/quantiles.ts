/** The smallest value that a share `q` of all values does not exceed; NaN without values. */
function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

/** p50, p90, p99, the largest and the number of values, in seconds. */
export function spread(valuesMs: readonly number[]) {
  const at = (q: number): number => Math.round(quantile(valuesMs, q) / 10) / 100;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1), count: valuesMs.length };
}

/** Each name with its spread as a table. */
export function spreadTable(
  title: string,
  rows: readonly (readonly [string, readonly number[]])[],
): string {
  const width = Math.max(title.length, ...rows.map(([name]) => name.length));
  const columns = ['p50', 'p90', 'p99', 'max', 'count'] as const;
  const line = (name: string, cells: readonly unknown[]): string =>
    [name.padEnd(width), ...cells.map((cell) => String(cell).padStart(9))].join('');
  const body = rows.map(([name, values]) => {
    const found = spread(values);
    return line(
      name,
      columns.map((column) => (values.length === 0 ? '-' : found[column])),
    );
  });
  return [line(title, columns), ...body].join('\n');
}

/** A value that so many things have. */
export type Weighted = { value: number; weight: number };

/** The smallest values that half and 99 % of all things do not exceed, and the largest; NaN without any. */
export function weightedSpread(values: readonly Weighted[]): {
  p50: number;
  p99: number;
  max: number;
} {
  const sorted = values.toSorted((a, b) => a.value - b.value);
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0);
  const at = (q: number): number => {
    let below = 0;
    const found = sorted.find(({ weight }) => (below += weight) >= q * total);
    return found?.value ?? Number.NaN;
  };
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1)?.value ?? Number.NaN };
}
