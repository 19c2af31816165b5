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
 * Errors: `config` (directory not writable, or in use by another process), `corrupt` (delete the
 * directory: the state is built again from the change topics), `unavailable`.
 */
export async function openRocksdbStore(directory: string): Promise<KeyValueStore> {
  await createDirectory(directory);
  const database = new RocksDB(directory, {
    maxBackgroundJobs: 2,
    writeBufferSize: 64 * 1024 * 1024,
    maxWriteBufferNumber: 3,
    tableBlockSize: 16_384,
    tableCacheIndexAndFilterBlocks: false,
    blockCache: false,
  });
  await guard(directory, () => database.ready());
  await deleteOldLogs(directory);
  let open = true;
  const use = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!open) throw new EnrichError('unavailable', 'the state store is closed');
    return guard(directory, work);
  };
  return {
    applyBatch: (writes) => use(() => write(database, writes)),
    getMany: (keys) => use(() => read(database, keys)),
    scan: (range) => scan(database, { directory, range, isOpen: () => open }),
    flush: () => use(() => database.flush()),
    async close() {
      if (!open) return;
      open = false;
      await guard(directory, () => database.close());
    },
    sizeBytes: () => use(() => sizeBytes(database)),
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
    throw describe(options.directory, cause);
  }
}

async function sizeBytes(database: RocksDB): Promise<number> {
  const files = await database.getProperty('rocksdb.total-sst-files-size');
  const buffers = await database.getProperty('rocksdb.cur-size-all-mem-tables');
  return Number(files) + Number(buffers);
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
    throw new EnrichError('config', `state.directory: cannot create ${directory}`, { cause });
  }
}

async function guard<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw describe(directory, cause);
  }
}

/**
 * RocksDB gives `EIO` for everything, so its text is all there is to tell a kind. A failed write says only
 * "Batch was not applied" and carries the reason as its cause.
 */
function describe(directory: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof EnrichError) {
    return error;
  }
  const reason = error.cause instanceof Error ? error.cause.message : error.message;
  const options = { cause: error, context: { directory } };
  if (/\/LOCK: |lock hold by/.test(reason)) {
    const fix = 'stop the other process, or give this one its own state.directory';
    return new EnrichError('config', `${directory} is in use by another process: ${fix}`, options);
  }
  if (/corrupt|checksum mismatch|CURRENT file/i.test(reason)) {
    const fix = 'delete the directory: the state is built again from the change topics';
    return new EnrichError('corrupt', `${directory} is damaged: ${reason}; ${fix}`, options);
  }
  return new EnrichError('unavailable', `state store in ${directory}: ${reason}`, options);
}
