import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Environment } from './ports.ts';

const run = promisify(execFile);

/** The oldest Java that runs every component: Trino 483 sets it. */
const javaMajorMin = 25;

/** Where JDKs are kept on Linux and macOS. */
const jdkFolders = ['/usr/lib/jvm', '/Library/Java/JavaVirtualMachines'];

/**
 * The home of a JDK of at least `javaMajorMin`: JAVA25_HOME, JAVA_HOME, then the system's folders, then `java` on
 * PATH. Throws an Error that says what to install when there is none.
 */
export async function findJdk(env: Environment, folders = jdkFolders): Promise<string> {
  const named = [env['JAVA25_HOME'], env['JAVA_HOME']].filter((home) => home !== undefined);
  const installed = (await Promise.all(folders.map(listHomes))).flat();
  for (const home of [...named, ...installed]) {
    if ((await javacMajor(join(home, 'bin/javac'))) >= javaMajorMin) return home;
  }
  const onPath = await homeOnPath(env);
  if (onPath !== undefined) return onPath;
  throw new Error(
    `no JDK ${javaMajorMin} found: install one (for example Eclipse Temurin ${javaMajorMin}) and, ` +
      `unless it is in ${jdkFolders[0]}, set JAVA25_HOME to its folder`,
  );
}

async function listHomes(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .toSorted((a, b) => b.localeCompare(a))
    .flatMap((name) => [join(folder, name), join(folder, name, 'Contents/Home')]);
}

async function homeOnPath(env: Environment): Promise<string | undefined> {
  if ((await javacMajor('javac', env)) < javaMajorMin) return undefined;
  const { stderr } = await run('java', ['-XshowSettings:properties', '-version'], { env });
  return /java\.home = (.+)/.exec(stderr)?.[1];
}

/** The major version that a compiler names, 0 when it does not run. */
async function javacMajor(javac: string, env?: Environment): Promise<number> {
  const options = env === undefined ? {} : { env };
  const { stdout } = await run(javac, ['-version'], options).catch(() => ({ stdout: '' }));
  return Number(/javac (\d+)/.exec(stdout)?.[1] ?? 0);
}
