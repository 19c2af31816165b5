import { afterEach, describe, expect, test } from 'vitest';
import type { Catalog } from '../../../catalog/rest/catalog.ts';
import { stringifyJson } from '../../../catalog/rest/json.ts';
import { openRestCatalog, type RestCatalogOptions } from '../../../catalog/rest/rest-catalog.ts';
import { tableMetadataToWire } from '../../../catalog/spec/metadata-json.ts';
import { newTableMetadata } from '../../../catalog/spec/new-table.ts';
import { startServer, type LocalServer, type Received, type Reply } from './local-server.ts';
import { append, snapshotOf, tableRequest } from './table-requests.ts';

const identifier = { namespace: ['db', 'inner'], name: 'orders' };
const metadata = newTableMetadata(tableRequest(identifier), {
  location: 's3://lake/orders',
  tableUuid: 'a1d72a34-de37-4625-914a-2d6b0963c011',
  nowMs: 1_795_380_549_287,
});

const tableBody = stringifyJson({
  'metadata-location': 's3://lake/orders/metadata/1.json',
  metadata: tableMetadataToWire(metadata),
  config: { 's3.region': 'us-east-1' },
});

const errorBody = (type: string, message: string): string =>
  JSON.stringify({ error: { message, type, code: 0 } });

const servers: LocalServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

type Scripted = { catalog: Catalog; received: Received[]; pausesMs: number[] };

/** A client connected to a server that answers, after the configuration, with these in turn. */
async function connect(
  replies: Reply[],
  options: Partial<RestCatalogOptions> & { config?: Reply } = {},
): Promise<Scripted> {
  const pausesMs: number[] = [];
  const server = await startServer((request) => {
    if (request.path.startsWith('/v1/config')) {
      return options.config ?? { status: 200, body: '{"defaults":{},"overrides":{}}' };
    }
    return replies.shift() ?? { status: 599 };
  });
  servers.push(server);
  const catalog = await openRestCatalog({
    uri: server.uri,
    limits: { requestTimeoutMsMax: 200, commitTimeoutMsMax: 200, readAttemptsMax: 3 },
    ...options,
    transport: {
      random: () => 0.5,
      sleep: async (ms) => {
        pausesMs.push(ms);
      },
      ...options.transport,
    },
  });
  return { catalog, received: server.received, pausesMs };
}

const ok: Reply = { status: 200, body: tableBody };

describe('opening', () => {
  test('the warehouse is named, and the overrides of the server win over its defaults', async () => {
    const { catalog, received } = await connect([ok], {
      warehouse: 's3://lake/a b',
      config: {
        status: 200,
        body: JSON.stringify({
          defaults: { prefix: 'default', 'namespace-separator': '%2E' },
          overrides: { prefix: 'main' },
        }),
      },
    });
    await catalog.loadTable(identifier);
    expect(received.map((request) => request.path)).toEqual([
      '/v1/config?warehouse=s3%3A%2F%2Flake%2Fa+b',
      '/v1/main/namespaces/db%2Einner/tables/orders?snapshots=all',
    ]);
  });

  test('a server that relocates the catalog is followed', async () => {
    const elsewhere = await startServer(() => ok);
    servers.push(elsewhere);
    const { catalog } = await connect([], {
      config: {
        status: 200,
        body: JSON.stringify({ overrides: { uri: `${elsewhere.uri}/api/` } }),
      },
    });
    await catalog.loadTable(identifier);
    expect(elsewhere.received.map((request) => request.path)).toEqual([
      '/api/v1/namespaces/db%1Finner/tables/orders?snapshots=all',
    ]);
  });

  test.each([
    ['refuses us', { status: 403, body: errorBody('ForbiddenException', 'no') }, 'config'],
    ['is not a catalog', { status: 200, body: '<html>' }, 'config'],
    ['is not there', { status: 404, body: '' }, 'config'],
    [
      'knows no such warehouse',
      { status: 404, body: errorBody('NoSuchWarehouseException', 'no') },
      'config',
    ],
    ['is not well', { status: 503 }, 'unavailable'],
    [
      'offers no commits',
      {
        status: 200,
        body: JSON.stringify({
          endpoints: ['GET /v1/{prefix}/namespaces/{namespace}/tables/{table}'],
        }),
      },
      'config',
    ],
  ] as const)('a server that %s fails the opening', async (_what, config, kind) => {
    await expect(connect([], { config })).rejects.toMatchObject({ kind });
  });
});

describe('reads', () => {
  test('a compressed answer is unpacked, with its location and configuration', async () => {
    const { catalog, received } = await connect([{ status: 200, body: tableBody, gzip: true }]);
    expect(await catalog.loadTable(identifier)).toEqual({
      metadata,
      metadataLocation: 's3://lake/orders/metadata/1.json',
      config: { 's3.region': 'us-east-1' },
      serverTimeMs: expect.any(Number),
    });
    expect(received[1]?.headers['accept-encoding']).toContain('gzip');
  });

  test('64-bit snapshot ids arrive with every digit', async () => {
    const snapshot = snapshotOf(metadata, { snapshotId: 9_223_372_036_854_775_807n });
    const wire = tableMetadataToWire({
      ...metadata,
      currentSnapshotId: snapshot.snapshotId,
      snapshots: [snapshot],
    });
    const { catalog } = await connect([{ status: 200, body: stringifyJson({ metadata: wire }) }]);
    const loaded = await catalog.loadTable(identifier);
    expect(loaded?.metadata.snapshots).toEqual([snapshot]);
    expect(loaded?.metadata.currentSnapshotId).toBe(9_223_372_036_854_775_807n);
  });

  test.each<[string, Reply]>([
    ['500', { status: 500 }],
    ['503', { status: 503 }],
    ['504', { status: 504 }],
    ['429', { status: 429 }],
    ['a reset', 'reset'],
    ['a truncated answer', 'truncate'],
    ['silence', 'hang'],
  ])('%s is asked again, with a pause', async (_what, reply) => {
    const { catalog, pausesMs } = await connect([reply, ok]);
    expect((await catalog.loadTable(identifier))?.metadata).toEqual(metadata);
    expect(pausesMs).toEqual([75]);
  });

  test('a read gives up after its attempts, with growing pauses, as unavailable', async () => {
    const { catalog, received, pausesMs } = await connect([
      { status: 503 },
      { status: 503 },
      { status: 503, body: errorBody('ServiceUnavailableException', 'try later') },
    ]);
    await expect(catalog.loadTable(identifier)).rejects.toMatchObject({
      kind: 'unavailable',
      message: 'load table db.inner.orders: HTTP 503: ServiceUnavailableException: try later',
      context: { status: 503, serverType: 'ServiceUnavailableException' },
    });
    expect(received).toHaveLength(1 + 3);
    expect(pausesMs).toEqual([75, 150]);
  });

  test("what the server says without Iceberg's error object is told too", async () => {
    const said = { status: 500, body: JSON.stringify({ status: '500', message: 'Cannot parse' }) };
    const { catalog } = await connect([said, said, said]);
    await expect(catalog.loadTable(identifier)).rejects.toMatchObject({
      message: 'load table db.inner.orders: HTTP 500: Cannot parse',
    });
  });

  test.each(['NoSuchTableException', 'NoSuchNamespaceException'])(
    'a table that is missing by %s is undefined',
    async (type) => {
      const { catalog } = await connect([{ status: 404, body: errorBody(type, 'no') }]);
      expect(await catalog.loadTable(identifier)).toBeUndefined();
    },
  );

  test.each([
    ["a proxy's page", '<html>nginx</html>', 'unavailable'],
    ['no body', '', 'unavailable'],
    ['an error of a framework', '{"status":404,"error":"Not Found"}', 'unavailable'],
    ['a lost metadata file', errorBody('NotFoundException', 'File does not exist'), 'config'],
  ])('a 404 with %s does not pass for a missing table', async (_what, body, kind) => {
    const { catalog } = await connect([{ status: 404, body }]);
    await expect(catalog.loadTable(identifier)).rejects.toMatchObject({ kind });
  });

  test('a table that cannot be read is corrupt and says why', async () => {
    const { catalog } = await connect([
      { status: 200, body: '{"metadata":{"format-version":2}}' },
      { status: 200, body: '<html>' },
    ]);
    await expect(catalog.loadTable(identifier)).rejects.toMatchObject({
      kind: 'corrupt',
      message: expect.stringContaining('table-uuid'),
    });
    await expect(catalog.loadTable(identifier)).rejects.toMatchObject({ kind: 'corrupt' });
  });
});

describe('creates and drops', () => {
  test('a create is sent once, with stage-create false', async () => {
    const { catalog, received } = await connect([{ status: 503 }]);
    await expect(catalog.createTable(tableRequest(identifier))).rejects.toMatchObject({
      kind: 'unavailable',
    });
    expect(received).toHaveLength(2);
    expect(received[1]).toMatchObject({
      method: 'POST',
      path: '/v1/namespaces/db%1Finner/tables',
    });
    expect(received[1]?.body.toString()).toContain('"stage-create":false');
  });

  test('a namespace is created after its parent, and only where it is missing', async () => {
    const missing = { status: 404, body: errorBody('NoSuchNamespaceException', 'no') };
    const { catalog, received } = await connect([
      { status: 200, body: '{}' },
      missing,
      { status: 409, body: errorBody('AlreadyExistsException', 'another was faster') },
    ]);
    await catalog.ensureNamespace(identifier.namespace);
    expect(received.slice(1).map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /v1/namespaces/db',
      'GET /v1/namespaces/db%1Finner',
      'POST /v1/namespaces',
    ]);
    expect(received[3]?.body.toString()).toBe('{"namespace":["db","inner"],"properties":{}}');
  });

  test('a drop keeps the files', async () => {
    const { catalog, received } = await connect([{ status: 204 }]);
    await catalog.dropTable(identifier);
    expect(received[1]).toMatchObject({
      method: 'DELETE',
      path: '/v1/namespaces/db%1Finner/tables/orders?purgeRequested=false',
    });
  });
});

describe('commits', () => {
  const snapshot = snapshotOf(metadata, { snapshotId: 9_223_372_036_854_775_807n });
  const request = append(identifier, metadata, snapshot, { position: '{"0":10}' });

  test.each<[string, Reply, string]>([
    ['400', { status: 400, body: errorBody('ValidationException', 'no') }, 'commit-unknown'],
    ['401', { status: 401 }, 'unauthorized'],
    ['403', { status: 403 }, 'config'],
    ['404', { status: 404, body: errorBody('NoSuchTableException', 'gone') }, 'fenced'],
    ['404 of a proxy', { status: 404, body: '<html>nginx</html>' }, 'commit-unknown'],
    ['404 of a file', { status: 404, body: errorBody('NotFoundException', '?') }, 'commit-unknown'],
    ['408', { status: 408 }, 'commit-unknown'],
    ['409', { status: 409, body: errorBody('CommitFailedException', 'stale') }, 'conflict'],
    ['419', { status: 419 }, 'unauthorized'],
    ['422', { status: 422 }, 'commit-unknown'],
    ['500', { status: 500 }, 'commit-unknown'],
    ['502', { status: 502 }, 'commit-unknown'],
    ['503', { status: 503 }, 'commit-unknown'],
    ['504', { status: 504 }, 'commit-unknown'],
    ['a redirect', { status: 302, headers: { location: '/v1/config' } }, 'commit-unknown'],
    ['204', { status: 204 }, 'commit-unknown'],
    ['a 200 that is not JSON', { status: 200, body: '<html>' }, 'commit-unknown'],
    ['a 200 without metadata', { status: 200, body: '{}' }, 'commit-unknown'],
    ['a reset', 'reset', 'commit-unknown'],
    ['a truncated answer', 'truncate', 'commit-unknown'],
    ['silence', 'hang', 'commit-unknown'],
  ])('%s has its kind, and nothing is sent again', async (_what, reply, kind) => {
    const { catalog, received } = await connect([reply, ok]);
    await expect(catalog.prepareCommit(request).send()).rejects.toMatchObject({ kind });
    expect(received).toHaveLength(2);
  });

  test('200 is the table as committed', async () => {
    const { catalog, received } = await connect([ok]);
    expect((await catalog.prepareCommit(request).send()).metadata).toEqual(metadata);
    expect(received[1]).toMatchObject({
      method: 'POST',
      path: '/v1/namespaces/db%1Finner/tables/orders',
    });
    expect(received[1]?.body.toString()).toContain('"snapshot-id":9223372036854775807');
  });

  test('every sending has the identical bytes, whatever became of the request meanwhile', async () => {
    const properties: Record<string, string> = { n: 'then' };
    const { catalog, received } = await connect(['reset', { status: 503 }, ok]);
    const prepared = catalog.prepareCommit(append(identifier, metadata, snapshot, properties));
    await expect(prepared.send()).rejects.toMatchObject({ kind: 'commit-unknown' });
    properties['n'] = 'now';
    await expect(prepared.send()).rejects.toMatchObject({ kind: 'commit-unknown' });
    await prepared.send();
    const [, first, second, third] = received;
    expect(second?.body).toEqual(first?.body);
    expect(third?.body).toEqual(first?.body);
    expect(first?.body.toString()).toContain('"n":"then"');
  });

  test('a server that is gone leaves the outcome open', async () => {
    const { catalog } = await connect([]);
    await Promise.all(servers.splice(0).map((server) => server.close()));
    await expect(catalog.prepareCommit(request).send()).rejects.toMatchObject({
      kind: 'commit-unknown',
    });
  });
});
