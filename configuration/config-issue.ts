/** One finding in a configuration file; `line` and `column` count from 1. */
export type ConfigIssue = { line: number; column: number; path: string; message: string };

/** The way to a value from the top of its document: keys, and indices of lists. */
export type IssuePath = readonly (string | number)[];

/** `dimensions[0].columns[1]`. */
export function pathText(path: IssuePath): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .slice(1);
}

/** `pipeline.yaml:12:5 table.name: missing key "name"`, one line an issue, in the order of the lines. */
export function formatIssues(file: string, issues: readonly ConfigIssue[]): string {
  return issues
    .toSorted((a, b) => a.line - b.line)
    .map(({ line, column, path, message }) => {
      const subject = path === '' ? '' : `${path}: `;
      return `${file}:${line}:${column} ${subject}${message}`;
    })
    .join('\n');
}
