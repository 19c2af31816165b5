import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../cli/environment.ts';
import { describeForUser, exitCodeOf } from '../cli/exit-code.ts';
import { openToolLog, readLag } from '../cli/lag.ts';
import { loadConfig } from '../cli/load-config.ts';
import { openCatalog } from '../cli/open-lake.ts';
import { startPipelineProcess } from '../cli/pipeline-process.ts';
import { verify } from '../cli/verify.ts';
import { isSound, renderReport } from '../verify/report.ts';
import { prepareBacklog } from './backlog.ts';
import type { Backlog, BacklogSize } from './backlog.ts';
import { cpuSeconds, peakResidentBytes } from './process-usage.ts';

const DIRECTORY = '.bench';
const READY_WAIT_MS_MAX = 1_800_000;
const USAGE = `usage: node bench/main.ts [--clicks N] [--users N] [--devices N] [--urls N]

Measures the pipeline over a backlog in the real Kafka: fetch, decode, join, Parquet, upload, commit.
The stack must be up. The last line is JSON.`;

type Measured = {
  events: number;
  seconds: number;
  cpuSeconds: number;
  rssBytes: number;
  loadSeconds: number;
  loadCpuSeconds: number;
};

function sizeFromArguments(): BacklogSize | undefined {
  const { values } = parseArgs({
    options: {
      clicks: { type: 'string', default: '2000000' },
      users: { type: 'string', default: '1000000' },
      devices: { type: 'string', default: '1000000' },
      urls: { type: 'string', default: '100000' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { clicks, users, devices, urls } = values;
  return {
    clicks: Number(clicks),
    users: Number(users),
    devices: Number(devices),
    urls: Number(urls),
  };
}

/** Runs the pipeline as a process of its own until the backlog is committed. */
async function measure(backlog: Backlog, size: BacklogSize): Promise<Measured> {
  const { config } = await loadConfig({ config: backlog.pipelineFile, contracts: 'schemas' });
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

/** A fast wrong answer is no answer: every offset once, every click as it was produced. */
async function check(backlog: Backlog): Promise<boolean> {
  const reports = await verify({
    config: backlog.pipelineFile,
    contracts: 'schemas',
    ledger: backlog.ledger,
  });
  for (const report of reports) console.error(renderReport(report));
  return reports.every(isSound);
}

function tell(line: string): void {
  console.error(line);
}

async function main(): Promise<number> {
  const size = sizeFromArguments();
  if (size === undefined) {
    console.error(USAGE);
    return 0;
  }
  const runId = systemClock.nowMs().toString(36);
  const backlog = await prepareBacklog({ size, directory: DIRECTORY, runId, progress: tell });
  const measured = await measure(backlog, size);
  await rm(backlog.stateDirectory, { recursive: true, force: true });
  const sound = await check(backlog);
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
  return sound ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(describeForUser(error));
  process.exitCode = exitCodeOf(error);
}
