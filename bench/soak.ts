import { rm } from 'node:fs/promises';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../cli/environment.ts';
import { EXIT } from '../cli/exit-code.ts';
import { openCatalog } from '../cli/open-lake.ts';
import { runBench, tell } from './command.ts';
import {
  makeStreamTopic,
  prepareDimensions,
  removeDimensions,
  removeTopic,
  sizeOf,
} from './data/data-set.ts';
import { openLiveTraffic, type LiveTraffic, type Rates } from './live-traffic.ts';
import { describeMachine } from './machine.ts';
import { metricSum } from './metrics.ts';
import {
  checkRun,
  layOutRun,
  newRunId,
  sharedState,
  startReady,
  untilCommitted,
  type Run,
} from './pipeline-run.ts';
import { cpuSeconds, openFiles, residentBytes, threads } from './process-usage.ts';
import { printResult, rounded } from './result.ts';
import { risePerHour, type Point } from './slope.ts';

const USAGE = `usage: node bench/soak.ts [--minutes N] [--warm-up MINUTES] [--rows N] [--rate CLICKS] [--burst CLICKS]
         [--every SECONDS] [--lasts SECONDS] [--changes N] [--interval SECONDS] [--workers N] [--keep]

One pipeline for --minutes under --rate clicks a second, bursts and --changes changes of dimension rows a second, with
the stack up. Every ten seconds: its memory, heap, open files, threads, active resources, the files of its state and the
table's snapshots. After the warm-up nothing of it may rise faster than its limit; snapshots may not outnumber commits.
Every row is compared with what it had to be. Prints a table; the last line is JSON; ends with 1 where a limit is broken.`;

/** By how much the floor of a series may rise in an hour. */
const LIMITS = {
  rssMiB: 64,
  heapMiB: 16,
  openFiles: 8,
  threads: 1,
  activeResources: 8,
  stateFiles: 24,
  stateMiB: 256,
  /** In a commit there is one, whatever the time. */
  snapshotsPerCommit: 0.1,
} as const;

type SeriesName = keyof typeof LIMITS;

const NAMES = Object.keys(LIMITS) as SeriesName[];
const SAMPLE_EVERY_MS = 10_000;
const MIB = 1024 ** 2;

type Sample = { ms: number } & Record<SeriesName, number>;

async function sampleOf(run: Run, pid: number): Promise<Sample> {
  const { config } = run;
  const { namespace, name } = config.table;
  const metadata = (await (await openCatalog(config)).loadTable({ namespace, name }))?.metadata;
  const state = await filesBelow(config.state.directory);
  const commits = await metricSum(run, 'tributary_commits_total');
  return {
    ms: systemClock.nowMs(),
    rssMiB: rounded(residentBytes(pid) / MIB),
    heapMiB: rounded((await metricSum(run, 'process_heap_used_bytes')) / MIB),
    openFiles: openFiles(pid),
    threads: threads(pid),
    activeResources: await metricSum(run, 'process_active_resources'),
    stateFiles: state.count,
    stateMiB: rounded(state.bytes / MIB),
    snapshotsPerCommit: commits === 0 ? 0 : rounded((metadata?.snapshots.length ?? 0) / commits),
  };
}

/** Files that vanish while they are counted were there a moment ago. */
async function filesBelow(directory: string): Promise<{ count: number; bytes: number }> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map(({ parentPath, name }) =>
      stat(join(parentPath, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return { count: files.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

async function sampleUntil(options: {
  run: Run;
  pid: number;
  endMs: number;
  sending: Promise<void>;
  traffic: LiveTraffic;
}): Promise<Sample[]> {
  const { run, pid, endMs, sending, traffic } = options;
  const samples: Sample[] = [];
  while (systemClock.nowMs() < endMs) {
    // A send that fails ends the bench at once.
    await Promise.race([systemClock.sleep(SAMPLE_EVERY_MS), sending]);
    const sample = await sampleOf(run, pid);
    samples.push(sample);
    const clicks = traffic.sent.at(-1)?.end ?? 0;
    if (samples.length % 6 === 1) {
      tell(`${clicks} clicks, ${Math.round(sample.rssMiB)} MiB, ${sample.openFiles} open files`);
    }
  }
  return samples;
}

/** A line for each series: whether its floor rose faster than it may. */
function judge(samples: readonly Sample[], warmUpMs: number) {
  const startMs = samples[0]?.ms ?? 0;
  const warm = samples.filter(({ ms }) => ms >= startMs + warmUpMs);
  return NAMES.map((series) => {
    const points: Point[] = warm.map((sample) => ({ ms: sample.ms, value: sample[series] }));
    const perHour = risePerHour(points) ?? Number.NaN;
    const limit = LIMITS[series];
    const most = series === 'snapshotsPerCommit' ? points.some(({ value }) => value > 1) : false;
    return {
      series,
      warm: rounded(points[0]?.value ?? Number.NaN),
      end: rounded(points.at(-1)?.value ?? Number.NaN),
      perHour: rounded(perHour),
      limit,
      verdict: perHour <= limit && !most ? 'ok' : 'RISES',
    };
  });
}

async function measure(wish: {
  rows: number;
  minutes: number;
  warmUp: number;
  interval: number;
  workers: number;
  rates: Rates;
  keep: boolean;
}) {
  const { rows, minutes, warmUp, interval, workers, rates, keep } = wish;
  const runId = newRunId();
  // Topics and a state of its own: the changes stay in them.
  const kind = `soak_${runId}`;
  const dataSet = await prepareDimensions({ size: sizeOf(rows), kind, progress: tell });
  const topic = `${dataSet.base}-clicks_${runId}`;
  await makeStreamTopic(topic);
  const stateDirectory = sharedState(dataSet);
  const run = await layOutRun({ bench: 'soak', runId, dataSet, topic, stateDirectory, workers });
  const pipeline = await startReady(run, { COMMIT_INTERVAL: `${interval}s` });
  const traffic = await openLiveTraffic({ run, dataSet, rates });
  const stop = new AbortController();
  try {
    const sending = traffic.run(stop.signal);
    const endMs = systemClock.nowMs() + minutes * 60_000;
    const samples = await sampleUntil({ run, pid: pipeline.pid, endMs, sending, traffic });
    stop.abort();
    await sending;
    await pipeline.stop('SIGTERM');
    // What came in after the last commit is committed by a second life.
    const last = await startReady(run, { COMMIT_INTERVAL: '1s' });
    const sent = traffic.sent.at(-1)?.end ?? 0;
    await untilCommitted(run, { rows: sent, cpuSeconds: () => cpuSeconds(last.pid) });
    await last.stop('SIGTERM');
    const expectation = await traffic.expectation();
    const checked = await checkRun({ run, expectation, keep });
    if (!keep) {
      await removeTopic(topic);
      await removeDimensions(dataSet);
      await rm(stateDirectory, { recursive: true, force: true });
    }
    const series = judge(samples, warmUp * 60_000);
    const correct = checked.isSound && checked.isRight;
    return { series, samples, clicks: expectation.count, changes: traffic.changes, correct };
  } finally {
    stop.abort();
    await pipeline.stop('SIGKILL');
    await traffic.close();
  }
}

await runBench({
  usage: USAGE,
  defaults: {
    minutes: 60,
    'warm-up': 10,
    rows: 1_000_000,
    rate: 1_200,
    burst: 12_000,
    every: 600,
    lasts: 30,
    changes: 500,
    interval: 10,
    workers: 1,
  },
  least: 1,
  measure: async (wish, keep) => {
    const machine = await describeMachine();
    const { rows, minutes, interval, workers, rate, burst, changes } = wish;
    const [everyMs, lastsMs] = [wish.every * 1_000, wish.lasts * 1_000];
    const rates = { clicks: rate, burst: { clicks: burst, everyMs, lastsMs }, changes };
    const warmUp = wish['warm-up'];
    const measured = await measure({ rows, minutes, warmUp, interval, workers, rates, keep });
    const { series, samples, correct, ...counts } = measured;
    const isSteady = series.every(({ verdict }) => verdict === 'ok');
    printResult({
      bench: 'soak',
      machine,
      runs: series,
      keys: ['series', 'verdict'],
      figures: ['warm', 'end', 'perHour', 'limit'],
      correct,
      more: { isSteady, rates, minutes, warmUp, intervalSeconds: interval, ...counts, samples },
    });
    return correct && isSteady ? EXIT.ok : EXIT.failedCheck;
  },
});
