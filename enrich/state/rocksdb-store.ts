import { mkdir, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import RocksDB from 'rocksdb';
import { EnrichError } from '../error.ts';
import { assertBytes } from './key-value-store.ts';
import type { KeyValueStore, StoreRange, StoreWrite } from './key-value-store.ts';

/** Larger chunks turn too many entries into objects in one turn of the event loop. */
const scanCapacity = 256;

/**
 * Opens the RocksDB store in `directory`, which is created where it is missing; one process at a time.
 * Blocks are not cached here: the page cache of the operating system does it better and is bounded.
 * Errors: `config` (directory not writable, or in use by another process), `rebuild` (files are damaged or
 * missing), `unavailable` (a full disk, among others).
 */
export async function openRocksdbStore(directory: string): Promise<KeyValueStore> {
  await createDirectory(directory);
  await deleteOldLogs(directory);
  const database = new RocksDB(directory, {
    maxBackgroundJobs: 2,
    writeBufferSize: 64 * 1024 * 1024,
    maxWriteBufferNumber: 3,
    tableBlockSize: 16_384,
    tableCacheIndexAndFilterBlocks: false,
    blockCache: false,
  });
  await guard(directory, 'unavailable', () => database.ready());
  let open = true;
  const use = async <T>(otherwise: Otherwise, work: () => Promise<T>): Promise<T> => {
    if (!open) throw new EnrichError('unavailable', 'the state store is closed');
    return guard(directory, otherwise, work);
  };
  return {
    // After a failed write RocksDB takes no other, until it is opened again.
    applyBatch: (writes) => use('reopen', () => write(database, writes)),
    getMany: (keys) => use('unavailable', () => read(database, keys)),
    scan: (range) => scan(database, { directory, range, isOpen: () => open }),
    flush: () => use('reopen', () => database.flush()),
    async close() {
      if (!open) return;
      open = false;
      await guard(directory, 'unavailable', () => database.close());
    },
  };
}

async function write(database: RocksDB, writes: readonly StoreWrite[]): Promise<void> {
  // The binding stores what is not bytes as an empty value, or as foreign memory.
  for (const { key, value } of writes) {
    assertBytes(key, 'a key');
    if (value !== undefined) assertBytes(value, 'a value');
  }
  // Without autoDestroy a failed write keeps a reference, and close() waits for it for ever.
  const batch = database.write({ capacity: Math.max(1, writes.length), autoDestroy: true });
  for (const { key, value } of writes) {
    if (value === undefined) batch.tryDelete(key);
    else batch.tryPut(key, value);
  }
  await batch.flush();
}

async function read(
  database: RocksDB,
  keys: readonly Uint8Array[],
): Promise<(Uint8Array | undefined)[]> {
  if (keys.length === 0) return [];
  for (const key of keys) assertBytes(key, 'a key');
  const batch = database.read({ capacity: keys.length, autoDestroy: true });
  const values = Promise.all(keys.map((key) => batch.get(key)));
  // Awaiting flush() instead would leave the rejection of a single key unhandled.
  batch.tryFlush();
  return (await values).map((value) => value ?? undefined);
}

async function* scan(
  database: RocksDB,
  options: { directory: string; range: StoreRange; isOpen: () => boolean },
) {
  const { from, to, limit } = options.range;
  if (!options.isOpen()) throw new EnrichError('unavailable', 'the state store is closed');
  if (limit === 0) return;
  const range = { gte: from, lt: to, ...(limit === undefined ? {} : { limit }) };
  try {
    yield* database.iterator(range, { capacity: Math.min(scanCapacity, limit ?? scanCapacity) });
  } catch (cause) {
    throw describe(options.directory, 'unavailable', cause);
  }
}

/** RocksDB keeps a log of each open, up to 1,000; failing to delete one harms nothing. */
async function deleteOldLogs(directory: string): Promise<void> {
  const names = await readdir(directory);
  const old = names.filter((name) => name.startsWith('LOG.old.'));
  await Promise.allSettled(old.map((name) => unlink(join(directory, name))));
}

async function createDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
  } catch (cause) {
    if (cause instanceof Error && NO_SPACE.test(cause.message)) throw noSpace(directory, cause);
    throw new EnrichError('config', `state.directory: cannot create ${directory}`, { cause });
  }
}

/** The kind of a fault that is neither damage nor the user's to mend. */
type Otherwise = 'unavailable' | 'reopen';

async function guard<T>(
  directory: string,
  otherwise: Otherwise,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw describe(directory, otherwise, cause);
  }
}

const IN_USE = /\/LOCK: |lock hold by/;
const NOT_ALLOWED = /Permission denied|Read-only file system/;
const NO_SPACE = /No space left|Disk quota exceeded|ENOSPC|EDQUOT/i;
/** A file that is named but missing is damage as well: the state is less than it was. */
const DAMAGED = /corrupt|checksum mismatch|CURRENT file|No such file|existing log file/i;

/**
 * RocksDB gives `EIO` for everything, so its text is all there is to tell a kind. A failed write says only
 * "Batch was not applied" and carries the reason as its cause.
 */
function describe(directory: string, otherwise: Otherwise, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof EnrichError) {
    return error;
  }
  const reason = error.cause instanceof Error ? error.cause.message : error.message;
  const options = { cause: error, context: { directory } };
  // The directory's own name must not pass for a reason.
  const text = reason.replaceAll(directory, '');
  if (IN_USE.test(text)) {
    const fix = 'stop the other process, or give this one its own state.directory';
    return new EnrichError('config', `${directory} is in use by another process: ${fix}`, options);
  }
  if (NOT_ALLOWED.test(text)) {
    const fix =
      'give the pipeline the right to write there, or set state.directory to another place';
    return new EnrichError('config', `state store in ${directory}: ${reason}; ${fix}`, options);
  }
  if (NO_SPACE.test(text)) return noSpace(directory, error, otherwise);
  if (DAMAGED.test(text)) {
    return new EnrichError('rebuild', `${directory} is damaged: ${reason}`, options);
  }
  return new EnrichError(otherwise, `state store in ${directory}: ${reason}`, options);
}

function noSpace(directory: string, cause: unknown, kind: Otherwise = 'unavailable'): EnrichError {
  return new EnrichError(
    kind,
    `no space is left for the state in ${directory}: make room, and the pipeline goes on by itself`,
    { cause, context: { directory } },
  );
}
