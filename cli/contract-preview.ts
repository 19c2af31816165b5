import { basename, dirname, join } from 'node:path';
import { newTableMetadata } from '@iceberg-js/rest-client-shim/spec/new-table.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { createRecordTrial } from '../enrich/dead-letters/record-trial.ts';
import type { TrialResult } from '../enrich/dead-letters/record-trial.ts';
import { EnrichError } from '../enrich/error.ts';
import { isUnavailable } from '../enrich/pipeline/retry.ts';
import { eventFields } from '../enrich/pipeline/event-fields.ts';
import { judgeWriters } from '../enrich/pipeline/judge-writer.ts';
import { planTable } from '../enrich/pipeline/plan-table.ts';
import { readNewestRecords } from '../enrich/source/newest-records.ts';
import type { Contract } from '../schemas/contract.ts';
import { valueSubject } from '../schemas/register-contracts.ts';
import { contractAtRef, nothingAtRef } from './against.ts';
import type { Against } from './against.ts';
import { systemClock } from './environment.ts';
import { EXIT } from './exit-code.ts';
import { readAtRef } from './git-file.ts';
import { openToolLog } from './lag.ts';
import { loadConfig, parsePipelineText } from './load-config.ts';
import type { ConfigOptions, LoadedConfig } from './load-config.ts';
import { look, lookAtCatalog, tellProgress } from './look.ts';
import { openCatalog, openSchemaRegistry } from './open-lake.ts';
import { previewNewTable, previewTable } from './preview-table.ts';
import type { TablePreview } from './preview-table.ts';
import { isRefusing, renderMarkdown, renderPreview } from './preview-text.ts';
import type { Preview } from './preview-text.ts';
import { terminal } from './terminal.ts';

type PreviewOptions = ConfigOptions & {
  against: Against;
  records: number;
  /** Against git alone. */
  offline?: boolean;
  json?: boolean;
  markdown?: boolean;
};

/**
 * Tells what the contracts would do to the table, and to the newest records of the topic; changes nothing. Exit code 1
 * where something is refused. Errors: `config`, also for what is away.
 */
export async function previewContracts(options: PreviewOptions): Promise<void> {
  const loaded = await loadConfig(options);
  const { against, offline } = options;
  const preview = await orAway(
    offline === true && against.kind === 'git'
      ? previewOffline(loaded, options, against.ref)
      : previewLive(loaded, options),
  );
  if (options.json === true) terminal.print(JSON.stringify(preview, null, 2));
  else terminal.print(options.markdown === true ? renderMarkdown(preview) : renderPreview(preview));
  if (isRefusing(preview)) process.exitCode = EXIT.failedCheck;
}

/** What is away keeps the command from telling anything, which is no verdict on the contracts. */
async function orAway<T>(action: Promise<T>): Promise<T> {
  try {
    return await action;
  } catch (cause) {
    if (!isUnavailable(cause)) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `${reason}; without the network: --offline --against git:main`;
    throw new EnrichError('config', message, { cause });
  }
}

async function previewLive(loaded: LoadedConfig, options: PreviewOptions): Promise<Preview> {
  const { config } = loaded;
  const { namespace, name } = config.table;
  const find = async () =>
    (await openCatalog(config, { look: true })).loadTable({ namespace, name });
  const found = await lookAtCatalog(config, find());
  const table = previewOf(loaded, found?.metadata, 'the catalog');
  if (options.records === 0) return { table };
  return { table, records: await tryRecords(loaded, options, found?.metadata) };
}

/** The table as the pipeline file and the contracts of a ref would have made it. */
async function previewOffline(
  loaded: LoadedConfig,
  options: ConfigOptions,
  ref: string,
): Promise<Preview> {
  const older = await configAtRef(options, ref);
  return { table: previewOf(loaded, tableOf(older), `git ${ref}`) };
}

function previewOf(
  { config, contracts }: LoadedConfig,
  metadata: TableMetadata | undefined,
  from: string,
): TablePreview {
  const { namespace, name } = config.table;
  const table = [...namespace, name].join('.');
  const columns = eventFields({ config, ...contracts });
  if (metadata === undefined) return previewNewTable({ table, from, columns });
  const { evolution, refused, left } = planTable({ config, ...contracts, metadata });
  const plan = { ...(evolution ?? unchanged), refused, left };
  return previewTable({ table, from, metadata, columns, plan });
}

const unchanged = { changes: [], requirements: [], updates: [] };

async function configAtRef(options: ConfigOptions, ref: string): Promise<LoadedConfig> {
  const [directory, file] = [dirname(options.config), basename(options.config)];
  const text = await readAtRef({ directory, file, ref });
  if (text === undefined) throw nothingAtRef(ref, options.config);
  const { config } = parsePipelineText(`${options.config} at ${ref}`, text);
  const contractOf = async (name: string): Promise<Contract> => {
    const { contracts } = options;
    const contract = await contractAtRef({ directory: contracts, name, ref });
    if (contract === undefined) throw nothingAtRef(ref, join(contracts, `${name}.avsc`));
    return contract;
  };
  const stream = await contractOf(config.stream.contract);
  const dimensions = new Map<string, Contract>();
  for (const { name, contract } of config.dimensions) {
    dimensions.set(name, await contractOf(contract));
  }
  return { config, contracts: { stream, dimensions } };
}

/** Ids are given as catalogs give them; only that counts here. */
function tableOf({ config, contracts }: LoadedConfig): TableMetadata {
  const { namespace, name } = config.table;
  const request = {
    identifier: { namespace, name },
    schema: { schemaId: 0, fields: eventFields({ config, ...contracts }) },
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  };
  return newTableMetadata(request, { location: '', tableUuid: '', nowMs: 0 });
}

async function tryRecords(
  { config, contracts }: LoadedConfig,
  options: PreviewOptions,
  metadata: TableMetadata | undefined,
): Promise<TrialResult & { topic: string; older?: string }> {
  const { topic } = config.stream;
  const older = await olderContract({ config, contracts }, options);
  const trial = createRecordTrial({
    registry: openSchemaRegistry(config),
    contract: contracts.stream,
    ...(older === undefined ? {} : { older: older.contract }),
    judge: judgeWriters({ config, contracts, metadata }),
    elapsedMs: systemClock.elapsedMs,
  });
  const kafka = `Kafka at ${config.kafka.brokers.join(', ')}`;
  const log = await look(kafka, openToolLog(config));
  try {
    if ((await look(kafka, log.describeTopic(topic))) !== undefined) {
      await tellProgress(`the newest records of ${topic}`, { quiet: false }, async (tell) => {
        await readNewestRecords(log, { topic, recordsMax: options.records }, async (records) => {
          await trial.add(records);
          tell(`${trial.result().records} of ${options.records} records decoded`);
        });
      });
    }
  } finally {
    await log.close();
  }
  return { topic, ...(older === undefined ? {} : { older: older.label }), ...trial.result() };
}

/** What records are held against today: the newest version in the registry, or the contract at a ref. */
async function olderContract(
  { config, contracts: { stream } }: LoadedConfig,
  { against, contracts: directory }: PreviewOptions,
): Promise<{ label: string; contract: Contract } | undefined> {
  const { name } = stream;
  if (against.kind === 'git') {
    const { ref } = against;
    const contract = await contractAtRef({ directory, name, ref });
    return contract === undefined ? undefined : { label: `git ${ref}`, contract };
  }
  const subject = valueSubject(config.stream.topic);
  const latest = await look(
    `the schema registry at ${config.registry.url}`,
    openSchemaRegistry(config).latest(subject),
  );
  if (latest === undefined) return undefined;
  const { version, avroSchema } = latest;
  const contract = { name, avroSchema: { ...avroSchema, fields: avroSchema.fields ?? [] } };
  return { label: `version ${version} of ${subject}`, contract };
}
