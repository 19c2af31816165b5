import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../cli/environment.ts';
import { EXIT } from '../cli/exit-code.ts';
import { openToolLog } from '../cli/lag.ts';
import { openCatalog } from '../cli/open-lake.ts';
import { startPipelineProcess } from '../cli/pipeline-process.ts';
import type { PipelineProcess } from '../cli/pipeline-process.ts';
import { runBench, tell } from './command.ts';
import { prepareLiveLoad } from './live-load.ts';
import type { LiveLoad } from './live-load.ts';
import { benchDirectory } from './pipeline-file.ts';
import { spread } from './quantiles.ts';
import { dropTables, verifyRun } from './run-tables.ts';
import { watchTable } from './watch-table.ts';

const DIRECTORY = benchDirectory();
const PARTITIONS = 12;
const FIRST_PORT = 18_110;
const READY_WAIT_MS_MAX = 600_000;
const COMMIT_WAIT_MS_MAX = 300_000;
const USAGE = `usage: node bench/group.ts [--processes N] [--interval SECONDS] [--rate CLICKS] [--steady SECONDS]
         [--backlog CLICKS] [--users N] [--devices N] [--urls N] [--keep]

One consumer group of 1, 2, ... --processes processes on the same table, with the stack up: how fast they commit a
backlog together, and, with --rate clicks a second, how many commits there are, how many lose a race, and how long a
commit takes from its files to the catalog's word. Prints a row for each; the last line is JSON. Every offset is
verified.`;

const DEFAULTS = {
  processes: 4,
  interval: 5,
  rate: 1200,
  steady: 120,
  backlog: 500_000,
  users: 100_000,
  devices: 100_000,
  urls: 20_000,
};

type Wish = ReturnType<typeof wishOf>;

type Member = PipelineProcess & { url: string };

function wishOf(numbers: Readonly<typeof DEFAULTS>, keep: boolean) {
  const { users, devices, urls } = numbers;
  return {
    processes: numbers.processes,
    intervalMs: numbers.interval * 1000,
    rate: numbers.rate,
    steadyMs: numbers.steady * 1000,
    backlogClicks: numbers.backlog,
    size: { users, devices, urls },
    keep,
  };
}

async function startMember(wish: Wish, load: LiveLoad, index: number): Promise<Member> {
  const port = FIRST_PORT + index;
  const url = `http://${load.config.http.host}:${port}`;
  const member = await startPipelineProcess({
    args: ['--config', load.pipelineFile],
    logFile: join(load.directory, `pipeline-${index}.log`),
    readyUrl: `${url}/readyz`,
    env: {
      COMMIT_INTERVAL: `${wish.intervalMs / 1000}s`,
      BENCH_HTTP_PORT: String(port),
      BENCH_STATE_DIRECTORY: join(load.directory, `state-${index}`),
    },
  });
  return { ...member, url };
}

type Series = { name: string; value: number };

/** Every series of every member, each member asked once. */
async function series(members: readonly Member[]): Promise<Series[]> {
  const texts = await Promise.all(
    members.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()),
  );
  return texts.flatMap((text) =>
    text.split('\n').map((line) => {
      const end = line.lastIndexOf(' ');
      return { name: line.slice(0, end), value: Number(line.slice(end + 1)) };
    }),
  );
}

async function counts(members: readonly Member[], table: string) {
  const all = await series(members);
  const sum = (name: string, ...labels: string[]): number =>
    all
      .filter((one) => one.name.startsWith(`${name}{`) && labels.every((l) => one.name.includes(l)))
      .reduce((total, { value }) => total + value, 0);
  const duration = 'tributary_commit_duration_seconds_bucket';
  return {
    commits: sum('tributary_commits_total', `table="${table}"`),
    conflicts: sum('tributary_commit_conflicts_total', `table="${table}"`),
    buckets: COMMIT_BOUNDS.map((bound) => sum(duration, `le="${bound}"`, 'step="commit"')),
  };
}

/** Those of the histogram in enrich/metrics.ts. */
const COMMIT_BOUNDS = [
  '0.05',
  '0.1',
  '0.25',
  '0.5',
  '1',
  '2.5',
  '5',
  '10',
  '30',
  '60',
  '120',
  '+Inf',
];

/** Between the bounds of the bucket that the quantile falls into, as Prometheus does. */
function histogramQuantile(buckets: readonly number[], q: number): number {
  const rank = q * (buckets.at(-1) ?? 0);
  const index = buckets.findIndex((count) => count >= rank);
  const from = index <= 0 ? 0 : Number(COMMIT_BOUNDS[index - 1]);
  const to = Number(COMMIT_BOUNDS[index]);
  const below = index <= 0 ? 0 : (buckets[index - 1] ?? 0);
  const within = (buckets[index] ?? 0) - below;
  const seconds = Number.isFinite(to) ? from + (to - from) * ((rank - below) / within) : from;
  return Math.round(seconds * 1000) / 1000;
}

/** A group of `size` processes: first on a backlog, then at a steady rate. */
async function measure(wish: Wish, load: LiveLoad, size: number) {
  const catalog = await openCatalog(load.config);
  await load.clicks({ count: wish.backlogClicks });
  const log = await openToolLog(load.config);
  const ends = await log.bounds(load.config.stream.topic);
  await log.close();
  const watch = watchTable({ config: load.config, catalog });
  const members: Member[] = [];
  const stop = new AbortController();
  try {
    for (let i = 0; i < size; i += 1) members.push(await startMember(wish, load, i));
    await Promise.all(members.map((member) => member.ready(READY_WAIT_MS_MAX)));
    const readyMs = systemClock.nowMs();
    let committedMs = readyMs;
    while (![...ends].every(([p, { endOffset }]) => (watch.position().get(p) ?? 0n) >= endOffset)) {
      committedMs = await watch.commitAfter(committedMs, COMMIT_WAIT_MS_MAX);
    }
    await watch.startSampling();
    const clicks = load.clicks({ perSecond: wish.rate, signal: stop.signal });
    await systemClock.sleep(2 * wish.intervalMs);
    const before = await counts(members, load.config.table.name);
    watch.takeFreshness();
    await systemClock.sleep(wish.steadyMs);
    const after = await counts(members, load.config.table.name);
    const freshness = watch.takeFreshness();
    stop.abort();
    await clicks;
    const commits = after.commits - before.commits;
    const buckets = after.buckets.map((count, index) => count - (before.buckets[index] ?? 0));
    return {
      processes: size,
      backlogPerSecond: Math.round((wish.backlogClicks * 1000) / (committedMs - readyMs)),
      commitsPerMinute: Math.round((commits * 60_000) / wish.steadyMs),
      conflictsPerCommit: Math.round((100 * (after.conflicts - before.conflicts)) / commits) / 100,
      commitSecondsP50: histogramQuantile(buckets, 0.5),
      commitSecondsP99: histogramQuantile(buckets, 0.99),
      freshnessSeconds: spread(freshness),
    };
  } finally {
    stop.abort();
    await Promise.all(members.map((member) => member.stop('SIGTERM')));
    await watch.stop();
  }
}

/** Each size on a topic and a table of its own. */
async function measureSize(wish: Wish, size: number) {
  const runId = `group_${systemClock.nowMs().toString(36)}`;
  const load = await prepareLiveLoad({
    size: wish.size,
    partitions: PARTITIONS,
    directory: DIRECTORY,
    runId,
    progress: () => undefined,
  });
  let isDone = false;
  try {
    const measured = await measure(wish, load, size);
    const verified = await verifyRun(load);
    tell(`${JSON.stringify(measured)} ${verified ? 'verified' : 'NOT SOUND'}`);
    if (!wish.keep) await dropTables(load.config);
    isDone = verified;
    return { ...measured, verified };
  } finally {
    await load.close();
    // The logs of what failed stay.
    if (isDone && !wish.keep) await rm(load.directory, { recursive: true, force: true });
  }
}

async function run(wish: Wish): Promise<number> {
  await mkdir(DIRECTORY, { recursive: true });
  const groups: Awaited<ReturnType<typeof measureSize>>[] = [];
  for (let size = 1; size <= wish.processes; size += 1) groups.push(await measureSize(wish, size));
  console.log(
    'processes  backlog/s  commits/min  conflicts/commit  commit p50 s  p99 s  freshness p50 s  p99 s',
  );
  for (const group of groups) {
    const { freshnessSeconds: fresh } = group;
    const cells: readonly [unknown, number][] = [
      [group.processes, 9],
      [group.backlogPerSecond, 11],
      [group.commitsPerMinute, 13],
      [group.conflictsPerCommit, 18],
      [group.commitSecondsP50, 14],
      [group.commitSecondsP99, 7],
      [fresh.p50, 17],
      [fresh.p99, 7],
    ];
    console.log(cells.map(([cell, width]) => String(cell).padStart(width)).join(''));
  }
  const sound = groups.every(({ verified }) => verified);
  console.log(JSON.stringify({ bench: 'group', intervalSeconds: wish.intervalMs / 1000, groups }));
  return sound ? EXIT.ok : EXIT.failedCheck;
}

await runBench({
  usage: USAGE,
  defaults: DEFAULTS,
  least: 1,
  measure: (numbers, keep) => run(wishOf(numbers, keep)),
});
