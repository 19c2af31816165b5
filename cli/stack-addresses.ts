import { join } from 'node:path';
import { EnrichError } from '../enrich/error.ts';
import { portDefaults, portVariable, readPorts } from '../stack/ports.ts';
import type { Environment, PortName, Ports } from '../stack/ports.ts';

/** What `tributary run` listens on beside a stack whose ports are not moved. */
const HTTP_PORT = 18_099;

const INSTANCE = 'TRIBUTARY_STACK_INSTANCE';
const OFFSET = 'TRIBUTARY_PORT_OFFSET';

/**
 * The variables that pipeline.yaml and connectors.yaml ask for, as the native stack's moved ports want them:
 * a stack that was started with TRIBUTARY_PORT_OFFSET or TRIBUTARY_<NAME>_PORT is found with the same
 * variables set. What is not moved is left to the files' own defaults. Errors: `config`.
 */
export function stackAddresses(environment: Environment): Record<string, string> {
  const ports = portsOf(environment);
  const moved = (Object.keys(portDefaults) as PortName[]).filter(
    (name) => isSet(environment, portVariable(name)) || isSet(environment, OFFSET),
  );
  const variables = Object.assign({}, ...moved.map((name) => addressesBehind(name, ports[name])));
  if (isSet(environment, OFFSET)) {
    variables.HTTP_PORT = String(HTTP_PORT + Number(environment[OFFSET]));
  }
  if (isSet(environment, INSTANCE)) {
    variables.STATE_DIRECTORY = join(stackRunDirectory(environment), 'state');
  }
  return variables;
}

/** `.stack/run/<instance>`, below the directory that a command is called in. */
export function stackRunDirectory(environment: Environment): string {
  return join('.stack', 'run', isSet(environment, INSTANCE) ? `${environment[INSTANCE]}` : 'demo');
}

function addressesBehind(name: PortName, port: number): Record<string, string> {
  const http = `http://127.0.0.1:${port}`;
  const registry = `${http}/apis/ccompat/v7`;
  switch (name) {
    case 'kafka':
      return { KAFKA_BROKERS: `127.0.0.1:${port}` };
    case 'registry':
      return { SCHEMA_REGISTRY_URL: registry, CONNECT_REGISTRY_URL: registry };
    case 'connect':
      return { CONNECT_URL: http };
    case 'catalog':
      return { CATALOG_URI: http };
    case 's3':
      return { S3_ENDPOINT: http };
    case 'postgres':
      return {
        DATABASE_PORT: String(port),
        POSTGRES_URL: `postgres://app:app@127.0.0.1:${port}/app`,
      };
    case 'trino':
      return { TRINO_URL: http };
    case 'kafkaController':
    case 'registryManagement':
      return {};
  }
}

function portsOf(environment: Environment): Ports {
  try {
    return readPorts(environment);
  } catch (cause) {
    throw new EnrichError('config', (cause as Error).message);
  }
}

function isSet(environment: Environment, name: string): boolean {
  return environment[name] !== undefined && environment[name] !== '';
}
