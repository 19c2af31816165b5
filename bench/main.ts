import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../cli/environment.ts';
import { EXIT, describeForUser, exitCodeOf } from '../cli/exit-code.ts';
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
const USAGE = `usage: node bench/main.ts [--clicks N] [--users N] [--devices N] [--urls N] [--keep]

Measures the pipeline over a backlog in the real Kafka: fetch, decode, join, Parquet, upload, commit.
The stack must be up. The last line is JSON. The tables of the run are dropped; --keep leaves them.`;

/** A wrong word on the command line. */
class UsageError extends Error {}

type Measured = {
  events: number;
  seconds: number;
  cpuSeconds: number;
  rssBytes: number;
  loadSeconds: number;
  loadCpuSeconds: number;
};

function readArguments(): { size: BacklogSize; keep: boolean; help: boolean } {
  const { clicks, users, devices, urls, keep, help } = parsedArguments();
  const size = {
    clicks: whole('clicks', clicks),
    users: whole('users', users),
    devices: whole('devices', devices),
    urls: whole('urls', urls),
  };
  return { size, keep, help };
}

function parsedArguments() {
  try {
    return parseArgs({
      options: {
        clicks: { type: 'string', default: '2000000' },
        users: { type: 'string', default: '1000000' },
        devices: { type: 'string', default: '1000000' },
        urls: { type: 'string', default: '100000' },
        keep: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (cause) {
    throw new UsageError((cause as Error).message);
  }
}

function whole(name: string, text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new UsageError(`--${name}: expected a whole number above 0, got "${text}"`);
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

/** The catalog forgets the tables of the run; their files go with the stack's data. */
async function dropTables(backlog: Backlog): Promise<void> {
  const { config } = await loadConfig({ config: backlog.pipelineFile, contracts: 'schemas' });
  const { namespace, name, deadLetterName } = config.table;
  const catalog = await openCatalog(config);
  for (const table of [name, deadLetterName]) await catalog.dropTable({ namespace, name: table });
}

function tell(line: string): void {
  console.error(line);
}

async function main(): Promise<number> {
  const { size, keep, help } = readArguments();
  if (help) {
    console.log(USAGE);
    return EXIT.ok;
  }
  const runId = systemClock.nowMs().toString(36);
  const backlog = await prepareBacklog({ size, directory: DIRECTORY, runId, progress: tell });
  const measured = await measure(backlog, size);
  await rm(backlog.stateDirectory, { recursive: true, force: true });
  const sound = await check(backlog);
  if (!keep) await dropTables(backlog);
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

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(isUsage ? `${error.message}\n\n${USAGE}` : describeForUser(error));
  process.exitCode = isUsage ? EXIT.usage : exitCodeOf(error);
}
