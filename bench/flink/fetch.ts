import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readInstance } from '../../stack/instance.ts';
import { findJdk } from '../../stack/java.ts';

const run = promisify(execFile);

/** Its jars are published whole only as a package for Python. */
const FLINK = 'apache-flink-libraries==2.0.2';
const OUTPUT_BYTES_MAX = 64 * 1024 ** 2;

/** Flink as it lies on disk. */
export type Flink = {
  version: string;
  /** `bin`, `lib` and `plugins` of the distribution. */
  home: string;
  /** Connectors and formats. */
  connectors: string;
};

/** Brings Flink and what it needs beside the stack's jars, once: 0.4 GB. Errors: those of mvn, python3 and tar. */
export async function fetchFlink(progress: (line: string) => void): Promise<Flink> {
  const root = join(readInstance(process.env).dist, 'flink');
  const [home, stamp] = [join(root, 'home'), join(root, 'fetched')];
  const flink = { version: FLINK.split('==')[1] ?? '', home, connectors: join(root, 'lib') };
  if (existsSync(stamp)) return flink;
  progress('fetching Flink (once; 0.4 GB)');
  await rm(root, { recursive: true, force: true });
  const download = join(root, 'download');
  await mkdir(download, { recursive: true });
  const pom = join(import.meta.dirname, 'pom.xml');
  await run('mvn', ['--batch-mode', '--file', pom, 'package', `-Ddist=${join(root, '..')}`], {
    env: { ...process.env, JAVA_HOME: await findJdk(process.env) },
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  await run('python3', ['-m', 'pip', 'download', FLINK, '--no-deps', '--dest', download], {
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  const [archive] = await readdir(download);
  if (archive === undefined) throw new Error(`pip has downloaded no ${FLINK}`);
  await run('tar', ['-xzf', join(download, archive), '-C', download, '--strip-components=1']);
  await rename(join(download, 'deps'), home);
  await rm(download, { recursive: true });
  await writeFile(stamp, '');
  return flink;
}
