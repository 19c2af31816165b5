import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Catalog } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { EnrichError } from '../enrich/error.ts';
import { readLedger } from '../generate/ledger.ts';
import type { LedgerBatch } from '../generate/ledger.ts';
import { openAvroSchemaFetch } from '../verify/avro-schemas.ts';
import { openTableSource } from '../verify/open-table-source.ts';
import type { TableSource } from '../verify/reject-rows.ts';
import { isSound, renderReport } from '../verify/report.ts';
import type { Report } from '../verify/report.ts';
import { openTopicReader } from '../verify/topic-reader.ts';
import { verifyJoins } from '../verify/verify-joins.ts';
import { verifyLedger } from '../verify/verify-ledger.ts';
import { verifyTable } from '../verify/verify-table.ts';
import { systemClock } from './environment.ts';
import { EXIT } from './exit-code.ts';
import { CLICK_LEDGER } from './generate.ts';
import { openToolLog } from './lag.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions } from './load-config.ts';
import { assertAnswers, look, tellWaiting } from './look.ts';
import { kafkajsSecurity, openCatalog, openTableStore } from './open-lake.ts';
import { occasionally, terminal } from './terminal.ts';

export type VerifyOptions = ConfigOptions & { joins?: boolean; ledger?: string; json?: boolean };

const EXAMPLES = `
Examples:
  $ tributary verify                                   every offset exactly once
  $ tributary verify --joins                           and every enriched value, by a second join
  $ tributary verify --ledger .stack/run/demo/ledger   against what the generator produced

Exit code 1 on any violation.`;

export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description('check the table itself: each offset once, as a row, a reject or a counted filter')
    .option('--joins', 'replay the dimension topics and compare every enriched column of every row')
    .option(
      '--ledger <path>',
      'compare with what "tributary generate" wrote down: file or directory',
    )
    .option('--json', 'print the reports as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      const options: VerifyOptions = command.optsWithGlobals();
      const reports = await verify(options);
      if (options.json === true) terminal.print(JSON.stringify(reports, null, 2));
      else for (const report of reports) terminal.print(renderReport(report));
      if (!reports.every(isSound)) process.exitCode = EXIT.failedCheck;
    });
}

/** Runs the checks that the options ask for; reads the tables, the store and Kafka, never our own state. */
export async function verify(options: VerifyOptions): Promise<Report[]> {
  const { config } = await loadConfig(options);
  const { namespace, name, deadLetterName } = config.table;
  const table = { namespace, name };
  const { catalog, location } = await look(
    `the catalog at ${config.catalog.uri}`,
    findTable(config),
  );
  const { endpoint } = config.storage;
  if (endpoint !== undefined) await assertAnswers(`S3 at ${endpoint}`, endpoint);
  const { store, close } = openTableStore(config, location);
  try {
    const deadLetter = { namespace, name: deadLetterName };
    const source = await openTableSource({ catalog, store, table, deadLetter });
    const { pipeline } = config;
    const reading = verifyTable({ ...source, pipeline });
    const reports = [await tellWaiting(`the files of ${name}`, reading)];
    if (options.ledger !== undefined) {
      const ledger = await openLedger(config, options.ledger);
      reports.push(await verifyLedger({ ...source, pipeline, ledger }));
    }
    if (options.joins === true) reports.push(await checkJoins(config, source));
    return reports;
  } finally {
    close();
  }
}

/** Errors: `unavailable` before the pipeline's first commit: there is nothing to judge yet. */
async function findTable(config: PipelineConfig): Promise<{ catalog: Catalog; location: string }> {
  const { namespace, name } = config.table;
  const catalog = await openCatalog(config, { look: true });
  const loaded = await catalog.loadTable({ namespace, name });
  if (loaded?.metadata.properties[`tributary.${config.pipeline}`] !== undefined) {
    return { catalog, location: loaded.metadata.location };
  }
  const qualified = [...namespace, name].join('.');
  const state = loaded === undefined ? 'does not exist yet' : 'has no commit of it yet';
  throw new EnrichError(
    'unavailable',
    `nothing to verify for pipeline "${config.pipeline}": table ${qualified} ${state}; "tributary run" makes both`,
  );
}

/** The ledger at a path, a file or its directory, without the runs that filled another Kafka. */
async function openLedger(
  config: PipelineConfig,
  path: string,
): Promise<AsyncGenerator<LedgerBatch>> {
  const isDirectory = (await stat(path).catch(() => undefined))?.isDirectory() === true;
  const file = isDirectory ? join(path, CLICK_LEDGER) : path;
  const clusterId = await askKafka(config);
  return readLedger(file, (run) => {
    if (run.clusterId === clusterId) return true;
    terminal.progress(`${file}: a run into another Kafka cluster, ${run.clusterId}, is left out`);
    return false;
  });
}

/** The cluster's id, which also says that Kafka answers. */
function askKafka(config: PipelineConfig): Promise<string | undefined> {
  return look(`Kafka at ${config.kafka.brokers.join(', ')}`, readClusterId(config));
}

async function readClusterId(config: PipelineConfig): Promise<string | undefined> {
  const log = await openToolLog(config);
  try {
    return (await log.describeTopic(config.stream.topic))?.clusterId;
  } finally {
    await log.close();
  }
}

async function checkJoins(config: PipelineConfig, source: TableSource): Promise<Report> {
  await askKafka(config);
  const { kafka, registry, dimensions, pipeline } = config;
  return verifyJoins({
    events: source.events,
    pipeline,
    dimensions,
    readRows: source.readRows,
    readTopic: openTopicReader({
      brokers: kafka.brokers,
      security: kafkajsSecurity(config),
      clientId: 'tributary-verify',
      groupId: `tributary-verify-${systemClock.newId()}`,
      log: terminal.progress,
    }),
    fetchAvroSchema: openAvroSchemaFetch(registry.url, authorizationOf(registry)),
    log: occasionally(2_000, systemClock.nowMs),
  });
}

function authorizationOf({ username, password }: PipelineConfig['registry']): string | undefined {
  if (username === undefined || password === undefined) return undefined;
  return `Basic ${Buffer.from(`${username}:${password.reveal()}`).toString('base64')}`;
}
