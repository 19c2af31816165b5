import { execFile, spawn } from 'node:child_process';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Command, ComponentName } from './components.ts';
import { type Instance, logFile } from './instance.ts';
import type { Environment } from './ports.ts';

const run = promisify(execFile);

/** How long a component may take to stop before it is killed. */
const stopWaitMsMax = 30_000;

/** A process by id and start time: an id alone may have passed to another program since. */
type ProcessMark = { readonly pid: number; readonly startedAt: string };

/** What the launched processes inherit of our environment; everything else is theirs alone. */
const inherited = ['PATH', 'HOME', 'TMPDIR', 'LANG'];

function pidFile(instance: Instance, component: ComponentName): string {
  return join(instance.run, 'pid', `${component}.json`);
}

/** The process id of a component that runs, undefined when it does not; a stale pid file counts as neither. */
export async function findRunning(
  instance: Instance,
  component: ComponentName,
): Promise<number | undefined> {
  const text = await readFile(pidFile(instance, component), 'utf8').catch(() => '');
  const mark = parseMark(text);
  if (mark === undefined || (await startTime(mark.pid)) !== mark.startedAt) return undefined;
  return mark.pid;
}

function parseMark(text: string): ProcessMark | undefined {
  try {
    const mark = JSON.parse(text) as Partial<ProcessMark> | null;
    const { pid, startedAt } = mark ?? {};
    return pid === undefined || startedAt === undefined ? undefined : { pid, startedAt };
  } catch {
    return undefined;
  }
}

/** When a process started, in the system's own words; undefined when there is none, or only its corpse. */
async function startTime(pid: number): Promise<string | undefined> {
  const [state, since] = process.platform === 'linux' ? await readProc(pid) : await askPs(pid);
  return state === undefined || state.startsWith('Z') ? undefined : since;
}

/** State and start time in ticks, fields 3 and 22 of proc(5); the name in field 2 may hold spaces. */
async function readProc(pid: number): Promise<readonly (string | undefined)[]> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return text === '' ? [] : [fields[0], fields[19]];
}

async function askPs(pid: number): Promise<readonly (string | undefined)[]> {
  const asked = run('ps', ['-o', 'stat=,lstart=', '-p', String(pid)]);
  const { stdout } = await asked.catch(() => ({ stdout: '' }));
  const [state, ...since] = stdout.trim().split(/\s+/);
  return state === undefined || state === '' ? [] : [state, since.join(' ')];
}

/**
 * Starts a process that outlives ours, with its output in the component's log, and leaves its pid file. Of earlier
 * logs the last one stays, under `.log.1`.
 */
export async function startProcess(
  instance: Instance,
  component: ComponentName,
  command: Command,
  env: Environment,
): Promise<number> {
  const log = logFile(instance, component);
  await Promise.all([mkdir(dirname(log), { recursive: true }), makePidDirectory(instance)]);
  await rename(log, `${log}.1`).catch(() => undefined);
  const output = await open(log, 'w');
  try {
    const child = spawn(command.file, command.args, {
      cwd: command.cwd,
      env: { ...pick(env), ...command.env },
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
    });
    const pid = await started(child);
    const mark = { pid, startedAt: (await startTime(pid)) ?? '' };
    await writeFile(pidFile(instance, component), JSON.stringify(mark));
    return pid;
  } finally {
    await output.close();
  }
}

async function makePidDirectory(instance: Instance): Promise<void> {
  await mkdir(join(instance.run, 'pid'), { recursive: true });
}

function started(child: ReturnType<typeof spawn>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once('error', reject);
  child.once('spawn', () => {
    child.unref();
    resolve(child.pid ?? 0);
  });
  return promise;
}

function pick(env: Environment): Record<string, string> {
  const pairs = inherited.flatMap((name) => {
    const value = env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(pairs) as Record<string, string>;
}

/**
 * Asks a component to stop, waits, kills it once `waitMsMax` is over. Says what was needed; `absent` when it was
 * not running.
 */
export async function stopProcess(
  instance: Instance,
  component: ComponentName,
  options: { readonly signal: NodeJS.Signals; readonly waitMsMax?: number },
): Promise<'stopped' | 'killed' | 'absent'> {
  const pid = await findRunning(instance, component);
  if (pid === undefined) {
    await rm(pidFile(instance, component), { force: true });
    return 'absent';
  }
  process.kill(pid, options.signal);
  const stopped = await waitForEnd(instance, component, options.waitMsMax ?? stopWaitMsMax);
  if (!stopped) {
    process.kill(pid, 'SIGKILL');
    await waitForEnd(instance, component, stopWaitMsMax);
  }
  await rm(pidFile(instance, component), { force: true });
  return stopped ? 'stopped' : 'killed';
}

async function waitForEnd(
  instance: Instance,
  component: ComponentName,
  waitMsMax: number,
): Promise<boolean> {
  const pollMs = 100;
  for (let waitedMs = 0; waitedMs < waitMsMax; waitedMs += pollMs) {
    if ((await findRunning(instance, component)) === undefined) return true;
    await sleep(pollMs);
  }
  return false;
}
