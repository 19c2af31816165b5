import { join } from 'node:path';
import type { Command } from 'commander';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { EnrichError } from '../enrich/error.ts';
import { isSound, renderReport } from '../verify/report.ts';
import type { Report } from '../verify/report.ts';
import { openTrino } from '../verify/trino.ts';
import type { Trino } from '../verify/trino.ts';
import { applyConnectorFile } from './connectors.ts';
import { registerStreamContract } from './contract-register.ts';
import { addressOf, runDirectory, systemClock } from './environment.ts';
import { EXIT } from './exit-code.ts';
import { CLICK_LEDGER, generateClicks, generateTables } from './generate.ts';
import { openToolLog, readLag } from './lag.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions } from './load-config.ts';
import { openCatalog } from './open-lake.ts';
import { startPipelineProcess } from './pipeline-process.ts';
import type { PipelineProcess } from './pipeline-process.ts';
import { renderTable, terminal } from './terminal.ts';
import { verify } from './verify.ts';

type DemoOptions = ConfigOptions & { directory: string };

/** The answers of one demonstration come from its own table. */
type Asked = { trino: Trino; table: PipelineConfig['table']; topic: string };

const SEED = 1;
const ROWS = { users: 20_000, devices: 10_000, urls: 5_000 };
const CLICKS_BEFORE_KILL = 150_000;
const CLICKS_AROUND_KILL = 150_000;
const CLICKS_PER_SECOND = 12_000;
const CHANGES_PER_SECOND = 40;
const COMMIT_INTERVAL = '5s';
const KILL_AFTER_MS = 6_000;
const READY_WAIT_MS_MAX = 180_000;
const CATCH_UP_WAIT_MS_MAX = 180_000;

function questionsTo(table: string): readonly [title: string, sql: string][] {
  return [
    [
      'Clicks by country and category',
      `select user_country as country, url_category as category, count(*) as clicks,
       count(distinct user_id) as users
     from "${table}" where user_country is not null and url_category is not null
     group by 1, 2 order by 3 desc limit 8`,
    ],
    [
      'Match ratio by dimension',
      `select dimension, count(*) as clicks, count_if(status = 'hit') as hits,
       cast(100.0 * count_if(status = 'hit') / count(*) as decimal(5, 2)) as percent
     from "${table}" cross join unnest(
       array['users', 'devices', 'urls'],
       array[_users_match, _devices_match, _urls_match]) as t (dimension, status)
     group by 1 order by 1`,
    ],
    [
      'Freshness: seconds from click to row, clicks that were not sent late',
      `select count(*) as clicks,
       round(approx_percentile(seconds, 0.5), 1) as p50,
       round(approx_percentile(seconds, 0.99), 1) as p99
     from (select date_diff('millisecond', event_time, _ingested_at) / 1000e0 as seconds from "${table}")
     where seconds < 600`,
    ],
    [
      'The last snapshots',
      `select snapshot_id, date_format(committed_at, '%H:%i:%s') as at,
       summary['added-records'] as rows, summary['added-data-files'] as files,
       summary['total-records'] as total
     from "${table}$snapshots" where operation = 'append' order by committed_at desc limit 6`,
    ],
  ];
}

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('the whole job on the running stack, with a kill -9 in the middle, and the proof')
    .option('--directory <path>', `where ledger, log and state go; by default ${runDirectory()}`)
    .addHelpText('after', '\nExample:\n  $ make demo     brings the stack up first')
    .action(async (_options, command: Command) => {
      const options: ConfigOptions & { directory?: string } = command.optsWithGlobals();
      process.exitCode = await demo({ ...options, directory: options.directory ?? runDirectory() });
    });
}

async function demo(options: DemoOptions): Promise<number> {
  const startedMs = systemClock.nowMs();
  const { config } = await loadConfig(options);
  await prepare(options);
  const pipeline = await startPipeline(options, config);
  const { table } = config;
  const schema = table.namespace.join('.');
  const trino = openTrino({ url: addressOf('trino'), user: 'demo', catalog: 'lake', schema });
  let running: PipelineProcess = pipeline;
  try {
    step(`${grouped(CLICKS_BEFORE_KILL)} clicks flow while users, devices and URLs change`);
    await sendClicks(options, CLICKS_BEFORE_KILL);
    await catchUp(config);
    for (const [title, sql] of questionsTo(table.name)) await answer(trino, title, sql);
    const seconds = Math.round((systemClock.nowMs() - startedMs) / 1000);
    terminal.print(`\nFirst answers after ${seconds} s.`);

    step(`${grouped(CLICKS_AROUND_KILL)} more, and kill -9 of the pipeline in the middle of them`);
    const sending = sendClicks(options, CLICKS_AROUND_KILL);
    sending.catch(() => undefined);
    await systemClock.sleep(KILL_AFTER_MS);
    await running.stop('SIGKILL');
    terminal.progress('killed; clicks keep coming; starting it again');
    running = await startPipeline(options, config);
    await sending;
    await catchUp(config);
  } finally {
    await running.stop('SIGTERM');
  }
  return prove(options, { trino, table, topic: config.stream.topic }, startedMs);
}

/** `150 000`, as the texts have it. */
function grouped(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ' ');
}

function step(text: string): void {
  terminal.print(`\n== ${text}`);
}

async function prepare(options: DemoOptions): Promise<void> {
  const [users, devices, urls] = [ROWS.users, ROWS.devices, ROWS.urls].map(grouped);
  step(
    `${users} users, ${devices} devices and ${urls} URLs into PostgreSQL; Debezium follows them`,
  );
  await generateTables({ seed: SEED, ...ROWS });
  await applyConnectorFile({});
  if (await registerStreamContract(options)) return;
  throw new EnrichError('config', 'the demo needs the contracts as they are shipped');
}

async function startPipeline(
  options: DemoOptions,
  config: PipelineConfig,
): Promise<PipelineProcess> {
  const { host, port } = config.http;
  const process = await startPipelineProcess({
    args: ['--config', options.config, '--contracts', options.contracts],
    logFile: join(options.directory, 'log', 'pipeline.log'),
    readyUrl: `http://${host}:${port}/readyz`,
    env: { COMMIT_INTERVAL, STATE_DIRECTORY: join(options.directory, 'state') },
  });
  const startedMs = systemClock.nowMs();
  await process.ready(READY_WAIT_MS_MAX);
  const seconds = ((systemClock.nowMs() - startedMs) / 1000).toFixed(1);
  terminal.progress(`pipeline ready, ${seconds} s`);
  return process;
}

async function sendClicks(options: DemoOptions, count: number): Promise<void> {
  await generateClicks({
    ...options,
    seed: SEED,
    ...ROWS,
    count,
    rate: CLICKS_PER_SECOND,
    changes: CHANGES_PER_SECOND,
    corrupt: 0.0005,
    late: 0.02,
    unknown: 0.01,
    compression: 'zstd',
    ledger: join(options.directory, 'ledger'),
  });
}

/** Waits until the table has committed every click, telling how many are left. */
async function catchUp(config: PipelineConfig): Promise<void> {
  const [log, catalog] = await Promise.all([openToolLog(config), openCatalog(config)]);
  const deadlineMs = systemClock.nowMs() + CATCH_UP_WAIT_MS_MAX;
  try {
    for (;;) {
      const { records } = await readLag(config, log, catalog);
      if (records === 0n) return;
      if (systemClock.nowMs() > deadlineMs) {
        throw new EnrichError('unavailable', `${records} clicks are still not committed`);
      }
      terminal.progress(`${records} clicks not committed yet`);
      await systemClock.sleep(1_000);
    }
  } finally {
    await log.close();
  }
}

async function answer(trino: Trino, title: string, sql: string): Promise<void> {
  const { columns, rows } = await trino.query(sql);
  terminal.print(`\n${title}`);
  terminal.print(
    renderTable(
      columns.map(({ name }) => name),
      rows,
    ),
  );
}

async function prove(
  options: DemoOptions,
  { trino, table, topic }: Asked,
  startedMs: number,
): Promise<number> {
  step('The proof: nothing lost, nothing doubled, every row joined right');
  const ledger = join(options.directory, 'ledger', CLICK_LEDGER);
  const reports = await verify({ ...options, ledger, joins: true });
  for (const report of reports) terminal.print(renderReport(report));
  const rows = await askCount(trino, `select count(*) from "${table.name}"`);
  const distinct = await askCount(
    trino,
    `select count(*) from (select distinct _kafka_partition, _kafka_offset from "${table.name}")`,
  );
  const rejects = await askCount(
    trino,
    `select count(*) from "${table.deadLetterName}" where _kafka_topic = '${topic}'`,
  );
  const produced = factOf(reports, 'produced');
  terminal.print(
    `\nTrino counts ${rows} rows, ${distinct} distinct (partition, offset), ${rejects} rejects; ` +
      `${produced} were produced.`,
  );
  const missing = Math.max(0, produced - rejects - distinct);
  const doubled = rows - distinct;
  const wrong = reports.reduce(
    (sum, { findings }) => sum + findings.reduce((total, finding) => total + finding.count, 0),
    0,
  );
  const sound = produced === rows + rejects && doubled === 0 && reports.every(isSound);
  terminal.print(NEXT_STEPS);
  const seconds = Math.round((systemClock.nowMs() - startedMs) / 1000);
  terminal.print(
    `demo: produced=${produced} rows=${rows} rejects=${rejects} missing=${missing} ` +
      `doubled=${doubled} wrong=${wrong} seconds=${seconds}`,
  );
  return sound ? EXIT.ok : EXIT.failedCheck;
}

async function askCount(trino: Trino, sql: string): Promise<number> {
  return Number((await trino.query(sql)).rows[0]?.[0] ?? 0);
}

function factOf(reports: readonly Report[], name: string): number {
  return reports.reduce((sum, { facts }) => sum + Number(facts[name] ?? 0), 0);
}

const NEXT_STEPS = `
The stack is still running. Next:
  ./tributary run                                          the pipeline, until you stop it
  ./tributary generate clicks --rate 1200 --changes 20     a load, until you stop it
  ./tributary query 'select * from clicks limit 5'         ask Trino
  ./tributary status                                       how far it is
  make down                                                stop the stack; make clean removes its data
`;
