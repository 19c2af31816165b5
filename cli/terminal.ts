/** The only place that writes to the terminal: results to stdout, progress and complaints to stderr. */
export const terminal = {
  print: (text: string): void => {
    console.log(text);
  },
  progress: (text: string): void => {
    console.error(text);
  },
  /** Whether somebody sits before the progress. */
  isWatched: (): boolean => process.stderr.isTTY,
};

/** Progress that is told at most once in `everyMs`; what comes in between is dropped. */
export function occasionally(everyMs: number, nowMs: () => number): (text: string) => void {
  let toldMs = Number.NEGATIVE_INFINITY;
  return (text) => {
    if (nowMs() - toldMs < everyMs) return;
    toldMs = nowMs();
    terminal.progress(text);
  };
}

/** Rows as an aligned text table; numbers are right-aligned. */
export function renderTable(
  header: readonly string[],
  rows: readonly (readonly unknown[])[],
): string {
  const cells = rows.map((row) => row.map(cellText));
  const widths = header.map((name, column) =>
    Math.max(name.length, ...cells.map((row) => (row[column] ?? '').length)),
  );
  const numeric = header.map((_name, column) =>
    cells.every((row) => /^-?[\d.]*$/.test(row[column] ?? '')),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return numeric[column] === true ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width));
  return [line(header), line(rule), ...cells.map(line)].map((text) => `  ${text}`).join('\n');
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'string') return value;
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
}
