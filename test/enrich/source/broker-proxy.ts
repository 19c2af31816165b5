import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/**
 * Stands between a client and one broker, and fails on demand. A client follows the addresses that the
 * broker tells it, so the broker's port is replaced in what comes back: a compact string of the host
 * followed by the port as INT32 (metadata and coordinator responses).
 */
export type BrokerProxy = {
  address: string;
  connectionCount: () => number;
  /** Resets every connection; new ones are taken. */
  drop: () => void;
  /** Resets every connection and refuses new ones until `admit`. */
  refuse: () => void;
  admit: () => void;
  close: () => Promise<void>;
};

export async function openBrokerProxy(broker: string): Promise<BrokerProxy> {
  const [host = '', port = ''] = broker.split(':');
  const sockets = new Set<Socket>();
  let refusing = false;
  const server = createServer((client) => {
    if (refusing) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(Number(port), host);
    sockets.add(client);
    client.pipe(upstream);
    upstream.on('data', (chunk) => client.write(replacePort(chunk, host, Number(port), ownPort())));
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      socket.on('error', () => {});
      socket.on('close', () => {
        other.destroy();
        sockets.delete(client);
      });
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const ownPort = () => (server.address() as AddressInfo).port;
  const drop = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    address: `127.0.0.1:${ownPort()}`,
    connectionCount: () => sockets.size,
    drop,
    refuse: () => {
      refusing = true;
      drop();
    },
    admit: () => {
      refusing = false;
    },
    close: async () => {
      drop();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

function replacePort(chunk: Buffer, host: string, from: number, to: number): Buffer {
  const needle = Buffer.concat([Buffer.from([host.length + 1]), Buffer.from(host), int32(from)]);
  for (let at = chunk.indexOf(needle); at >= 0; at = chunk.indexOf(needle, at + 1)) {
    int32(to).copy(chunk, at + needle.length - 4);
  }
  return chunk;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
