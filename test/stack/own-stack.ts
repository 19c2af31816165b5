import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readInstance } from '../../stack/instance.ts';
import { repository } from './compose-file.ts';

/**
 * Claims the instance that the environment names, which is wiped before and after its use: of two runs at once the
 * second one is refused. Gives what ends the claim.
 */
export async function claimInstance(): Promise<() => Promise<void>> {
  const owner = `${readInstance(process.env).run}.owner`;
  const pid = Number(await readFile(owner, 'utf8').catch(() => '0'));
  if (pid > 0 && pid !== process.pid && isAlive(pid)) {
    throw new Error(`process ${pid} is using the stack of this run (${owner}): wait for it to end`);
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

/** Runs the launcher as a user would, with its output in ours. */
export function launch(...args: string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(process.execPath, [join(repository, 'stack/main.ts'), ...args], {
    stdio: 'inherit',
  });
  child.once('error', reject);
  child.once('close', (code) => {
    if (code === 0) resolve();
    else reject(new Error(`stack/main.ts ${args.join(' ')} ended with ${code}`));
  });
  return promise;
}
