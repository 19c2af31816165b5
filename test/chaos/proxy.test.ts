import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openFaultProxy } from './proxy.ts';
import type { Action, FaultProxy, Stage } from './proxy.ts';

type Seen = { method: string; path: string; host: string; body: string };

let seen: Seen[];
let proxy: FaultProxy;
let url: string;
let close: () => Promise<void>;

beforeEach(async () => {
  seen = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('error', () => undefined);
    request.once('end', () => {
      const { method = '', url: path = '', headers } = request;
      seen.push({ method, path, host: headers.host ?? '', body });
      response.setHeader('x-turn', String(seen.length));
      response.end(`answer ${seen.length}: ${body}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  proxy = await openFaultProxy({
    catalogUri: upstream,
    s3Endpoint: upstream,
    registryUrl: `${upstream}/apis/v7`,
    kafkaBroker: '127.0.0.1:9',
  });
  url = proxy.env['CATALOG_URI'] ?? '';
  close = async () => {
    await proxy.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
});
afterEach(() => close());

async function post(body = 'text'): Promise<string> {
  try {
    const response = await fetch(`${url}/v1/tables/a?x=1`, { method: 'POST', body });
    return `${response.status} ${await response.text()}`;
  } catch {
    return 'no answer';
  }
}

function arm(at: Stage, action: Action, more: { from?: number; times?: number } = {}) {
  return proxy.arm({
    match: { peer: 'catalog', method: 'POST', path: /\/a\?/ },
    at,
    action,
    ...more,
  });
}

it('passes a request on with its path, body and the host that was signed', async () => {
  expect(await post('hello')).toBe('200 answer 1: hello');
  const host = new URL(url).host;
  expect(seen).toEqual([{ method: 'POST', path: '/v1/tables/a?x=1', host, body: 'hello' }]);
  expect(proxy.env['SCHEMA_REGISTRY_URL']).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/apis\/v7$/);
});

it('answers in place of the component, which sees nothing before and everything after', async () => {
  const answer: Action = { kind: 'answer', status: 503, body: 'busy' };
  arm('before', answer);
  expect(await post()).toBe('503 busy');
  expect(seen).toHaveLength(0);
  arm('applied', answer);
  expect(await post()).toBe('503 busy');
  expect(seen).toHaveLength(1);
});

it('resets before and after the component has acted', async () => {
  arm('before', { kind: 'reset' });
  expect(await post()).toBe('no answer');
  expect(seen).toHaveLength(0);
  arm('applied', { kind: 'reset' });
  expect(await post()).toBe('no answer');
  expect(seen).toHaveLength(1);
});

it('delivers twice and gives back either answer', async () => {
  arm('before', { kind: 'twice', answer: 'first' });
  expect(await post()).toBe('200 answer 1: text');
  arm('before', { kind: 'twice', answer: 'second' });
  expect(await post()).toBe('200 answer 4: text');
  expect(seen.map(({ body }) => body)).toEqual(['text', 'text', 'text', 'text']);
});

it('cuts a request in the middle: the component never sees the whole', async () => {
  arm('before', { kind: 'cut' });
  expect(await post('a long text')).toBe('no answer');
  expect(seen).toEqual([]);
});

it('cuts an answer in the middle', async () => {
  arm('applied', { kind: 'cut' });
  expect(await post()).toBe('no answer');
  expect(seen).toHaveLength(1);
});

it('hangs without an answer', async () => {
  arm('applied', { kind: 'hang' });
  const waited = await Promise.race([post(), new Promise((resolve) => setTimeout(resolve, 200))]);
  expect(waited).toBeUndefined();
  expect(seen).toHaveLength(1);
});

it('holds a request while something else is done, and drops it when told', async () => {
  const order: string[] = [];
  arm('before', {
    kind: 'call',
    call: async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      order.push(`seen ${seen.length}`);
    },
  });
  expect(await post()).toBe('200 answer 1: text');
  expect(order).toEqual(['seen 0']);
  arm('before', { kind: 'call', call: () => 'drop' });
  expect(await post()).toBe('no answer');
  expect(seen).toHaveLength(1);
});

it('strikes from the n-th request on, as often as told, and no other request', async () => {
  const rule = arm('before', { kind: 'answer', status: 500 }, { from: 2, times: 2 });
  await fetch(`${url}/v1/tables/b`);
  const statuses = [];
  for (let turn = 0; turn < 4; turn += 1) statuses.push((await post()).slice(0, 3));
  expect(statuses).toEqual(['200', '500', '500', '200']);
  expect(rule.hits()).toBe(2);
  expect(proxy.count({ peer: 'catalog', method: 'POST' })).toBe(4);
});

it('refuses every connection until it admits them again', async () => {
  proxy.refuse('catalog');
  expect(await post()).toBe('no answer');
  proxy.admit('catalog');
  expect(await post()).toBe('200 answer 1: text');
});
