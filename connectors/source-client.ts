import { Client } from 'pg';
import type { ConnectorsConfig } from './connectors-config.ts';
import { ConnectorsError } from './error.ts';

export type Unreachable = { kind: 'unreachable'; message: string };

const connectWaitMsMax = 5_000;
/** SQLSTATE classes of a wrong user, password or database. */
const refusals: ReadonlySet<unknown> = new Set(['28P01', '28000', '3D000']);

/**
 * Does some work in the source as Debezium's role. The database may be reachable for Connect alone: then the
 * answer says so. Errors: `config` where PostgreSQL refuses the role.
 */
export async function withSource<T>(
  config: ConnectorsConfig,
  work: (client: Client) => Promise<T>,
): Promise<T | Unreachable> {
  const { host, port, name, user, password } = config.database;
  const client = new Client({
    host,
    port,
    database: name,
    user,
    password: password.reveal(),
    connectionTimeoutMillis: connectWaitMsMax,
  });
  try {
    await client.connect();
  } catch (cause) {
    return refusedOrUnreachable(config, cause);
  }
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function refusedOrUnreachable(config: ConnectorsConfig, cause: unknown): Unreachable {
  const { host, port, name, user } = config.database;
  const { code, message } = cause as { code?: unknown; message: string };
  if (refusals.has(code)) {
    throw new ConnectorsError('config', `PostgreSQL refuses ${user} on ${name}: ${message}`, {
      context: { host, port, database: name, user },
      cause,
    });
  }
  return {
    kind: 'unreachable',
    message: `PostgreSQL at ${host}:${port} is out of reach from here`,
  };
}
