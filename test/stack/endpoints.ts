import { type PortName, readPorts } from '../../stack/ports.ts';

/** Where the running components listen, as a test needs to know it. */
export type Endpoints = {
  /** PostgreSQL on 127.0.0.1, database `app`. */
  readonly postgresPort: number;
  /** Bootstrap servers, `host:port`. */
  readonly kafkaBrokers: readonly string[];
  readonly connectUrl: string;
  /** Base of the Confluent-compatible API. */
  readonly registryUrl: string;
  readonly s3Endpoint: string;
  readonly s3AccessKeyId: string;
  readonly s3SecretAccessKey: string;
  readonly catalogUri: string;
  readonly trinoUrl: string;
};

/** Reads the addresses that the suite's set-up exported; without them, those of the `demo` stack. */
export function readEndpoints(env: Readonly<Record<string, string | undefined>>): Endpoints {
  const ports = readPorts(env);
  const url = (name: PortName, path = ''): string => `http://127.0.0.1:${ports[name]}${path}`;
  return {
    postgresPort: ports.postgres,
    kafkaBrokers: [`127.0.0.1:${ports.kafka}`],
    connectUrl: url('connect'),
    registryUrl: url('registry', '/apis/ccompat/v7'),
    s3Endpoint: url('s3'),
    s3AccessKeyId: env['S3_ACCESS_KEY_ID'] ?? 'tributary',
    s3SecretAccessKey: env['S3_SECRET_ACCESS_KEY'] ?? 'tributary-secret',
    catalogUri: url('catalog'),
    trinoUrl: url('trino'),
  };
}

/** The addresses of the stack that this test process talks to. */
export const endpoints: Endpoints = readEndpoints(process.env);
