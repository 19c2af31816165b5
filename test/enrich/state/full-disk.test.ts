import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openRocksdbStore } from '../../../enrich/state/rocksdb-store.ts';
import { mountSmallDisk } from '../../chaos/small-disk.ts';
import type { SmallDisk } from '../../chaos/small-disk.ts';

const mayMount = process.platform === 'linux' && process.getuid?.() === 0;
const key = (n: number) => new TextEncoder().encode(`row ${String(n).padStart(6, '0')}`);
const value = new Uint8Array(1_000);
const everything = { from: new Uint8Array(), to: Uint8Array.of(255) };
const noSpace =
  /^no space is left for the state in .*: make room, and the pipeline goes on by itself$/;

describe.skipIf(!mayMount)('a full disk', () => {
  let mounted: string;
  let disk: SmallDisk;
  beforeEach(async () => {
    mounted = await mkdtemp(join(tmpdir(), 'tributary-full-'));
    disk = await mountSmallDisk(mounted);
  });
  afterEach(async () => {
    execFileSync('umount', [mounted]);
    await rm(mounted, { recursive: true });
  });

  it('fails the writes with what to do; opened again once there is room, nothing is missing', async () => {
    const directory = join(mounted, 'state');
    const store = await openRocksdbStore(directory);
    let acknowledged = 0;
    const writeUntilItFails = async (): Promise<never> => {
      for (;;) {
        await store.applyBatch([{ key: key(acknowledged), value }]);
        acknowledged += 1;
      }
    };
    await store.applyBatch([{ key: key(acknowledged++), value }]);
    await disk.fill();
    const failure = { kind: 'reopen', message: expect.stringMatching(noSpace) };
    await expect(writeUntilItFails()).rejects.toMatchObject(failure);
    await disk.free();
    await expect(writeUntilItFails(), 'room alone does not help').rejects.toMatchObject(failure);
    await disk.fill();
    await store.close();
    await disk.fill();
    await expect(openRocksdbStore(directory)).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(noSpace),
    });
    await disk.free();
    const again = await openRocksdbStore(directory);
    const found: string[] = [];
    for await (const entry of again.scan(everything)) found.push(Buffer.from(entry.key).toString());
    expect(found).toEqual(
      Array.from({ length: acknowledged }, (_, n) => Buffer.from(key(n)).toString()),
    );
    await again.applyBatch([{ key: key(acknowledged), value }]);
    await again.close();
  }, 30_000);
});
