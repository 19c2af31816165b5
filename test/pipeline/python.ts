import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repository } from '../stack/compose-file.ts';

const run = promisify(execFile);
/** What is installed into one environment, and what it is asked for. */
type Packages = { folder: string; requirements: readonly string[]; imports: string };

const pyiceberg: Packages = {
  folder: 'python',
  requirements: ['pyiceberg[pyarrow,s3fs,pyiceberg-core]==0.12.0'],
  imports: 'pyiceberg, pyarrow, s3fs',
};

/** The published JSON schema of the Open Data Contract Standard v3.1.0, and a validator that knows its draft. */
export const odcs: Packages = {
  folder: 'python-odcs',
  requirements: ['open-data-contract-standard==3.1.2', 'jsonschema==4.26.0', 'pyyaml==6.0.3'],
  imports: 'open_data_contract_standard, jsonschema, yaml',
};

const installMsMax = 240_000;
const printedBytesMax = 64 * 1024 ** 2;

export type Python = { kind: 'ready'; python: string } | { kind: 'missing'; reason: string };

/** A Python with these packages, made once under `.stack`; missing where this machine cannot have one. */
export async function findPython(packages = pyiceberg): Promise<Python> {
  const environment = join(repository, '.stack', packages.folder);
  const python = join(environment, 'bin/python');
  if (await has(python, packages)) return { kind: 'ready', python };
  try {
    await run('python3', ['-m', 'venv', environment]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    await run(python, [...pip, ...packages.requirements], { timeout: installMsMax });
    return { kind: 'ready', python };
  } catch (error) {
    return { kind: 'missing', reason: error instanceof Error ? error.message : String(error) };
  }
}

async function has(python: string, { imports }: Packages): Promise<boolean> {
  try {
    await access(python);
    await run(python, ['-c', `import ${imports}`]);
    return true;
  } catch {
    return false;
  }
}

/** Runs a script of this folder, of whose modules no compiled copies are left, and parses what it prints. */
export async function runPython(
  executable: string,
  script: string,
  args: readonly string[],
): Promise<unknown> {
  const { stdout } = await run(executable, ['-B', join(import.meta.dirname, script), ...args], {
    maxBuffer: printedBytesMax,
  });
  return JSON.parse(stdout);
}
