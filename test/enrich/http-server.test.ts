import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startHttpServer } from '../../enrich/http-server.ts';
import type { HttpServer } from '../../enrich/http-server.ts';
import { createMetrics } from '../../enrich/metrics.ts';

const open: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

type Says = { failure?: string; waitingFor?: string; notes?: readonly string[] };

async function start(says: Says = {}, port = 0) {
  const metrics = createMetrics();
  const health = {
    failure: () => says.failure,
    waitingFor: () => says.waitingFor,
    notes: () => says.notes ?? [],
  };
  const server = await startHttpServer({ host: '127.0.0.1', port, metrics, health });
  open.push(server);
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
    return { status: response.status, body: await response.text(), headers: response.headers };
  };
  return { metrics, server, get };
}

/** Sends a request target as it is, which `fetch` would refuse or rewrite. */
async function askRaw(port: number, target: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    });
    let answer = '';
    socket.on('data', (data) => (answer += String(data)));
    socket.on('close', () => resolve(answer.split('\r\n')[0] ?? ''));
    socket.on('error', reject);
  });
}

describe('/metrics', () => {
  it('gives every metric as Prometheus text', async () => {
    const { metrics, get } = await start();
    metrics.ready.set(1);
    const { status, body, headers } = await get('/metrics?from=prometheus');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(body).toContain('# TYPE tributary_ready gauge\ntributary_ready 1\n');
    expect(body).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(body).toMatch(/^process_cpu_seconds_total [\d.]+$/m);
    expect(body).toMatch(/^process_heap_used_bytes [1-9]\d+$/m);
    expect(body).toMatch(/^process_active_resources [1-9]\d*$/m);
  });

  it('names them as Prometheus asks: our prefix, base units, _total for counters', async () => {
    const { metrics } = await start();
    const all = await metrics.registry.getMetricsAsJSON();
    expect(all.length).toBeGreaterThan(15);
    for (const { name, type } of all) {
      expect(name).toMatch(
        String(type) === 'counter'
          ? /^(tributary|process)_[a-z_]+_total$/
          : /^(tributary|process)_[a-z_]+$/,
      );
      expect(name).not.toMatch(/_(ms|milliseconds|kb|mb)\b/);
    }
  });
});

describe('/livez and /readyz', () => {
  it('say ok while clicks are joined', async () => {
    const { get } = await start();
    expect(await get('/livez')).toMatchObject({ status: 200, body: 'ok\n' });
    expect(await get('/readyz')).toMatchObject({ status: 200, body: 'ok\n' });
  });

  it('tell what should be seen to though clicks are joined', async () => {
    const notes = ['paused at schema 7', 'paused at schema 8'];
    const { get } = await start({ notes });
    expect(await get('/readyz')).toMatchObject({
      status: 200,
      body: 'ok\npaused at schema 7\npaused at schema 8\n',
    });
    expect(await get('/livez')).toMatchObject({ body: 'ok\n' });
  });

  it('differ while something is waited for: alive, but not ready', async () => {
    const { get } = await start({ waitingFor: 'still to be read: 5 changes of users' });
    expect(await get('/livez')).toMatchObject({ status: 200 });
    expect(await get('/readyz')).toMatchObject({
      status: 503,
      body: 'still to be read: 5 changes of users\n',
    });
  });

  it('both say what has failed', async () => {
    const { get } = await start({ failure: 'the table was rolled back' });
    for (const path of ['/livez', '/readyz']) {
      expect(await get(path)).toMatchObject({ status: 503, body: 'the table was rolled back\n' });
    }
  });
});

describe('the server', () => {
  it('says what there is at any other path', async () => {
    const { get } = await start();
    expect(await get('/')).toMatchObject({
      status: 404,
      body: 'not found; there are /metrics, /livez and /readyz\n',
    });
  });

  it.each(['//', '/\\', 'http://', '*'])('survives the target %s', async (target) => {
    const { server, get } = await start();
    expect(await askRaw(server.port, target)).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(await get('/livez')).toMatchObject({ status: 200 });
  });

  it('names the key to change when its port is taken', async () => {
    const { server } = await start();
    await expect(start({}, server.port)).rejects.toMatchObject({
      kind: 'config',
      message: expect.stringMatching(/http\.port in pipeline\.yaml/) as unknown,
    });
  });
});
