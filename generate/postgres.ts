import { Client } from 'pg';
import { GenerateError, type GenerateErrorKind } from './error.ts';

/** What the generator needs of a PostgreSQL connection; statements run one after the other. */
export type SqlConnection = {
  query(text: string, values?: readonly unknown[]): Promise<{ rowCount: number; rows: unknown[] }>;
  close(): Promise<void>;
};

export type PostgresAddress = {
  host: string;
  port: number;
  user: string;
  password?: string;
  database: string;
};

/**
 * Opens one connection. Errors: `unavailable` when the server cannot be reached, goes away or is short of
 * something; `config` for a statement that it will never take (a missing table, no permission).
 */
export async function openPostgres(address: PostgresAddress): Promise<SqlConnection> {
  const client = new Client({ ...address, connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
  } catch (cause) {
    const where = `${address.host}:${address.port}/${address.database}`;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GenerateError('unavailable', `cannot connect to PostgreSQL at ${where}: ${reason}`, {
      cause,
    });
  }
  return {
    async query(text, values = []) {
      try {
        const result = await client.query(text, [...values]);
        return { rowCount: result.rowCount ?? 0, rows: result.rows };
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new GenerateError(kindOf(cause), `PostgreSQL refused a statement: ${reason}`, {
          context: { statement: text.slice(0, 200) },
          cause,
        });
      }
    },
    close: () => client.end(),
  };
}

/** By the class of the SQLSTATE. Source: PostgreSQL, "Error Codes": 08 connection, 40 rollback, 53 resources, 57 operator. */
function kindOf(cause: unknown): GenerateErrorKind {
  const code = (cause as { code?: unknown } | null)?.code;
  if (typeof code !== 'string' || code.length !== 5) return 'unavailable';
  return ['08', '40', '53', '57'].includes(code.slice(0, 2)) ? 'unavailable' : 'config';
}
