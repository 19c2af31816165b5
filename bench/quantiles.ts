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
