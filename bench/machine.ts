import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { promisify } from 'node:util';

/** Where and with what a figure was measured. */
export type Machine = {
  cpus: number;
  cpuModel: string;
  memoryGiB: number;
  kernel: string;
  /** Over 1, 5 and 15 minutes, when the bench started: above 0.5 somebody else was at work. */
  loadAverage: number[];
  versions: Readonly<Record<string, string>>;
};

/** Call it first: the load average is that of the moment. */
export async function describeMachine(): Promise<Machine> {
  const loadAverage = loadavg().map((load) => Math.round(load * 100) / 100);
  return {
    cpus: cpus().length,
    cpuModel: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    loadAverage,
    versions: { ...(await stackVersions()), node: process.version, tributary: await revision() },
  };
}

/** As stack/pom.xml pins them. */
async function stackVersions(): Promise<Record<string, string>> {
  const text = await readFile('stack/pom.xml', 'utf8');
  const wanted = ['kafka', 'apicurio', 's3proxy', 'iceberg', 'trino'];
  return Object.fromEntries(
    wanted.map((name) => [
      name,
      new RegExp(`<${name}\\.version>([^<]+)<`).exec(text)?.[1] ?? 'unknown',
    ]),
  );
}

/** The commit, with `+` where files differ from it; `unknown` outside a git tree. */
async function revision(): Promise<string> {
  try {
    const commit = await git('rev-parse', '--short=10', 'HEAD');
    const changed = await git('status', '--porcelain', '--untracked-files=no');
    return changed === '' ? commit : `${commit}+`;
  } catch {
    return 'unknown';
  }
}

async function git(...args: string[]): Promise<string> {
  return (await promisify(execFile)('git', args)).stdout.trim();
}
