import { brokerList, httpUrl } from '../configuration/addresses.ts';
import { formatIssues } from '../configuration/config-issue.ts';
import type { ConfigIssue } from '../configuration/config-issue.ts';
import { secret } from '../configuration/secret-string.ts';
import type { SecretString } from '../configuration/secret-string.ts';
import { YamlSection } from '../configuration/yaml-section.ts';
import type { Environment, ReadSecretFile } from '../configuration/yaml-section.ts';
import { ConnectorsError } from './error.ts';

/** connectors.yaml with every default filled in. */
export type ConnectorsConfig = {
  connectUrl: string;
  kafkaBrokers: readonly string[];
  database: {
    host: string;
    port: number;
    name: string;
    user: string;
    password: SecretString;
    publication: string;
    slot: string;
    heartbeatTable: string | undefined;
  };
  converter: { kind: 'tributary' | 'apicurio'; registryUrl: string };
  connector: string;
  /** `schema.table`. */
  tables: readonly string[];
  topics: {
    prefix: string;
    partitions: number;
    replicationFactor: number;
    stream: string;
    streamPartitions: number;
  };
};

/** What the text of connectors.yaml comes from. */
export type ConnectorsSource = {
  /** Name of the file, for the findings. */
  file: string;
  environment: Environment;
  readSecretFile: ReadSecretFile;
};

const tableForm = /^[A-Za-z_][\w$]*\.[A-Za-z_][\w$]*$/;

/** More partitions than Kafka's own tools are comfortable with. */
const partitionsMax = 10_000;

/**
 * Parses and checks the text of connectors.yaml. Errors: `config`, listing every wrong key at once with
 * its line.
 */
export function parseConnectorsConfig(text: string, source: ConnectorsSource): ConnectorsConfig {
  const document = YamlSection.parse(text, source.environment, source.readSecretFile);
  if (document.kind === 'unreadable') throw invalid(source.file, document.issues);
  const config = readConfig(document.root);
  if (document.issues.length > 0) throw invalid(source.file, document.issues);
  return config;
}

function invalid(file: string, issues: readonly ConfigIssue[]): ConnectorsError {
  return new ConnectorsError('config', formatIssues(file, issues), { context: { file } });
}

function readConfig(root: YamlSection): ConnectorsConfig {
  const config: ConnectorsConfig = {
    connectUrl: readConnect(root.section('connect')),
    kafkaBrokers: readKafka(root.section('kafka')),
    database: readDatabase(root.section('database')),
    converter: readConverter(root.section('converter')),
    connector: root.string('connector'),
    tables: root.strings('tables'),
    topics: readTopics(root.section('topics')),
  };
  if (config.tables.length === 0) root.report('tables', 'name at least one table');
  for (const table of config.tables) {
    if (!tableForm.test(table)) root.report('tables', `expected schema.table, got "${table}"`);
  }
  root.rejectUnknownKeys();
  return config;
}

function readConnect(section: YamlSection): string {
  const url = httpUrl(section, 'url');
  section.rejectUnknownKeys();
  return url;
}

function readKafka(section: YamlSection): string[] {
  const brokers = brokerList(section, 'brokers');
  section.rejectUnknownKeys();
  return brokers;
}

function readDatabase(section: YamlSection): ConnectorsConfig['database'] {
  const database = {
    host: section.string('host'),
    port: section.integer('port', 5432, { min: 1, max: 65_535 }),
    name: section.string('name'),
    user: section.string('user'),
    password: secret(section.string('password')),
    publication: section.string('publication'),
    slot: section.string('slot'),
    heartbeatTable: section.optionalString('heartbeat_table'),
  };
  section.rejectUnknownKeys();
  return database;
}

function readConverter(section: YamlSection): ConnectorsConfig['converter'] {
  const converter = {
    kind: section.choice('kind', ['tributary', 'apicurio'], 'tributary'),
    registryUrl: httpUrl(section, 'registry_url'),
  };
  section.rejectUnknownKeys();
  return converter;
}

function readTopics(section: YamlSection): ConnectorsConfig['topics'] {
  const topics = {
    prefix: section.string('prefix'),
    partitions: section.integer('partitions', undefined, { min: 1, max: partitionsMax }),
    replicationFactor: section.integer('replication_factor', undefined, { min: 1, max: 100 }),
    stream: section.string('stream'),
    streamPartitions: section.integer('stream_partitions', undefined, {
      min: 1,
      max: partitionsMax,
    }),
  };
  section.rejectUnknownKeys();
  return topics;
}
