import { existsSync } from 'node:fs';
import { systemClock } from '../cli/environment.ts';
import { EXIT } from '../cli/exit-code.ts';
import { renderTable } from '../cli/terminal.ts';
import { runBench, tell } from './command.ts';
import { prepareClicks, prepareDimensions, sizeOf } from './data/data-set.ts';
import type { ClickSet, DataSet, Skew } from './data/data-set.ts';
import { describeMachine } from './machine.ts';
import {
  checkRun,
  expectationOf,
  layOutRun,
  newRunId,
  removeRun,
  sharedState,
  speedOf,
  startReady,
  untilCommitted,
} from './pipeline-run.ts';
import { cpuSeconds, forgetPeak, peakResidentBytes } from './process-usage.ts';
import { profileInto, readStages, type StageSeconds } from './profile.ts';
import { printResult, rounded } from './result.ts';
import { holdWorkers } from './worker-share.ts';

const USAGE = `usage: node bench/join.ts [--rows N,N,...] [--clicks N] [--skew uniform,zipf] [--workers N,N,...]
         [--hold PERCENT] [--runs N] [--profile] [--keep]

Joins a backlog of --clicks clicks against states of --rows users and devices together (and a url for each 100 of
them), with the stack up: from the moment that the pipeline is ready until all is committed. Each combination of --rows,
--skew and --workers runs --runs times, one after the other. Topics and states are made once and kept. Every row of
every table is compared with what it had to be. --hold gives each click worker so many per cent of a core: what a second
one adds shows only where it has a core. --profile tells also what the CPU time went to, which costs some of it.
Prints a table; the last line is JSON.`;

type Kind = { rows: number; skew: Skew; workers: number };

/** The state of a data set on disk, loaded by a pipeline that is stopped once it is ready. */
async function prepareState(dataSet: DataSet, topic: string): Promise<void> {
  const stateDirectory = sharedState(dataSet);
  if (existsSync(stateDirectory)) return;
  const runId = newRunId();
  const run = await layOutRun({ bench: 'join', runId, dataSet, topic, stateDirectory });
  const pipeline = await startReady(run);
  await pipeline.stop('SIGTERM');
  // It may have committed some of the backlog on its way out.
  await removeRun(run);
  tell(`${dataSet.base}: the state was loaded in ${pipeline.readySeconds.toFixed(1)} s`);
}

async function measure(options: {
  dataSet: DataSet;
  topic: string;
  kind: Kind;
  clicks: ClickSet;
  hold: number;
  isProfiled: boolean;
  keep: boolean;
}) {
  const { dataSet, topic, kind, clicks, hold, isProfiled, keep } = options;
  const run = await layOutRun({
    bench: 'join',
    runId: newRunId(),
    dataSet,
    topic,
    stateDirectory: sharedState(dataSet),
    workers: kind.workers,
  });
  const profiles = `${run.logFile}-profiles`;
  const pipeline = await startReady(run, isProfiled ? await profileInto(profiles) : {});
  try {
    const restartRssBytes = peakResidentBytes(pipeline.pid);
    forgetPeak(pipeline.pid);
    const letGo =
      hold === 100 ? undefined : await holdWorkers(pipeline.pid, { ...kind, percent: hold });
    const fromNs = process.hrtime.bigint();
    const samples = await untilCommitted(run, {
      rows: clicks.count,
      cpuSeconds: () => cpuSeconds(pipeline.pid),
    });
    const toNs = process.hrtime.bigint();
    const rssBytes = peakResidentBytes(pipeline.pid);
    await pipeline.stop('SIGTERM');
    letGo?.();
    const speed = speedOf(samples);
    const stages = isProfiled ? await readStages(profiles, { fromNs, toNs }) : undefined;
    if (stages !== undefined) tellStages(kind, stages, speed);
    const { isSound, isRight, missing, wrong } = await checkRun({
      run,
      expectation: expectationOf({ dataSet, clicks }),
      keep,
    });
    return {
      ...kind,
      ...speed,
      rssMiB: Math.round(rssBytes / 1024 ** 2),
      restartSeconds: pipeline.readySeconds,
      restartRssMiB: Math.round(restartRssBytes / 1024 ** 2),
      missing,
      wrong,
      ...(stages === undefined ? {} : { stages }),
      correct: isSound && isRight,
    };
  } finally {
    await pipeline.stop('SIGKILL');
  }
}

/**
 * The process's CPU time by the shares of the stages: a profile's own seconds also run while a thread waits for a
 * core. Profiles stay: DevTools open them.
 */
function tellStages(
  kind: Kind,
  stages: StageSeconds,
  { cpuSeconds: cpu, events }: ReturnType<typeof speedOf>,
): void {
  const all = Object.values(stages).reduce((sum, seconds) => sum + seconds, 0);
  const rows = Object.entries(stages)
    .toSorted(([, a], [, b]) => b - a)
    .map(([stage, seconds]) => [
      stage,
      rounded(((seconds / all) * cpu * 1e6) / events),
      Math.round((100 * seconds) / all),
    ]);
  console.log(`${kind.rows} rows, ${kind.skew}, workers ${kind.workers}`);
  console.log(renderTable(['stage', 'CPU µs an event', '%'], rows));
}

await runBench({
  usage: USAGE,
  defaults: {
    rows: [1_000_000, 10_000_000],
    clicks: 4_000_000,
    skew: ['uniform', 'zipf'],
    workers: [1],
    hold: 100,
    runs: 3,
    profile: false,
  },
  least: 1,
  measure: async (wish, keep) => {
    const machine = await describeMachine();
    const runs: Awaited<ReturnType<typeof measure>>[] = [];
    for (const rows of wish.rows) {
      const dataSet = await prepareDimensions({ size: sizeOf(rows), progress: tell });
      const sets = wish.skew.map((skew) => ({ count: wish.clicks, skew }));
      for (const clicks of sets) {
        const topic = await prepareClicks({ dataSet, clicks, progress: tell });
        await prepareState(dataSet, topic);
        // Runs that are compared stand side by side: what else the machine does hits both.
        for (let n = 1; n <= wish.runs; n += 1) {
          for (const workers of wish.workers) {
            const kind = { rows, skew: clicks.skew, workers };
            const measured = await measure({
              dataSet,
              topic,
              kind,
              clicks,
              hold: wish.hold,
              isProfiled: wish.profile,
              keep,
            });
            tell(`${JSON.stringify(kind)}: ${measured.eventsPerCpuSecond} events/CPU s`);
            runs.push(measured);
            await systemClock.sleep(2_000);
          }
        }
      }
    }
    const correct = runs.every((run) => run.correct);
    printResult({
      bench: 'join',
      machine,
      runs,
      keys: ['rows', 'skew', 'workers'],
      figures: [
        'eventsPerCpuSecond',
        'steadyPerCpuSecond',
        'eventsPerSecond',
        'steadyPerSecond',
        'seconds',
        'rssMiB',
      ],
      correct,
    });
    return correct ? EXIT.ok : EXIT.failedCheck;
  },
});
