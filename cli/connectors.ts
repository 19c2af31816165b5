import type { Command } from 'commander';
import { applyConnectors } from '../connectors/apply.ts';
import { checkSource } from '../connectors/check-source.ts';
import { openConnectClient } from '../connectors/connect-client.ts';
import { parseConnectorsConfig } from '../connectors/connectors-config.ts';
import type { ConnectorsConfig } from '../connectors/connectors-config.ts';
import { openTopicAdmin } from '../connectors/kafka-admin.ts';
import { dropSlot, readSlot } from '../connectors/replication-slot.ts';
import type { SlotState } from '../connectors/replication-slot.ts';
import { resnapshotTables } from '../connectors/resnapshot.ts';
import { findInSource } from '../connectors/source-rows.ts';
import { readConnectorsStatus } from '../connectors/status.ts';
import { EnrichError } from '../enrich/error.ts';
import { openPlatformaticLog } from '../enrich/source/platformatic-log.ts';
import { openRegistry } from '../schemas/registry.ts';
import { openChangeLog } from './change-log.ts';
import { addressOf, environment, stopSignal, systemClock } from './environment.ts';
import { EXIT } from './exit-code.ts';
import { readConfigFile, readSecretFile } from './load-config.ts';
import { look } from './look.ts';
import { renderTable, terminal } from './terminal.ts';

type ConnectorOptions = { connectors?: string };
type ResnapshotFlags = ConnectorOptions & { all?: boolean };

const CONNECTORS_FILE = 'connectors/connectors.yaml';

export function addConnectorCommands(program: Command): void {
  const connectors = program
    .command('connectors')
    .description('topics and Debezium connectors, as connectors.yaml wants them');
  connectors
    .command('apply')
    .description(
      'create topics, put the connector, wait until it runs; a second call changes nothing',
    )
    .option('--connectors <file>', 'the connectors file', CONNECTORS_FILE)
    .addHelpText('after', '\nExample:\n  $ tributary connectors apply')
    .action((_options, command: Command) => applyConnectorFile(command.optsWithGlobals()));
  connectors
    .command('status')
    .description('what the connector and its topics are doing; exit code 1 unless all is well')
    .option('--connectors <file>', 'the connectors file', CONNECTORS_FILE)
    .addHelpText('after', '\nExample:\n  $ tributary connectors status')
    .action((_options, command: Command) => connectorStatus(command.optsWithGlobals()));
  connectors
    .command('resnapshot')
    .argument('[tables...]', 'tables of connectors.yaml, such as public.users')
    .description(
      'read whole tables again and remove rows that are gone, beside a running pipeline: after a truncate, a ' +
        'lost replication slot, or whenever a topic does not hold what its table holds',
    )
    .option('--all', 'every table of connectors.yaml')
    .option('--connectors <file>', 'the connectors file', CONNECTORS_FILE)
    .addHelpText('after', RESNAPSHOT_HELP)
    .action((tables: string[], _options, command: Command) => {
      const flags: ResnapshotFlags = command.optsWithGlobals();
      if ((flags.all === true) === tables.length > 0) {
        command.error('error: name tables of connectors.yaml, or --all, and not both');
      }
      return resnapshot(tables, flags);
    });
}

const RESNAPSHOT_HELP = `
Examples:
  $ tributary connectors resnapshot public.users
  $ tributary connectors resnapshot --all

Where the replication slot is gone, --all begins a new one first. Cut short, it can be run again; a second run
changes nothing. Exit codes: 0 the topics hold what the tables hold, 1 something is away, 78 the message says what
has to be done.`;

/** Applies connectors.yaml, telling each step. Errors: `config` with the connector's own words. */
export async function applyConnectorFile(options: ConnectorOptions): Promise<void> {
  const config = await loadConnectors(options);
  const topics = await openTopicAdmin({ brokers: config.kafkaBrokers, clientId: 'tributary' });
  try {
    await applyConnectors({
      config,
      connect: openConnectClient(config.connectUrl),
      topics,
      checkSource,
      readSlot,
      loadSchema: schemaLoader(),
      levels: openRegistry({ url: addressOf('registry') }),
      clock: { elapsedMs: systemClock.elapsedMs, sleep: (ms) => systemClock.sleep(ms) },
      onProgress: terminal.print,
    });
  } finally {
    await topics.close();
  }
}

async function resnapshot(named: readonly string[], flags: ResnapshotFlags): Promise<void> {
  const config = await loadConnectors(flags);
  const { kafkaBrokers: brokers, tables } = config;
  const signal = stopSignal();
  const topics = await openTopicAdmin({ brokers, clientId: 'tributary' });
  const { random } = systemClock;
  const client = { brokers, clientId: 'tributary', random, onFault: () => undefined };
  const log = await openPlatformaticLog(client);
  try {
    await resnapshotTables({
      config,
      tables: flags.all === true ? tables : [...new Set(named)],
      connect: openConnectClient(config.connectUrl),
      topics,
      log: openChangeLog(log, signal),
      readSlot,
      dropSlot,
      findRows: findInSource,
      loadSchema: schemaLoader(),
      clock: { elapsedMs: systemClock.elapsedMs, sleep: (ms) => sleepUntilStopped(ms, signal) },
      onProgress: terminal.print,
    });
  } finally {
    await Promise.allSettled([topics.close(), log.close()]);
  }
}

async function sleepUntilStopped(ms: number, signal: AbortSignal): Promise<void> {
  await systemClock.sleep(ms, signal);
  if (signal.aborted) throw new EnrichError('unavailable', 'stopped by a signal: run it again');
}

/** The schemas that the connector's converter has registered. */
function schemaLoader(): (schemaId: number) => Promise<object | undefined> {
  const registry = openRegistry({ url: addressOf('registry') });
  return async (schemaId) => {
    const avroSchema = await registry.schemaById(schemaId);
    return avroSchema === 'unknown' ? undefined : avroSchema;
  };
}

async function connectorStatus(options: ConnectorOptions): Promise<void> {
  const config = await loadConnectors(options);
  const brokers = config.kafkaBrokers;
  const opening = openTopicAdmin({ brokers, clientId: 'tributary' });
  const topics = await look(`Kafka at ${brokers.join(', ')}`, opening);
  try {
    const connect = openConnectClient(config.connectUrl);
    const reading = readConnectorsStatus({ config, connect, topics, readSlot });
    const report = await look(`Kafka Connect at ${config.connectUrl}`, reading);
    terminal.print(`connector ${report.connector}: ${report.state}`);
    for (const { taskId, state } of report.tasks) terminal.print(`  task ${taskId}: ${state}`);
    if (report.failure !== undefined) terminal.print(`  ${report.failure}`);
    if (report.differences.length > 0) {
      terminal.print(`  differs from the file in: ${report.differences.join(', ')}`);
    }
    terminal.print(`slot ${config.database.slot}: ${slotText(report.slot)}`);
    for (const missed of report.missed) terminal.print(`  ${missed}`);
    const rows = report.topics.map(({ topic, partitions, differences }) => [
      topic,
      partitions ?? '',
      differences.join('; '),
    ]);
    terminal.print(renderTable(['topic', 'partitions', 'differences'], rows));
    if (!report.asWanted) process.exitCode = EXIT.failedCheck;
  } finally {
    await topics.close();
  }
}

function slotText(slot: SlotState | undefined): string {
  if (slot === undefined) return 'not checked, PostgreSQL is out of reach from here';
  if (slot.kind === 'missing') return 'does not exist';
  const { active, walStatus, confirmedLsn, currentLsn } = slot;
  const behind = currentLsn - (confirmedLsn ?? currentLsn);
  return `${active ? 'is read' : 'is not read'}, ${walStatus}, ${behind} bytes behind`;
}

async function loadConnectors({ connectors }: ConnectorOptions): Promise<ConnectorsConfig> {
  const file = connectors ?? CONNECTORS_FILE;
  const text = await readConfigFile(file, '--connectors');
  return parseConnectorsConfig(text, { file, environment: environment(), readSecretFile });
}
