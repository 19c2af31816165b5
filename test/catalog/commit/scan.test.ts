import { expect, test } from 'vitest';
import { commitAppend } from '../../../catalog/commit/commit-append.ts';
import { scanDataFiles } from '../../../catalog/commit/scan.ts';
import type { ScannedFile } from '../../../catalog/commit/scan.ts';
import { CatalogError } from '../../../catalog/error.ts';
import { createAppendBench } from './append-bench.ts';
import type { AppendBench } from './append-bench.ts';

async function scan(bench: AppendBench, snapshotId?: bigint): Promise<ScannedFile[]> {
  const files: ScannedFile[] = [];
  const metadata = await bench.load();
  const from = snapshotId === undefined ? {} : { snapshotId };
  for await (const file of scanDataFiles({ store: bench.store, metadata, ...from })) {
    files.push(file);
  }
  return files;
}

/** A table with `count` commits of ten rows each. */
async function tableOf(count: number): Promise<AppendBench> {
  const bench = await createAppendBench();
  for (let i = 0; i < count; i += 1) {
    await commitAppend(bench.options(`c${i}`, { start: 10 * i, end: 10 * i + 10 }));
  }
  return bench;
}

test('a table without snapshots has no files', async () => {
  expect(await scan(await tableOf(0))).toEqual([]);
});

test('every live file comes once, with the snapshot and sequence number that added it', async () => {
  const bench = await tableOf(30);
  const { snapshots } = await bench.load();
  const files = await scan(bench);
  expect(new Set(files.map((file) => file.dataFile.location))).toHaveLength(30);
  expect(files.map((file) => file.sequenceNumber).toSorted((a, b) => Number(a - b))).toEqual(
    snapshots.map((snapshot) => snapshot.sequenceNumber),
  );
  expect(new Set(files.map((file) => file.snapshotId))).toEqual(
    new Set(snapshots.map((snapshot) => snapshot.snapshotId)),
  );
});

test('an older snapshot shows the files of its time, an unknown one is an error', async () => {
  const bench = await tableOf(3);
  const { snapshots } = await bench.load();
  expect(await scan(bench, snapshots[1]?.snapshotId)).toHaveLength(2);
  await expect(scan(bench, 1n)).rejects.toMatchObject({ kind: 'config' });
});

test('a manifest that cannot be read ends the scan with its error', async () => {
  const bench = await tableOf(12);
  const failing: AppendBench = {
    ...bench,
    store: {
      ...bench.store,
      get: async (location) => {
        if (location.endsWith('c5-m0.avro')) throw new CatalogError('unavailable', 'injected');
        return bench.store.get(location);
      },
    },
  };
  await expect(scan(failing)).rejects.toMatchObject({ kind: 'unavailable' });
});

test('few manifests are in memory at a time', async () => {
  const bench = await tableOf(40);
  let open = 0;
  let openMax = 0;
  const counting: AppendBench = {
    ...bench,
    store: {
      ...bench.store,
      get: async (location) => {
        open += 1;
        openMax = Math.max(openMax, open);
        await Promise.resolve();
        open -= 1;
        return bench.store.get(location);
      },
    },
  };
  expect(await scan(counting)).toHaveLength(40);
  expect(openMax).toBeLessThanOrEqual(8);
});
