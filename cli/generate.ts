import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { DEFAULT_CLICK_SHAPE } from '../generate/clicks.ts';
import { openKafkaProducer } from '../generate/kafka-producer.ts';
import type { CompressionName } from '../generate/kafka-producer.ts';
import { openPostgres } from '../generate/postgres.ts';
import type { SqlConnection } from '../generate/postgres.ts';
import { runGenerate } from '../generate/run.ts';
import type { GenerateSummary } from '../generate/run.ts';
import { seedTables } from '../generate/seed-tables.ts';
import { addressOf, runDirectory, stopSignal, systemClock } from './environment.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions, LoadedConfig } from './load-config.ts';
import { kafkajsSecurity, openSchemaRegistry } from './open-lake.ts';
import { terminal } from './terminal.ts';

export type GenerateCommandOptions = ConfigOptions & {
  seed: number;
  users: number;
  devices: number;
  urls: number;
  count?: number;
  rate?: number;
  changes: number;
  corrupt: number;
  late: number;
  unknown: number;
  compression: CompressionName;
  ledger?: string;
  postgres?: string;
};

/** The ledger of clicks in a ledger directory. */
export const CLICK_LEDGER = 'clicks.ndjson';

function ledgerDirectory(): string {
  return join(runDirectory(), 'ledger');
}

const EXAMPLES = `
Examples:
  $ tributary generate tables --users 20000 --devices 10000 --urls 5000
  $ tributary generate clicks --count 300000 --rate 12000 --changes 50
  $ tributary generate clicks --rate 1200          until SIGTERM`;

export function addGenerateCommand(program: Command): void {
  const generate = program
    .command('generate')
    .description('a seeded load: dimension tables by SQL, clicks into Kafka, and a ledger of both')
    .addHelpText('after', EXAMPLES);
  withTables(
    generate
      .command('tables')
      .description('write the rows of users, devices and urls')
      .addHelpText('after', '\nExample:\n  $ tributary generate tables --users 20000'),
  ).action(async (_options, command: Command) => {
    await generateTables(command.optsWithGlobals());
  });
  withTables(
    generate
      .command('clicks')
      .description('send clicks while rows change')
      .addHelpText('after', '\nExample:\n  $ tributary generate clicks --rate 1200 --changes 20'),
  )
    .option('--count <n>', 'clicks to send; without it, until SIGTERM', whole)
    .option('--rate <n>', 'clicks a second; without it, as fast as possible', positive)
    .option('--changes <n>', 'changes a second to the dimension tables; 0 for none', whole, 0)
    .option('--corrupt <share>', 'share of records that cannot be decoded', share, 0.0005)
    .option('--late <share>', 'share of clicks that are hours or days old', share, 0.02)
    .option(
      '--unknown <share>',
      'share of clicks with an unknown user; likewise device',
      share,
      0.01,
    )
    .addOption(
      new Option('--compression <codec>', 'how batches are compressed')
        .choices(['none', 'gzip', 'zstd'])
        .default('zstd'),
    )
    .option(
      '--ledger <directory>',
      `where to write down what was produced; by default ${ledgerDirectory()}`,
    )
    .action(async (_options, command: Command) => {
      await generateClicks(command.optsWithGlobals());
    });
}

function withTables(command: Command): Command {
  return command
    .option('--seed <n>', 'the same seed gives the same load', whole, 1)
    .option('--users <n>', 'rows of users', whole, 20_000)
    .option('--devices <n>', 'rows of devices', whole, 10_000)
    .option('--urls <n>', 'rows of urls', whole, 5_000)
    .option(
      '--postgres <url>',
      "the source database; by default POSTGRES_URL, else the native stack's",
    );
}

function whole(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number.');
}

function positive(text: string): number {
  if (whole(text) > 0) return Number(text);
  throw new InvalidArgumentError('expected a whole number above 0.');
}

function share(text: string): number {
  const value = Number(text);
  if (value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('expected a share from 0 to 1.');
}

/** Writes rows 1..n of the dimension tables; a second call changes nothing. */
export async function generateTables(
  options: Pick<GenerateCommandOptions, 'seed' | 'users' | 'devices' | 'urls' | 'postgres'>,
): Promise<void> {
  const { seed, users, devices, urls } = options;
  const pg = await openSource(options.postgres);
  try {
    const progress = terminal.progress;
    const signal = stopSignal();
    await seedTables({ pg, namespace: 'public', users, devices, urls, seed, progress, signal });
  } finally {
    await pg.close();
  }
}

/** Sends clicks, and changes rows meanwhile; the ledger directory holds what it did. */
export async function generateClicks(
  options: GenerateCommandOptions,
  signal: AbortSignal = stopSignal(),
): Promise<GenerateSummary> {
  const loaded = await loadConfig(options);
  const directory = options.ledger ?? ledgerDirectory();
  await mkdir(directory, { recursive: true });
  const pg = options.changes > 0 ? await openSource(options.postgres) : undefined;
  const producer = await openKafkaProducer({
    brokers: loaded.config.kafka.brokers,
    security: kafkajsSecurity(loaded.config),
    clientId: 'tributary-generate',
    compression: options.compression,
    log: terminal.progress,
  });
  try {
    const summary = await runGenerate({
      ...loadOptions({ ...options, directory }, loaded, pg),
      producer,
      progress: terminal.progress,
      signal,
    });
    terminal.print(JSON.stringify(summary));
    return summary;
  } finally {
    await producer.close();
    await pg?.close();
  }
}

function loadOptions(
  options: GenerateCommandOptions & { directory: string },
  { config, contracts }: LoadedConfig,
  pg: SqlConnection | undefined,
) {
  const { seed, users, devices, urls, corrupt, late, unknown, count, rate, changes } = options;
  const registry = openSchemaRegistry(config);
  const shares = {
    ...DEFAULT_CLICK_SHAPE.shares,
    corrupt,
    late,
    unknownUser: unknown,
    unknownDevice: unknown,
  };
  const { nowMs, sleep } = systemClock;
  return {
    seed,
    register: async (subject: string, avroSchema: string): Promise<number> =>
      (await registry.register(subject, JSON.parse(avroSchema))).schemaId,
    clicks: {
      topic: config.stream.topic,
      avroSchema: contracts.stream.avroSchema,
      shape: { ...DEFAULT_CLICK_SHAPE, users, devices, urls, shares },
      ledgerPath: join(options.directory, CLICK_LEDGER),
      ...(count === undefined ? {} : { count }),
      ...(rate === undefined ? {} : { perSecond: rate }),
    },
    ...(pg === undefined
      ? {}
      : {
          changes: {
            pg,
            namespace: 'public',
            users,
            devices,
            urls,
            perSecond: changes,
            journalPath: join(options.directory, 'changes.ndjson'),
          },
        }),
    clock: { nowMs, sleep: (ms: number) => sleep(ms) },
  };
}

/** Opens PostgreSQL by a URL such as `postgres://user:password@host:port/database`. */
async function openSource(given: string | undefined): Promise<SqlConnection> {
  const { hostname, port, username, password, pathname } = new URL(addressOf('postgres', given));
  return openPostgres({
    host: hostname,
    port: Number(port === '' ? 5432 : port),
    user: decodeURIComponent(username),
    database: pathname.slice(1),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
  });
}
