import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EXIT } from '../cli/exit-code.ts';
import { runBench, tell } from './command.ts';
import { prepareClicks, prepareDimensions, sizeOf } from './data/data-set.ts';
import type { ClickSet, DataSet } from './data/data-set.ts';
import { describeMachine } from './machine.ts';
import {
  checkRun,
  expectationOf,
  layOutRun,
  newRunId,
  sharedState,
  startReady,
  untilCommitted,
} from './pipeline-run.ts';
import { cpuSeconds, peakResidentBytes, residentBytes } from './process-usage.ts';
import { printResult } from './result.ts';

const USAGE = `usage: node bench/load.ts [--rows N,N,...] [--clicks N] [--workers N] [--runs N] [--keep]

The first load: with the stack up and an empty state directory, from the start of the process until every dimension
topic of --rows users and devices together (and a url for each 100 of them) is in the state and joins begin. Then
--clicks clicks are joined and committed, and every row is compared with what it had to be. Topics are made once and
kept; the state of the first run too, for bench-join and bench-restart. Prints a table; the last line is JSON.`;

async function measure(options: {
  dataSet: DataSet;
  topic: string;
  rows: number;
  clicks: ClickSet;
  workers: number;
  keep: boolean;
}) {
  const { dataSet, topic, rows, clicks, workers, keep } = options;
  const runId = newRunId();
  const stateDirectory = join(dirname(sharedState(dataSet)), `state-${runId}`);
  const run = await layOutRun({ bench: 'load', runId, dataSet, topic, stateDirectory, workers });
  const pipeline = await startReady(run);
  try {
    const loaded = dataSet.size.users + dataSet.size.devices + dataSet.size.urls;
    const { readySeconds, readyCpuSeconds, pid } = pipeline;
    const [peakBytes, rssBytes] = [peakResidentBytes(pid), residentBytes(pid)];
    await untilCommitted(run, { rows: clicks.count, cpuSeconds: () => cpuSeconds(pid) });
    await pipeline.stop('SIGTERM');
    const stateBytes = await bytesBelow(stateDirectory);
    const { isSound, isRight, missing, wrong } = await checkRun({
      run,
      expectation: expectationOf({ dataSet, clicks }),
      keep,
    });
    await keepState(stateDirectory, sharedState(dataSet));
    return {
      rows,
      loadSeconds: readySeconds,
      loadCpuSeconds: readyCpuSeconds,
      rowsPerSecond: Math.round(loaded / readySeconds),
      rowsPerCpuSecond: Math.round(loaded / readyCpuSeconds),
      peakRssMiB: Math.round(peakBytes / 1024 ** 2),
      rssMiB: Math.round(rssBytes / 1024 ** 2),
      stateMiB: Math.round(stateBytes / 1024 ** 2),
      missing,
      wrong,
      correct: isSound && isRight,
    };
  } finally {
    await pipeline.stop('SIGKILL');
  }
}

async function keepState(stateDirectory: string, shared: string): Promise<void> {
  if (existsSync(shared)) {
    await rm(stateDirectory, { recursive: true, force: true });
    return;
  }
  await mkdir(dirname(shared), { recursive: true });
  await rename(stateDirectory, shared);
}

async function bytesBelow(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map((f) => stat(join(f.parentPath, f.name))));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}

await runBench({
  usage: USAGE,
  defaults: { rows: [1_000_000, 10_000_000], clicks: 240_000, workers: 1, runs: 3 },
  least: 1,
  measure: async (wish, keep) => {
    const machine = await describeMachine();
    const runs: Awaited<ReturnType<typeof measure>>[] = [];
    for (const rows of wish.rows) {
      const dataSet = await prepareDimensions({ size: sizeOf(rows), progress: tell });
      const clicks: ClickSet = { count: wish.clicks, skew: 'zipf' };
      const topic = await prepareClicks({ dataSet, clicks, progress: tell });
      for (let n = 1; n <= wish.runs; n += 1) {
        const { workers } = wish;
        runs.push(await measure({ dataSet, topic, rows, clicks, workers, keep }));
        tell(`${rows} rows: loaded in ${runs.at(-1)?.loadSeconds} s`);
      }
    }
    const correct = runs.every((run) => run.correct);
    printResult({
      bench: 'load',
      machine,
      runs,
      keys: ['rows'],
      figures: [
        'loadSeconds',
        'loadCpuSeconds',
        'rowsPerSecond',
        'peakRssMiB',
        'rssMiB',
        'stateMiB',
      ],
      correct,
    });
    return correct ? EXIT.ok : EXIT.failedCheck;
  },
});
