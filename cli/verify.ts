import type { Command } from 'commander';
import type { Catalog, TableIdentifier } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { EnrichError } from '../enrich/error.ts';
import { readLedger } from '../generate/ledger.ts';
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
import { loadConfig } from './load-config.ts';
import type { ConfigOptions } from './load-config.ts';
import { kafkajsSecurity, openCatalog, openTableStore } from './open-lake.ts';
import { occasionally, terminal } from './terminal.ts';

export type VerifyOptions = ConfigOptions & { joins?: boolean; ledger?: string; json?: boolean };

const EXAMPLES = `
Examples:
  $ tributary verify                                   every offset exactly once
  $ tributary verify --joins                           and every enriched value, by a second join
  $ tributary verify --ledger .stack/ledger/clicks.ndjson   against what the generator produced

Exit code 1 on any violation.`;

export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description('check the table itself: each offset once, as a row, a reject or a counted filter')
    .option('--joins', 'replay the dimension topics and compare every enriched column of every row')
    .option('--ledger <file>', 'compare with what "tributary generate" wrote down')
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
  const catalog = await openCatalog(config);
  const { namespace, name, deadLetterName } = config.table;
  const { store, close } = openTableStore(config, await locationOf(catalog, { namespace, name }));
  try {
    const source = await openTableSource({
      catalog,
      store,
      table: { namespace, name },
      deadLetter: { namespace, name: deadLetterName },
    });
    const { pipeline } = config;
    const reports = [await verifyTable({ ...source, pipeline })];
    if (options.ledger !== undefined) {
      const ledger = readLedger(options.ledger);
      reports.push(await verifyLedger({ ...source, pipeline, ledger }));
    }
    if (options.joins === true) reports.push(await checkJoins(config, source));
    return reports;
  } finally {
    close();
  }
}

async function locationOf(catalog: Catalog, identifier: TableIdentifier): Promise<string> {
  const loaded = await catalog.loadTable(identifier);
  if (loaded !== undefined) return loaded.metadata.location;
  const qualified = [...identifier.namespace, identifier.name].join('.');
  throw new EnrichError('config', `table ${qualified} does not exist; "tributary run" creates it`);
}

function checkJoins(config: PipelineConfig, source: TableSource): Promise<Report> {
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
