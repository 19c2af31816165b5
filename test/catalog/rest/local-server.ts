import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';

/** One request as the server got it. */
export type Received = {
  method: string;
  /** With its query. */
  path: string;
  headers: Readonly<Record<string, string | undefined>>;
  body: Buffer;
};

/** What the server does with one request. */
export type Reply =
  | { status: number; body?: string; headers?: Record<string, string>; gzip?: boolean }
  /** The connection is cut before any answer. */
  | 'reset'
  /** The connection is cut in the middle of a 200. */
  | 'truncate'
  /** No answer at all. */
  | 'hang';

export type LocalServer = {
  uri: string;
  received: Received[];
  close: () => Promise<void>;
};

/** An HTTP server on a free port of this machine that answers as `reply` says. */
export async function startServer(reply: (request: Received) => Reply): Promise<LocalServer> {
  const received: Received[] = [];
  const serve = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request = await readRequest(message);
    received.push(request);
    answer(message, response, reply(request));
  };
  const server = createServer((message, response) => {
    void serve(message, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    uri: `http://127.0.0.1:${address.port}`,
    received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

async function readRequest(message: IncomingMessage): Promise<Received> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return {
    method: message.method ?? '',
    path: message.url ?? '',
    headers: message.headers as Record<string, string | undefined>,
    body: Buffer.concat(chunks),
  };
}

function answer(message: IncomingMessage, response: ServerResponse, reply: Reply): void {
  if (reply === 'hang') return;
  if (reply === 'reset') {
    message.socket.resetAndDestroy();
    return;
  }
  if (reply === 'truncate') {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('{"metadata":', () => message.socket.destroy());
    return;
  }
  const body = Buffer.from(reply.body ?? '');
  response.writeHead(reply.status, {
    'content-type': 'application/json',
    ...(reply.gzip === true ? { 'content-encoding': 'gzip' } : {}),
    ...reply.headers,
  });
  response.end(reply.gzip === true ? gzipSync(body) : body);
}
