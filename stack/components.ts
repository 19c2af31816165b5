import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { dataDirectory, type Instance } from './instance.ts';
import { formatKafka } from './kafka/format.ts';
import type { Environment, PortName } from './ports.ts';
import {
  answersPostgres,
  asServerUser,
  createDatabase,
  initialiseCluster,
  type PostgresServer,
} from './postgres/server.ts';
import { answersHttp, answersKafka, speaksHttp } from './probe.ts';
import { readEnvFile } from './env-file.ts';

export const componentNames = [
  'postgres',
  'kafka',
  's3',
  'registry',
  'catalog',
  'connect',
  'trino',
] as const;

export type ComponentName = (typeof componentNames)[number];

/** What a component finds on this machine. */
export type Host = {
  readonly instance: Instance;
  /** Home of the JDK. */
  readonly jdk: string;
  readonly postgres: PostgresServer;
  /** Where the launcher's own settings come from; a component gets none of it unless its command says so. */
  readonly env: Environment;
};

/** One process to start. `env` holds only what the component reads; the launcher adds PATH and HOME. */
export type Command = {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
};

/** One component of the stack, as data and four steps: prepare its disk, start, answer, complete. */
export type Component = {
  readonly name: ComponentName;
  readonly ports: readonly PortName[];
  /** Components that must answer before this one starts. */
  readonly needs: readonly ComponentName[];
  /** Folders of `stack/` whose pom.xml fetches its jars. */
  readonly modules: readonly string[];
  /** Makes the data directory ready; runs before every start and changes nothing the second time. */
  readonly prepare: (host: Host) => Promise<void>;
  readonly command: (host: Host) => Promise<Command> | Command;
  readonly answers: (instance: Instance) => Promise<boolean>;
  /** What only a running component can be given; changes nothing the second time. */
  readonly complete?: (instance: Instance) => Promise<void>;
  /** What asks it to stop cleanly; SIGTERM unless given. */
  readonly stopSignal?: NodeJS.Signals;
};

/** The credentials of a stack that only loopback reaches. `stack/s3/s3proxy.properties` holds the same. */
const s3AccessKeyId = 'tributary';
const s3SecretAccessKey = 'tributary-secret';

const http = (port: number): string => `http://127.0.0.1:${port}`;

/** A small heap with one collector thread: seven processes share a laptop. */
const serial = (heapMiB: number): string[] => [
  `-Xmx${heapMiB}m`,
  '-XX:+UseSerialGC',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
];

/** C1 alone starts sooner and takes less memory, for servers whose speed does not matter here. */
const small = (heapMiB: number): string[] => [...serial(heapMiB), '-XX:TieredStopAtLevel=1'];

/** The log level of one Java package or class. */
const logLevel = (logger: string, level: 'warn' | 'off'): string =>
  `-Dorg.slf4j.simpleLogger.${logger === '' ? 'defaultLogLevel' : `log.${logger}`}=${level}`;

const makeDataDirectory =
  (name: ComponentName, ...below: string[]) =>
  async ({ instance }: Host): Promise<void> => {
    await mkdir(join(dataDirectory(instance, name), ...below), { recursive: true });
  };

function java(host: Host, args: readonly string[], env: Record<string, string>): Command {
  return { file: join(host.jdk, 'bin/java'), args, cwd: host.instance.dist, env };
}

const postgres: Component = {
  name: 'postgres',
  ports: ['postgres'],
  needs: [],
  modules: [],
  prepare: ({ instance, postgres: server }) =>
    initialiseCluster(server, dataDirectory(instance, 'postgres')),
  command: ({ instance, postgres: server }) => ({
    ...asServerUser(server, 'postgres', [
      '-D',
      dataDirectory(instance, 'postgres'),
      '-c',
      `config_file=${join(instance.sources, 'postgres/postgresql.conf')}`,
      '-c',
      `port=${instance.ports.postgres}`,
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      'unix_socket_directories=',
    ]),
    cwd: dataDirectory(instance, 'postgres'),
    env: {},
  }),
  answers: ({ ports }) => answersPostgres(ports.postgres),
  complete: ({ ports, sources }) =>
    createDatabase(ports.postgres, join(sources, 'postgres/init.sql')),
  // SIGTERM would wait for every client to leave.
  stopSignal: 'SIGINT',
};

/** The variables that stack/kafka/server.properties takes. */
function kafkaEnvironment(instance: Instance): Record<string, string> {
  const address = `INTERNAL://127.0.0.1:${instance.ports.kafka}`;
  return {
    TRIBUTARY_KAFKA_LISTENERS: address,
    TRIBUTARY_KAFKA_ADVERTISED_LISTENERS: address,
    TRIBUTARY_KAFKA_CONTROLLER_PORT: String(instance.ports.kafkaController),
    TRIBUTARY_KAFKA_DATA: dataDirectory(instance, 'kafka'),
  };
}

const kafka: Component = {
  name: 'kafka',
  ports: ['kafka', 'kafkaController'],
  needs: [],
  modules: ['kafka'],
  prepare: ({ instance, jdk }) => formatKafka(instance, jdk, kafkaEnvironment(instance)),
  command: (host) =>
    java(
      host,
      [
        ...serial(512),
        logLevel('', 'warn'),
        '-cp',
        join(host.instance.dist, 'kafka/lib/*'),
        'kafka.Kafka',
        join(host.instance.sources, 'kafka/server.properties'),
      ],
      kafkaEnvironment(host.instance),
    ),
  answers: ({ ports }) => answersKafka(ports.kafka),
};

const s3: Component = {
  name: 's3',
  ports: ['s3'],
  needs: [],
  modules: ['s3'],
  // A folder is a bucket.
  prepare: makeDataDirectory('s3', 'lake'),
  command: (host) => {
    const { instance } = host;
    return java(
      host,
      [
        ...small(160),
        `-Ds3proxy.endpoint=${http(instance.ports.s3)}`,
        `-Djclouds.filesystem.basedir=${dataDirectory(instance, 's3')}`,
        '-cp',
        join(instance.dist, 's3/lib/*'),
        'org.gaul.s3proxy.Main',
        '--properties',
        join(instance.sources, 's3/s3proxy.properties'),
      ],
      {},
    );
  },
  answers: ({ ports }) => speaksHttp(http(ports.s3)),
};

const registry: Component = {
  name: 'registry',
  ports: ['registry', 'registryManagement'],
  needs: [],
  modules: ['registry'],
  prepare: makeDataDirectory('registry'),
  command: async (host) => {
    const { instance } = host;
    const jar = join(instance.dist, 'registry/quarkus-run.jar');
    return java(host, [...serial(384), '-jar', jar], {
      ...(await readEnvFile(join(instance.sources, 'registry/registry.env'))),
      APICURIO_DATASOURCE_URL: `jdbc:h2:file:${dataDirectory(instance, 'registry')}/registry`,
      QUARKUS_HTTP_HOST: '127.0.0.1',
      QUARKUS_HTTP_PORT: String(instance.ports.registry),
      QUARKUS_MANAGEMENT_HOST: '127.0.0.1',
      QUARKUS_MANAGEMENT_PORT: String(instance.ports.registryManagement),
    });
  },
  answers: ({ ports }) => answersHttp(`${http(ports.registry)}/apis/ccompat/v7/subjects`),
};

const catalog: Component = {
  name: 'catalog',
  ports: ['catalog'],
  needs: ['s3'],
  modules: ['catalog'],
  prepare: makeDataDirectory('catalog'),
  command: async (host) => {
    const { instance } = host;
    const args = [
      ...small(256),
      // At `info` the fixture logs the S3 secret.
      logLevel('', 'warn'),
      // It logs every 404 and 409 that it answers as an error of 70 lines.
      logLevel('org.apache.iceberg.rest.RESTCatalogServlet', 'off'),
    ];
    const main = ['-cp', join(instance.dist, 'catalog/lib/*')];
    return java(host, [...args, ...main, 'org.apache.iceberg.rest.RESTCatalogServer'], {
      ...(await readEnvFile(join(instance.sources, 'catalog/catalog.env'))),
      CATALOG_REST_PORT: String(instance.ports.catalog),
      CATALOG_URI: `jdbc:sqlite:${dataDirectory(instance, 'catalog')}/catalog.db`,
      CATALOG_S3_ENDPOINT: http(instance.ports.s3),
      CATALOG_S3_ACCESS__KEY__ID: s3AccessKeyId,
      CATALOG_S3_SECRET__ACCESS__KEY: s3SecretAccessKey,
    });
  },
  answers: ({ ports }) => answersHttp(`${http(ports.catalog)}/v1/config`),
};

const connect: Component = {
  name: 'connect',
  ports: ['connect'],
  needs: ['postgres', 'kafka', 'registry'],
  modules: ['kafka', 'connect'],
  prepare: makeDataDirectory('connect'),
  command: (host) => {
    const { instance } = host;
    return java(
      host,
      [
        ...serial(512),
        '-XX:MaxMetaspaceSize=192m',
        // Its own lines stay: they tell what a connector does. Kafka's clients print their whole configuration.
        logLevel('org.apache.kafka.clients', 'warn'),
        logLevel('org.apache.kafka.common', 'warn'),
        // What these say every few seconds is half of the log.
        logLevel('io.debezium.metrics', 'warn'),
        logLevel('org.apache.kafka.connect.runtime.WorkerSourceTask', 'warn'),
        logLevel('org.apache.kafka.connect.runtime.rest.RestServer', 'warn'),
        '-cp',
        join(instance.dist, 'kafka/lib/*'),
        'org.apache.kafka.connect.cli.ConnectDistributed',
        join(instance.sources, 'connect/connect-distributed.properties'),
      ],
      {
        TRIBUTARY_KAFKA_BROKERS: `127.0.0.1:${instance.ports.kafka}`,
        TRIBUTARY_CONNECT_HOST: '127.0.0.1',
        TRIBUTARY_CONNECT_LISTENER: http(instance.ports.connect),
        // Connectors name it as ${env:DATABASE_PASSWORD}: Connect shows a connector's configuration to everyone.
        DATABASE_PASSWORD: host.env['DATABASE_PASSWORD'] ?? 'cdc',
      },
    );
  },
  answers: ({ ports }) => answersHttp(`${http(ports.connect)}/connectors`),
};

const trino: Component = {
  name: 'trino',
  ports: ['trino'],
  needs: ['s3', 'catalog'],
  modules: ['trino', 'trino/iceberg'],
  prepare: makeDataDirectory('trino'),
  command: (host) => {
    const { instance } = host;
    const etc = join(instance.sources, 'trino/etc');
    const classPath = [join(instance.dist, 'trino/lib/*'), join(instance.dist, 'trino/launcher')];
    const command = java(
      host,
      [
        `@${join(etc, 'jvm.config')}`,
        `-Dconfig=${join(etc, 'config.properties')}`,
        '-cp',
        classPath.join(':'),
        'TrinoLauncher',
      ],
      {
        TRINO_PORT: String(instance.ports.trino),
        TRINO_BIND_IP: '127.0.0.1',
        TRINO_PLUGINS: join(instance.dist, 'trino/plugin'),
        TRINO_CATALOGS: join(etc, 'catalog'),
        CATALOG_URI: http(instance.ports.catalog),
        S3_ENDPOINT: http(instance.ports.s3),
        S3_ACCESS_KEY_ID: s3AccessKeyId,
        S3_SECRET_ACCESS_KEY: s3SecretAccessKey,
      },
    );
    return { ...command, cwd: dataDirectory(instance, 'trino') };
  },
  answers: ({ ports }) => answersHttp(`${http(ports.trino)}/v1/info`, '"starting":false'),
};

/** Every component, each after those it needs. */
export const components: readonly Component[] = [
  postgres,
  kafka,
  s3,
  registry,
  catalog,
  connect,
  trino,
];
