import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { scanDataFiles } from '../../../catalog/commit/scan.ts';
import type { ManifestEntry } from '../../../catalog/manifest/manifest.ts';
import { decodeManifest } from '../../../catalog/manifest/manifest.ts';
import { decodeManifestList, encodeManifestList } from '../../../catalog/manifest/manifest-list.ts';
import type { ManifestFile } from '../../../catalog/manifest/manifest-list.ts';
import { createMemoryStore } from '../../../catalog/memory/memory-store.ts';
import type { TableMetadata } from '../../../catalog/spec/table-metadata.ts';

const DAY_1 = 20_833;
const DAY_1_BYTES = Buffer.of(0x61, 0x51, 0, 0);
const DAY_2_BYTES = Buffer.of(0x62, 0x51, 0, 0);
const MIDNIGHT_BYTES = Buffer.from('0060fb7310650600', 'hex');
const FILE_PATH_ID = 2147483546;

async function golden(name: string): Promise<Uint8Array> {
  return readFile(new URL(`golden/${name}.avro`, import.meta.url));
}

/** The manifests of a golden list with their entries. */
async function readGolden(
  name: string,
): Promise<{ manifest: ManifestFile; entries: readonly ManifestEntry[] }[]> {
  const manifests = decodeManifestList(await golden(`${name}-list`));
  return Promise.all(
    manifests.map(async (manifest, i) => {
      const bytes = await golden(`${name}-manifest-${i}`);
      return { manifest, entries: decodeManifest(bytes, manifest) };
    }),
  );
}

describe('pyiceberg', () => {
  test.each([
    ['pyiceberg-v1-deflate', 0n, 7498985871140514260n, 4323n],
    ['pyiceberg-v2-zstandard', 1n, 6463521354473675470n, 4749n],
    ['pyiceberg-v2-snappy', 1n, 5167887212418861728n, 4781n],
  ])('%s', async (name, sequenceNumber, snapshotId, lengthBytes) => {
    const manifests = await readGolden(name);
    expect(manifests.map(({ manifest }) => manifest)).toMatchObject([
      {
        lengthBytes,
        specId: 0,
        content: 'data',
        sequenceNumber,
        minSequenceNumber: sequenceNumber,
        addedSnapshotId: snapshotId,
        addedFilesCount: 2,
        existingFilesCount: 0,
        deletedFilesCount: 0,
        addedRowsCount: 2n,
        partitions: [
          {
            containsNull: false,
            containsNan: false,
            lowerBound: DAY_1_BYTES,
            upperBound: DAY_2_BYTES,
          },
        ],
        keyMetadata: undefined,
      },
    ]);
    const entries = manifests.flatMap((manifest) => manifest.entries);
    expect(entries.map((entry) => entry.dataFile.partitionTuple)).toEqual([[DAY_1], [DAY_1 + 1]]);
    expect(entries[0]).toMatchObject({
      status: 'added',
      content: 'data',
      snapshotId,
      sequenceNumber,
      equalityIds: [],
      dataFile: {
        recordCount: 1n,
        fileSizeBytes: 958n,
        columnSizes: new Map([
          [1, 106n],
          [2, 75n],
        ]),
        nullValueCounts: new Map([
          [1, 0n],
          [2, 0n],
        ]),
        nanValueCounts: new Map(),
        lowerBounds: new Map([
          [1, MIDNIGHT_BYTES],
          [2, Buffer.from('u')],
        ]),
        splitOffsets: [4n],
        sortOrderId: undefined,
      },
    });
  });
});

describe('Trino', () => {
  test('data and position deletes', async () => {
    const [data, deletes] = await readGolden('trino-v2-deflate');
    expect(data?.manifest).toMatchObject({
      content: 'data',
      sequenceNumber: 2n,
      addedRowsCount: 2n,
    });
    expect(deletes?.manifest).toMatchObject({ content: 'deletes', sequenceNumber: 3n });
    expect(data?.entries).toMatchObject([
      {
        content: 'data',
        snapshotId: 7189487812503514768n,
        sequenceNumber: 2n,
        dataFile: { partitionTuple: [DAY_1], recordCount: 2n, sortOrderId: 0 },
      },
    ]);
    const location = data?.entries[0]?.dataFile.location ?? '';
    expect(deletes?.entries).toMatchObject([
      {
        content: 'position-deletes',
        snapshotId: 3421574721663463647n,
        sequenceNumber: 3n,
        dataFile: { partitionTuple: [DAY_1], recordCount: 1n },
      },
    ]);
    expect(deletes?.entries[0]?.dataFile.lowerBounds.get(FILE_PATH_ID)).toEqual(
      Buffer.from(location),
    );
  });

  test('its manifests come through our manifest list unchanged', async () => {
    const manifests = decodeManifestList(await golden('trino-v2-deflate-list'));
    const ours = encodeManifestList({
      snapshotId: 1n,
      parentSnapshotId: 2n,
      sequenceNumber: 4n,
      manifests,
    });
    expect(decodeManifestList(ours)).toEqual(manifests);
  });

  test('a scan joins the data file with its delete file', async () => {
    const store = createMemoryStore();
    await store.put('memory://list.avro', await golden('trino-v2-deflate-list'));
    for (const [i, { manifest }] of (await readGolden('trino-v2-deflate')).entries()) {
      await store.put(manifest.location, await golden(`trino-v2-deflate-manifest-${i}`));
    }
    const metadata = {
      currentSnapshotId: 1n,
      snapshots: [{ snapshotId: 1n, manifestList: 'memory://list.avro' }],
      partitionSpecs: [],
    } as unknown as TableMetadata;
    const deletesOfEach: string[][] = [];
    for await (const file of scanDataFiles({ store, metadata })) {
      deletesOfEach.push(file.deletes.map((entry) => entry.content));
    }
    expect(deletesOfEach).toEqual([['position-deletes']]);
  });
});
