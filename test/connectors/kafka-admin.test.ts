import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { openTopicAdmin } from '../../connectors/kafka-admin.ts';

/** What opening says of a broker that hangs up on the first bytes, or of a port where nothing listens. */
async function messageOf(broker: 'hangs up' | 'is away'): Promise<string> {
  const server = createServer((socket) => socket.once('data', () => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => new Promise((resolve) => server.close(resolve));
  const brokers = [`127.0.0.1:${(server.address() as AddressInfo).port}`];
  if (broker === 'is away') await close();
  try {
    return await openTopicAdmin({ brokers, clientId: 'test' }).then(
      () => 'connected',
      (error: unknown) => String(error),
    );
  } finally {
    if (broker === 'hangs up') await close();
  }
}

it('TLS and SASL are named where a broker closes the connection, and not where none listens', async () => {
  expect(await messageOf('hangs up')).toContain('want TLS or SASL');
  expect(await messageOf('is away')).toMatch(/ECONNREFUSED(?!.*TLS)/);
}, 30_000);
