import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ComponentName } from '../../stack/components.ts';
import { readInstance } from '../../stack/instance.ts';
import { findConflicts, findMissing, selectComponents } from '../../stack/launch.ts';
import { repository } from './compose-file.ts';

/** The stack cannot be used; the message says why, and what to do. */
export class StackError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'StackError';
  }
}

/**
 * Claims the instance that the environment names, which is wiped before and after its use: of two runs at once the
 * second one is refused. Gives what ends the claim.
 */
export async function claimInstance(): Promise<() => Promise<void>> {
  const owner = `${readInstance(process.env).run}.owner`;
  const pid = Number(await readFile(owner, 'utf8').catch(() => '0'));
  if (pid > 0 && pid !== process.pid && isAlive(pid)) {
    throw new StackError(
      `process ${pid} is using the stack of this run (${owner}): wait for it to end`,
    );
  }
  await mkdir(dirname(owner), { recursive: true });
  await writeFile(owner, String(process.pid));
  return () => rm(owner, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/**
 * Starts the components, all where none is named, of the instance that the environment names. Errors: `StackError`, for
 * a port that is taken with `movedBy`, the one variable that moves this instance.
 */
export async function bringUp(movedBy: string, ...names: ComponentName[]): Promise<void> {
  const instance = readInstance(process.env);
  const missing = await findMissing(instance, selectComponents(names), () => undefined);
  const conflicts = await findConflicts(instance, missing, movedBy);
  if (conflicts.length > 0) throw new StackError(conflicts.join('\n'));
  await launch('up', ...names);
}

/** Runs the launcher as a user would, with its output in ours. */
export function launch(...args: string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(process.execPath, [join(repository, 'stack/main.ts'), ...args], {
    stdio: 'inherit',
  });
  child.once('error', reject);
  child.once('close', (code) => {
    if (code === 0) resolve();
    else reject(new StackError(`stack/main.ts ${args.join(' ')} ended with ${code}`));
  });
  return promise;
}
