import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repository } from '../stack/compose-file.ts';

const run = promisify(execFile);
const environment = join(repository, '.stack/python');
const python = join(environment, 'bin/python');
const requirement = 'pyiceberg[pyarrow,s3fs,pyiceberg-core]==0.12.0';
const installMsMax = 240_000;
const printedBytesMax = 64 * 1024 ** 2;

export type Python = { kind: 'ready'; python: string } | { kind: 'missing'; reason: string };

/** A Python with pyiceberg, made once under `.stack`; missing where this machine cannot have one. */
export async function findPython(): Promise<Python> {
  if (await hasPyiceberg()) return { kind: 'ready', python };
  try {
    await run('python3', ['-m', 'venv', environment]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', requirement];
    await run(python, pip, { timeout: installMsMax });
    return { kind: 'ready', python };
  } catch (error) {
    return { kind: 'missing', reason: error instanceof Error ? error.message : String(error) };
  }
}

async function hasPyiceberg(): Promise<boolean> {
  try {
    await access(python);
    await run(python, ['-c', 'import pyiceberg, pyarrow, s3fs']);
    return true;
  } catch {
    return false;
  }
}

/** Runs a script of this folder and parses what it prints. */
export async function runPython(
  executable: string,
  script: string,
  args: readonly string[],
): Promise<unknown> {
  const { stdout } = await run(executable, [join(import.meta.dirname, script), ...args], {
    maxBuffer: printedBytesMax,
  });
  return JSON.parse(stdout);
}
