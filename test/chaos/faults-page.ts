import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repository } from '../stack/compose-file.ts';
import type { RoundResult } from './run-rounds.ts';
import type { Kind } from './round.ts';

/** The page for users that lists every kind of fault. */
export const faultsPage: string = join(repository, 'docs/faults.md');

const header = [
  'what happens',
  'promised beside 0 lost, 0 doubled, 0 wrong',
  'repeat it with',
  'result',
];
const notRun = 'not run yet';

/** The page's table for these kinds; `results` are texts by name. */
export function renderFaults(kinds: readonly Kind[], results: ReadonlyMap<string, string>): string {
  const rows = kinds.map(({ name, does, promise }) => [
    does,
    promise,
    `\`make chaos FAULTS=${name}\``,
    results.get(name) ?? notRun,
  ]);
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[], fill = ' '): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0, fill)).join(' | ')} |`;
  const rule = line(
    header.map(() => ''),
    '-',
  );
  return [line(header), rule, ...rows.map((row) => line(row))].join('\n');
}

/** The table that a page has, as it stands. */
export function tableIn(page: string): string {
  return page
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .join('\n');
}

/** The results that a page tells, by name. */
export function resultsIn(page: string): Map<string, string> {
  const found = page.matchAll(/FAULTS=([a-z0-9-]+)`\s*\| (.*?)\s*\|$/gm);
  return new Map([...found].map(([, name = '', result = '']) => [name, result]));
}

/** Brings the page up to the kinds that exist, with the results of a run in place of earlier ones. */
export async function recordResults(
  kinds: readonly Kind[],
  ran: readonly RoundResult[],
): Promise<void> {
  const page = await readFile(faultsPage, 'utf8');
  const results = resultsIn(page);
  for (const [name, rounds] of Map.groupBy(ran, ({ kind }) => kind.name)) {
    results.set(name, resultOf(rounds));
  }
  await writeFile(faultsPage, page.replace(tableIn(page), renderFaults(kinds, results)));
}

function resultOf(rounds: readonly RoundResult[]): string {
  const kept = rounds.filter(({ failure }) => failure === undefined).length;
  const rows = rounds.reduce((sum, { proof }) => sum + proof.rows + proof.rejects, 0);
  const seconds = rounds.reduce((sum, round) => sum + round.seconds, 0) / rounds.length;
  return `${kept} of ${rounds.length} kept, ${rows} records, ${seconds.toFixed(0)} s`;
}
