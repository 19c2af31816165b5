import { execFile } from 'node:child_process';
import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { exists } from '../exists.ts';

const run = promisify(execFile);

/** The superuser of a stack that only loopback reaches. */
const superuser = { user: 'postgres', password: 'postgres' };

/** The PostgreSQL programs of this machine, and the user they run as where ours is root. */
export type PostgresServer = {
  /** Folder that holds `initdb` and `postgres`. */
  readonly binaries: string;
  readonly user?: { readonly uid: number; readonly gid: number; readonly name: string };
};

/**
 * The command that runs a PostgreSQL program: PostgreSQL refuses root, so there it runs as the server's user. That
 * user may pass folders which only root can enter, since the repository may well be cloned into one.
 */
export function asServerUser(
  { binaries, user }: PostgresServer,
  program: string,
  args: readonly string[],
): { file: string; args: string[] } {
  const file = program.includes('/') ? program : join(binaries, program);
  if (user === undefined) return { file, args: [...args] };
  const identity = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
  const passage = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'];
  return { file: 'setpriv', args: [...identity, ...passage, '--', file, ...args] };
}

/** Makes an empty cluster in `directory`, once. Throws an Error that says what to change when it cannot. */
export async function initialiseCluster(server: PostgresServer, directory: string): Promise<void> {
  if (await exists(join(directory, 'PG_VERSION'))) return awaitEnd(directory);
  await rm(directory, { recursive: true, force: true });
  await mkdir(dirname(directory), { recursive: true });
  await mkdir(directory, { mode: 0o700 });
  const passwordFile = `${directory}.password`;
  await writeFile(passwordFile, superuser.password, { mode: 0o600 });
  try {
    if (server.user !== undefined) await handOver(server, directory, passwordFile);
    const { file, args } = asServerUser(server, 'initdb', [
      '-D',
      directory,
      '-U',
      superuser.user,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
    ]);
    await run(file, args, { cwd: directory });
  } finally {
    await rm(passwordFile);
  }
}

/**
 * After a kill the server's id stays in its lock file, and PostgreSQL refuses to start while a process has that id,
 * if only a corpse that nobody has collected yet.
 */
async function awaitEnd(directory: string): Promise<void> {
  const lock = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number(lock.split('\n')[0]);
  if (!(pid > 0)) return;
  for (let waitedMs = 0; waitedMs < endWaitMsMax; waitedMs += endPollMs) {
    if (!isPresent(pid)) return;
    await sleep(endPollMs);
  }
}

const endPollMs = 100;
const endWaitMsMax = 5000;

function isPresent(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function handOver(
  server: PostgresServer,
  directory: string,
  passwordFile: string,
): Promise<void> {
  const { binaries, user } = server;
  if (user === undefined) return;
  await chown(directory, user.uid, user.gid);
  await chown(passwordFile, user.uid, user.gid);
  // Not -w and -x: access(2) asks without the capability.
  const probe = ['-d', directory, '-a', '-e', join(binaries, 'initdb')];
  const { file, args } = asServerUser(server, '/usr/bin/test', probe);
  await run(file, args).catch((cause: unknown) => {
    throw new Error(
      `PostgreSQL refuses to run as root, and user '${user.name}' cannot enter ${directory}: install setpriv (util-linux), ` +
        'or set TRIBUTARY_STACK_DIR to a folder whose parents every user can enter, or run as another user',
      { cause },
    );
  });
}

/** True when the server accepts a connection. */
export async function answersPostgres(port: number): Promise<boolean> {
  try {
    await withClient(port, 'postgres', (client) => client.query('select 1'));
    return true;
  } catch {
    return false;
  }
}

/** Creates database `app` with the tables, roles and publication of the SQL file, once and as a whole. */
export async function createDatabase(port: number, sqlFile: string): Promise<void> {
  await withClient(port, 'postgres', async (client) => {
    const { rowCount } = await client.query("select 1 from pg_database where datname = 'app'");
    if (rowCount === 0) await client.query('create database app');
  });
  await withClient(port, 'app', async (client) => {
    const { rowCount } = await client.query(
      "select 1 from pg_publication where pubname = 'tributary_pub'",
    );
    // Several statements in one simple query are one transaction.
    if (rowCount === 0) await client.query(await readFile(sqlFile, 'utf8'));
  });
}

async function withClient<T>(
  port: number,
  database: string,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({
    host: '127.0.0.1',
    port,
    database,
    ...superuser,
    connectionTimeoutMillis: 2000,
  });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
