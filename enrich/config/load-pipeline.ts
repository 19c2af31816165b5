import { YamlSection } from './yaml-section.ts';
import type { ConfigIssue, Environment, ReadSecretFile } from './yaml-section.ts';
import type { DimensionConfig, PipelineConfig, SecretString } from './pipeline-config.ts';

export type PipelineFile =
  { kind: 'valid'; config: PipelineConfig } | { kind: 'invalid'; issues: readonly ConfigIssue[] };

/**
 * Parses and validates the text of pipeline.yaml. Every finding is returned at once with its line;
 * unknown keys are findings too. Whether the named contracts and fields exist is `checkContracts`.
 */
export function parsePipelineFile(
  text: string,
  environment: Environment,
  readSecretFile: ReadSecretFile,
): PipelineFile {
  const { root, issues } = YamlSection.parse(text, environment, readSecretFile);
  const config: PipelineConfig = {
    pipeline: identifier(root, 'pipeline'),
    kafka: readKafka(root.section('kafka')),
    registry: readRegistry(root.section('registry')),
    stream: readStream(root.section('stream')),
    dimensions: root.sections('dimensions').map(readDimension),
    readiness: readReadiness(root.section('readiness')),
    catalog: readCatalog(root.section('catalog')),
    storage: readStorage(root.section('storage')),
    table: readTable(root.section('table')),
    commit: readCommit(root.section('commit')),
    state: readState(root.section('state')),
    http: readHttp(root.section('http')),
  };
  root.rejectUnknownKeys();
  rejectRepeatedDimensions(root, config.dimensions);
  return issues.length === 0
    ? { kind: 'valid', config }
    : { kind: 'invalid', issues: issues.toSorted((a, b) => a.line - b.line) };
}

/** `pipeline.yaml:12:5 table.name: missing key "name"`, one line an issue. */
export function formatIssues(file: string, issues: readonly ConfigIssue[]): string {
  return issues
    .map(({ line, column, path, message }) => {
      const subject = path === '' ? '' : `${path}: `;
      return `${file}:${line}:${column} ${subject}${message}`;
    })
    .join('\n');
}

/** A value that never shows in logs, errors or `config show`; only `reveal` gives it out. */
function secret(value: string): SecretString {
  return { reveal: () => value, toJSON: () => '***', toString: () => '***' };
}

function identifier(section: YamlSection, key: string): string {
  const value = section.string(key);
  if (value !== '' && !/^[A-Za-z][A-Za-z0-9_-]*$/.test(value)) {
    section.report(key, `expected letters, digits, "-" and "_" only, got "${value}"`);
  }
  return value;
}

function optionalSecret(section: YamlSection, key: string): SecretString | undefined {
  const value = section.optionalString(key);
  return value === undefined || value === '' ? undefined : secret(value);
}

/** An object without the keys whose value is undefined, as exact optional properties want it. */
function present<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T {
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return Object.fromEntries(entries) as T;
}

function readKafka(section: YamlSection): PipelineConfig['kafka'] {
  const brokers = section.strings('brokers').flatMap((entry) => entry.split(','));
  if (brokers.length === 0) section.report('brokers', 'name at least one broker as host:port');
  for (const broker of brokers) {
    if (!/^.+:\d+$/.test(broker)) {
      section.report('brokers', `expected host:port, got "${broker}"`);
    }
  }
  const sasl = section.has('sasl') ? readSasl(section.section('sasl')) : undefined;
  const kafka = present<PipelineConfig['kafka']>({
    brokers,
    groupId: section.string('group'),
    clientId: section.optionalString('client_id') ?? 'tributary',
    tls: section.boolean('tls', false),
    sasl,
  });
  section.rejectUnknownKeys();
  return kafka;
}

function readSasl(section: YamlSection): NonNullable<PipelineConfig['kafka']['sasl']> {
  const mechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;
  const sasl = {
    mechanism: section.choice('mechanism', mechanisms, 'PLAIN'),
    username: section.string('username'),
    password: secret(section.string('password')),
  };
  section.rejectUnknownKeys();
  return sasl;
}

function readRegistry(section: YamlSection): PipelineConfig['registry'] {
  const registry = present<PipelineConfig['registry']>({
    url: httpUrl(section, 'url'),
    username: section.optionalString('username'),
    password: optionalSecret(section, 'password'),
  });
  section.rejectUnknownKeys();
  return registry;
}

function httpUrl(section: YamlSection, key: string): string {
  const value = section.string(key);
  if (value !== '' && !/^https?:\/\//.test(value)) {
    section.report(key, `expected an http:// or https:// address, got "${value}"`);
  }
  return value.replace(/\/+$/, '');
}

function readStream(section: YamlSection): PipelineConfig['stream'] {
  const stream = {
    topic: section.string('topic'),
    contract: section.string('contract'),
    eventTime: section.string('event_time'),
  };
  section.rejectUnknownKeys();
  return stream;
}

function readDimension(section: YamlSection): DimensionConfig {
  const name = identifier(section, 'name');
  const primaryKey = section.string('primary_key');
  const dimension: DimensionConfig = {
    name,
    topic: section.string('topic'),
    contract: section.string('contract'),
    primaryKey,
    joinKey: section.optionalString('join_key') ?? primaryKey,
    streamField: section.string('stream_field'),
    normaliser: section.choice('normaliser', ['none', 'url', 'lower-case', 'trim'], 'none'),
    columns: section.strings('columns'),
    prefix: section.optionalString('prefix') ?? `${name}_`,
  };
  section.rejectUnknownKeys();
  return dimension;
}

function rejectRepeatedDimensions(root: YamlSection, dimensions: readonly DimensionConfig[]): void {
  const seen = new Set<string>();
  for (const { name } of dimensions) {
    if (seen.has(name)) root.report('dimensions', `dimension "${name}" is named twice`);
    seen.add(name);
  }
}

function readReadiness(section: YamlSection): PipelineConfig['readiness'] {
  const readiness = present<PipelineConfig['readiness']>({
    notificationTopic: section.string('notification_topic'),
    heartbeatTopic: section.optionalString('heartbeat_topic'),
  });
  section.rejectUnknownKeys();
  return readiness;
}

function readCatalog(section: YamlSection): PipelineConfig['catalog'] {
  const oauth2 = section.has('oauth2') ? readOauth2(section.section('oauth2')) : undefined;
  const catalog = present<PipelineConfig['catalog']>({
    uri: httpUrl(section, 'uri'),
    warehouse: section.optionalString('warehouse'),
    token: optionalSecret(section, 'token'),
    oauth2,
  });
  section.rejectUnknownKeys();
  return catalog;
}

function readOauth2(section: YamlSection): NonNullable<PipelineConfig['catalog']['oauth2']> {
  const oauth2 = present<NonNullable<PipelineConfig['catalog']['oauth2']>>({
    tokenUri: section.optionalString('token_uri'),
    clientId: section.string('client_id'),
    clientSecret: secret(section.string('client_secret')),
    scope: section.optionalString('scope'),
  });
  section.rejectUnknownKeys();
  return oauth2;
}

function readStorage(section: YamlSection): PipelineConfig['storage'] {
  const storage = present<PipelineConfig['storage']>({
    endpoint: section.optionalString('endpoint'),
    region: section.optionalString('region') ?? 'us-east-1',
    pathStyle: section.boolean('path_style', false),
    accessKeyId: optionalSecret(section, 'access_key_id'),
    secretAccessKey: optionalSecret(section, 'secret_access_key'),
  });
  section.rejectUnknownKeys();
  return storage;
}

function readTable(section: YamlSection): PipelineConfig['table'] {
  const [namespace, name] = qualifiedName(section, 'name');
  const deadLetter = section.optionalString('dead_letter');
  const [deadNamespace, deadName] =
    deadLetter === undefined
      ? [namespace, `${name}_dead_letter`]
      : qualifiedName(section, 'dead_letter');
  if (deadNamespace.join('.') !== namespace.join('.')) {
    section.report('dead_letter', `expected a table of the namespace "${namespace.join('.')}"`);
  }
  const table = present<PipelineConfig['table']>({
    namespace,
    name,
    deadLetterName: deadName,
    location: section.optionalString('location'),
    partition: section.strings('partition'),
    sort: section.strings('sort'),
    properties: section.stringMap('properties'),
  });
  section.rejectUnknownKeys();
  return table;
}

function qualifiedName(section: YamlSection, key: string): [string[], string] {
  const parts = section.string(key).split('.');
  if (parts.length < 2 || parts.some((part) => part === '')) {
    section.report(key, 'expected namespace.table');
  }
  return [parts.slice(0, -1), parts.at(-1) ?? ''];
}

function readCommit(section: YamlSection): PipelineConfig['commit'] {
  const commit = {
    intervalMs: section.durationMs('interval', 30_000),
    rowsMax: section.integer('rows', 500_000, { min: 1, max: 5_000_000 }),
    bytesMax: section.sizeBytes('size', 256 * 1024 ** 2),
  };
  if (commit.intervalMs < 100) section.report('interval', 'expected at least 100ms');
  if (commit.bytesMax < 1024 ** 2 || commit.bytesMax > 512 * 1024 ** 2) {
    section.report(
      'size',
      'expected from 1MiB to 512MiB: two batches of this size are held at once',
    );
  }
  section.rejectUnknownKeys();
  return commit;
}

function readState(section: YamlSection): PipelineConfig['state'] {
  const state = { directory: section.string('directory') };
  section.rejectUnknownKeys();
  return state;
}

function readHttp(section: YamlSection): PipelineConfig['http'] {
  const http = {
    host: section.optionalString('host') ?? '127.0.0.1',
    port: section.integer('port', 18_099, { min: 0, max: 65_535 }),
  };
  section.rejectUnknownKeys();
  return http;
}
