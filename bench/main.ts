import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../cli/environment.ts';
import { EXIT } from '../cli/exit-code.ts';
import { openToolLog, readLag } from '../cli/lag.ts';
import { openCatalog } from '../cli/open-lake.ts';
import { startPipelineProcess } from '../cli/pipeline-process.ts';
import { prepareBacklog } from './backlog.ts';
import type { Backlog, BacklogSize } from './backlog.ts';
import { runBench, tell } from './command.ts';
import { benchDirectory } from './pipeline-file.ts';
import { cpuSeconds, peakResidentBytes } from './process-usage.ts';
import { dropTables, verifyRun } from './run-tables.ts';

const DIRECTORY = benchDirectory();
const READY_WAIT_MS_MAX = 1_800_000;
const USAGE = `usage: node bench/main.ts [--clicks N] [--users N] [--devices N] [--urls N] [--keep]

Measures the pipeline over a backlog in the real Kafka: fetch, decode, join, Parquet, upload, commit.
The stack must be up. The last line is JSON. The tables of the run are dropped; --keep leaves them.`;

const DEFAULTS = { clicks: 2_000_000, users: 1_000_000, devices: 1_000_000, urls: 100_000 };

type Measured = {
  events: number;
  seconds: number;
  cpuSeconds: number;
  rssBytes: number;
  loadSeconds: number;
  loadCpuSeconds: number;
};

/** Runs the pipeline as a process of its own until the backlog is committed. */
async function measure(backlog: Backlog, size: BacklogSize): Promise<Measured> {
  const { config } = backlog;
  const [log, catalog] = await Promise.all([openToolLog(config), openCatalog(config)]);
  const startedMs = systemClock.nowMs();
  const pipeline = await startPipelineProcess({
    args: ['--config', backlog.pipelineFile],
    logFile: join(DIRECTORY, 'pipeline.log'),
    readyUrl: `http://${config.http.host}:${config.http.port}/readyz`,
    env: { COMMIT_INTERVAL: '5s' },
  });
  try {
    await pipeline.ready(READY_WAIT_MS_MAX);
    const readyMs = systemClock.nowMs();
    const loadCpuSeconds = cpuSeconds(pipeline.pid);
    console.error(
      `ready after ${((readyMs - startedMs) / 1000).toFixed(1)} s; reading the backlog`,
    );
    for (;;) {
      const { records } = await readLag(config, log, catalog);
      if (records === 0n) break;
      await systemClock.sleep(100);
    }
    return {
      events: size.clicks,
      seconds: (systemClock.nowMs() - readyMs) / 1000,
      cpuSeconds: cpuSeconds(pipeline.pid) - loadCpuSeconds,
      rssBytes: peakResidentBytes(pipeline.pid),
      loadSeconds: (readyMs - startedMs) / 1000,
      loadCpuSeconds,
    };
  } finally {
    await pipeline.stop('SIGTERM');
    await log.close();
  }
}

async function run(size: BacklogSize, keep: boolean): Promise<number> {
  const runId = systemClock.nowMs().toString(36);
  const backlog = await prepareBacklog({ size, directory: DIRECTORY, runId, progress: tell });
  const measured = await measure(backlog, size);
  await rm(backlog.stateDirectory, { recursive: true, force: true });
  const sound = await verifyRun(backlog);
  if (!keep) await dropTables(backlog.config);
  console.log(
    JSON.stringify({
      bench: 'pipeline',
      ...size,
      ...measured,
      eventsPerSecond: Math.round(measured.events / measured.seconds),
      eventsPerCpuSecond: Math.round(measured.events / measured.cpuSeconds),
      verified: sound,
    }),
  );
  return sound ? EXIT.ok : EXIT.failedCheck;
}

await runBench({
  usage: USAGE,
  defaults: DEFAULTS,
  least: 1,
  measure: run,
});
