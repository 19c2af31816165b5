import type { Command } from 'commander';
import { headSnapshot } from '@iceberg-js/rest-client-shim/spec/snapshot-walk.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { systemClock } from './environment.ts';
import { readCommitted } from '../enrich/core/position.ts';
import { EXIT, describeForUser } from './exit-code.ts';
import { openToolLog, readLag } from './lag.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions } from './load-config.ts';
import { look } from './look.ts';
import { openCatalog } from './open-lake.ts';
import { renderTable, terminal } from './terminal.ts';

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
  const asked = await Promise.all([
    tell('pipeline', () => processState(config)),
    tell('table', () => look(`the catalog at ${config.catalog.uri}`, tableState(config))),
    tell('lag', () => look(`Kafka at ${config.kafka.brokers.join(', ')}`, lagState(config))),
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
  const text = (await response.text()).trim();
  if (!response.ok) process.exitCode = EXIT.failedCheck;
  return [['pipeline', response.ok ? 'running, joining clicks' : `running, not ready: ${text}`]];
}

async function loadEvents(config: PipelineConfig): Promise<TableMetadata | undefined> {
  const { namespace, name } = config.table;
  const catalog = await openCatalog(config, { look: true });
  return (await catalog.loadTable({ namespace, name }))?.metadata;
}

async function tableState(config: PipelineConfig): Promise<StatusLine[]> {
  const metadata = await loadEvents(config);
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

async function lagState(config: PipelineConfig): Promise<StatusLine[]> {
  const log = await openToolLog(config);
  try {
    const catalog = await openCatalog(config, { look: true });
    const { records, partitions } = await readLag(config, log, catalog);
    const { topic } = config.stream;
    return [['lag', `${records} records of ${topic} in ${partitions} partitions not committed`]];
  } finally {
    await log.close();
  }
}
