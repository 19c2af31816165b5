import type { Run } from './pipeline-run.ts';

/** The sum over all labels of a metric of the running pipeline; 0 before its first value. Errors: those of fetch. */
export async function metricSum(run: Pick<Run, 'readyUrl'>, name: string): Promise<number> {
  const text = await (await fetch(new URL('/metrics', run.readyUrl))).text();
  const series = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm');
  const values = [...text.matchAll(series)].map((match) => Number(match[1]));
  return values.reduce((sum, value) => sum + value, 0);
}
