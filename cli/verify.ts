import { access, stat } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Catalog } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { EnrichError } from '../enrich/error.ts';
import type { Log } from '../enrich/source/log.ts';
import { readLedger } from '../generate/ledger.ts';
import type { LedgerBatch } from '../generate/ledger.ts';
import { contractFields } from '../schemas/contract-field.ts';
import { openAvroSchemaFetch } from '../verify/avro-schemas.ts';
import { openTableSource } from '../verify/open-table-source.ts';
import type { TableSource } from '../verify/reject-rows.ts';
import { isSound, renderReport } from '../verify/report.ts';
import type { Report } from '../verify/report.ts';
import { openTopicReader } from '../verify/topic-reader.ts';
import type { ReadTopic } from '../verify/topic-reader.ts';
import { reportRecreated, verifyCommits } from '../verify/verify-commits.ts';
import { verifyFiles } from '../verify/verify-files.ts';
import { verifyJoins } from '../verify/verify-joins.ts';
import { verifyLedger } from '../verify/verify-ledger.ts';
import { verifyLog } from '../verify/verify-log.ts';
import { accountForTable } from '../verify/verify-table.ts';
import { renderCommits } from './commit-table.ts';
import { systemClock } from './environment.ts';
import { EXIT } from './exit-code.ts';
import { CLICK_LEDGER } from './generate.ts';
import { openToolLog } from './lag.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions, LoadedConfig } from './load-config.ts';
import { assertAnswers, look, lookAtCatalog, tellProgress } from './look.ts';
import { kafkajsSecurity, openCatalog, openTableStore } from './open-lake.ts';
import { occasionally, terminal } from './terminal.ts';

export type VerifyOptions = ConfigOptions & {
  joins?: boolean;
  log?: boolean;
  ledger?: string;
  commits?: boolean;
  json?: boolean;
};

const EXAMPLES = `
Reads the tables' metadata and files, the object store and Kafka, never the pipeline's own state.

Examples:
  $ tributary verify                                   offsets, commits, files, positions
  $ tributary verify --commits                         and the whole ledger of commits
  $ tributary verify --log                             and each record of the log against the table
  $ tributary verify --joins                           and every enriched value, by a second join
  $ tributary verify --ledger .stack/run/demo/ledger   against what the generator produced
  $ tributary verify --json | jq '.[].findings[]'      for machines

Exit codes: 0 ok, 1 a violation, 78 something cannot be reached or read.
docs/operations.md says what each violation means.`;

export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description('prove from the tables that nothing is lost, doubled or skipped')
    .option('--joins', 'replay the dimension topics and compare every enriched column of every row')
    .option('--log', 'read the stream topic again and compare each record with the table')
    .option(
      '--ledger <path>',
      'compare with what "tributary generate" wrote down: file or directory',
    )
    .option('--commits', 'show every commit, with its parent and dimension positions')
    .option('--json', 'print the reports as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      const options: VerifyOptions = command.optsWithGlobals();
      const reports = await reachable(verify(options));
      if (options.json === true) terminal.print(JSON.stringify(reports, null, 2));
      else for (const report of reports) printReport(report, options);
      if (!reports.every(isSound)) process.exitCode = EXIT.failedCheck;
    });
}

function printReport(report: Report, { commits = false }: VerifyOptions): void {
  terminal.print(renderReport(report));
  if (report.commits === undefined || report.commits.length === 0) return;
  terminal.print(renderCommits(report.commits, { all: commits }));
}

/** Exit code 1 says that a promise is broken: what is away is 78, with what to do. */
async function reachable<T>(action: Promise<T>): Promise<T> {
  try {
    return await action;
  } catch (cause) {
    if ((cause as { kind?: unknown }).kind !== 'unavailable') throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const remedy = 'nothing was judged: see to it, then run verify again';
    throw new EnrichError('config', `${reason}; ${remedy}`, { cause });
  }
}

/** Runs the checks that the options ask for; reads the tables, the store and Kafka, never our own state. */
export async function verify(options: VerifyOptions): Promise<Report[]> {
  const { config, contracts } = await loadConfig(options);
  const ledgerFile = options.ledger === undefined ? undefined : await findLedger(options.ledger);
  const { namespace, name, deadLetterName } = config.table;
  const identifiers = {
    table: { namespace, name },
    deadLetter: { namespace, name: deadLetterName },
  };
  const found = await lookAtCatalog(config, findTable(config));
  if ('recreated' in found) return [found.recreated];
  const { catalog, location } = found;
  const { endpoint } = config.storage;
  if (endpoint !== undefined) await assertAnswers(`S3 at ${endpoint}`, endpoint);
  const { store, close } = openTableStore(config, location);
  const log = await look(`Kafka at ${config.kafka.brokers.join(', ')}`, openToolLog(config));
  try {
    const source = await openTableSource({ catalog, store, ...identifiers });
    const reports = await checkTables({ config, options, source, log, catalog });
    if (ledgerFile !== undefined) {
      const clusterId = (await log.describeTopic(config.stream.topic))?.clusterId ?? '';
      const ledger = openLedger(ledgerFile, clusterId);
      reports.push(await verifyLedger({ ...source, pipeline: config.pipeline, ledger }));
    }
    if (options.joins === true) reports.push(await checkJoins({ config, contracts }, source));
    await assertStillKept({ catalog, config, source, reports });
    return reports;
  } finally {
    await log.close();
    close();
  }
}

type Checking = {
  config: PipelineConfig;
  options: VerifyOptions;
  source: TableSource;
  log: Log;
  catalog: Catalog;
};

/** What is always checked: rows and rejects, commits, files, positions. */
async function checkTables({ config, options, source, log, catalog }: Checking): Promise<Report[]> {
  const { pipeline, dimensions } = config;
  const { namespace, name, deadLetterName } = config.table;
  const quiet = options.json === true && !terminal.isWatched();
  const { report, accounts } = await tellProgress(`the files of ${name}`, { quiet }, (tell) =>
    accountForTable({
      ...source,
      pipeline,
      onProgress: ({ rows, files, filesInAll }) =>
        tell(`${rows} rows in ${files} of ${filesInAll} files of ${name}`),
    }),
  );
  const reports = [report];
  const tables = [
    { table: 'events', name, metadata: source.events },
    { table: 'dead letters', name: deadLetterName, metadata: source.deadLetter },
  ] as const;
  const pending = accounts.flatMap(({ state }) =>
    state.pendingFiles.map(({ location }) => location),
  );
  for (const { table, name: tableName, metadata } of tables) {
    if (metadata === undefined) continue;
    reports.push(verifyCommits({ table, metadata }));
    const reload = async () => (await catalog.loadTable({ namespace, name: tableName }))?.metadata;
    const check = () => verifyFiles({ ...source, table, metadata, reload, pending });
    reports.push(await tellProgress(`the objects of ${tableName}`, { quiet }, check));
  }
  const [account] = accounts;
  if (account === undefined) return reports;
  const compare = options.log === true ? { readTopic: openReader(config) } : {};
  const comparison = await tellProgress(`topic ${config.stream.topic}`, { quiet }, (tell) =>
    verifyLog({
      account,
      dimensions,
      log,
      ...compare,
      onProgress: ({ records }) => tell(`${records} records of ${config.stream.topic} compared`),
    }),
  );
  return [...reports, comparison];
}

/** Errors: `unavailable` where files may be missing because the snapshot was expired while it was read. */
async function assertStillKept({
  catalog,
  config,
  source,
  reports,
}: Pick<Checking, 'catalog' | 'config' | 'source'> & {
  reports: readonly Report[];
}): Promise<void> {
  if (reports.every(isSound)) return;
  const { namespace, name, deadLetterName } = config.table;
  const tables = [
    [name, source.events],
    [deadLetterName, source.deadLetter],
  ] as const;
  for (const [tableName, metadata] of tables) {
    const now = (await catalog.loadTable({ namespace, name: tableName }))?.metadata;
    const current = metadata?.currentSnapshotId;
    if (current === undefined || now === undefined) continue;
    if (now.snapshots.some(({ snapshotId }) => snapshotId === current)) continue;
    throw new EnrichError(
      'unavailable',
      `snapshot ${current} of ${tableName} was expired while it was read`,
    );
  }
}

/**
 * Where the events table lies, or that it is not the one that the pipeline wrote to. Errors: `unavailable`
 * before the pipeline's first commit: there is nothing to judge yet.
 */
async function findTable(
  config: PipelineConfig,
): Promise<{ catalog: Catalog; location: string } | { recreated: Report }> {
  const { table, pipeline } = config;
  const { namespace, name, deadLetterName } = table;
  const catalog = await openCatalog(config, { look: true });
  const loaded = await catalog.loadTable({ namespace, name });
  if (loaded?.metadata.properties[`tributary.${pipeline}`] !== undefined) {
    return { catalog, location: loaded.metadata.location };
  }
  const deadLetter = await catalog.loadTable({ namespace, name: deadLetterName });
  const recreated = reportRecreated({ pipeline, deadLetter: deadLetter?.metadata });
  if (recreated !== undefined) return { recreated };
  const qualified = [...namespace, name].join('.');
  const state = loaded === undefined ? 'does not exist yet' : 'has no commit of it yet';
  throw new EnrichError(
    'unavailable',
    `nothing to verify for pipeline "${pipeline}": table ${qualified} ${state}; "tributary run" makes both`,
  );
}

/** The ledger's file, at a path that names it or its directory. Errors: `config` where it cannot be read. */
async function findLedger(path: string): Promise<string> {
  try {
    const file = (await stat(path)).isDirectory() ? join(path, CLICK_LEDGER) : path;
    await access(file, constants.R_OK);
    return file;
  } catch (cause) {
    throw new EnrichError(
      'config',
      `cannot read the ledger at ${path}; name what "tributary generate" wrote down with --ledger`,
      { cause },
    );
  }
}

/** The ledger without the runs that filled another Kafka. */
function openLedger(file: string, clusterId: string): AsyncGenerator<LedgerBatch> {
  return readLedger(file, (run) => {
    if (run.clusterId === clusterId) return true;
    terminal.progress(`${file}: a run into another Kafka cluster, ${run.clusterId}, is left out`);
    return false;
  });
}

async function checkJoins(
  { config, contracts }: LoadedConfig,
  source: TableSource,
): Promise<Report> {
  const { registry, pipeline } = config;
  const dimensions = config.dimensions.map((dimension) => {
    const contract = contracts.dimensions.get(dimension.name);
    return { ...dimension, fields: contract === undefined ? [] : contractFields(contract) };
  });
  return verifyJoins({
    events: source.events,
    deadLetter: source.deadLetter,
    pipeline,
    dimensions,
    readRows: source.readRows,
    readTopic: openReader(config),
    fetchAvroSchema: openAvroSchemaFetch(registry.url, authorizationOf(registry)),
    log: occasionally(2_000, systemClock.nowMs),
  });
}

/** By another client than the pipeline's, with a consumer group of its own. */
function openReader(config: PipelineConfig): ReadTopic {
  return openTopicReader({
    brokers: config.kafka.brokers,
    security: kafkajsSecurity(config),
    clientId: 'tributary-verify',
    groupId: `tributary-verify-${systemClock.newId()}`,
    log: terminal.progress,
  });
}

function authorizationOf({ username, password }: PipelineConfig['registry']): string | undefined {
  if (username === undefined || password === undefined) return undefined;
  return `Basic ${Buffer.from(`${username}:${password.reveal()}`).toString('base64')}`;
}
