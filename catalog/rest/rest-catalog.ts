import { CatalogError } from '../error.ts';
import { commitTableToWire, createTableToWire } from '../spec/commit-json.ts';
import { tableMetadataFromWire } from '../spec/metadata-json.ts';
import { optionalAt, stringAt, stringMapAt, wireObject } from '../spec/wire.ts';
import type {
  Catalog,
  CommitTableRequest,
  CreateTableRequest,
  LoadedTable,
  PreparedCommit,
  TableIdentifier,
} from './catalog.ts';
import { commitFailureKind, isMissing, tableFailureKind } from './failure.ts';
import { parseJson, stringifyJson } from './json.ts';
import { readServerConfig, type ServerConfig } from './server-config.ts';
import {
  createSession,
  expectSuccess,
  REST_LIMITS_DEFAULT,
  type RestLimits,
  type Session,
} from './session.ts';
import type { RestCredentials } from './token.ts';
import { systemTransport, type HttpAnswer, type Transport } from './transport.ts';

/** Everything but the URI has a default; `transport` is for tests. */
export type RestCatalogOptions = {
  /** The catalog's base URI, without `/v1`. */
  uri: string;
  /** Which warehouse of the server; servers with a single one need no name. */
  warehouse?: string;
  credentials?: RestCredentials;
  limits?: Partial<RestLimits>;
  transport?: Partial<Transport>;
};

type Connection = { session: Session; server: ServerConfig; limits: RestLimits };

/**
 * Connects to an Iceberg REST catalog: asks for its configuration once and keeps to it (prefix,
 * relocated URI, namespace separator). Errors, by kind: as `Catalog` documents them; on opening
 * `config` for a server that does not offer loads and commits, `unavailable` for one that is down.
 * Messages carry the server's error type and text, never a token or a secret.
 * Source: Iceberg REST catalog spec (OpenAPI), version 1.
 */
export async function openRestCatalog(options: RestCatalogOptions): Promise<Catalog> {
  const limits = { ...REST_LIMITS_DEFAULT, ...options.limits };
  const catalogUri = options.uri.replace(/\/+$/, '');
  const session = createSession({
    credentials: options.credentials ?? { kind: 'none' },
    catalogUri,
    limits,
    transport: { ...systemTransport, ...options.transport },
  });
  const server = await readServerConfig({
    session,
    catalogUri,
    warehouse: options.warehouse,
    timeoutMsMax: limits.requestTimeoutMsMax,
  });
  const connection: Connection = { session, server, limits };
  return {
    ensureNamespace: (namespace) => ensureNamespace(connection, namespace),
    loadTable: (identifier) => loadTable(connection, identifier),
    createTable: (request) => createTable(connection, request),
    dropTable: (identifier) => dropTable(connection, identifier),
    prepareCommit: (request) => prepareCommit(connection, request),
  };
}

/** Parents first: some servers refuse a namespace without its parent. */
async function ensureNamespace(
  connection: Connection,
  namespace: readonly string[],
): Promise<void> {
  for (let depth = 1; depth <= namespace.length; depth += 1) {
    await ensureOneNamespace(connection, namespace.slice(0, depth));
  }
}

/** Looks before it creates, so that whoever may only read can name a namespace that exists. */
async function ensureOneNamespace(
  { session, server, limits }: Connection,
  namespace: readonly string[],
): Promise<void> {
  const doing = `ensure namespace ${namespace.join('.')}`;
  const timeoutMsMax = limits.requestTimeoutMsMax;
  const found = await session.sendUntilAnswered({
    method: 'GET',
    url: server.namespaceUrl(namespace),
    timeoutMsMax,
  });
  if (!isMissing(found)) {
    expectSuccess(session, found, doing, tableFailureKind);
    return;
  }
  const created = await session.sendUntilAnswered({
    method: 'POST',
    url: server.namespacesUrl,
    body: bytesOf({ namespace, properties: {} }),
    timeoutMsMax,
  });
  const existsAlready = created.kind === 'answer' && created.status === 409;
  if (!existsAlready) expectSuccess(session, created, doing, tableFailureKind);
}

async function loadTable(
  { session, server, limits }: Connection,
  identifier: TableIdentifier,
): Promise<LoadedTable | undefined> {
  const doing = `load table ${nameOf(identifier)}`;
  const outcome = await session.sendUntilAnswered({
    method: 'GET',
    url: `${server.tableUrl(identifier)}?snapshots=all`,
    timeoutMsMax: limits.requestTimeoutMsMax,
  });
  if (isMissing(outcome)) return undefined;
  return loadedFrom(expectSuccess(session, outcome, doing, tableFailureKind), doing);
}

async function createTable(
  { session, server, limits }: Connection,
  request: CreateTableRequest,
): Promise<LoadedTable> {
  const doing = `create table ${nameOf(request.identifier)}`;
  const outcome = await session.send({
    method: 'POST',
    url: server.tablesUrl(request.identifier.namespace),
    body: bytesOf(createTableToWire(request)),
    timeoutMsMax: limits.requestTimeoutMsMax,
  });
  return loadedFrom(expectSuccess(session, outcome, doing, tableFailureKind), doing);
}

/** The files stay: whoever reads the table now goes on, and a cleaner finds them later. */
async function dropTable(
  { session, server, limits }: Connection,
  identifier: TableIdentifier,
): Promise<void> {
  const outcome = await session.send({
    method: 'DELETE',
    url: `${server.tableUrl(identifier)}?purgeRequested=false`,
    timeoutMsMax: limits.requestTimeoutMsMax,
  });
  expectSuccess(session, outcome, `drop table ${nameOf(identifier)}`, tableFailureKind);
}

function prepareCommit(connection: Connection, request: CommitTableRequest): PreparedCommit {
  const body = bytesOf(commitTableToWire(request));
  const { identifier } = request;
  return { send: () => sendCommit(connection, identifier, body) };
}

async function sendCommit(
  { session, server, limits }: Connection,
  identifier: TableIdentifier,
  body: Uint8Array<ArrayBuffer>,
): Promise<LoadedTable> {
  const doing = `commit to table ${nameOf(identifier)}`;
  const outcome = await unknownUnlessAnswered(doing, () =>
    session.send({
      method: 'POST',
      url: server.tableUrl(identifier),
      body,
      timeoutMsMax: limits.commitTimeoutMsMax,
    }),
  );
  if (outcome.kind !== 'answer' || outcome.status !== 200) {
    throw session.failure(commitFailureKind(outcome), outcome, doing);
  }
  return unknownUnlessAnswered(doing, async () => loadedFrom(outcome, doing));
}

/**
 * A token server that is down, like an answer that cannot be read, leaves the commit's outcome
 * open: an earlier sending of the same bytes may have landed.
 */
async function unknownUnlessAnswered<T>(doing: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (!(cause instanceof CatalogError) || cause.kind === 'config') throw cause;
    throw new CatalogError('commit-unknown', `${doing}: ${cause.message}`, { cause });
  }
}

function loadedFrom(answer: HttpAnswer, doing: string): LoadedTable {
  try {
    const wire = wireObject(parseJson(answer.text), 'the answer');
    return {
      metadata: tableMetadataFromWire(wire['metadata']),
      metadataLocation: optionalAt(wire, 'metadata-location', stringAt),
      config: stringMapAt(wire, 'config'),
      serverTimeMs: answer.dateMs,
    };
  } catch (cause) {
    const reason = cause instanceof CatalogError ? cause.message : 'it is not JSON';
    throw new CatalogError('corrupt', `${doing}: cannot read the answer: ${reason}`, {
      context: { status: answer.status },
      cause,
    });
  }
}

function bytesOf(wire: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(stringifyJson(wire));
}

function nameOf(identifier: TableIdentifier): string {
  return [...identifier.namespace, identifier.name].join('.');
}
