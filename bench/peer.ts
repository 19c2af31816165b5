import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../cli/environment.ts';
import { EXIT } from '../cli/exit-code.ts';
import { loadConfig } from '../cli/load-config.ts';
import { openCatalog } from '../cli/open-lake.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { partitionField } from '../enrich/pipeline/table-layout.ts';
import { eventFields } from '../enrich/pipeline/event-fields.ts';
import { runBench, tell } from './command.ts';
import { compareRows } from './compare-rows.ts';
import {
  brokerOf,
  CLICK_PARTITIONS,
  fillClicks,
  makeStreamTopic,
  prepareDimensions,
  removeTopic,
  sizeOf,
} from './data/data-set.ts';
import type { ClickSet, DataSet } from './data/data-set.ts';
import { startCluster, type Backend, type FlinkCluster } from './flink/cluster.ts';
import { fetchFlink, type Flink } from './flink/fetch.ts';
import { joinStatements, PEER_COLUMNS } from './flink/statements.ts';
import { closeGate } from './kafka/gate.ts';
import { describeMachine } from './machine.ts';
import {
  checkRun,
  expectationOf,
  layOutRun,
  newRunId,
  sharedState,
  speedOf,
  startReady,
  untilCommitted,
  type Run,
} from './pipeline-run.ts';
import { cpuSeconds, forgetPeak, peakResidentBytes } from './process-usage.ts';
import { printResult, rounded, spreadOf } from './result.ts';
import { dropTables } from './run-tables.ts';

const USAGE = `usage: node bench/peer.ts [--rows N] [--clicks N] [--skew uniform|zipf] [--backend rocksdb|hashmap]
         [--memory MIB] [--slots N] [--checkpoint SECONDS] [--workers N] [--runs N] [--keep]

The same topics into the same rows by Flink SQL and by the pipeline, one after the other, with the stack up. Both have
read --rows users and devices (and a url for each 100 of them) before --clicks clicks become visible at once; both are
counted until all is committed: Flink's task manager and job manager, the pipeline's process. Every row of both tables
is compared with what it had to be. Fetches Flink the first time. Prints a table; the last line is JSON.`;

const FIRST_OFFSET = 1n;
const POLL_MS = 500;
const LOAD_MS_MAX = 7_200_000;
const MIB = 1024 ** 2;

type Wish = {
  flink: Flink;
  dataSet: DataSet;
  clicks: ClickSet;
  backend: Backend;
  memoryMiB: number;
  slots: number;
  checkpointSeconds: number;
  workers: number;
  keep: boolean;
};

/** An empty table with the pipeline's columns, but for those that only the pipeline fills. */
async function createPeerTable(run: Run, name: string): Promise<PipelineConfig> {
  const { config, contracts } = await loadConfig({
    config: run.pipelineFile,
    contracts: 'schemas',
  });
  const all = eventFields({ config, stream: contracts.stream, dimensions: contracts.dimensions });
  const fields = PEER_COLUMNS.flatMap((column) => all.filter((field) => field.name === column));
  const catalog = await openCatalog(config);
  const { namespace, partition } = config.table;
  await catalog.ensureNamespace(namespace);
  await catalog.createTable({
    identifier: { namespace, name },
    schema: { schemaId: 0, fields },
    partitionSpec: {
      specId: 0,
      fields: partition.map((text, index) => partitionField(fields, text, index)),
    },
    sortOrder: { orderId: 0, fields: [] },
    properties: {
      'format-version': '2',
      'write.parquet.compression-codec': 'zstd',
      'write.distribution-mode': 'none',
    },
  });
  return { ...config, table: { ...config.table, name } };
}

/** Waits until every row of the dimensions has been taken in by the joins. */
async function untilLoaded(cluster: FlinkCluster, jobId: string, { size }: DataSet): Promise<void> {
  const rows = size.users + size.devices + size.urls;
  const deadlineMs = systemClock.nowMs() + LOAD_MS_MAX;
  for (;;) {
    await cluster.assertRuns(jobId);
    const vertices = await cluster.vertices(jobId);
    const joins = vertices.filter(({ name }) => /join/i.test(name) && !/^source/i.test(name));
    if (joins.reduce((sum, { taken }) => sum + taken, 0) >= rows) return;
    if (systemClock.nowMs() > deadlineMs) throw new RangeError('Flink never loaded the dimensions');
    await systemClock.sleep(POLL_MS);
  }
}

/** Never resolves: rejects once the job has failed, or its cluster has ended. */
async function untilFailed(cluster: FlinkCluster, jobId: string): Promise<never> {
  for (;;) {
    await systemClock.sleep(POLL_MS);
    await cluster.assertRuns(jobId);
  }
}

async function measureFlink(wish: Wish, run: Run, table: string) {
  const { flink, dataSet, clicks, backend, memoryMiB, slots, checkpointSeconds, keep } = wish;
  const folder = join(`${run.logFile}-flink`);
  const config = await createPeerTable(run, table);
  const startMs = systemClock.nowMs();
  const cluster = await startCluster({
    flink,
    folder,
    backend,
    memoryMiB,
    slots,
    checkpointSeconds,
  });
  const pids = [cluster.taskManagerPid, cluster.jobManagerPid];
  const cpu = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  try {
    const statements = joinStatements({ config, groupId: table, table });
    const jobId = await cluster.submit(statements);
    await untilLoaded(cluster, jobId, dataSet);
    const loadSeconds = (systemClock.nowMs() - startMs) / 1000;
    const loadCpuSeconds = rounded(cpu());
    tell(`Flink: dimensions read after ${loadSeconds.toFixed(1)} s`);
    await sendHidden(wish, config);
    for (const pid of pids) forgetPeak(pid);
    const samples = await Promise.race([
      untilCommitted({ config }, { rows: clicks.count, cpuSeconds: cpu }),
      untilFailed(cluster, jobId),
    ]);
    const [taskManagerMiB, jobManagerMiB] = pids.map((pid) =>
      Math.round(peakResidentBytes(pid) / MIB),
    );
    await cluster.stop();
    const compared = await compareRows({
      config,
      expectation: expectationOf({ dataSet, clicks, firstOffset: FIRST_OFFSET }),
      statuses: false,
    });
    for (const example of compared.examples) tell(`  Flink: ${example}`);
    if (!keep && compared.isRight) {
      await dropTables(config);
      await rm(folder, { recursive: true, force: true });
    }
    return {
      system: 'flink' as const,
      ...speedOf(samples),
      loadSeconds,
      loadCpuSeconds,
      rssMiB: (taskManagerMiB ?? 0) + (jobManagerMiB ?? 0),
      ...countsOf(compared),
      correct: compared.isRight,
    };
  } finally {
    await cluster.stop();
  }
}

/** Fills the stream topic behind a gate, and opens it: the clock starts now. */
async function sendHidden({ dataSet, clicks }: Wish, config: PipelineConfig): Promise<void> {
  const { topic } = config.stream;
  const broker = brokerOf(config);
  const gate = await closeGate({ broker, topic, partitions: CLICK_PARTITIONS });
  await fillClicks({ dataSet, clicks, topic, progress: tell });
  await gate.open();
}

async function measurePipeline(wish: Wish, run: Run) {
  const { dataSet, clicks, keep } = wish;
  const pipeline = await startReady(run);
  try {
    forgetPeak(pipeline.pid);
    const samples = await untilCommitted(run, {
      rows: clicks.count,
      cpuSeconds: () => cpuSeconds(pipeline.pid),
    });
    const rssMiB = Math.round(peakResidentBytes(pipeline.pid) / MIB);
    await pipeline.stop('SIGTERM');
    const compared = await checkRun({
      run,
      expectation: expectationOf({ dataSet, clicks, firstOffset: FIRST_OFFSET }),
      keep,
    });
    return {
      system: 'tributary' as const,
      ...speedOf(samples),
      loadSeconds: pipeline.readySeconds,
      loadCpuSeconds: rounded(pipeline.readyCpuSeconds),
      rssMiB,
      ...countsOf(compared),
      correct: compared.isSound && compared.isRight,
    };
  } finally {
    await pipeline.stop('SIGKILL');
  }
}

function countsOf(compared: Awaited<ReturnType<typeof compareRows>>) {
  const { rows, distinct, missing, wrong, misses } = compared;
  const { users = 0, devices = 0, urls = 0 } = misses;
  return {
    tableRows: rows,
    distinct,
    missing,
    wrong,
    userMisses: users,
    deviceMisses: devices,
    urlMisses: urls,
  };
}

/** Both over one topic: Flink first, for the clicks must come after its dimensions. */
async function measureBoth(wish: Wish) {
  const { dataSet, workers } = wish;
  const runId = newRunId();
  const topic = `${dataSet.base}-clicks_peer_${runId}`;
  await makeStreamTopic(topic);
  const stateDirectory = sharedState(dataSet);
  const isLoaded = existsSync(stateDirectory);
  const run = await layOutRun({ bench: 'peer', runId, dataSet, topic, stateDirectory, workers });
  const flink = await measureFlink(wish, run, `flink_${runId}`);
  const tributary = await measurePipeline(wish, run);
  if (!wish.keep) await removeTopic(topic);
  return [flink, { ...tributary, stateOnDisk: isLoaded }];
}

await runBench({
  usage: USAGE,
  defaults: {
    rows: 1_000_000,
    clicks: 2_000_000,
    skew: ['zipf', 'uniform'],
    backend: ['rocksdb', 'hashmap'],
    memory: 3_072,
    slots: 2,
    checkpoint: 30,
    workers: 1,
    runs: 3,
  },
  least: 1,
  measure: async (wish, keep) => {
    const machine = await describeMachine();
    const flink = await fetchFlink(tell);
    const { rows, clicks: count, memory: memoryMiB, slots, checkpoint, workers } = wish;
    const {
      skew: [skew = 'zipf'],
      backend: [backend = 'rocksdb'],
    } = wish;
    const dataSet = await prepareDimensions({ size: sizeOf(rows), progress: tell });
    const runs: Awaited<ReturnType<typeof measureBoth>>[number][] = [];
    for (let n = 1; n <= wish.runs; n += 1) {
      const both = await measureBoth({
        flink,
        dataSet,
        clicks: { count, skew },
        backend,
        memoryMiB,
        slots,
        workers,
        keep,
        checkpointSeconds: checkpoint,
      });
      for (const run of both) tell(`${run.system}: ${run.eventsPerCpuSecond} events/CPU s`);
      runs.push(...both);
    }
    const correct = runs.every((run) => run.correct);
    const median = (system: string): number =>
      spreadOf(runs.filter((run) => run.system === system).map((r) => r.eventsPerCpuSecond)).median;
    printResult({
      bench: 'peer',
      machine,
      runs,
      keys: ['system'],
      figures: [
        'eventsPerCpuSecond',
        'steadyPerCpuSecond',
        'eventsPerSecond',
        'seconds',
        'cpuSeconds',
        'loadCpuSeconds',
        'rssMiB',
      ],
      correct,
      more: {
        rows,
        skew,
        flink: { version: flink.version, backend, memoryMiB, slots, checkpointSeconds: checkpoint },
        timesFlinkPerCpuSecond: rounded(median('tributary') / median('flink')),
      },
    });
    return correct ? EXIT.ok : EXIT.failedCheck;
  },
});
