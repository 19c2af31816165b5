import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openConnectClient } from '../../connectors/connect-client.ts';
import type { ConnectClient } from '../../connectors/connect-client.ts';

let answer = { status: 200, body: '' };
const server = createServer((request, response) => {
  request.resume();
  response.writeHead(answer.status).end(answer.body);
});
let connect: ConnectClient;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  connect = openConnectClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

afterAll(() => new Promise<void>((resolve) => void server.close(() => resolve())));

const ofConnect = (status: number, message = 'said'): typeof answer => ({
  status,
  body: JSON.stringify({ error_code: status, message }),
});

describe('Connect’s REST interface', () => {
  it('knows no connector where Connect says so', async () => {
    answer = ofConnect(404);
    expect(await connect.readConfig('app')).toBeUndefined();
    expect(await connect.readStatus('app')).toBeUndefined();
  });

  it('does not take a 404 for a written configuration', async () => {
    answer = ofConnect(404);
    await expect(connect.writeConfig('app', {})).rejects.toMatchObject({ kind: 'config' });
  });

  it.each([
    { status: 404, body: '<html>not here</html>' },
    { status: 404, body: '{"detail":"Not Found"}' },
    { status: 200, body: '<html>welcome</html>' },
  ])('names connect.url where something else answers: $status $body', async (other) => {
    answer = other;
    const failure = connect.readConfig('app');
    await expect(failure).rejects.toMatchObject({ kind: 'config' });
    await expect(failure).rejects.toThrow('connect.url');
  });

  it.each([
    [400, 'config'],
    [401, 'config'],
    [403, 'config'],
    [405, 'config'],
    [409, 'unavailable'],
    [500, 'unavailable'],
    [503, 'unavailable'],
  ])('%i is %s', async (status, kind) => {
    answer = ofConnect(status, 'because');
    const failure = connect.writeConfig('app', {});
    await expect(failure).rejects.toMatchObject({ kind });
    await expect(failure).rejects.toThrow('because');
  });

  it('nobody at the address is unavailable', async () => {
    const nobody = openConnectClient('http://127.0.0.1:1');
    await expect(nobody.readConfig('app')).rejects.toMatchObject({ kind: 'unavailable' });
  });
});
