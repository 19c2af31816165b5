import { Client, DatabaseError } from 'pg';
import type { ConnectorsConfig } from './connectors-config.ts';
import { ConnectorsError } from './error.ts';

export type Unreachable = { kind: 'unreachable'; message: string };

const connectWaitMsMax = 5_000;
/** SQLSTATE classes of a wrong user, password or database. */
const refusals: ReadonlySet<unknown> = new Set(['28P01', '28000', '3D000']);

/** SQLSTATE of a right that is missing. */
const insufficientPrivilege = '42501';
/** SQLSTATE classes of what passes: a connection, a transaction, resources, an operator, the system. */
const passing = /^(08|40|53|57|58)/;

/**
 * Does some work in the source as Debezium's role. The database may be reachable for Connect alone: then the
 * answer says so. Errors: those of the work; `config` where PostgreSQL refuses the role, or what the work asks for;
 * `unavailable` where the connection is lost, or PostgreSQL is not able to answer at the moment.
 * Source: PostgreSQL documentation, appendix "PostgreSQL Error Codes".
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
  // Without a listener, a connection that is lost between two queries would end the process.
  let isLost = false;
  client.on('error', () => (isLost = true));
  try {
    await client.connect();
  } catch (cause) {
    return refusedOrUnreachable(config, cause);
  }
  try {
    return await work(client);
  } catch (cause) {
    throw faultOf(config, cause, isLost);
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

function faultOf({ database }: ConnectorsConfig, cause: unknown, isLost: boolean): unknown {
  if (cause instanceof ConnectorsError) return cause;
  const { host, port, name, user } = database;
  const context = { host, port, database: name, user };
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof DatabaseError ? (cause.code ?? '') : '';
  if (isLost || passing.test(code)) {
    const subject = `PostgreSQL at ${host}:${port} does not answer any more`;
    return new ConnectorsError('unavailable', `${subject}: ${message}`, { context, cause });
  }
  if (code === '') return cause;
  const remedy = code === insufficientPrivilege ? `; its owner has to grant that to ${user}` : '';
  return new ConnectorsError('config', `PostgreSQL refuses ${user}: ${message}${remedy}`, {
    context: { ...context, code },
    cause,
  });
}
