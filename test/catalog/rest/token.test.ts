import { afterEach, describe, expect, test } from 'vitest';
import { openRestCatalog } from '../../../catalog/rest/rest-catalog.ts';
import type { RestCredentials } from '../../../catalog/rest/token.ts';
import { startServer, type LocalServer, type Received, type Reply } from './local-server.ts';

const servers: LocalServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

const clientSecret = 'the-client-secret';
const oauth2: RestCredentials = { kind: 'oauth2', clientId: 'me', clientSecret };
const table = { namespace: ['db'], name: 'orders' };
const missing: Reply = { status: 404, body: '{"error":{"type":"NoSuchTableException"}}' };
const refused: Reply = { status: 401, body: '{"error":{"type":"NotAuthorizedException"}}' };

const grant = (number: number): Reply => ({
  status: 200,
  body: JSON.stringify({ access_token: `token-${number}`, expires_in: 3600 }),
});

/** A catalog whose tables do not exist, that hands out token-1, token-2, ... and obeys `accept`. */
async function startCatalog(options: {
  accept: (token: string | undefined) => boolean;
  token?: (granted: number) => Reply;
}): Promise<LocalServer & { granted: () => number }> {
  let granted = 0;
  const server = await startServer((request) => {
    if (request.path.includes('/tokens')) {
      granted += 1;
      return (options.token ?? grant)(granted);
    }
    if (!options.accept(request.headers['authorization'])) return refused;
    return request.path === '/v1/config' ? { status: 200, body: '{}' } : missing;
  });
  servers.push(server);
  return { ...server, granted: () => granted };
}

const authorizations = (received: readonly Received[]): (string | undefined)[] =>
  received
    .filter((request) => !request.path.includes('/tokens'))
    .map((request) => request.headers['authorization']);

describe('a bearer token', () => {
  test('goes with every request', async () => {
    const server = await startCatalog({ accept: (token) => token === 'Bearer abc' });
    const credentials = { kind: 'bearer', token: 'abc' } as const;
    const catalog = await openRestCatalog({ uri: server.uri, credentials });
    await catalog.loadTable(table);
    expect(authorizations(server.received)).toEqual(['Bearer abc', 'Bearer abc']);
  });

  test('that is refused is unauthorized, asked once, and never shown', async () => {
    const server = await startServer(() => ({
      status: 401,
      body: JSON.stringify({ error: { type: 'X', message: 'bad token abc-secret' } }),
    }));
    servers.push(server);
    const credentials = { kind: 'bearer', token: 'abc-secret' } as const;
    await expect(openRestCatalog({ uri: server.uri, credentials })).rejects.toMatchObject({
      kind: 'unauthorized',
      message: expect.stringMatching(/bad token \*\*\*$/),
    });
    expect(server.received).toHaveLength(1);
  });
});

describe('OAuth2 client credentials', () => {
  test('are exchanged once for a token that goes with every request', async () => {
    const server = await startCatalog({ accept: (token) => token === 'Bearer token-1' });
    const catalog = await openRestCatalog({ uri: server.uri, credentials: oauth2 });
    await catalog.loadTable(table);
    await catalog.loadTable(table);
    expect(server.granted()).toBe(1);
    expect(server.received[0]).toMatchObject({ method: 'POST', path: '/v1/oauth/tokens' });
    expect(Object.fromEntries(new URLSearchParams(server.received[0]?.body.toString()))).toEqual({
      grant_type: 'client_credentials',
      client_id: 'me',
      client_secret: clientSecret,
      scope: 'catalog',
    });
  });

  test('go to the token server that is named, with the scope that is named', async () => {
    const idp = await startServer(() => grant(1));
    servers.push(idp);
    const server = await startCatalog({ accept: (token) => token === 'Bearer token-1' });
    await openRestCatalog({
      uri: server.uri,
      credentials: { ...oauth2, tokenUri: `${idp.uri}/realm/token`, scope: 'lake:write' },
    });
    expect(server.granted()).toBe(0);
    expect(idp.received[0]?.path).toBe('/realm/token');
    expect(idp.received[0]?.body.toString()).toContain('scope=lake%3Awrite');
  });

  test('the token is renewed shortly before it expires', async () => {
    let nowMs = 0;
    const server = await startCatalog({ accept: () => true });
    const catalog = await openRestCatalog({
      uri: server.uri,
      credentials: oauth2,
      transport: { nowMs: () => nowMs },
    });
    nowMs = 3_539_000;
    await catalog.loadTable(table);
    expect(server.granted()).toBe(1);
    nowMs = 3_541_000;
    await catalog.loadTable(table);
    expect(authorizations(server.received)).toEqual([
      'Bearer token-1',
      'Bearer token-1',
      'Bearer token-2',
    ]);
  });

  test.each([401, 419])(
    'a commit refused with %i renews the token and sends the identical bytes',
    async (status) => {
      let good = 'Bearer token-1';
      const server = await startServer((request) => {
        if (request.path.includes('/tokens')) return grant(good === 'Bearer token-1' ? 1 : 2);
        if (request.headers['authorization'] !== good) return { status };
        return request.path === '/v1/config'
          ? { status: 200, body: '{}' }
          : { status: 409, body: '{"error":{"type":"CommitFailedException"}}' };
      });
      servers.push(server);
      const catalog = await openRestCatalog({ uri: server.uri, credentials: oauth2 });
      const prepared = catalog.prepareCommit({
        identifier: table,
        requirements: [],
        updates: [{ action: 'set-properties', updates: { a: '1' } }],
      });
      good = 'Bearer token-2';
      await expect(prepared.send()).rejects.toMatchObject({ kind: 'conflict' });
      const [first, second, ...rest] = server.received.filter((request) =>
        request.path.endsWith('/orders'),
      );
      expect(rest).toEqual([]);
      expect(first?.headers['authorization']).toBe('Bearer token-1');
      expect(second?.headers['authorization']).toBe('Bearer token-2');
      expect(second?.body).toEqual(first?.body);
      expect(first?.body.length).toBeGreaterThan(10);
    },
  );

  test('a fresh token that is refused too is unauthorized; it is not tried for ever', async () => {
    const server = await startCatalog({ accept: () => false });
    await expect(openRestCatalog({ uri: server.uri, credentials: oauth2 })).rejects.toMatchObject({
      kind: 'unauthorized',
    });
    expect(server.granted()).toBe(2);
  });

  test('requests that are refused together share one renewal', async () => {
    let good = 'Bearer token-1';
    const server = await startCatalog({ accept: (token) => token === good });
    const catalog = await openRestCatalog({ uri: server.uri, credentials: oauth2 });
    good = 'Bearer token-2';
    await Promise.all(Array.from({ length: 5 }, () => catalog.loadTable(table)));
    expect(server.granted()).toBe(2);
  });

  test('refused credentials are an error of configuration that shows no secret', async () => {
    const server = await startCatalog({
      accept: () => true,
      token: () => ({
        status: 401,
        body: JSON.stringify({ error: 'invalid_client', error_description: `not ${clientSecret}` }),
      }),
    });
    await expect(openRestCatalog({ uri: server.uri, credentials: oauth2 })).rejects.toMatchObject({
      kind: 'config',
      message: 'get an OAuth2 token: HTTP 401: invalid_client: not ***',
    });
  });

  test('a token server that is down makes a read unavailable and a commit unknown', async () => {
    let nowMs = 0;
    const server = await startCatalog({
      accept: () => true,
      token: (granted) => (granted === 1 ? grant(1) : { status: 503 }),
    });
    const catalog = await openRestCatalog({
      uri: server.uri,
      credentials: oauth2,
      transport: { nowMs: () => nowMs },
    });
    nowMs = 4_000_000;
    await expect(catalog.loadTable(table)).rejects.toMatchObject({ kind: 'unavailable' });
    const prepared = catalog.prepareCommit({ identifier: table, requirements: [], updates: [] });
    await expect(prepared.send()).rejects.toMatchObject({ kind: 'commit-unknown' });
  });

  test('an answer without a token is an error of configuration', async () => {
    const server = await startCatalog({
      accept: () => true,
      token: () => ({ status: 200, body: '{}' }),
    });
    await expect(openRestCatalog({ uri: server.uri, credentials: oauth2 })).rejects.toMatchObject({
      kind: 'config',
    });
  });
});
