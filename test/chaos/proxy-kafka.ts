import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Action, Exchange, Judge, PeerProxy, Stage } from './proxy.ts';

/** Names of the APIs that a rule may speak of. Source: Kafka protocol guide, "Api Keys". */
const apiNames: Readonly<Record<number, string>> = {
  0: 'Produce',
  1: 'Fetch',
  2: 'ListOffsets',
  3: 'Metadata',
  8: 'OffsetCommit',
  9: 'OffsetFetch',
  10: 'FindCoordinator',
  11: 'JoinGroup',
  12: 'Heartbeat',
  13: 'LeaveGroup',
  14: 'SyncGroup',
  18: 'ApiVersions',
};
/** Answers that tell a broker's address; clients follow it. */
const tellsAddress = new Set(['Metadata', 'FindCoordinator']);

/** A client's connection with the broker's behind it. */
type Link = {
  client: Socket;
  broker: Socket;
  /** Requests without an answer yet: what they are, and what strikes them. */
  open: Map<number, { exchange: Exchange; actionOf: (stage: Stage) => Action | undefined }>;
};

/**
 * Passes Kafka's frames on, each a 4-byte length and a body that begins with api key, version and correlation
 * id (requests) or the correlation id (answers). In answers that tell the broker's address its port is
 * replaced by ours: a compact string of the host followed by the port as INT32.
 */
export async function openKafkaProxy(broker: string, judge: Judge): Promise<PeerProxy> {
  const [host = '', port = ''] = broker.split(':');
  const links = new Set<Link>();
  let refusing = false;
  const server = createServer((client) => {
    client.on('error', () => undefined);
    if (refusing) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(Number(port), host);
    const link: Link = { client, broker: upstream, open: new Map() };
    links.add(link);
    upstream.on('error', () => client.resetAndDestroy());
    upstream.once('close', () => client.destroy());
    client.once('close', () => {
      upstream.destroy();
      links.delete(link);
    });
    pump(client, (frame) => passRequest(link, frame, judge));
    pump(upstream, (frame) => passAnswer(link, frame, { host, from: Number(port), to: ownPort() }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const ownPort = (): number => (server.address() as AddressInfo).port;
  const drop = (): void => {
    for (const { client } of links) client.resetAndDestroy();
  };
  return {
    port: ownPort(),
    setRefusing: (now) => (refusing = now),
    drop,
    close: async () => {
      drop();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Hands over one whole frame after the other, each once the one before it has been dealt with. */
function pump(socket: Socket, take: (frame: Buffer) => Promise<void>): void {
  let rest: Buffer = Buffer.alloc(0);
  let turn = Promise.resolve();
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const frame = rest.subarray(0, 4 + rest.readInt32BE(0));
      rest = rest.subarray(frame.length);
      turn = turn.then(() => take(frame)).catch(() => void socket.destroy());
    }
  });
}

async function passRequest(link: Link, frame: Buffer, judge: Judge): Promise<void> {
  const apiKey = frame.readInt16BE(4);
  const method = apiNames[apiKey] ?? `Api${apiKey}`;
  const exchange: Exchange = { peer: 'kafka', method, path: '' };
  const actionOf = judge.take(exchange);
  link.open.set(frame.readInt32BE(8), { exchange, actionOf });
  if (await goesOn(link, exchange, actionOf('before'))) link.broker.write(frame);
}

async function passAnswer(
  link: Link,
  frame: Buffer,
  move: { host: string; from: number; to: number },
): Promise<void> {
  const id = frame.readInt32BE(4);
  const asked = link.open.get(id);
  link.open.delete(id);
  if (asked === undefined) {
    link.client.write(frame);
    return;
  }
  const { exchange, actionOf } = asked;
  if (!(await goesOn(link, exchange, actionOf('applied')))) return;
  link.client.write(tellsAddress.has(exchange.method) ? replacePort(frame, move) : frame);
  await goesOn(link, exchange, actionOf('answered'));
}

/** Does what a rule asks; false where the frame ends here. */
async function goesOn(
  link: Link,
  exchange: Exchange,
  action: Action | undefined,
): Promise<boolean> {
  switch (action?.kind) {
    case undefined:
      return true;
    case 'delay':
      await sleep(action.ms);
      return true;
    case 'call':
      if ((await action.call(exchange)) !== 'drop') return true;
      link.client.resetAndDestroy();
      return false;
    case 'reset':
      link.client.resetAndDestroy();
      return false;
    case 'hang':
      return false;
    case 'answer':
    case 'twice':
    case 'cut':
      throw new Error(`${action.kind} is for HTTP`);
  }
}

function replacePort(
  frame: Buffer,
  { host, from, to }: { host: string; from: number; to: number },
): Buffer {
  const needle = Buffer.concat([Buffer.from([host.length + 1]), Buffer.from(host), int32(from)]);
  const moved = Buffer.from(frame);
  for (let at = moved.indexOf(needle); at >= 0; at = moved.indexOf(needle, at + 1)) {
    int32(to).copy(moved, at + needle.length - 4);
  }
  return moved;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
