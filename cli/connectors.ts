import type { Command } from 'commander';
import { applyConnectors } from '../connectors/apply.ts';
import { checkSource } from '../connectors/check-source.ts';
import { openConnectClient } from '../connectors/connect-client.ts';
import { parseConnectorsConfig } from '../connectors/connectors-config.ts';
import type { ConnectorsConfig } from '../connectors/connectors-config.ts';
import { openTopicAdmin } from '../connectors/kafka-admin.ts';
import { readConnectorsStatus } from '../connectors/status.ts';
import { openRegistry } from '../schemas/registry.ts';
import { addressOf, environment, systemClock } from './environment.ts';
import { EXIT } from './exit-code.ts';
import { readConfigFile, readSecretFile } from './load-config.ts';
import { look } from './look.ts';
import { renderTable, terminal } from './terminal.ts';

type ConnectorOptions = { connectors?: string };

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
}

/** Applies connectors.yaml, telling each step. Errors: `config` with the connector's own words. */
export async function applyConnectorFile(options: ConnectorOptions): Promise<void> {
  const config = await loadConnectors(options);
  const topics = await openTopicAdmin({ brokers: config.kafkaBrokers, clientId: 'tributary' });
  const registry = openRegistry({ url: addressOf('registry') });
  try {
    await applyConnectors({
      config,
      connect: openConnectClient(config.connectUrl),
      topics,
      checkSource,
      loadSchema: async (schemaId) => {
        const avroSchema = await registry.schemaById(schemaId);
        return avroSchema === 'unknown' ? undefined : avroSchema;
      },
      clock: { now: systemClock.nowMs, sleep: (ms) => systemClock.sleep(ms) },
      onProgress: terminal.print,
    });
  } finally {
    await topics.close();
  }
}

async function connectorStatus(options: ConnectorOptions): Promise<void> {
  const config = await loadConnectors(options);
  const brokers = config.kafkaBrokers;
  const opening = openTopicAdmin({ brokers, clientId: 'tributary' });
  const topics = await look(`Kafka at ${brokers.join(', ')}`, opening);
  try {
    const connect = openConnectClient(config.connectUrl);
    const reading = readConnectorsStatus({ config, connect, topics });
    const report = await look(`Kafka Connect at ${config.connectUrl}`, reading);
    terminal.print(`connector ${report.connector}: ${report.state}`);
    for (const { taskId, state } of report.tasks) terminal.print(`  task ${taskId}: ${state}`);
    if (report.failure !== undefined) terminal.print(`  ${report.failure}`);
    if (report.differences.length > 0) {
      terminal.print(`  differs from the file in: ${report.differences.join(', ')}`);
    }
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

async function loadConnectors({ connectors }: ConnectorOptions): Promise<ConnectorsConfig> {
  const file = connectors ?? CONNECTORS_FILE;
  const text = await readConfigFile(file, '--connectors');
  return parseConnectorsConfig(text, { file, environment: environment(), readSecretFile });
}
