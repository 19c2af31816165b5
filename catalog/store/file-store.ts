import { randomUUID } from 'node:crypto';
import {
  link,
  mkdir,
  open,
  opendir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CatalogError, type CatalogErrorKind } from '../error.ts';
import type { ObjectStore } from './object-store.ts';

const SCHEME = 'file://';
/** Files being written; a process that dies leaves one behind, and no listing shows it. */
const UNFINISHED = /^\.unfinished-[0-9a-f-]{36}$/;

/**
 * Objects as files below the root of the file system: `file:///folder/name`, the path as it is,
 * without URL encoding. An object appears whole or not at all: it is written and flushed under
 * another name in the same folder, then renamed or, with `ifAbsent`, linked.
 * Errors: as `ObjectStore` documents them.
 */
export function openFileStore(): ObjectStore {
  return {
    put: (location, bytes, { ifAbsent = false } = {}) =>
      guarded(location, () => put(pathOf(location), bytes, ifAbsent)),
    get: (location) => guarded(location, () => readFile(pathOf(location))),
    getRange: (location, start, end) => guarded(location, () => readRange(location, start, end)),
    size: (location) => guarded(location, () => sizeOf(pathOf(location))),
    list,
    delete: (location) => guarded(location, () => rm(pathOf(location), { force: true })),
  };
}

async function put(path: string, bytes: Uint8Array, ifAbsent: boolean): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const unfinished = join(folder, `.unfinished-${randomUUID()}`);
  try {
    await writeFile(unfinished, bytes, { flag: 'wx', flush: true });
    // A rename replaces what is there; a link does not.
    await (ifAbsent ? link(unfinished, path) : rename(unfinished, path));
  } finally {
    await rm(unfinished, { force: true });
  }
}

async function readRange(location: string, start: number, end: number): Promise<Uint8Array> {
  const file = await open(pathOf(location), 'r');
  try {
    const bytes = new Uint8Array(end - start);
    let filled = 0;
    while (filled < bytes.byteLength) {
      const rest = bytes.byteLength - filled;
      const { bytesRead } = await file.read(bytes, filled, rest, start + filled);
      if (bytesRead === 0) {
        throw new CatalogError(
          'corrupt',
          `${location}: bytes ${start} to ${end} are beyond its end`,
        );
      }
      filled += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  return found?.isFile() === true ? found.size : undefined;
}

/** A prefix is a prefix of names, not a folder: the walk starts at the last folder that it names. */
async function* list(prefix: string): ReturnType<ObjectStore['list']> {
  const path = pathOf(prefix);
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  for await (const found of filesBelow(folder)) {
    if (!found.startsWith(path)) continue;
    const status = await stat(found).catch(() => undefined);
    if (status === undefined) continue;
    yield { location: SCHEME + found, sizeBytes: status.size, modifiedMs: status.mtimeMs };
  }
}

/** Folders end with a slash. */
async function* filesBelow(folder: string): AsyncGenerator<string, void, void> {
  const entries = await opendir(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw failureOf(error, SCHEME + folder);
  });
  for await (const entry of entries) {
    const path = folder + entry.name;
    if (entry.isDirectory()) yield* filesBelow(`${path}/`);
    else if (!UNFINISHED.test(entry.name)) yield path;
  }
}

function pathOf(location: string): string {
  if (!location.startsWith(`${SCHEME}/`)) {
    throw new CatalogError('config', `not a file location (file:///path): ${location}`);
  }
  return location.slice(SCHEME.length);
}

async function guarded<T>(location: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw failureOf(error, location);
  }
}

function failureOf(error: unknown, location: string): CatalogError {
  if (error instanceof CatalogError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new CatalogError(kindOf(codeOf(error)), `${location}: ${message}`, {
    context: { location },
    cause: error,
  });
}

function kindOf(code: string): CatalogErrorKind {
  switch (code) {
    case 'ENOENT':
      return 'corrupt';
    case 'EEXIST':
      return 'conflict';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ENOTDIR':
    case 'EISDIR':
    case 'ENAMETOOLONG':
      return 'config';
    default:
      return 'unavailable';
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
