import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, it, vi } from 'vitest';
import { runCli } from './run-cli.ts';

vi.setConfig({ testTimeout: 60_000 });

it.concurrent('a peer that accepts and never answers is told of, and given up', async () => {
  const sockets = new Set<{ destroy: () => void }>();
  const server = createServer((socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const startedMs = performance.now();
    const { code, stderr } = await runCli(['contract', 'register'], { SCHEMA_REGISTRY_URL: url });
    expect(code).toBe(78);
    expect(stderr).toContain(`waiting for the schema registry at ${url} ...`);
    expect(stderr).toContain(`no answer from the schema registry at ${url} within 10 s`);
    expect(performance.now() - startedMs).toBeLessThan(25_000);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

/** A catalog that tells its configuration, and whose tables are asked for in vain. */
async function withoutTables(run: (uri: string) => Promise<void>): Promise<void> {
  const server = createHttpServer((request, response) => {
    if (request.url?.startsWith('/v1/config') !== true) return;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ defaults: {}, overrides: {} }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Nothing listens at the reserved port 1. */
const NOWHERE = 'http://127.0.0.1:1';

it.concurrent.each([
  [['status'], 1],
  [['verify'], 78],
  [['dlq', 'replay'], 1],
])('%j of a catalog that waits for its object store names both', async (args, exitCode) => {
  await withoutTables(async (uri) => {
    const environment = { CATALOG_URI: uri, S3_ENDPOINT: NOWHERE, KAFKA_BROKERS: '127.0.0.1:1' };
    const { code, stdout, stderr } = await runCli(args, environment);
    expect(code).toBe(exitCode);
    const said = `from the catalog at ${uri} within 10 s; nor can the object store be reached`;
    expect(stdout + stderr).toContain(said);
    expect(stdout + stderr).toContain(`S3 at ${NOWHERE}: nothing listens`);
  });
});

it.concurrent('a catalog that does not answer beside a sound store is named alone', async () => {
  await withoutTables(async (uri) => {
    const { stderr } = await runCli(['verify'], {
      CATALOG_URI: uri,
      S3_ENDPOINT: `${uri}/v1/config`,
    });
    expect(stderr).toContain(
      `no answer from the catalog at ${uri} within 10 s; nothing was judged`,
    );
  });
});
