import { execFile } from 'node:child_process';
import { appendFile, cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Small enough that RocksDB can reserve no space ahead for its log. */
const sizeMiB = 24;
const chunks = [2 ** 20, 2 ** 12, 1];

/** A file system of its own in a directory, which can be filled. */
export type SmallDisk = {
  /** Takes the last byte. */
  fill: () => Promise<void>;
  free: () => Promise<void>;
  /** Leaves the directory with its files, but on the file system that it was made on. */
  takeAway: () => Promise<void>;
};

/** Mounts a small file system in memory. Errors: where the user may not mount: this needs root on Linux. */
export async function mountSmallDisk(directory: string): Promise<SmallDisk> {
  await mkdir(directory, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', directory]).catch(
    (cause: unknown) => {
      throw new Error('a full disk needs the right to mount one: run this as root', { cause });
    },
  );
  const ballast = join(directory, 'ballast');
  return {
    fill: async () => {
      for (const bytes of chunks) await fillUp(ballast, bytes);
    },
    free: () => rm(ballast, { force: true }),
    takeAway: async () => {
      const copy = `${directory}-copy`;
      await cp(directory, copy, { recursive: true });
      // Lazily: where the round has failed, a process may still hold files of it.
      await run('umount', ['--lazy', directory]);
      await cp(copy, directory, { recursive: true });
      await rm(copy, { recursive: true });
    },
  };
}

async function fillUp(file: string, bytes: number): Promise<void> {
  const chunk = Buffer.alloc(bytes);
  for (let written = 0; written <= sizeMiB * 2 ** 20; written += bytes) {
    const full = await appendFile(file, chunk).then(
      () => false,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOSPC') return true;
        throw error;
      },
    );
    if (full) return;
  }
}
