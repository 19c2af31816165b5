import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EnrichError } from '../error.ts';
import type { ProjectionImages } from './dimension-image.ts';
import type { DimensionDefinition } from './dimension-record.ts';
import { openDimensionState } from './dimension-state.ts';
import type { DimensionState } from './dimension-state.ts';
import { projectionFilesIn } from './projection-files.ts';
import { openRocksdbStore } from './rocksdb-store.ts';

/** Where damaged files go: a folder in the state directory, which may be a mount that cannot be renamed. */
const ASIDE_PREFIX = 'damaged-';
const ASIDE = /^damaged-\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z$/;
/** RocksDB's files by their names; whatever else lies in the directory is not ours to move or delete. */
const STATE_FILE =
  /^(CURRENT|IDENTITY|SESSION_ID|LOCK|LOG|LOG\.old\.\d+|(MANIFEST|OPTIONS)-\d+|\d+\.(sst|log|blob)|.+\.dbtmp)$/;
const STATE_FAULTS: ReadonlySet<string> = new Set(['reopen', 'rebuild', 'renew']);

export type OpenedState = {
  state: DimensionState;
  close: () => Promise<void>;
  /** Where the damaged files of the state before are, and what was wrong with them. */
  rebuilt: { aside: string; error: EnrichError } | undefined;
};

type OpenOptions = {
  directory: string;
  dimensions: readonly DimensionDefinition[];
  /** To open projections from their files in the directory, and to keep such files. */
  images?: Omit<ProjectionImages, 'files'>;
  /** As of `openDimensionState`. */
  onProgress?: () => void;
};

/**
 * Opens the state in a directory: its projections from their files, or rebuilt and compared with what was written.
 * Where files of the store are damaged or missing, they are set aside (the newest damage is kept), and an empty state
 * begins: whatever it held stands in the change topics.
 * Errors: `config`, and `unavailable` (a full disk, among others): open it again.
 */
export async function openState({
  nowMs,
  ...options
}: OpenOptions & {
  /** Epoch ms, for the name of what is set aside. */
  nowMs: number;
}): Promise<OpenedState> {
  const { directory } = options;
  try {
    return { ...(await openSound(options)), rebuilt: undefined };
  } catch (error) {
    if (!(error instanceof EnrichError) || error.kind !== 'rebuild') throw error;
    const aside = await setAside(directory, nowMs);
    return { ...(await openSound(options)), rebuilt: { aside, error } };
  }
}

/**
 * Makes way for a state that is built anew, once the one before is closed. Files that turned out to be damaged
 * at work are set aside, and the result says where; sound ones, that are too old, are deleted.
 * To be called once for each fault: damage that is set aside takes the place of the one before.
 */
export async function retireState(options: {
  directory: string;
  nowMs: number;
  error: EnrichError;
}): Promise<string | undefined> {
  const { directory, nowMs, error } = options;
  if (error.kind === 'rebuild') return setAside(directory, nowMs);
  await makeWay(directory, async () => {
    for (const entry of await entriesLike(STATE_FILE, directory)) await rm(join(directory, entry));
  });
  return undefined;
}

/** Whether the state has failed in a way that opening it again, or building it anew, cures. */
export function isStateFault(error: unknown): error is EnrichError {
  return error instanceof EnrichError && STATE_FAULTS.has(error.kind);
}

async function openSound({ directory, dimensions, images, onProgress }: OpenOptions) {
  const store = await openRocksdbStore(directory);
  try {
    const state = await openDimensionState({
      store,
      dimensions,
      ...(images === undefined
        ? {}
        : { images: { ...images, files: projectionFilesIn(directory) } }),
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    return { state, close: () => store.close() };
  } catch (error) {
    await Promise.allSettled([store.close()]);
    if (!(error instanceof EnrichError) || error.kind !== 'reopen') throw error;
    // It was not open yet: to try again is all there is.
    throw new EnrichError('unavailable', error.message, { cause: error });
  }
}

/** Moves the store's files into a folder of their own; an earlier one goes, so that damage cannot fill the disk. */
async function setAside(directory: string, nowMs: number): Promise<string> {
  const name = `${ASIDE_PREFIX}${new Date(nowMs).toISOString().replaceAll(':', '')}`;
  const aside = join(directory, name);
  await makeWay(directory, async () => {
    const files = await entriesLike(STATE_FILE, directory);
    for (const entry of await entriesLike(ASIDE, directory)) {
      await rm(join(directory, entry), { recursive: true });
    }
    await mkdir(aside);
    for (const entry of files) await rename(join(directory, entry), join(aside, entry));
  });
  return aside;
}

async function entriesLike(pattern: RegExp, directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((entry) => pattern.test(entry));
}

async function makeWay(directory: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    // A directory that is gone has nothing to make way.
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return;
    const fix = 'delete its files: the state is built again from the change topics';
    const message = `the state in ${directory} has to be built again, and its files cannot be moved; ${fix}`;
    throw new EnrichError('config', message, { cause, context: { directory } });
  }
}
