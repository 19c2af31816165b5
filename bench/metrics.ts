import type { Run } from './pipeline-run.ts';

/** The sum over all labels of a metric of the running pipeline. Errors: those of fetch; RangeError for no such metric. */
export async function metricSum(run: Pick<Run, 'readyUrl'>, name: string): Promise<number> {
  const text = await (await fetch(new URL('/metrics', run.readyUrl))).text();
  const series = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm');
  const values = [...text.matchAll(series)].map((match) => Number(match[1]));
  if (values.length === 0) throw new RangeError(`the pipeline has no metric ${name}`);
  return values.reduce((sum, value) => sum + value, 0);
}
