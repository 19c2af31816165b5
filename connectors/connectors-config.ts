import { parse } from 'yaml';
import { ConnectorsError } from './error.ts';

/** A value that shows only where `reveal` is called. */
type Secret = { reveal: () => string; toJSON: () => string };

/** connectors.yaml with every default filled in. */
export type ConnectorsConfig = {
  connectUrl: string;
  kafkaBrokers: readonly string[];
  database: {
    host: string;
    port: number;
    name: string;
    user: string;
    password: Secret;
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

type Environment = Readonly<Record<string, string | undefined>>;

const tableForm = /^[A-Za-z_][\w$]*\.[A-Za-z_][\w$]*$/;

/**
 * Parses and checks the text of connectors.yaml. `readSecretFile` gives the text of the file that a
 * `NAME_FILE` variable names. Errors: `config`, listing every wrong key at once.
 */
export function parseConnectorsConfig(
  text: string,
  environment: Environment,
  readSecretFile: (file: string) => string,
): ConnectorsConfig {
  const issues: string[] = [];
  const substitute = (value: string): string =>
    value.replace(/\$\{(\w+)(?::-([^}]*))?\}/g, (_match, name: string, fallback?: string) => {
      const file = environment[`${name}_FILE`];
      const found = file === undefined ? environment[name] : readSecretFile(file).trimEnd();
      if (found === undefined && fallback === undefined) issues.push(`${name} is not set`);
      return found ?? fallback ?? '';
    });
  const root = new Section(parseYaml(text), '', { issues, substitute });
  const config = readConfig(root);
  if (issues.length === 0) return config;
  throw new ConnectorsError('config', `connectors.yaml: ${issues.join('; ')}`, {
    context: { issues },
  });
}

function readConfig(root: Section): ConnectorsConfig {
  const config: ConnectorsConfig = {
    connectUrl: root.section('connect').string('url'),
    kafkaBrokers: root
      .section('kafka')
      .strings('brokers')
      .flatMap((broker) => broker.split(',')),
    database: readDatabase(root.section('database')),
    converter: readConverter(root.section('converter')),
    connector: root.string('connector'),
    tables: root.strings('tables'),
    topics: readTopics(root.section('topics')),
  };
  for (const table of config.tables) {
    if (!tableForm.test(table)) root.report('tables', `expected schema.table, got "${table}"`);
  }
  root.rejectUnknownKeys();
  return config;
}

function readDatabase(section: Section): ConnectorsConfig['database'] {
  const password = section.string('password');
  return {
    host: section.string('host'),
    port: section.integer('port'),
    name: section.string('name'),
    user: section.string('user'),
    password: { reveal: () => password, toJSON: () => '***' },
    publication: section.string('publication'),
    slot: section.string('slot'),
    heartbeatTable: section.has('heartbeat_table') ? section.string('heartbeat_table') : undefined,
  };
}

function readConverter(section: Section): ConnectorsConfig['converter'] {
  const kind = section.string('kind');
  if (kind !== 'tributary' && kind !== 'apicurio') {
    section.report('kind', `expected tributary or apicurio, got "${kind}"`);
  }
  return {
    kind: kind === 'apicurio' ? 'apicurio' : 'tributary',
    registryUrl: section.string('registry_url'),
  };
}

function readTopics(section: Section): ConnectorsConfig['topics'] {
  return {
    prefix: section.string('prefix'),
    partitions: section.integer('partitions'),
    replicationFactor: section.integer('replication_factor'),
    stream: section.string('stream'),
    streamPartitions: section.integer('stream_partitions'),
  };
}

function parseYaml(text: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    throw new ConnectorsError('config', `connectors.yaml: ${(cause as Error).message}`, { cause });
  }
}

type Context = { issues: string[]; substitute: (value: string) => string };

/** A mapping of the file that notes what is wrong with it and goes on. */
class Section {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #context: Context;
  readonly #children = new Map<string, Section | undefined>();

  constructor(value: unknown, path: string, context: Context) {
    const isMapping = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isMapping) context.issues.push(`${path === '' ? 'the file' : path}: expected a mapping`);
    this.#values = isMapping ? (value as Record<string, unknown>) : {};
    this.#path = path;
    this.#context = context;
  }

  report(key: string, message: string): void {
    this.#context.issues.push(`${this.#pathOf(key)}: ${message}`);
  }

  has(key: string): boolean {
    return key in this.#values;
  }

  section(key: string): Section {
    const section = new Section(this.#values[key], this.#pathOf(key), this.#context);
    this.#children.set(key, section);
    return section;
  }

  string(key: string): string {
    const value = this.#take(key);
    if (typeof value === 'string' || typeof value === 'number') {
      const text = this.#context.substitute(String(value));
      if (text !== '') return text;
    }
    this.report(key, 'expected a text');
    return '';
  }

  integer(key: string): number {
    const text = this.string(key);
    const value = Number(text);
    if (text !== '' && !(Number.isInteger(value) && value > 0)) {
      this.report(key, `expected a number above 0, got "${text}"`);
    }
    return value;
  }

  strings(key: string): string[] {
    const value = this.#take(key);
    if (
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((item) => typeof item === 'string')
    ) {
      return value.map((item) => this.#context.substitute(item));
    }
    this.report(key, 'expected a list of texts');
    return [];
  }

  rejectUnknownKeys(): void {
    for (const key of Object.keys(this.#values)) {
      if (!this.#children.has(key)) this.report(key, 'unknown key');
    }
    for (const child of this.#children.values()) child?.rejectUnknownKeys();
  }

  #take(key: string): unknown {
    this.#children.set(key, undefined);
    return this.#values[key];
  }

  #pathOf(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`;
  }
}
