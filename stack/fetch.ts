import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Instance } from './instance.ts';
import type { Print } from './launch.ts';
import type { Environment } from './ports.ts';

const run = promisify(execFile);

/** Downloads say something at least this often. */
const progressMs = 5000;

type Fetch = {
  readonly instance: Instance;
  /** Home of the JDK, for Maven and for our own sources. */
  readonly jdk: string;
  readonly env: Environment;
  readonly print: Print;
};

/**
 * Brings the jars of these modules (folders of `stack/` that hold a pom.xml) and our own classes into
 * `instance.dist`. A module whose pom and sources are unchanged costs nothing.
 */
export async function fetchModules(fetch: Fetch, modules: readonly string[]): Promise<void> {
  const { instance } = fetch;
  const stale: string[] = [];
  for (const module of modules) {
    const stamp = await readFile(stampFile(instance, module), 'utf8').catch(() => '');
    if (stamp !== (await fingerprint(instance, module))) stale.push(module);
  }
  if (stale.length === 0) return;
  for (const module of stale)
    await rm(moduleDirectory(instance, module), { recursive: true, force: true });
  await runMaven(fetch, stale);
  if (stale.includes('connect')) await buildConverter(fetch);
  if (stale.includes('trino')) await buildTrinoLauncher(fetch);
  if (stale.includes('trino/iceberg')) await describePlugin(instance);
  for (const module of stale) {
    await writeFile(stampFile(instance, module), await fingerprint(instance, module));
  }
}

function moduleDirectory({ dist }: Instance, module: string): string {
  return join(dist, module === 'trino/iceberg' ? 'trino/plugin' : module);
}

function stampFile(instance: Instance, module: string): string {
  return join(moduleDirectory(instance, module), 'fetched.sha256');
}

/** A digest of all that decides what a module's folder holds. */
async function fingerprint({ sources }: Instance, module: string): Promise<string> {
  const entries = await readdir(join(sources, module), { withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && /\.(xml|java)$/.test(entry.name))
    .map((entry) => join(sources, module, entry.name))
    .toSorted();
  const hash = createHash('sha256');
  for (const file of [join(sources, 'pom.xml'), ...files]) hash.update(await readFile(file));
  return hash.digest('hex');
}

async function runMaven(fetch: Fetch, modules: readonly string[]): Promise<void> {
  const { instance, print } = fetch;
  print(`fetching ${modules.join(', ')} (once; 0.6 GB in all)`);
  const startedMs = performance.now();
  await mkdir(instance.dist, { recursive: true });
  const child = spawn(
    'mvn',
    [
      '--batch-mode',
      '--file',
      join(instance.sources, 'pom.xml'),
      'package',
      `-Ddist=${instance.dist}`,
      '--projects',
      modules.join(','),
    ],
    { env: { ...fetch.env, JAVA_HOME: fetch.jdk }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const ended = Promise.withResolvers<number>();
  child.once('error', () => ended.resolve(-1));
  child.once('close', (code) => ended.resolve(code ?? 1));
  const downloaded = await followMaven(child.stdout, print);
  const code = await ended.promise;
  if (code === -1)
    throw new Error('no Maven found: install it (for example apt-get install maven)');
  if (code !== 0) throw new Error(`Maven failed:\n${downloaded.errors.slice(0, 5).join('\n')}`);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
  print(`fetched, ${downloaded.megabytes.toFixed(0)} MB downloaded, ${seconds} s`);
}

/** Reads Maven's output to its end, and prints every few seconds what it is at. */
async function followMaven(
  output: NodeJS.ReadableStream,
  print: Print,
): Promise<{ megabytes: number; errors: string[] }> {
  const state = { megabytes: 0, errors: [] as string[] };
  let step = 'Maven';
  const timer = setInterval(
    () => print(`  ${step} ${state.megabytes.toFixed(0)} MB so far`),
    progressMs,
  );
  for await (const line of createInterface({ input: output })) {
    const building = /Building (\S+) \S+ +(\[\d+\/\d+\])/.exec(line);
    if (building !== null) step = `${building[1]} ${building[2]}`;
    state.megabytes += readMegabytes(line);
    if (line.startsWith('[ERROR]')) state.errors.push(line);
  }
  clearInterval(timer);
  return state;
}

const unitMegabytes: Readonly<Record<string, number>> = { B: 1e-6, kB: 1e-3, MB: 1, GB: 1000 };

/** `Downloaded from central: <url> (54 MB at 20 MB/s)` tells the size. */
function readMegabytes(line: string): number {
  const size = /^\[INFO\] Downloaded from .* \(([\d.]+) ([kMG]?B) at /.exec(line);
  return size === null ? 0 : Number(size[1]) * (unitMegabytes[size[2] ?? ''] ?? 0);
}

/** Compiles our converter into a jar beside Avro's: Connect loads plugins from jars. */
async function buildConverter({ instance, jdk }: Fetch): Promise<void> {
  const { dist, sources } = instance;
  const classes = join(dist, 'connect-classes');
  const classPath = [join(dist, 'kafka/lib/*'), join(dist, 'connect/lib/*')].join(':');
  const names = await readdir(join(sources, 'connect'));
  const sourceFiles = names
    .filter((name) => name.endsWith('.java'))
    .map((name) => join(sources, 'connect', name));
  await compile(jdk, classPath, classes, sourceFiles);
  await cp(join(sources, 'connect/services'), classes, { recursive: true });
  const jar = join(dist, 'connect/lib/tributary-connect.jar');
  await run(join(jdk, 'bin/jar'), ['--create', '--file', jar, '-C', classes, '.']);
  await rm(classes, { recursive: true });
}

async function buildTrinoLauncher({ instance, jdk }: Fetch): Promise<void> {
  const { dist, sources } = instance;
  await compile(jdk, join(dist, 'trino/lib/*'), join(dist, 'trino/launcher'), [
    join(sources, 'trino/TrinoLauncher.java'),
  ]);
}

async function compile(
  jdk: string,
  classPath: string,
  output: string,
  files: readonly string[],
): Promise<void> {
  await run(join(jdk, 'bin/javac'), ['-cp', classPath, '-d', output, ...files]);
}

/** The published plugin jar lacks the file that names its class. */
async function describePlugin({ dist, sources }: Instance): Promise<void> {
  const target = join(dist, 'trino/plugin/iceberg/services');
  await mkdir(dirname(target), { recursive: true });
  await cp(join(sources, 'trino/iceberg/services'), target, { recursive: true });
}
