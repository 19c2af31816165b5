import { existsSync } from 'node:fs';
import { systemClock } from '../cli/environment.ts';
import { EXIT } from '../cli/exit-code.ts';
import { runBench, tell } from './command.ts';
import {
  CLICK_PARTITIONS,
  fillClicks,
  makeStreamTopic,
  prepareDimensions,
  removeTopic,
  sizeOf,
} from './data/data-set.ts';
import type { DataSet } from './data/data-set.ts';
import { nextChange, openRowChanges, type RowChange, type RowChanges } from './data/row-changes.ts';
import { expectedAtCommit } from './expected-at-commit.ts';
import { describeMachine } from './machine.ts';
import { metricSum } from './metrics.ts';
import {
  checkRun,
  layOutRun,
  newRunId,
  sharedState,
  startReady,
  untilCommitted,
  type ReadyPipeline,
  type Run,
} from './pipeline-run.ts';
import { cpuSeconds, peakResidentBytes, residentBytes } from './process-usage.ts';
import { printResult } from './result.ts';

const USAGE = `usage: node bench/restart.ts [--rows N,N,...] [--end stop,kill] [--changes N] [--workers N] [--runs N]
         [--keep]

A restart with the state on disk, with the stack up: --changes changes are applied, the process is stopped (SIGTERM) or
killed (SIGKILL), 24 000 clicks are sent while nobody is there, and the time counts from the start of the next process
until the state is ready to join, and until the clicks are joined and committed. The changes give rows other values; at the end they get those of the
first load again, for the benches that use the topics next. The state is loaded first where no earlier bench did. Every
row is compared with what it had to be by the dimension positions of its commit. Prints a table; the last line is JSON.`;

/** Clicks of each life, a multiple of the partitions. */
const WAVE = 1_000 * CLICK_PARTITIONS;
const CHANGES_PER_SEND = 2_000;
const POLL_MS = 200;
const CHANGES_TAKEN = 'tributary_dimension_changes_total';

type End = 'stop' | 'kill';

type Restarts = {
  rows: number;
  dataSet: DataSet;
  run: Run;
  /** Sends the next clicks. */
  wave: () => Promise<void>;
  /** How many clicks there are. */
  sent: () => number;
  /** Sends changes, and says how many. */
  change: () => Promise<number>;
};

/** One life after the end of `pipeline`, which is over when this resolves. */
async function restart(restarts: Restarts, pipeline: ReadyPipeline, end: End) {
  const { rows, run, wave, change } = restarts;
  const before = await metricSum(run, CHANGES_TAKEN);
  const changed = await change();
  while ((await metricSum(run, CHANGES_TAKEN)) < before + changed) {
    await systemClock.sleep(POLL_MS);
  }
  const stoppedMs = systemClock.nowMs();
  await pipeline.stop(end === 'stop' ? 'SIGTERM' : 'SIGKILL');
  const stopSeconds = (systemClock.nowMs() - stoppedMs) / 1000;
  await wave();
  const startedMs = systemClock.nowMs();
  const next = await startReady(run);
  const { readySeconds, readyCpuSeconds, pid } = next;
  const readyRssBytes = residentBytes(pid);
  await untilCommitted(run, { rows: restarts.sent(), cpuSeconds: () => cpuSeconds(pid) });
  const measured = {
    rows,
    end,
    readySeconds,
    committedSeconds: (systemClock.nowMs() - startedMs) / 1000,
    readyCpuSeconds,
    cpuSeconds: cpuSeconds(pid),
    stopSeconds,
    rssMiB: Math.round(readyRssBytes / 1024 ** 2),
    peakRssMiB: Math.round(peakResidentBytes(pid) / 1024 ** 2),
  };
  tell(
    `${rows} rows, ${end}: ready after ${readySeconds} s, clicks committed after ${measured.committedSeconds} s`,
  );
  return { next, measured };
}

async function measure(options: {
  rows: number;
  ends: readonly End[];
  changes: number;
  workers: number;
  runs: number;
  keep: boolean;
}) {
  const { rows, ends, changes, workers, runs, keep } = options;
  const dataSet = await prepareDimensions({ size: sizeOf(rows), progress: tell });
  const runId = newRunId();
  const topic = `${dataSet.base}-clicks_restart_${runId}`;
  await makeStreamTopic(topic);
  const stateDirectory = sharedState(dataSet);
  if (!existsSync(stateDirectory)) tell(`${dataSet.base}: the state is loaded first`);
  const run = await layOutRun({ bench: 'restart', runId, dataSet, topic, stateDirectory, workers });
  const rowChanges = await openRowChanges(run.config, dataSet);
  const changed = new Map<string, RowChange>();
  let [sent, turn] = [0, 0];
  const restarts: Restarts = {
    rows,
    dataSet,
    run,
    wave: async () => {
      const clicks = { count: WAVE, skew: 'zipf' as const };
      await fillClicks({ dataSet, clicks, topic, first: sent, progress: () => undefined });
      sent += WAVE;
    },
    sent: () => sent,
    change: async () => {
      for (let made = 0; made < changes; made += CHANGES_PER_SEND) {
        const length = Math.min(CHANGES_PER_SEND, changes - made);
        const group = Array.from({ length }, (_, i) => changeOf(turn + i, dataSet));
        for (const row of group) changed.set(`${row.table} ${row.number}`, row);
        await rowChanges.send(group, systemClock.nowMs());
        turn += length;
      }
      return changes;
    },
  };
  await restarts.wave();
  const measured: Awaited<ReturnType<typeof restart>>['measured'][] = [];
  let pipeline = await startReady(run);
  try {
    const { pid } = pipeline;
    await untilCommitted(run, { rows: sent, cpuSeconds: () => cpuSeconds(pid) });
    for (let n = 1; n <= runs; n += 1) {
      for (const end of ends) {
        const life = await restart(restarts, pipeline, end);
        pipeline = life.next;
        measured.push(life.measured);
      }
    }
    await pipeline.stop('SIGTERM');
  } finally {
    await pipeline.stop('SIGKILL');
    await takeBack([...changed.values()], rowChanges);
    await rowChanges.close();
  }
  const clicks = { count: sent, skew: 'zipf' as const };
  const { config } = run;
  const expectation = await expectedAtCommit({ config, dataSet, clicks, changes: rowChanges });
  const checked = await checkRun({ run, expectation, keep });
  if (!keep) await removeTopic(topic);
  return { measured, correct: checked.isSound && checked.isRight };
}

/** A change of a row that is there: one that was added could not be taken back. */
function changeOf(turn: number, { size }: DataSet): RowChange {
  const { table, number, version } = nextChange(turn, { size, random: systemClock.random });
  return { table, number: 1 + ((number - 1) % size[table]), version };
}

/** Gives rows the values of the first load. */
async function takeBack(changed: readonly RowChange[], changes: RowChanges): Promise<void> {
  for (let at = 0; at < changed.length; at += CHANGES_PER_SEND) {
    const group = changed.slice(at, at + CHANGES_PER_SEND);
    await changes.send(
      group.map((row) => ({ ...row, version: 0 })),
      systemClock.nowMs(),
    );
  }
}

await runBench({
  usage: USAGE,
  defaults: {
    rows: [1_000_000, 10_000_000],
    end: ['stop', 'kill'],
    changes: 20_000,
    workers: 1,
    runs: 3,
  },
  least: 1,
  measure: async (wish, keep) => {
    const machine = await describeMachine();
    const results: Awaited<ReturnType<typeof measure>>[] = [];
    for (const rows of wish.rows) {
      const { end: ends, changes, workers, runs } = wish;
      results.push(await measure({ rows, ends, changes, workers, runs, keep }));
    }
    const correct = results.every((result) => result.correct);
    printResult({
      bench: 'restart',
      machine,
      runs: results.flatMap(({ measured }) => measured),
      keys: ['rows', 'end'],
      figures: [
        'readySeconds',
        'committedSeconds',
        'readyCpuSeconds',
        'stopSeconds',
        'rssMiB',
        'peakRssMiB',
      ],
      correct,
    });
    return correct ? EXIT.ok : EXIT.failedCheck;
  },
});
