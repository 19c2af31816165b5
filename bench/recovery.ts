import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../cli/environment.ts';
import { EXIT } from '../cli/exit-code.ts';
import { openToolLog } from '../cli/lag.ts';
import { openCatalog } from '../cli/open-lake.ts';
import { startPipelineProcess } from '../cli/pipeline-process.ts';
import type { PipelineProcess } from '../cli/pipeline-process.ts';
import { openRandom } from '../generate/random.ts';
import type { Random } from '../generate/random.ts';
import { runBench, tell } from './command.ts';
import { prepareLiveLoad } from './live-load.ts';
import type { LiveLoad } from './live-load.ts';
import { benchDirectory } from './pipeline-file.ts';
import { spread, spreadTable } from './quantiles.ts';
import { dropTables, verifyRun } from './run-tables.ts';
import { watchTable } from './watch-table.ts';
import type { TableWatch } from './watch-table.ts';

const DIRECTORY = benchDirectory();
const PARTITIONS = 12;
const READY_WAIT_MS_MAX = 1_800_000;
const COMMIT_WAIT_MS_MAX = 300_000;
const USAGE = `usage: node bench/recovery.ts [--kills N] [--interval SECONDS] [--rate CLICKS] [--steady SECONDS]
         [--backlog SECONDS] [--users N] [--devices N] [--urls N] [--seed N] [--keep]

Measures, with the stack up: the time from kill -9 to the next commit and what it is made of, over --kills kills at
random moments; and freshness, from a click's Kafka timestamp to the commit that holds it: in the steady state, while
the pipeline is killed, and after a backlog of --backlog seconds. Prints tables; the last line is JSON. At the end every
offset is verified. It takes about: steady + kills * (interval / 2 + 15 s) + 4 intervals + the time to send and read
the backlog.`;

const DEFAULTS = {
  kills: 50,
  interval: 30,
  rate: 1200,
  steady: 300,
  backlog: 3600,
  users: 1_000_000,
  devices: 1_000_000,
  urls: 100_000,
  seed: 1,
};

type Wish = ReturnType<typeof wishOf>;

/** What a kill cost, in ms; parts follow one another from the kill to the commit. */
type Recovery = { total: number; parts: ReadonlyMap<string, number> };

/** Log lines that end a part. */
const MARKS = [
  ['process up', 'listening'],
  ['state opened', 'state opened'],
  ['tables opened', 'pipeline starts'],
  ['dimensions caught up', 'ready: joining clicks'],
  ['group joined, position read', 'reading clicks'],
] as const;

function wishOf(numbers: Readonly<typeof DEFAULTS>) {
  const { users, devices, urls } = numbers;
  return {
    kills: numbers.kills,
    intervalMs: numbers.interval * 1000,
    rate: numbers.rate,
    steadyMs: numbers.steady * 1000,
    backlogClicks: numbers.backlog * numbers.rate,
    size: { users, devices, urls },
    seed: numbers.seed,
  };
}

/** A pipeline that is started again and again on one state directory. */
class Supervised {
  readonly #load: LiveLoad;
  readonly #intervalMs: number;
  readonly #logFile: string;
  #process: PipelineProcess | undefined;
  #logStart = 0;

  constructor(load: LiveLoad, intervalMs: number) {
    this.#load = load;
    this.#intervalMs = intervalMs;
    this.#logFile = join(load.directory, 'pipeline.log');
  }

  async start(): Promise<void> {
    this.#logStart = await stat(this.#logFile).then(
      ({ size }) => size,
      () => 0,
    );
    const { host, port } = this.#load.config.http;
    this.#process = await startPipelineProcess({
      args: ['--config', this.#load.pipelineFile],
      logFile: this.#logFile,
      readyUrl: `http://${host}:${port}/readyz`,
      env: { COMMIT_INTERVAL: `${this.#intervalMs / 1000}s` },
    });
  }

  async ready(): Promise<void> {
    await this.#process?.ready(READY_WAIT_MS_MAX);
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#process?.stop(signal);
    this.#process = undefined;
  }

  /** When this life has said each of these, epoch ms. */
  async saidMs(): Promise<ReadonlyMap<string, number>> {
    const text = (await readFile(this.#logFile)).subarray(this.#logStart).toString();
    const said = new Map<string, number>();
    for (const line of text.split('\n')) {
      if (!line.startsWith('{')) continue;
      const { time, message } = JSON.parse(line) as { time: string; message: string };
      if (!said.has(message)) said.set(message, Date.parse(time));
    }
    return said;
  }
}

async function kill(pipeline: Supervised, watch: TableWatch): Promise<Recovery> {
  const killedMs = systemClock.nowMs();
  await pipeline.stop('SIGKILL');
  await pipeline.start();
  const committedMs = await watch.commitAfter(killedMs, COMMIT_WAIT_MS_MAX);
  const said = await pipeline.saidMs();
  const parts = new Map<string, number>();
  let beforeMs = killedMs;
  for (const [part, message] of MARKS) {
    const endMs = said.get(message);
    if (endMs === undefined) continue;
    parts.set(part, endMs - beforeMs);
    beforeMs = endMs;
  }
  parts.set('clicks read, joined, committed', committedMs - beforeMs);
  return { total: committedMs - killedMs, parts };
}

async function killAgainAndAgain(options: {
  wish: Wish;
  pipeline: Supervised;
  watch: TableWatch;
  random: Random;
}): Promise<Recovery[]> {
  const { wish, pipeline, watch, random } = options;
  const recoveries: Recovery[] = [];
  for (let n = 1; n <= wish.kills; n += 1) {
    await systemClock.sleep(random.below(wish.intervalMs));
    const recovery = await kill(pipeline, watch);
    recoveries.push(recovery);
    tell(
      `kill ${n} of ${wish.kills}: the next commit after ${(recovery.total / 1000).toFixed(1)} s`,
    );
  }
  return recoveries;
}

type Backlog = { clicks: number; readyMs: number; caughtUpMs: number; freshness: number[] };

/** Starts on a backlog, with clicks coming in all the while, and waits until it is committed. */
async function measureBacklog(options: {
  wish: Wish;
  load: LiveLoad;
  pipeline: Supervised;
  watch: TableWatch;
}): Promise<Backlog> {
  const { wish, load, pipeline, watch } = options;
  tell(`sending a backlog of ${wish.backlogClicks} clicks`);
  await load.clicks({ count: wish.backlogClicks });
  const log = await openToolLog(load.config);
  const ends = await log.bounds(load.config.stream.topic);
  await log.close();
  const stop = new AbortController();
  await watch.startSampling();
  const clicks = load.clicks({ perSecond: wish.rate, signal: stop.signal });
  watch.takeFreshness();
  const startMs = systemClock.nowMs();
  await pipeline.start();
  await pipeline.ready();
  const readyMs = systemClock.nowMs() - startMs;
  let committedMs = startMs;
  while (![...ends].every(([p, { endOffset }]) => (watch.position().get(p) ?? 0n) >= endOffset)) {
    committedMs = await watch.commitAfter(committedMs, COMMIT_WAIT_MS_MAX);
  }
  tell(`backlog committed after ${((committedMs - startMs) / 1000).toFixed(1)} s`);
  watch.takeFreshness();
  await systemClock.sleep(4 * wish.intervalMs);
  stop.abort();
  await clicks;
  const freshness = watch.takeFreshness();
  await pipeline.stop('SIGTERM');
  return { clicks: wish.backlogClicks, readyMs, caughtUpMs: committedMs - startMs, freshness };
}

async function measure(wish: Wish, load: LiveLoad) {
  const catalog = await openCatalog(load.config);
  const live = watchTable({ config: load.config, catalog });
  const pipeline = new Supervised(load, wish.intervalMs);
  const stop = new AbortController();
  try {
    await pipeline.start();
    await pipeline.ready();
    await live.startSampling();
    const clicks = load.clicks({ perSecond: wish.rate, signal: stop.signal });
    await live.commitAfter(0, COMMIT_WAIT_MS_MAX);
    live.takeFreshness();
    tell(`steady state for ${wish.steadyMs / 1000} s`);
    await systemClock.sleep(wish.steadyMs);
    const steady = live.takeFreshness();
    const random = openRandom(wish.seed, 'kills');
    const recoveries = await killAgainAndAgain({ wish, pipeline, watch: live, random });
    const faults = live.takeFreshness();
    stop.abort();
    await clicks;
    await pipeline.stop('SIGTERM');
    await live.stop();
    if (wish.backlogClicks === 0) return { steady, recoveries, faults, backlog: undefined };
    const watch = watchTable({ config: load.config, catalog });
    const backlog = await measureBacklog({ wish, load, pipeline, watch });
    await watch.stop();
    return { steady, recoveries, faults, backlog };
  } finally {
    stop.abort();
    await pipeline.stop('SIGKILL');
  }
}

type Measured = Awaited<ReturnType<typeof measure>>;

function report({ steady, recoveries, faults, backlog }: Measured): void {
  const parts = [...MARKS.map(([part]) => part), 'clicks read, joined, committed'];
  console.log(
    spreadTable('seconds from kill -9 to the next commit', [
      ['all', recoveries.map(({ total }) => total)],
      ...parts.map((part) => {
        const values = recoveries.flatMap((one) => one.parts.get(part) ?? []);
        return [`  ${part}`, values] as const;
      }),
    ]),
  );
  console.log(
    `\n${spreadTable('freshness in seconds, by sampled clicks', [
      ['in the steady state', steady],
      ['while it is killed', faults],
      ['after the backlog', backlog?.freshness ?? []],
    ])}`,
  );
  if (backlog === undefined) return;
  const { clicks, readyMs, caughtUpMs } = backlog;
  console.log(
    `\na backlog of ${clicks} clicks: ready after ${(readyMs / 1000).toFixed(1)} s, ` +
      `all committed after ${(caughtUpMs / 1000).toFixed(1)} s`,
  );
}

async function run(wish: Wish, keep: boolean): Promise<number> {
  await mkdir(DIRECTORY, { recursive: true });
  const runId = `recovery_${systemClock.nowMs().toString(36)}`;
  const { size } = wish;
  const load = await prepareLiveLoad({
    size,
    partitions: PARTITIONS,
    directory: DIRECTORY,
    runId,
    progress: tell,
  });
  let isDone = false;
  try {
    const measured = await measure(wish, load);
    report(measured);
    const sound = await verifyRun(load);
    if (!keep) await dropTables(load.config);
    const { steady, recoveries, faults, backlog } = measured;
    console.log(
      JSON.stringify({
        bench: 'recovery',
        ...size,
        intervalSeconds: wish.intervalMs / 1000,
        recoverySeconds: spread(recoveries.map(({ total }) => total)),
        freshnessSeconds: {
          steady: spread(steady),
          faults: spread(faults),
          afterBacklog: spread(backlog?.freshness ?? []),
        },
        verified: sound,
      }),
    );
    isDone = sound;
    return sound ? EXIT.ok : EXIT.failedCheck;
  } finally {
    await load.close();
    // The log of what failed stays.
    if (isDone && !keep) await rm(load.directory, { recursive: true, force: true });
  }
}

await runBench({
  usage: USAGE,
  defaults: DEFAULTS,
  least: 0,
  measure: (numbers, keep) => run(wishOf(numbers), keep),
});
