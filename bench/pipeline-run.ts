import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { systemClock } from '../cli/environment.ts';
import { loadConfig } from '../cli/load-config.ts';
import { openCatalog } from '../cli/open-lake.ts';
import { startPipelineProcess, type PipelineProcess } from '../cli/pipeline-process.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { compareRows, type Comparison, type Expectation } from './compare-rows.ts';
import { tell } from './command.ts';
import { clickIndexOf, openClickModel } from './data/click-model.ts';
import { CLICK_PARTITIONS, type ClickSet, type DataSet } from './data/data-set.ts';
import { firstLoadRow } from './data/expected-join.ts';
import { benchDirectory, writePipelineFile } from './pipeline-file.ts';
import { cpuSeconds } from './process-usage.ts';
import { dropTables, verifyRun } from './run-tables.ts';

/** Where benches keep pipeline files, logs and states. */
const DIRECTORY = benchDirectory();
const READY_WAIT_MS_MAX = 3_600_000;
const POLL_MS = 200;
const COMMIT_WAIT_MS_MAX = 3_600_000;

/** A pipeline of its own name, over topics that runs share, into tables of its own. */
export type Run = {
  config: PipelineConfig;
  pipelineFile: string;
  logFile: string;
  readyUrl: string;
};

/** Writes the pipeline file of a run. `bench` and `runId` go into the names of its tables and its log. */
export async function layOutRun(options: {
  bench: string;
  runId: string;
  dataSet: DataSet;
  topic: string;
  stateDirectory: string;
  workers?: number;
}): Promise<Run> {
  const { bench, runId, dataSet, topic, stateDirectory, workers } = options;
  const folder = join(DIRECTORY, dataSet.clusterId, bench);
  await mkdir(folder, { recursive: true });
  const pipelineFile = join(folder, `${runId}.yaml`);
  await writePipelineFile(pipelineFile, {
    name: `bench-${bench}-${runId}`,
    streamTopic: topic,
    dimensionBase: dataSet.base,
    table: `bench.${bench}_${runId}`,
    stateDirectory,
    ...(workers === undefined ? {} : { workers }),
  });
  const { config } = await loadConfig({ config: pipelineFile, contracts: 'schemas' });
  const readyUrl = `http://${config.http.host}:${config.http.port}/readyz`;
  return { config, pipelineFile, logFile: join(folder, `${runId}.log`), readyUrl };
}

/** Of runs that follow one another. */
export function newRunId(): string {
  return systemClock.nowMs().toString(36);
}

/** The state that runs over one data set share: loaded once, then opened again and again. */
export function sharedState(dataSet: DataSet): string {
  return join(DIRECTORY, dataSet.clusterId, dataSet.base, 'state');
}

export type ReadyPipeline = PipelineProcess & {
  /** From the start of the process. */
  readySeconds: number;
  readyCpuSeconds: number;
};

/** Starts the pipeline and waits until it joins. */
export async function startReady(
  run: Run,
  env: Readonly<Record<string, string>> = {},
): Promise<ReadyPipeline> {
  const { pipelineFile, logFile, readyUrl } = run;
  const startMs = systemClock.nowMs();
  const args = ['--config', pipelineFile];
  const pipeline = await startPipelineProcess({
    args,
    logFile,
    readyUrl,
    env: { COMMIT_INTERVAL: '5s', ...env },
  });
  try {
    await pipeline.ready(READY_WAIT_MS_MAX);
  } catch (error) {
    await pipeline.stop('SIGKILL');
    throw error;
  }
  const readySeconds = (systemClock.nowMs() - startMs) / 1000;
  return { ...pipeline, readySeconds, readyCpuSeconds: cpuSeconds(pipeline.pid) };
}

/** How many rows had been committed when, and what it had cost. */
export type CommitSample = { ms: number; records: number; cpuSeconds: number };

/**
 * Looks at a run's table until it has so many rows; one sample for each number of rows, after one of the beginning.
 * `cpuSeconds` is also the sign of life: it throws for a process that has ended.
 */
export async function untilCommitted(
  { config }: Pick<Run, 'config'>,
  wish: { rows: number; cpuSeconds: () => number },
): Promise<CommitSample[]> {
  const { namespace, name } = config.table;
  const catalog = await openCatalog(config);
  const sample = (records: number): CommitSample => ({
    ms: systemClock.nowMs(),
    records,
    cpuSeconds: wish.cpuSeconds(),
  });
  const samples = [sample(0)];
  const deadlineMs = systemClock.nowMs() + COMMIT_WAIT_MS_MAX;
  while ((samples.at(-1)?.records ?? 0) < wish.rows) {
    if (systemClock.nowMs() > deadlineMs) throw new RangeError(`${name}: the backlog never ended`);
    await systemClock.sleep(POLL_MS);
    const metadata = (await catalog.loadTable({ namespace, name }))?.metadata;
    const now = sample(metadata === undefined ? 0 : rowsOf(metadata));
    if (now.records > (samples.at(-1)?.records ?? 0)) samples.push(now);
  }
  return samples;
}

/** Source: Iceberg table spec, "Optional Snapshot Summary Fields". */
function rowsOf({ snapshots, currentSnapshotId }: TableMetadata): number {
  const current = snapshots.find(({ snapshotId }) => snapshotId === currentSnapshotId);
  return Number(current?.summary['total-records'] ?? 0);
}

/** Events a second, and for each CPU second, over all and where it runs evenly: from 25 to 95 % of the backlog. */
export function speedOf(samples: readonly CommitSample[]) {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined) throw new RangeError('no samples');
  const share = (part: number): number => part * last.records;
  const from = samples.find(({ records }) => records >= share(0.25)) ?? first;
  const to = samples.findLast(({ records }) => records <= share(0.95)) ?? last;
  const whole = speedBetween(first, last);
  const steady = to.records > from.records ? speedBetween(from, to) : whole;
  return {
    events: last.records,
    seconds: (last.ms - first.ms) / 1000,
    cpuSeconds: Math.round(100 * (last.cpuSeconds - first.cpuSeconds)) / 100,
    eventsPerSecond: whole.eventsPerSecond,
    eventsPerCpuSecond: whole.eventsPerCpuSecond,
    steadyPerSecond: steady.eventsPerSecond,
    steadyPerCpuSecond: steady.eventsPerCpuSecond,
  };
}

function speedBetween(from: CommitSample, to: CommitSample) {
  const events = to.records - from.records;
  return {
    eventsPerSecond: Math.round((events * 1000) / (to.ms - from.ms)),
    eventsPerCpuSecond: Math.round(events / (to.cpuSeconds - from.cpuSeconds)),
  };
}

/** Of a backlog over the first load of a data set; `firstOffset` is where its clicks begin in each partition. */
export function expectationOf(options: {
  dataSet: DataSet;
  clicks: ClickSet;
  firstOffset?: bigint;
}): Expectation {
  const { dataSet, clicks, firstOffset = 0n } = options;
  const { seed, size } = dataSet;
  const model = openClickModel({ seed, size, skew: clicks.skew });
  return {
    count: clicks.count,
    indexOf: (place) => clickIndexOf(place, { partitions: CLICK_PARTITIONS, firstOffset }),
    click: (index) => model.at(index),
    joined: (table, key) => firstLoadRow(table, key, dataSet),
  };
}

/** Verifies a run's tables and compares each row; says what differs. The tables are dropped unless they are kept. */
export async function checkRun(options: {
  run: Run;
  expectation: Expectation;
  keep: boolean;
}): Promise<Comparison & { isSound: boolean }> {
  const { run, expectation, keep } = options;
  const isSound = await verifyRun(run);
  const { config } = run;
  const comparison = await compareRows({ config, expectation, statuses: true });
  const { rows, distinct, missing, wrong, examples, misses } = comparison;
  tell(
    `compared ${rows} rows with what was sent and joined: ${distinct} distinct clicks, ${missing} missing, ` +
      `${wrong} wrong, misses ${JSON.stringify(misses)}`,
  );
  for (const example of examples) tell(`  ${example}`);
  if (!keep && isSound && comparison.isRight) await removeRun(run);
  return { ...comparison, isSound };
}

/** Drops the tables of a run, and removes its pipeline file and log. */
export async function removeRun({ config, pipelineFile, logFile }: Run): Promise<void> {
  await dropTables(config);
  await rm(pipelineFile, { force: true });
  await rm(logFile, { force: true });
}
