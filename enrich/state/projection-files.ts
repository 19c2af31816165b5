import { open, readdir, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

/** A file that is open for reading. */
export type ProjectionFile = {
  readonly size: number;
  /** Fills the target with the bytes from `at` on. Errors where the file ends before. */
  read(target: Uint8Array, at: number): Promise<void>;
  close(): Promise<void>;
};

/** Where the images of projections are kept. A file is there as a whole or not at all. */
export interface ProjectionFiles {
  list(): Promise<readonly string[]>;
  /** Writes a file of these pieces; once this has resolved, it survives a power cut. */
  write(name: string, pieces: AsyncIterable<Uint8Array>): Promise<void>;
  /** Undefined where there is no such file. */
  open(name: string): Promise<ProjectionFile | undefined>;
  /** Removes the file, if it is there. */
  remove(name: string): Promise<void>;
}

const SUFFIX = '.projection';
const UNFINISHED = '.unfinished';

/** Names of the files in a directory that are ours; unfinished ones too. */
const PROJECTION_FILE = /^[\w-]+\.projection(\.unfinished)?$/;

/** Projection files in a directory that exists; they lie beside the files of the store. */
export function projectionFilesIn(directory: string): ProjectionFiles {
  const pathOf = (name: string): string => join(directory, `${name}${SUFFIX}`);
  return {
    async list() {
      const entries = await readdir(directory);
      return entries
        .filter((entry) => PROJECTION_FILE.test(entry))
        .map((entry) => entry.slice(0, entry.indexOf(SUFFIX)));
    },
    async write(name, pieces) {
      const path = pathOf(name);
      try {
        await writeThrough(`${path}${UNFINISHED}`, pieces);
        await rename(`${path}${UNFINISHED}`, path);
        await syncDirectory(directory);
      } catch (error) {
        // What is left of it takes room that may be what was missing.
        await Promise.allSettled([rm(`${path}${UNFINISHED}`, { force: true })]);
        throw error;
      }
    },
    async open(name) {
      const file = await openIfThere(pathOf(name));
      if (file === undefined) return undefined;
      const { size } = await file.stat();
      return { size, read: (target, at) => readFully(file, target, at), close: () => file.close() };
    },
    async remove(name) {
      await rm(pathOf(name), { force: true });
      await rm(`${pathOf(name)}${UNFINISHED}`, { force: true });
    },
  };
}

async function writeThrough(path: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'w');
  try {
    for await (const piece of pieces) {
      for (let at = 0; at < piece.length;) {
        const { bytesWritten } = await file.write(piece, at, piece.length - at);
        at += bytesWritten;
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** So that the new name outlives a power cut. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function readFully(file: FileHandle, target: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < target.length;) {
    const { bytesRead } = await file.read(target, at, target.length - at, position + at);
    if (bytesRead === 0) throw new Error(`the file ends at ${position + at}`);
    at += bytesRead;
  }
}
