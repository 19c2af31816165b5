import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EnrichError } from '../enrich/error.ts';
import { environment, systemClock } from './environment.ts';

const POLL_MS = 200;

/** `tributary run` as a process of its own, its log in a file. */
export type PipelineProcess = {
  pid: number;
  /** Resolves when `/readyz` says ok. A process that ends before is `config`, with its last log lines. */
  ready(waitMsMax: number): Promise<void>;
  /** `SIGKILL` leaves it no time for anything; resolves when it is gone. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
};

/**
 * Starts the pipeline of this repository with the same pipeline file and some environment of its own. Errors: `config`
 * where another one listens at `readyUrl`, which would answer in its place.
 */
export async function startPipelineProcess(options: {
  args: readonly string[];
  logFile: string;
  readyUrl: string;
  env: Readonly<Record<string, string>>;
}): Promise<PipelineProcess> {
  const other = await ask(options.readyUrl);
  if (other.kind !== 'silent') {
    const { host } = new URL(options.readyUrl);
    throw new EnrichError('config', `another pipeline listens on ${host}: stop it first`);
  }
  await mkdir(dirname(options.logFile), { recursive: true });
  const log = await open(options.logFile, 'a');
  const main = join(import.meta.dirname, 'main.ts');
  const child = spawn(process.execPath, [main, ...options.args, 'run'], {
    stdio: ['ignore', log.fd, log.fd],
    env: { ...environment(), ...options.env },
  });
  const killWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', killWithUs);
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => {
      process.off('exit', killWithUs);
      void log.close();
      resolve(code);
    });
  });
  if (child.pid === undefined) {
    throw new EnrichError('unavailable', 'the pipeline process could not be started');
  }
  return {
    pid: child.pid,
    ready: (waitMsMax) => waitUntilReady(child, options, waitMsMax),
    async stop(signal) {
      child.kill(signal);
      return exited;
    },
  };
}

async function waitUntilReady(
  child: ChildProcess,
  { readyUrl, logFile }: { readyUrl: string; logFile: string },
  waitMsMax: number,
): Promise<void> {
  const deadlineMs = systemClock.nowMs() + waitMsMax;
  let last = 'it does not listen yet';
  while (systemClock.nowMs() < deadlineMs) {
    if (child.exitCode !== null) {
      throw new EnrichError('config', `the pipeline ended by itself; its log is ${logFile}`);
    }
    const answer = await ask(readyUrl);
    if (answer.kind === 'ready') return;
    last = answer.reason;
    await systemClock.sleep(POLL_MS);
  }
  const seconds = Math.round(waitMsMax / 1000);
  throw new EnrichError(
    'unavailable',
    `the pipeline was not ready within ${seconds} s: ${last}; its log is ${logFile}`,
  );
}

type Answer = { kind: 'ready' } | { kind: 'not yet' | 'silent'; reason: string };

async function ask(url: string): Promise<Answer> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    if (response.ok) return { kind: 'ready' };
    return { kind: 'not yet', reason: (await response.text()).trim() };
  } catch (error) {
    return { kind: 'silent', reason: error instanceof Error ? error.message : String(error) };
  }
}
