import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { repository } from '../stack/compose-file.ts';

export type Environment = Readonly<Record<string, string>>;

/** A command of `./tributary` that goes on, its output so far, and how it ended. */
export type Command = {
  readonly pid: number;
  /** Standard output and standard error, as they came. */
  output: () => string;
  /** The exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>;
  stop: (signal: NodeJS.Signals) => Promise<number | NodeJS.Signals>;
};

/** `./tributary run`. */
export type Pipeline = Command & {
  url: string;
  /** Resolves when `/readyz` says ok; an end before it is an error with the output. */
  ready: () => Promise<void>;
  metric: (line: string) => Promise<number>;
  /** An error with the last lines of the output when it has ended without having been stopped. */
  mustBeAlive: () => void;
};

export type Finished = { code: number | NodeJS.Signals; stdout: string; output: string };

/** Starts `./tributary` with these arguments; it dies with us. */
export function startCommand(
  args: readonly string[],
  env: Environment,
): Command & { stdout: () => string } {
  const child: ChildProcess = spawn(join(repository, 'tributary'), args, {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const printed: { stream: 'stdout' | 'stderr'; text: string }[] = [];
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (text: string) => printed.push({ stream, text }));
  }
  const killWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', killWithUs);
  const { promise: ended, resolve, reject } = Promise.withResolvers<number | NodeJS.Signals>();
  child.once('error', reject);
  child.once('close', (code, signal) => {
    process.off('exit', killWithUs);
    resolve(code ?? signal ?? 'SIGKILL');
  });
  return {
    pid: child.pid ?? 0,
    output: () => printed.map(({ text }) => text).join(''),
    stdout: () => printed.flatMap((p) => (p.stream === 'stdout' ? [p.text] : [])).join(''),
    ended,
    stop: (signal) => {
      child.kill(signal);
      return ended;
    },
  };
}

/** A started `run` command that serves at this address. */
export function asPipeline(command: Command, url: string): Pipeline {
  let [hasEnded, wasStopped] = [false, false];
  void command.ended.then(() => (hasEnded = true));
  const mustBeAlive = (): void => {
    if (!hasEnded || wasStopped) return;
    const last = command.output().split('\n').slice(-12).join('\n');
    throw new Error(`the pipeline ended by itself:\n${last}`);
  };
  const metric = async (line: string): Promise<number> => {
    mustBeAlive();
    const text = await (await fetch(`${url}/metrics`)).text();
    const found = text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
    return found === undefined ? 0 : Number(found.slice(line.length + 1));
  };
  const ready = (): Promise<void> =>
    until('the pipeline is ready', async () => {
      mustBeAlive();
      return (await fetch(`${url}/readyz`).catch(() => undefined))?.ok === true;
    });
  const stop = (signal: NodeJS.Signals): Promise<number | NodeJS.Signals> => {
    wasStopped = true;
    return command.stop(signal);
  };
  return { ...command, url, ready, metric, mustBeAlive, stop };
}

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Polls until the condition holds; over time it is an error that names it. */
export async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  waitMsMax = 60_000,
): Promise<void> {
  for (const end = Date.now() + waitMsMax; !(await holds());) {
    if (Date.now() > end) throw new Error(`not within ${waitMsMax / 1000} s: ${what}`);
    await sleep(100);
  }
}

/** Asks it to stop and waits; an exit code other than 0 is an error with the output. */
export async function stopCleanly(command: Command): Promise<void> {
  const code = await command.stop('SIGTERM');
  if (code !== 0) throw new Error(`SIGTERM ended it with ${code}\n${command.output()}`);
}
