import { portDefaults, portVariable, readPorts } from '../stack/ports.ts';
import type { Environment, PortName } from '../stack/ports.ts';

/** What `tributary run` listens on beside a stack whose ports are not moved. */
const HTTP_PORT = 18_099;

/**
 * The variables that pipeline.yaml and connectors.yaml ask for, as the native stack's moved ports want them:
 * a stack that was started with TRIBUTARY_PORT_OFFSET or TRIBUTARY_<NAME>_PORT is found with the same
 * variables set. Nothing where none of them is: the files' own defaults hold then.
 */
export function stackAddresses(environment: Environment): Record<string, string> {
  const names = Object.keys(portDefaults) as PortName[];
  const movers = ['TRIBUTARY_PORT_OFFSET', ...names.map(portVariable)];
  if (!movers.some((name) => environment[name] !== undefined)) return {};
  const ports = readPorts(environment);
  const registry = `http://127.0.0.1:${ports.registry}/apis/ccompat/v7`;
  return {
    KAFKA_BROKERS: `127.0.0.1:${ports.kafka}`,
    SCHEMA_REGISTRY_URL: registry,
    CONNECT_REGISTRY_URL: registry,
    CONNECT_URL: `http://127.0.0.1:${ports.connect}`,
    CATALOG_URI: `http://127.0.0.1:${ports.catalog}`,
    S3_ENDPOINT: `http://127.0.0.1:${ports.s3}`,
    DATABASE_PORT: String(ports.postgres),
    POSTGRES_URL: `postgres://app:app@127.0.0.1:${ports.postgres}/app`,
    TRINO_URL: `http://127.0.0.1:${ports.trino}`,
    HTTP_PORT: String(HTTP_PORT + Number(environment['TRIBUTARY_PORT_OFFSET'] ?? 0)),
  };
}
