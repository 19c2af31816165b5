import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { expect, it } from 'vitest';
import { openPlatformaticLog } from '../../../enrich/source/platformatic-log.ts';

/** The first bytes of a connection by TLS, which hold the server's name in plain text. */
async function greeting(host: string): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const opening = openPlatformaticLog({
    brokers: [`${host}:${(server.address() as AddressInfo).port}`],
    clientId: 'tls-test',
    tls: {},
    random: Math.random,
    onFault: () => undefined,
  });
  const outcome = opening.catch((error: unknown) => error);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.resetAndDestroy();
  expect(await outcome).toMatchObject({ kind: 'unavailable' });
  server.close();
  return bytes;
}

it('the host of a broker is told to a server that answers for several, an IP address is not', async () => {
  expect((await greeting('localhost')).includes('localhost')).toBe(true);
  expect((await greeting('127.0.0.1')).includes('127.0.0.1')).toBe(false);
});
