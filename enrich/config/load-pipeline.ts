import { brokerList, httpUrl, optionalHttpUrl } from '../../configuration/addresses.ts';
import type { ConfigIssue } from '../../configuration/config-issue.ts';
import { secret } from '../../configuration/secret-string.ts';
import type { SecretString } from '../../configuration/secret-string.ts';
import { YamlSection } from '../../configuration/yaml-section.ts';
import type {
  Environment,
  ParsedDocument,
  ReadSecretFile,
} from '../../configuration/yaml-section.ts';
import { columnBytesMax } from '../../schemas/row-buffer.ts';
import { evolvableKinds } from '../../schemas/schema-change-kind.ts';
import { evolutionPolicies } from './pipeline-config.ts';
import type { DimensionConfig, EvolutionConfig, PipelineConfig } from './pipeline-config.ts';

/** `locate` tells where a value stands, for findings that need more than this file. */
export type PipelineFile =
  | {
      kind: 'valid';
      config: PipelineConfig;
      locate: Extract<ParsedDocument, { kind: 'parsed' }>['locate'];
    }
  | { kind: 'invalid'; issues: readonly ConfigIssue[] };

/** Beyond it the share of each is small, and the thread that leads them has no time for them. */
const WORKERS_MAX = 32;

const MIB = 1024 ** 2;
/** A batch is expanded in memory. */
const KAFKA_BATCH_BYTES = { min: MIB, max: 1024 * MIB };
/** Two batches of this size are held at once. */
const COMMIT_BYTES = { min: MIB, max: 512 * MIB };

/**
 * Parses and validates the text of pipeline.yaml. Every finding is returned at once with its line;
 * unknown keys are findings too. Whether the named contracts and fields exist is `checkContracts`.
 */
export function parsePipelineFile(
  text: string,
  environment: Environment,
  readSecretFile: ReadSecretFile,
): PipelineFile {
  const document = YamlSection.parse(text, environment, readSecretFile);
  if (document.kind === 'unreadable') return { kind: 'invalid', issues: document.issues };
  const { root, issues, locate } = document;
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
    workers: root.integer('workers', 1, { min: 1, max: WORKERS_MAX }),
    commit: readCommit(root.section('commit')),
    state: readState(root.section('state')),
    http: readHttp(root.section('http')),
  };
  root.rejectUnknownKeys();
  rejectRepeatedDimensions(root, config.dimensions);
  rejectLongColumns(root, config);
  return issues.length === 0 ? { kind: 'valid', config, locate } : { kind: 'invalid', issues };
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
  const brokers = brokerList(section, 'brokers');
  const sasl = section.has('sasl') ? readSasl(section.section('sasl')) : undefined;
  const kafka = present<PipelineConfig['kafka']>({
    brokers,
    groupId: section.string('group'),
    clientId: section.optionalString('client_id') ?? 'tributary',
    tls: section.boolean('tls', false),
    batchBytesMax: section.sizeBytes('batch_size_max', 64 * MIB),
    sasl,
  });
  if (!isWithin(KAFKA_BATCH_BYTES, kafka.batchBytesMax)) {
    section.report('batch_size_max', 'expected from 1MiB to 1GiB: a batch is expanded in memory');
  }
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
    url: httpUrl(section, 'url', 'registry.username and registry.password'),
    username: section.optionalString('username'),
    password: optionalSecret(section, 'password'),
  });
  requireBoth(section, ['username', registry.username], ['password', registry.password]);
  section.rejectUnknownKeys();
  return registry;
}

/** Of two keys that only work together, one alone is a finding. */
function requireBoth(
  section: YamlSection,
  [a, valueOfA]: readonly [string, unknown],
  [b, valueOfB]: readonly [string, unknown],
): void {
  if ((valueOfA === undefined) === (valueOfB === undefined)) return;
  const [there, absent] = valueOfA === undefined ? [b, a] : [a, b];
  section.report(there, `expected ${absent} too: neither has an effect without the other`);
}

function readStream(section: YamlSection): PipelineConfig['stream'] {
  const stream = {
    topic: section.string('topic'),
    contract: section.string('contract'),
    eventTime: section.string('event_time'),
    evolution: readEvolution(section.section('evolution')),
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
    evolution: readEvolution(section.section('evolution')),
  };
  section.rejectUnknownKeys();
  return dimension;
}

/** Without a list, `evolve` allows every kind and each other policy none. */
function readEvolution(section: YamlSection): EvolutionConfig {
  const policy = section.choice('policy', evolutionPolicies, 'ignore');
  const kinds = section.choices('allow', evolvableKinds);
  section.rejectUnknownKeys();
  return { policy, allow: new Set(kinds ?? (policy === 'evolve' ? evolvableKinds : [])) };
}

function rejectRepeatedDimensions(root: YamlSection, dimensions: readonly DimensionConfig[]): void {
  const seen = new Set<string>();
  for (const { name } of dimensions) {
    if (seen.has(name)) root.report('dimensions', `dimension "${name}" is named twice`);
    seen.add(name);
  }
}

function isWithin({ min, max }: { min: number; max: number }, bytes: number): boolean {
  return bytes >= min && bytes <= max;
}

/** A batch that is almost full takes one record batch more, all of which may be the text of one column. */
function rejectLongColumns(root: YamlSection, { kafka, commit }: PipelineConfig): void {
  // What is wrong by itself is told already.
  if (!isWithin(KAFKA_BATCH_BYTES, kafka.batchBytesMax)) return;
  if (!isWithin(COMMIT_BYTES, commit.bytesMax)) return;
  if (kafka.batchBytesMax + commit.bytesMax <= columnBytesMax) return;
  const message =
    `expected ${columnBytesMax / MIB}MiB at most together with commit.size, got ${mib(kafka.batchBytesMax)} and ` +
    `${mib(commit.bytesMax)}: one column of a batch may need both. Lower kafka.batch_size_max or commit.size`;
  root.section('kafka').report('batch_size_max', message);
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / MIB)}MiB`;
}

function readReadiness(section: YamlSection): PipelineConfig['readiness'] {
  const readiness = { notificationTopic: section.string('notification_topic') };
  section.rejectUnknownKeys();
  return readiness;
}

function readCatalog(section: YamlSection): PipelineConfig['catalog'] {
  const oauth2 = section.has('oauth2') ? readOauth2(section.section('oauth2')) : undefined;
  const catalog = present<PipelineConfig['catalog']>({
    uri: httpUrl(section, 'uri', 'catalog.token or catalog.oauth2'),
    warehouse: section.optionalString('warehouse'),
    token: optionalSecret(section, 'token'),
    oauth2,
  });
  section.rejectUnknownKeys();
  return catalog;
}

function readOauth2(section: YamlSection): NonNullable<PipelineConfig['catalog']['oauth2']> {
  const oauth2 = present<NonNullable<PipelineConfig['catalog']['oauth2']>>({
    tokenUri: optionalHttpUrl(section, 'token_uri', 'client_id and client_secret'),
    clientId: section.string('client_id'),
    clientSecret: secret(section.string('client_secret')),
    scope: section.optionalString('scope'),
  });
  section.rejectUnknownKeys();
  return oauth2;
}

const STORAGE_KEYS = 'storage.access_key_id and storage.secret_access_key';

function readStorage(section: YamlSection): PipelineConfig['storage'] {
  const storage = present<PipelineConfig['storage']>({
    endpoint: optionalHttpUrl(section, 'endpoint', STORAGE_KEYS),
    region: section.optionalString('region') ?? 'us-east-1',
    pathStyle: section.boolean('path_style', false),
    accessKeyId: optionalSecret(section, 'access_key_id'),
    secretAccessKey: optionalSecret(section, 'secret_access_key'),
  });
  requireBoth(
    section,
    ['access_key_id', storage.accessKeyId],
    ['secret_access_key', storage.secretAccessKey],
  );
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
  } else if (deadName === name && name !== '') {
    section.report(
      'dead_letter',
      'expected another table than table.name: rejects have other columns',
    );
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
    bytesMax: section.sizeBytes('size', 256 * MIB),
  };
  if (commit.intervalMs < 100) section.report('interval', 'expected at least 100ms');
  if (!isWithin(COMMIT_BYTES, commit.bytesMax)) {
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
