import { expect, test } from 'vitest';
import { commitAppend } from '../../../catalog/commit/commit-append.ts';
import { scanDataFiles } from '../../../catalog/commit/scan.ts';
import type { ScannedFile } from '../../../catalog/commit/scan.ts';
import { CatalogError } from '../../../catalog/error.ts';
import { decodeAvroFile, encodeAvroFile } from '../../../catalog/manifest/avro-file.ts';
import { decodeManifestList, encodeManifestList } from '../../../catalog/manifest/manifest-list.ts';
import { encodeManifest } from '../../../catalog/manifest/manifest.ts';
import { headSnapshot } from '../../../catalog/spec/snapshot-walk.ts';
import { createAppendBench, dataFileOf } from './append-bench.ts';
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
        if (/c5-[0-9a-f]+-m0\.avro$/.test(location))
          throw new CatalogError('unavailable', 'injected');
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

/** Where each kind of delete file applies; data files of the commits have sequence numbers 1, 2 and 3. */
test.each([
  ['equality deletes: files of lower sequence numbers', { content: 2 }, 2n, [1n]],
  ['position deletes: files of the same commit too', { content: 1 }, 2n, [1n, 2n]],
  ['another partition: none', { content: 1, partition: { event_time_day: 1 } }, 3n, []],
  [
    'equality deletes without a partition spec: everywhere',
    { content: 2, specId: 1 },
    9n,
    [1n, 2n, 3n],
  ],
  ['position deletes without a partition spec: none', { content: 1, specId: 1 }, 9n, []],
  [
    'position deletes with one path as bounds: that file alone',
    { content: 1, path: 'memory://lake/shop/clicks/data/10-20-20833.parquet' },
    9n,
    [2n],
  ],
] as const)('%s', async (_name, change, sequenceNumber, expected) => {
  const bench = await tableOf(3);
  await addDeletes(bench, change, sequenceNumber);
  const table = await bench.load();
  const metadata = {
    ...table,
    partitionSpecs: [...table.partitionSpecs, { specId: 1, fields: [] }],
  };
  const hit: bigint[] = [];
  for await (const file of scanDataFiles({ store: bench.store, metadata })) {
    if (file.deletes.length > 0) hit.push(file.sequenceNumber);
  }
  expect(hit.toSorted((a, b) => Number(a - b))).toEqual(expected);
});

type DeleteChange = { content: 1 | 2; specId?: 1; partition?: object; path?: string };

/** Puts a manifest with one delete file into the head's manifest list, as an engine's delete would. */
async function addDeletes(
  bench: AppendBench,
  change: DeleteChange,
  sequenceNumber: bigint,
): Promise<void> {
  const table = await bench.load();
  const head = headSnapshot(table);
  const location = head?.manifestList ?? '';
  const manifests = decodeManifestList(await bench.store.get(location));
  const [data] = manifests;
  if (data === undefined) throw new Error('the table has no manifest');
  const specId = change.specId ?? 0;
  const partitionSpec = table.partitionSpecs[0];
  const tableSchema = table.schemas[0];
  if (partitionSpec === undefined || tableSchema === undefined) throw new Error('no schema');
  const path = new Map(
    change.path === undefined ? [] : [[2147483546, Buffer.from(change.path)] as const],
  );
  const spec = specId === 0 ? partitionSpec : { specId, fields: [] };
  const { records, ...rest } = decodeAvroFile(
    encodeManifest({
      tableSchema,
      partitionSpec: spec,
      dataFiles: [
        { ...dataFileOf({ start: 0, end: 1 }), specId, lowerBounds: path, upperBounds: path },
      ],
    }),
  );
  const deletes = encodeAvroFile({
    ...rest,
    records: records.map((record) => {
      const file = record['data_file'] as { partition: object };
      const partition = change.partition ?? file.partition;
      return { ...record, data_file: { ...file, content: change.content, partition } };
    }),
  });
  await bench.store.put('memory://lake/deletes.avro', deletes);
  const list = encodeManifestList({
    snapshotId: 1n,
    parentSnapshotId: undefined,
    sequenceNumber,
    manifests: [
      ...manifests,
      {
        ...data,
        location: 'memory://lake/deletes.avro',
        content: 'deletes',
        specId,
        sequenceNumber,
      },
    ],
  });
  await bench.store.put(location, list);
}
