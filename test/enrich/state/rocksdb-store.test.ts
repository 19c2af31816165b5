import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyValueStore } from '../../../enrich/state/key-value-store.ts';
import { openRocksdbStore } from '../../../enrich/state/rocksdb-store.ts';
import { describeKeyValueStore } from './key-value-store-contract.ts';

let root: string;
let stores = 0;
const freshDirectory = () => join(root, `store-${++stores}`);
const bytes = (text: string) => new TextEncoder().encode(text);
const everything = { from: bytes(''), to: Uint8Array.of(255) };

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tributary-rocksdb-'));
});

afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

async function readAll(store: KeyValueStore): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { key, value } of store.scan(everything)) {
    found.set(Buffer.from(key).toString(), Buffer.from(value).toString());
  }
  return found;
}

describe('the RocksDB store', () => {
  describeKeyValueStore(() => openRocksdbStore(freshDirectory()));

  it('has after reopening what it had before, and keeps no old log files', async () => {
    const directory = freshDirectory();
    for (let open = 0; open < 4; open++) {
      const store = await openRocksdbStore(directory);
      expect((await readAll(store)).size).toBe(open);
      await store.applyBatch([{ key: bytes(`k${open}`), value: bytes('v') }]);
      await store.close();
    }
    const names = await readdir(directory);
    expect(names.filter((name) => name.startsWith('LOG.old.')).length).toBeLessThanOrEqual(1);
  });

  it('refuses a directory that is in use, and says so', async () => {
    const directory = freshDirectory();
    const store = await openRocksdbStore(directory);
    await expect(openRocksdbStore(directory)).rejects.toMatchObject({
      kind: 'config',
      message: expect.stringContaining('in use by another process'),
    });
    await store.close();
    await (await openRocksdbStore(directory)).close();
  });

  it('refuses a directory that cannot be created', async () => {
    const file = join(root, 'a-file');
    await writeFile(file, '');
    await expect(openRocksdbStore(join(file, 'state'))).rejects.toMatchObject({ kind: 'config' });
  });

  it('calls a damaged data file corrupt, in reads and in scans, and can be closed', async () => {
    const directory = freshDirectory();
    const store = await openRocksdbStore(directory);
    const keys = Array.from({ length: 100 }, (_, i) => bytes(`key-${i}`));
    await store.applyBatch(keys.map((key) => ({ key, value: new Uint8Array(1_000).fill(65) })));
    await store.flush();
    await store.close();
    const name = (await readdir(directory)).find((entry) => entry.endsWith('.sst')) ?? '';
    const file = await readFile(join(directory, name));
    file[200] = (file[200] ?? 0) ^ 0xff;
    await writeFile(join(directory, name), file);
    const damaged = await openRocksdbStore(directory);
    await expect(damaged.getMany(keys)).rejects.toMatchObject({ kind: 'rebuild' });
    await expect(readAll(damaged)).rejects.toMatchObject({ kind: 'rebuild' });
    await damaged.close();
  });

  it('calls a directory with a damaged list of files corrupt', async () => {
    const directory = freshDirectory();
    await (await openRocksdbStore(directory)).close();
    await writeFile(join(directory, 'CURRENT'), 'garbage');
    await expect(openRocksdbStore(directory)).rejects.toMatchObject({ kind: 'rebuild' });
  });

  it('keeps every acknowledged batch and tears none when killed in the middle of a write', async () => {
    const directory = freshDirectory();
    let newest = 0;
    for (let round = 0; round < 3; round++) {
      const acknowledged = await writeUntilKilled(directory, 20 + 30 * round);
      const store = await openRocksdbStore(directory);
      const found = await readAll(store);
      await store.close();
      const last = Number.parseInt(found.get('last') ?? '', 10);
      expect(last).toBeGreaterThanOrEqual(acknowledged);
      // Rows of an earlier round have higher numbers only if this round was torn.
      for (let row = 0; row < 200; row++) {
        expect(Number.parseInt(found.get(`row/${row}`) ?? '', 10)).toBe(last);
      }
      newest = Math.max(newest, last);
      const batches = [...found.keys()].filter((key) => key.startsWith('batch/'));
      expect(batches.length).toBe(newest);
    }
  }, 60_000);
});

/** Runs the writer until it has acknowledged so many batches, kills it, and returns the last one. */
async function writeUntilKilled(directory: string, batches: number): Promise<number> {
  const script = fileURLToPath(new URL('./batch-writer.ts', import.meta.url));
  const child = spawn(process.execPath, [script, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  const closed = once(child, 'close');
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (output.split('\n').length > batches) child.kill('SIGKILL');
  });
  await closed;
  expect(child.signalCode).toBe('SIGKILL');
  const complete = output.slice(0, output.lastIndexOf('\n')).split('\n');
  return Number(complete.at(-1));
}
