import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { createRecordTrial } from '../enrich/dead-letters/record-trial.ts';
import type { TrialResult } from '../enrich/dead-letters/record-trial.ts';
import { judgeWriters } from '../enrich/pipeline/judge-writer.ts';
import { readNewestRecords } from '../enrich/source/newest-records.ts';
import type { Contract } from '../schemas/contract.ts';
import { valueSubject } from '../schemas/register-contracts.ts';
import { configAtRef, orAway } from './against.ts';
import type { Against } from './against.ts';
import { previewAtRef, previewInCatalog } from './contract-table.ts';
import { systemClock } from './environment.ts';
import { EXIT } from './exit-code.ts';
import { openToolLog } from './lag.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions, LoadedConfig } from './load-config.ts';
import { look, tellProgress } from './look.ts';
import { openSchemaRegistry } from './open-lake.ts';
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
    'without the network: --offline --against git:main',
  );
  if (options.json === true) terminal.print(JSON.stringify(preview, null, 2));
  else terminal.print(options.markdown === true ? renderMarkdown(preview) : renderPreview(preview));
  if (isRefusing(preview)) process.exitCode = EXIT.failedCheck;
}

async function previewLive(loaded: LoadedConfig, options: PreviewOptions): Promise<Preview> {
  const { preview: table, metadata } = await previewInCatalog(loaded);
  if (options.records === 0) return { table };
  return { table, records: await tryRecords(loaded, options, metadata) };
}

async function previewOffline(
  loaded: LoadedConfig,
  options: ConfigOptions,
  ref: string,
): Promise<Preview> {
  return { table: previewAtRef(loaded, await configAtRef(options, ref), ref) };
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
  options: PreviewOptions,
): Promise<{ label: string; contract: Contract } | undefined> {
  const { against } = options;
  if (against.kind === 'git') {
    const { ref } = against;
    return { label: `git ${ref}`, contract: (await configAtRef(options, ref)).contracts.stream };
  }
  const subject = valueSubject(config.stream.topic);
  const latest = await look(
    `the schema registry at ${config.registry.url}`,
    openSchemaRegistry(config).latest(subject),
  );
  if (latest === undefined) return undefined;
  const { version, avroSchema } = latest;
  const contract = {
    name: stream.name,
    avroSchema: { ...avroSchema, fields: avroSchema.fields ?? [] },
  };
  return { label: `version ${version} of ${subject}`, contract };
}
