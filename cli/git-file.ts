import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { EnrichError } from '../enrich/error.ts';

const run = promisify(execFile);

/** More than any contract. */
const outputBytesMax = 16 * 1024 ** 2;
const UNKNOWN_REF = 1;

/**
 * The text of a file as it stands at a git ref, also where it stood in another directory then and no other file has its
 * name; undefined where that has no such file. The repository is the one that the directory is in. Errors: `config` where git is missing, the directory is in no repository, or there is no such ref.
 */
export async function readAtRef(of: {
  directory: string;
  file: string;
  ref: string;
}): Promise<string | undefined> {
  const { file, ref } = of;
  const commit = (await git(of, ['rev-parse', '--verify', '--quiet', `${ref}^{commit}`])).trim();
  const listed = await git(of, ['ls-tree', '--name-only', commit, '--', file]);
  if (listed !== '') return git(of, ['show', `${commit}:./${file}`]);
  const all = await git(of, ['ls-tree', '-r', '-z', '--name-only', '--full-tree', commit]);
  const moved = all.split('\0').filter((path) => path === file || path.endsWith(`/${file}`));
  return moved.length === 1 ? git(of, ['show', `${commit}:${moved[0]}`]) : undefined;
}

async function git(
  { directory, ref }: { directory: string; ref: string },
  args: readonly string[],
): Promise<string> {
  try {
    const { stdout } = await run('git', ['-C', directory, ...args], { maxBuffer: outputBytesMax });
    return stdout;
  } catch (cause) {
    throw new EnrichError('config', reasonOf(cause, directory, ref), { cause });
  }
}

function reasonOf(cause: unknown, directory: string, ref: string): string {
  const { code, stderr = '' } = cause as { code?: unknown; stderr?: string };
  if (code === 'ENOENT') return 'git is not installed, and --against git:REF asks it';
  if (code === UNKNOWN_REF) {
    return (
      `git knows no commit ${ref}: name a branch, a tag or a commit; in a shallow clone fetch it first, ` +
      `such as git fetch --depth 1 origin ${ref}`
    );
  }
  return `git cannot read ${directory} at ${ref}: ${stderr.trim()}`;
}
