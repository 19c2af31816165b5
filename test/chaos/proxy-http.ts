import { createServer, request } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Action, Judge, Peer, PeerProxy, Stage } from './proxy.ts';

type Answer = { status: number; headers: OutgoingHttpHeaders; body: Buffer };

/** One request and its two ends. */
type Passage = {
  upstream: URL;
  from: IncomingMessage;
  to: ServerResponse;
  body: Buffer;
  actionAt: (stage: Stage) => Promise<Action | undefined>;
};

/**
 * Passes requests on whole, with all headers as they came: S3's signature covers the host that the client
 * named, and S3Proxy checks it against the header.
 */
export async function openHttpProxy(
  peer: Exclude<Peer, 'kafka'>,
  url: string,
  judge: Judge,
): Promise<PeerProxy> {
  const upstream = new URL(url);
  const sockets = new Set<Socket>();
  let refusing = false;
  const server = createServer((from, to) => {
    const exchange = { peer, method: from.method ?? '', path: from.url ?? '' };
    const actionOf = judge.take(exchange);
    const actionAt = async (stage: Stage): Promise<Action | undefined> => {
      const action = actionOf(stage);
      if (action?.kind === 'delay') await sleep(action.ms);
      if (action?.kind !== 'call') return action?.kind === 'delay' ? undefined : action;
      return (await action.call(exchange)) === 'drop' ? { kind: 'reset' } : undefined;
    };
    pass({ upstream, from, to, actionAt }).catch(() => reset(from));
  });
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  server.on('connection', (socket) => {
    if (refusing) {
      socket.resetAndDestroy();
      return;
    }
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const drop = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    setRefusing: (now) => (refusing = now),
    drop,
    close: async () => {
      drop();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function pass(started: Omit<Passage, 'body'>): Promise<void> {
  const passage = { ...started, body: await readAll(started.from) };
  const { from, to, body } = passage;
  const before = await passage.actionAt('before');
  if (before !== undefined && before.kind !== 'twice' && before.kind !== 'cut') {
    return end(passage, before);
  }
  if (before?.kind === 'cut') {
    await forward(passage, body.subarray(0, Math.floor(body.length / 2))).catch(() => undefined);
    return reset(from);
  }
  let answer = await forward(passage, body);
  if (before?.kind === 'twice') {
    const second = await forward(passage, body);
    if (before.answer === 'second') answer = second;
  }
  const applied = await passage.actionAt('applied');
  if (applied?.kind === 'cut') {
    to.writeHead(answer.status, answer.headers);
    to.write(answer.body.subarray(0, Math.floor(answer.body.length / 2)));
    await sleep(20);
    return reset(from);
  }
  if (applied !== undefined) return end(passage, applied);
  await reply(to, answer);
  const answered = await passage.actionAt('answered');
  if (answered?.kind === 'reset') reset(from);
}

async function end({ from, to }: Passage, action: Action): Promise<void> {
  switch (action.kind) {
    case 'answer': {
      const { status, body = '', headers = {} } = action;
      return reply(to, { status, headers, body: Buffer.from(body) });
    }
    case 'reset':
      return reset(from);
    case 'hang':
      return;
    case 'delay':
    case 'twice':
    case 'cut':
    case 'call':
      throw new Error(`${action.kind} does not end a request`);
  }
}

async function reply(to: ServerResponse, { status, headers, body }: Answer): Promise<void> {
  // The peer's framing is not ours: the body is sent whole.
  const { 'transfer-encoding': _chunked, connection: _connection, ...rest } = headers;
  const isBodiless = status === 204 || status === 304 || to.req.method === 'HEAD';
  const length = isBodiless ? {} : { 'content-length': body.length };
  to.writeHead(status, { ...rest, ...length });
  await new Promise<void>((resolve) => {
    to.once('close', resolve);
    to.end(isBodiless ? undefined : body, resolve);
  });
}

/** Sends the request on. A body shorter than announced is followed by a reset. */
function forward({ upstream, from }: Passage, body: Buffer): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const { connection: _connection, ...headers } = from.headers;
  const announced = Number(from.headers['content-length'] ?? body.length);
  const sending = request({
    host: upstream.hostname,
    port: upstream.port,
    method: from.method,
    path: from.url,
    headers: { ...headers, connection: 'close' },
    setHost: false,
  });
  sending.once('error', reject);
  sending.once('response', (response) => {
    readAll(response).then(
      (answered) =>
        resolve({ status: response.statusCode ?? 502, headers: response.headers, body: answered }),
      reject,
    );
  });
  if (body.length < announced) {
    sending.write(body, () => setTimeout(() => sending.socket?.resetAndDestroy(), 50));
  } else sending.end(body);
  return promise;
}

function reset(from: IncomingMessage): void {
  from.socket.resetAndDestroy();
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
