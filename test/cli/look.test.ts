import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, it, vi } from 'vitest';
import { runCli } from './run-cli.ts';

vi.setConfig({ testTimeout: 60_000 });

it('a peer that accepts and never answers is told of, and given up', async () => {
  const sockets = new Set<{ destroy: () => void }>();
  const server = createServer((socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const startedMs = performance.now();
    const { code, stderr } = await runCli(['contract', 'register'], { SCHEMA_REGISTRY_URL: url });
    expect(code).toBe(1);
    expect(stderr).toContain(`waiting for the schema registry at ${url} ...`);
    expect(stderr).toContain(`no answer from the schema registry at ${url} within 10 s`);
    expect(performance.now() - startedMs).toBeLessThan(25_000);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});
