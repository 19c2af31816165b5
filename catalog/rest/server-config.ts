import { CatalogError } from '../error.ts';
import { stringMapAt, wireObject, type WireObject } from '../spec/wire.ts';
import type { TableIdentifier } from './catalog.ts';
import { parseJson } from './json.ts';
import { expectSuccess, type Session } from './session.ts';

/** Where a server's resources are, once its configuration is known. */
export type ServerConfig = {
  namespacesUrl: string;
  namespaceUrl: (namespace: readonly string[]) => string;
  tablesUrl: (namespace: readonly string[]) => string;
  tableUrl: (identifier: TableIdentifier) => string;
};

/** The unit separator, URL-encoded, as the spec has it where a server says nothing else. */
const NAMESPACE_SEPARATOR_DEFAULT = '%1F';

/** Without these a server is of no use here; the others fail by themselves when they are asked for. */
const REQUIRED_ENDPOINTS = [
  'GET /v1/{prefix}/namespaces/{namespace}/tables/{table}',
  'POST /v1/{prefix}/namespaces/{namespace}/tables/{table}',
];

/**
 * Asks a server for its configuration. The server's overrides win over its defaults; a server that
 * lists no endpoints is taken to have those of the spec. Errors: `config` for a server that lacks
 * loads or commits or does not answer as a catalog does; `unavailable`; `unauthorized`.
 * Source: Iceberg REST spec, `GET /v1/config`.
 */
export async function readServerConfig(options: {
  session: Session;
  catalogUri: string;
  warehouse: string | undefined;
  timeoutMsMax: number;
}): Promise<ServerConfig> {
  const { session, catalogUri, warehouse } = options;
  const doing = `read the configuration of the catalog at ${catalogUri}`;
  const query = warehouse === undefined ? '' : `?${new URLSearchParams({ warehouse }).toString()}`;
  const outcome = await session.sendUntilAnswered({
    method: 'GET',
    url: `${catalogUri}/v1/config${query}`,
    timeoutMsMax: options.timeoutMsMax,
  });
  const answer = expectSuccess(session, outcome, doing);
  const wire = configObject(answer.text, doing);
  refuseWithoutEndpoints(wire, doing);
  const properties = { ...stringMapAt(wire, 'defaults'), ...stringMapAt(wire, 'overrides') };
  return locate({
    baseUri: (properties['uri'] ?? catalogUri).replace(/\/+$/, ''),
    prefix: properties['prefix'],
    separator: properties['namespace-separator'] ?? NAMESPACE_SEPARATOR_DEFAULT,
  });
}

function locate(options: {
  baseUri: string;
  prefix: string | undefined;
  separator: string;
}): ServerConfig {
  const { baseUri, prefix = '', separator } = options;
  const namespacesUrl = [baseUri, 'v1', ...(prefix === '' ? [] : [prefix]), 'namespaces'].join('/');
  const namespaceUrl = (namespace: readonly string[]): string =>
    `${namespacesUrl}/${namespace.map(encodeURIComponent).join(separator)}`;
  const tablesUrl = (namespace: readonly string[]): string => `${namespaceUrl(namespace)}/tables`;
  return {
    namespacesUrl,
    namespaceUrl,
    tablesUrl,
    tableUrl: ({ namespace, name }) => `${tablesUrl(namespace)}/${encodeURIComponent(name)}`,
  };
}

function configObject(text: string, doing: string): WireObject {
  try {
    return wireObject(parseJson(text), 'the configuration');
  } catch (cause) {
    throw new CatalogError('config', `${doing}: the answer is not a catalog's`, { cause });
  }
}

function refuseWithoutEndpoints(wire: WireObject, doing: string): void {
  const listed: unknown = wire['endpoints'];
  if (!Array.isArray(listed) || listed.length === 0) return;
  const missing = REQUIRED_ENDPOINTS.filter((endpoint) => !listed.includes(endpoint));
  if (missing.length === 0) return;
  throw new CatalogError('config', `${doing}: it does not offer ${missing.join(' nor ')}`);
}
