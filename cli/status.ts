import type { Command } from 'commander';
import { headSnapshot } from '@iceberg-js/rest-client-shim/spec/snapshot-walk.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { systemClock } from './environment.ts';
import { readCommitted } from '../enrich/core/position.ts';
import type { Log } from '../enrich/source/log.ts';
import { EXIT, describeForUser } from './exit-code.ts';
import { lagOf, openToolLog } from './lag.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions } from './load-config.ts';
import { look, lookAtCatalog } from './look.ts';
import { openCatalog } from './open-lake.ts';
import { renderTable, terminal } from './terminal.ts';

type LogBounds = Awaited<ReturnType<Log['bounds']>>;
type StatusLine = [subject: string, state: string];

export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('how far the pipeline is: process, position, lag, last commit')
    .addHelpText('after', '\nExample:\n  $ tributary status\n\nExit code 1 when something is away.')
    .action((_options, command: Command) => status(command.optsWithGlobals()));
}

async function status(options: ConfigOptions): Promise<void> {
  const { config } = await loadConfig(options);
  const events = lookAtCatalog(config, loadEvents(config));
  const bounds = look(`Kafka at ${config.kafka.brokers.join(', ')}`, readBounds(config));
  const asked = await Promise.all([
    tell('pipeline', () => processState(config)),
    tell('table', async () => tableState(config, await events)),
    tell('lag', async () => lagState(config, await bounds, events)),
  ]);
  terminal.print(renderTable(['what', 'state'], asked.flat()));
}

async function tell(subject: string, ask: () => Promise<StatusLine[]>): Promise<StatusLine[]> {
  try {
    return await ask();
  } catch (error) {
    process.exitCode = EXIT.failedCheck;
    return [[subject, describeForUser(error).split('\n')[0] ?? 'unknown']];
  }
}

async function processState({ http }: PipelineConfig): Promise<StatusLine[]> {
  const url = `http://${http.host}:${http.port}/readyz`;
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(3_000) });
  } catch {
    process.exitCode = EXIT.failedCheck;
    return [['pipeline', `not running (nothing answers ${url})`]];
  }
  const [text = '', ...notes] = (await response.text()).trim().split('\n');
  if (!response.ok) process.exitCode = EXIT.failedCheck;
  return [
    ['pipeline', response.ok ? 'running, joining clicks' : `running, not ready: ${text}`],
    ...notes.map((note): StatusLine => ['', note]),
  ];
}

async function loadEvents(config: PipelineConfig): Promise<TableMetadata | undefined> {
  const { namespace, name } = config.table;
  const catalog = await openCatalog(config, { look: true });
  return (await catalog.loadTable({ namespace, name }))?.metadata;
}

function tableState(config: PipelineConfig, metadata: TableMetadata | undefined): StatusLine[] {
  const name = [...config.table.namespace, config.table.name].join('.');
  if (metadata === undefined) return [['table', `${name} does not exist yet`]];
  const head = headSnapshot(metadata);
  if (head === undefined) return [['table', `${name} has no commit yet`]];
  const ageSeconds = Math.max(0, Math.round((systemClock.nowMs() - head.timestampMs) / 1000));
  const rows = head.summary['total-records'] ?? 'unknown';
  const committed = readCommitted(metadata, config.pipeline);
  const rejects = [...(committed?.rejects.values() ?? [])].reduce((sum, count) => sum + count, 0n);
  return [
    ['table', `${name}, ${rows} rows in ${head.summary['total-data-files'] ?? '?'} files`],
    ['rejects', `${rejects} records, in ${config.table.deadLetterName}`],
    ['last commit', `${ageSeconds} s ago, snapshot ${head.snapshotId}`],
  ];
}

async function readBounds(config: PipelineConfig): Promise<LogBounds> {
  const log = await openToolLog(config);
  try {
    return await log.bounds(config.stream.topic);
  } finally {
    await log.close();
  }
}

/** The lag counts from the table's position: what keeps the table away is told by the line above it. */
async function lagState(
  config: PipelineConfig,
  bounds: LogBounds,
  events: Promise<TableMetadata | undefined>,
): Promise<StatusLine[]> {
  const { topic } = config.stream;
  const table = await events.then((metadata) => ({ metadata })).catch(() => undefined);
  if (table === undefined) return [['lag', 'not known without the table; Kafka answers']];
  const { records, partitions } = lagOf(config, bounds, table.metadata);
  return [['lag', `${records} records of ${topic} in ${partitions} partitions not committed`]];
}
