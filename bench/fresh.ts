import { rm } from 'node:fs/promises';
import { addressOf, systemClock } from '../cli/environment.ts';
import { EXIT } from '../cli/exit-code.ts';
import { openTrino, type Trino } from '../verify/trino.ts';
import { runBench, tell } from './command.ts';
import {
  CLICK_PARTITIONS,
  makeStreamTopic,
  prepareDimensions,
  removeDimensions,
  removeTopic,
  sizeOf,
} from './data/data-set.ts';
import { openLiveTraffic, type Rates, type Sent } from './live-traffic.ts';
import { describeMachine } from './machine.ts';
import {
  checkRun,
  layOutRun,
  newRunId,
  sharedState,
  startReady,
  type Run,
} from './pipeline-run.ts';
import { cpuSeconds, peakResidentBytes } from './process-usage.ts';
import { weightedSpread, type Weighted } from './quantiles.ts';
import { printResult } from './result.ts';

const USAGE = `usage: node bench/fresh.ts [--rows N] [--minutes N] [--rate CLICKS] [--burst CLICKS] [--every SECONDS]
         [--lasts SECONDS] [--changes N] [--interval SECONDS] [--workers N] [--runs N] [--keep]

From click to Trino, with the stack up: --rate clicks a second, in bursts --burst (one of --lasts seconds every --every
seconds), and --changes changes of dimension rows a second, for --minutes. Trino is asked again and again which offsets
it sees; a click is visible when the answer that has it is there. It counts from the click's timestamp in Kafka, for
every click. Commits are --interval seconds apart. Every row is compared with what it had to be. Prints a table; the
last line is JSON.`;

const POLL_MS = 500;
/** After the last click: the commit interval and as much again as anything might take. */
const TAIL_MS_MAX = 120_000;

/** Watches what Trino shows, and turns it into the age of each click at that moment. */
class Visibility {
  readonly ages: Weighted[] = [];
  readonly queryMs: number[] = [];
  readonly #trino: Trino;
  readonly #run: Run;
  readonly #sent: readonly Sent[];
  readonly #next = new Map<number, number>();
  /** Sends whose clicks are all visible. */
  #done = 0;

  constructor(trino: Trino, run: Run, sent: readonly Sent[]) {
    this.#trino = trino;
    this.#run = run;
    this.#sent = sent;
  }

  get isComplete(): boolean {
    return this.#done === this.#sent.length;
  }

  /** One question to Trino; files that are older than what is known are not read again. */
  async look(): Promise<void> {
    const { namespace, name } = this.#run.config.table;
    const known = Array.from({ length: CLICK_PARTITIONS }, (_, p) => this.#next.get(p) ?? 0);
    const askedMs = systemClock.nowMs();
    const { rows } = await this.#trino.query(
      `select _kafka_partition, max(_kafka_offset) from ${namespace.join('.')}.${name} ` +
        `where _kafka_offset >= ${Math.min(...known)} group by 1`,
    );
    const seenMs = systemClock.nowMs();
    this.queryMs.push(seenMs - askedMs);
    for (const [partition, offset] of rows) {
      this.#next.set(Number(partition), Number(offset) + 1);
    }
    this.#take(seenMs);
  }

  /** Clicks go to the partitions in turn: a send is visible once the last of its turns are. */
  #take(seenMs: number): void {
    for (;;) {
      const send = this.#sent[this.#done];
      if (send === undefined || !this.#isVisible(send.end)) return;
      const before = this.#sent[this.#done - 1]?.end ?? 0;
      this.ages.push({ value: seenMs - send.ms, weight: send.end - before });
      this.#done += 1;
    }
  }

  #isVisible(end: number): boolean {
    const first = Math.max(0, end - CLICK_PARTITIONS);
    for (let index = first; index < end; index += 1) {
      const offset = Math.floor(index / CLICK_PARTITIONS);
      if ((this.#next.get(index % CLICK_PARTITIONS) ?? 0) <= offset) return false;
    }
    return true;
  }
}

async function watch(visibility: Visibility, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // Before its first commit the pipeline has made no table.
    await visibility.look().catch((error: unknown) => tell(`Trino: ${(error as Error).message}`));
    await systemClock.sleep(POLL_MS, signal);
  }
}

async function measure(wish: {
  rows: number;
  minutes: number;
  interval: number;
  workers: number;
  rates: Rates;
  keep: boolean;
}) {
  const { rows, minutes, interval, workers, rates, keep } = wish;
  const runId = newRunId();
  // Topics and a state of its own: the changes stay in them.
  const kind = `fresh_${runId}`;
  const dataSet = await prepareDimensions({ size: sizeOf(rows), kind, progress: tell });
  const topic = `${dataSet.base}-clicks_${runId}`;
  await makeStreamTopic(topic);
  const stateDirectory = sharedState(dataSet);
  const run = await layOutRun({ bench: 'fresh', runId, dataSet, topic, stateDirectory, workers });
  const pipeline = await startReady(run, { COMMIT_INTERVAL: `${interval}s` });
  const traffic = await openLiveTraffic({ run, dataSet, rates });
  const trino = openTrino({ url: addressOf('trino'), user: 'tributary', catalog: 'lake' });
  const visibility = new Visibility(trino, run, traffic.sent);
  const [stopTraffic, stopWatch] = [new AbortController(), new AbortController()];
  try {
    const cpuAtStart = cpuSeconds(pipeline.pid);
    const sending = traffic.run(stopTraffic.signal);
    const watching = watch(visibility, stopWatch.signal);
    await Promise.race([systemClock.sleep(minutes * 60_000), sending]);
    stopTraffic.abort();
    await sending;
    const deadlineMs = systemClock.nowMs() + TAIL_MS_MAX;
    while (!visibility.isComplete && systemClock.nowMs() < deadlineMs) {
      await systemClock.sleep(POLL_MS);
    }
    stopWatch.abort();
    await watching;
    const usage = {
      cpuSeconds: Math.round(100 * (cpuSeconds(pipeline.pid) - cpuAtStart)) / 100,
      rssMiB: Math.round(peakResidentBytes(pipeline.pid) / 1024 ** 2),
    };
    await pipeline.stop('SIGTERM');
    const expectation = await traffic.expectation();
    const checked = await checkRun({ run, expectation, keep });
    if (!keep) {
      await removeTopic(topic);
      await removeDimensions(dataSet);
      await rm(stateDirectory, { recursive: true, force: true });
    }
    const age = weightedSpread(visibility.ages);
    return {
      rows,
      clicks: expectation.count,
      changes: traffic.changes,
      p50Seconds: age.p50 / 1_000,
      p99Seconds: age.p99 / 1_000,
      maxSeconds: age.max / 1_000,
      queryP50Ms: weightedSpread(visibility.queryMs.map((value) => ({ value, weight: 1 }))).p50,
      ...usage,
      missing: checked.missing,
      wrong: checked.wrong,
      correct: checked.isSound && checked.isRight && visibility.isComplete,
    };
  } finally {
    stopTraffic.abort();
    stopWatch.abort();
    await pipeline.stop('SIGKILL');
    await traffic.close();
  }
}

await runBench({
  usage: USAGE,
  defaults: {
    rows: 1_000_000,
    minutes: 10,
    rate: 1_200,
    burst: 12_000,
    every: 60,
    lasts: 10,
    changes: 500,
    interval: 30,
    workers: 1,
    runs: 1,
  },
  least: 1,
  measure: async (wish, keep) => {
    const machine = await describeMachine();
    const { rows, minutes, interval, workers, rate, burst, changes } = wish;
    const [everyMs, lastsMs] = [wish.every * 1_000, wish.lasts * 1_000];
    const rates = { clicks: rate, burst: { clicks: burst, everyMs, lastsMs }, changes };
    const runs: Awaited<ReturnType<typeof measure>>[] = [];
    for (let n = 1; n <= wish.runs; n += 1) {
      const run = await measure({ rows, minutes, interval, workers, rates, keep });
      tell(`run ${n}: p50 ${run.p50Seconds} s, p99 ${run.p99Seconds} s, most ${run.maxSeconds} s`);
      runs.push(run);
    }
    const correct = runs.every((run) => run.correct);
    printResult({
      bench: 'fresh',
      machine,
      runs,
      keys: ['rows'],
      figures: [
        'clicks',
        'changes',
        'p50Seconds',
        'p99Seconds',
        'maxSeconds',
        'cpuSeconds',
        'rssMiB',
      ],
      correct,
      more: { rates, intervalSeconds: interval, minutes },
    });
    return correct ? EXIT.ok : EXIT.failedCheck;
  },
});
