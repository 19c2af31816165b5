import { CatalogError } from '../error.ts';
import type { DataFile } from '../manifest/data-file.ts';
import { decodeManifest } from '../manifest/manifest.ts';
import type { ManifestEntry } from '../manifest/manifest.ts';
import type { ManifestFile } from '../manifest/manifest-list.ts';
import { partitionKey } from '../manifest/partition-key.ts';
import type { Snapshot, TableMetadata } from '../spec/table-metadata.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { readManifestList } from './stage-append.ts';

/** A live data file with the delete files that apply to it. */
export type ScannedFile = {
  dataFile: DataFile;
  sequenceNumber: bigint;
  /** The snapshot that added the file. */
  snapshotId: bigint;
  deletes: readonly ManifestEntry[];
};

/** Manifests read at a time. */
const MANIFESTS_CONCURRENT = 8;
/** Field id of `file_path` in a position delete file. Source: Iceberg table spec, "Reserved Field IDs". */
const DELETE_FILE_PATH_ID = 2147483546;

/**
 * The live data files of a snapshot, the head unless one is named, each once; none for a table without
 * snapshots. Errors: `config` for a snapshot that the table does not know; the store's; `corrupt`.
 * Source: Iceberg table spec, "Scan Planning".
 */
export async function* scanDataFiles(options: {
  store: ObjectStore;
  metadata: TableMetadata;
  snapshotId?: bigint;
}): AsyncGenerator<ScannedFile, void, void> {
  const snapshot = snapshotOf(options.metadata, options.snapshotId);
  if (snapshot === undefined) return;
  const manifests = await readManifestList(options.store, snapshot);
  const contentOf = (content: ManifestFile['content']): AsyncGenerator<readonly ManifestEntry[]> =>
    readLive(
      options.store,
      manifests.filter((manifest) => manifest.content === content),
    );

  const deletes: ManifestEntry[] = [];
  for await (const entries of contentOf('deletes')) deletes.push(...entries);
  const appliesTo = deletesIndex(deletes, options.metadata);
  for await (const entries of contentOf('data')) {
    for (const entry of entries) {
      const { dataFile, sequenceNumber, snapshotId } = entry;
      yield { dataFile, sequenceNumber, snapshotId, deletes: appliesTo(entry) };
    }
  }
}

function snapshotOf(metadata: TableMetadata, snapshotId: bigint | undefined): Snapshot | undefined {
  const wantedId = snapshotId ?? metadata.currentSnapshotId;
  if (wantedId === undefined) return undefined;
  const found = metadata.snapshots.find((snapshot) => snapshot.snapshotId === wantedId);
  if (found !== undefined) return found;
  throw new CatalogError('config', `the table has no snapshot ${wantedId}`, {
    context: { snapshotId: wantedId, tableUuid: metadata.tableUuid },
  });
}

/** The live entries of each manifest, in order; some manifests are read ahead. */
async function* readLive(
  store: ObjectStore,
  manifests: readonly ManifestFile[],
): AsyncGenerator<readonly ManifestEntry[], void, void> {
  const read = async (manifest: ManifestFile): Promise<readonly ManifestEntry[]> =>
    decodeManifest(await store.get(manifest.location), manifest).filter(
      (entry) => entry.status !== 'deleted',
    );
  const ahead: Promise<readonly ManifestEntry[]>[] = [];
  for (const manifest of manifests) {
    const reading = read(manifest);
    // A failure is met when its turn comes; until then it must not count as unhandled.
    reading.catch(() => undefined);
    ahead.push(reading);
    if (ahead.length < MANIFESTS_CONCURRENT) continue;
    const oldest = ahead.shift();
    if (oldest !== undefined) yield await oldest;
  }
  for (const reading of ahead) yield await reading;
}

/** What of a data file decides which deletes apply to it. */
export type DeletableFile = Pick<ManifestEntry, 'sequenceNumber'> & {
  dataFile: Pick<DataFile, 'location' | 'specId' | 'partitionTuple'>;
};

/**
 * Which of a snapshot's deletes apply to a file: those of its own partition, equality deletes of an
 * unpartitioned spec everywhere; equality deletes to files with a lower sequence number, position deletes also to those
 * of the same commit; a position delete file that is about one data file, to that one alone.
 */
export function deletesIndex(
  deletes: readonly ManifestEntry[],
  metadata: TableMetadata,
): (entry: DeletableFile) => readonly ManifestEntry[] {
  const unpartitioned = new Set(
    metadata.partitionSpecs
      .filter((spec) => spec.fields.every((field) => field.transform === 'void'))
      .map((spec) => spec.specId),
  );
  const isGlobal = (entry: ManifestEntry): boolean =>
    entry.content === 'equality-deletes' && unpartitioned.has(entry.dataFile.specId);
  const everywhere = deletes.filter(isGlobal);
  const byPartition = Map.groupBy(
    deletes.filter((entry) => !isGlobal(entry)),
    (entry) => partitionKey(entry.dataFile),
  );
  return (entry) => {
    const inPartition = byPartition.get(partitionKey(entry.dataFile)) ?? [];
    return [...everywhere, ...inPartition].filter((candidate) => applies(candidate, entry));
  };
}

function applies(candidate: ManifestEntry, entry: DeletableFile): boolean {
  if (candidate.content === 'equality-deletes') {
    return entry.sequenceNumber < candidate.sequenceNumber;
  }
  if (entry.sequenceNumber > candidate.sequenceNumber) return false;
  const location = onlyDataFile(candidate);
  return location === undefined || location === entry.dataFile.location;
}

/** The one data file that a position delete file is about: named, or the only path that its bounds allow. */
function onlyDataFile(entry: ManifestEntry): string | undefined {
  if (entry.referencedDataFile !== undefined) return entry.referencedDataFile;
  const lowest = entry.dataFile.lowerBounds.get(DELETE_FILE_PATH_ID);
  const highest = entry.dataFile.upperBounds.get(DELETE_FILE_PATH_ID);
  if (lowest === undefined || highest === undefined) return undefined;
  const path = Buffer.from(lowest);
  return path.equals(highest) ? path.toString('utf8') : undefined;
}
