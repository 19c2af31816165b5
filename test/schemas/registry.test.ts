import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { openRegistry } from '../../schemas/registry.ts';
import { contractOf } from './avro-encoding.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server of faults, which no real registry can be made to have on demand. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const waits: number[] = [];
function open(url: string, own: object = {}): ReturnType<typeof openRegistry> {
  waits.length = 0;
  return openRegistry({
    url,
    retryWaitsMs: [10, 40],
    sleep: async (ms) => void waits.push(ms),
    ...own,
  });
}

const answer =
  (status: number, body: string): RequestListener =>
  (_request, response) => {
    response.writeHead(status).end(body);
  };

describe('a registry with faults', () => {
  it('is asked again with growing waits, and then is unavailable', async () => {
    let requests = 0;
    const url = await serve((_request, response) => {
      requests++;
      response.writeHead(503).end('busy');
    });
    await expect(open(url).schemaById(1)).rejects.toMatchObject({ kind: 'unavailable' });
    expect(requests).toBe(3);
    expect(waits).toEqual([10, 40]);
  });

  it('answers in the end', async () => {
    let requests = 0;
    const url = await serve((_request, response) => {
      if (++requests < 3) response.destroy();
      else response.end(JSON.stringify({ schema: '{"type":"record","name":"R","fields":[]}' }));
    });
    expect(await open(url).schemaById(1)).toMatchObject({ name: 'R' });
  });

  it('is asked nothing more once that is given up', async () => {
    let requests = 0;
    const given = new AbortController();
    const url = await serve(() => {
      requests++;
      given.abort();
    });
    const registry = open(url, { signal: given.signal });
    await expect(registry.schemaById(1)).rejects.toThrow(/abort/);
    await expect(registry.setCompatibility('s-value', 'FULL')).rejects.toThrow(/abort/);
    const { avroSchema } = contractOf([{ name: 'a', type: 'int' }]);
    await expect(registry.register('s-value', avroSchema)).rejects.toThrow(/abort/);
    expect(requests).toBe(1);
  });

  it.each([
    ['an unreachable host', undefined],
    ['a wrong path', answer(404, '<html>not here</html>')],
    ['a page that is no JSON', answer(200, '<html>')],
    ['a redirect to a log-in page', answer(302, '')],
  ])('%s is never taken for an unknown schema', async (_name, listener) => {
    const url = listener === undefined ? 'http://127.0.0.1:1/' : await serve(listener);
    await expect(open(url).schemaById(1)).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('that knows no such schema says so in its own words', async () => {
    const url = await serve(answer(404, '{"error_code":40403,"message":"Schema not found"}'));
    expect(await open(url).schemaById(1)).toBe('unknown');
    expect(waits).toEqual([]);
  });

  it('that holds no Avro under an id gives unknown', async () => {
    const url = await serve(answer(200, '{"schemaType":"PROTOBUF","schema":"syntax"}'));
    expect(await open(url).schemaById(1)).toBe('unknown');
  });

  it('that holds no Avro under a subject says what it is', async () => {
    const body = '{"id":1,"version":1,"schemaType":"JSON","schema":"{}"}';
    const failure = open(await serve(answer(200, body))).latest('s-value');
    await expect(failure).rejects.toMatchObject({ kind: 'config' });
    await expect(failure).rejects.toThrow(
      '/subjects/s-value/versions/latest of the schema registry is JSON, not Avro',
    );
  });

  it('that refuses the credentials names their keys', async () => {
    let authorization: string | undefined;
    const url = await serve((request, response) => {
      authorization = request.headers.authorization;
      response.writeHead(401).end('{}');
    });
    const registry = open(url, { username: 'me', password: { reveal: () => 'pw' } });
    const failure = registry.schemaById(1);
    await expect(failure).rejects.toMatchObject({ kind: 'config' });
    await expect(failure).rejects.toThrow('registry.username');
    expect(authorization).toBe(`Basic ${btoa('me:pw')}`);
  });

  it('is not reachable for registering either, and nothing is refused', async () => {
    const registry = open('http://127.0.0.1:1/');
    const { avroSchema } = contractOf([{ name: 'a', type: 'int' }]);
    await expect(registry.register('s-value', avroSchema)).rejects.toMatchObject({
      kind: 'unavailable',
    });
  });

  it('whose connection breaks while registering is unavailable, not a refusal', async () => {
    let posts = 0;
    const url = await serve((request, response) => {
      if (request.method === 'GET') return response.end('{"compatibilityLevel":"NONE"}');
      posts++;
      return response.destroy();
    });
    const { avroSchema } = contractOf([{ name: 'a', type: 'int' }]);
    await expect(open(url).register('s-value', avroSchema)).rejects.toMatchObject({
      kind: 'unavailable',
    });
    expect(posts).toBe(3);
  });

  it('that finds a schema invalid says so at once', async () => {
    let posts = 0;
    const url = await serve((request, response) => {
      if (request.method === 'GET') return response.end('{"compatibilityLevel":"NONE"}');
      posts++;
      return response.writeHead(422).end('{"error_code":42201,"message":"Invalid schema"}');
    });
    const { avroSchema } = contractOf([{ name: 'a', type: 'int' }]);
    const failure = open(url).register('s-value', avroSchema);
    await expect(failure).rejects.toMatchObject({ kind: 'config' });
    await expect(failure).rejects.toThrow('Invalid schema');
    expect(posts).toBe(1);
  });
});
