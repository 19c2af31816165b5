import { deletesIndex } from '@iceberg-js/rest-client-shim/commit/scan.ts';
import { CatalogError } from '@iceberg-js/rest-client-shim/error.ts';
import type { DataFile } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import { decodeManifest } from '@iceberg-js/rest-client-shim/manifest/manifest.ts';
import type { ManifestEntry } from '@iceberg-js/rest-client-shim/manifest/manifest.ts';
import { decodeManifestList } from '@iceberg-js/rest-client-shim/manifest/manifest-list.ts';
import type { ManifestFile } from '@iceberg-js/rest-client-shim/manifest/manifest-list.ts';
import { fieldsById } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import { headSnapshot } from '@iceberg-js/rest-client-shim/spec/snapshot-walk.ts';
import type { Snapshot, TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { inParallel } from './in-parallel.ts';
import type { ViolationKind } from './violations.ts';

/** A live entry of a manifest: what is needed to read the file and to judge it, and no more. */
export type LiveFile = Pick<
  DataFile,
  'location' | 'recordCount' | 'fileSizeBytes' | 'specId' | 'partitionTuple'
> & {
  /** Bounds of the columns that are checked, by field id. */
  lowerBounds: ReadonlyMap<number, Uint8Array>;
  upperBounds: ReadonlyMap<number, Uint8Array>;
  /** The snapshot that added the file. */
  snapshotId: bigint;
  manifest: string;
  /** Delete files that apply to it. */
  deletes: readonly ManifestEntry[];
};

/** What the current snapshot lists. What could not be read is among the problems, not an error. */
export type TableFiles = {
  manifests: readonly ManifestFile[];
  files: readonly LiveFile[];
  deletes: readonly ManifestEntry[];
  problems: readonly FileProblem[];
};

export type FileProblem = { kind: ViolationKind; example: string };

const MANIFESTS_CONCURRENT = 8;

/** Columns whose bounds are compared with their values; with them the sources of partition values. */
const CHECKED_COLUMNS: ReadonlySet<string> = new Set(['_kafka_partition', '_kafka_offset']);

/**
 * Reads the manifest list and the manifests of the current snapshot. Memory: some hundred bytes for each
 * live file. Errors: the store's, but for `corrupt`.
 */
export async function readTableFiles(
  store: ObjectStore,
  metadata: TableMetadata,
): Promise<TableFiles> {
  const problems: FileProblem[] = [];
  const boundsOf = checkedFieldIds(metadata);
  const head = headSnapshot(metadata);
  const manifests = head === undefined ? [] : await readList(store, head, problems);
  const read: (readonly ManifestEntry[])[] = [];
  await inParallel(manifests.entries(), MANIFESTS_CONCURRENT, async ([i, manifest]) => {
    const entries = await readManifest(store, manifest, problems);
    read[i] = entries
      .filter(({ status }) => status !== 'deleted')
      .map((entry) => slim(entry, boundsOf));
  });
  const entries = manifests.flatMap(({ location }, i) =>
    (read[i] ?? []).map((entry) => ({ entry, location })),
  );
  const deletes = entries.flatMap(({ entry }) => (entry.content === 'data' ? [] : [entry]));
  const deletesOf = deletesIndex(deletes, metadata);
  const files = entries
    .filter(({ entry }) => entry.content === 'data')
    .map(({ entry, location: manifest }): LiveFile => {
      const { dataFile, snapshotId } = entry;
      return { ...dataFile, snapshotId, manifest, deletes: deletesOf(entry) };
    });
  return { manifests, files, deletes, problems };
}

function checkedFieldIds(metadata: TableMetadata): ReadonlySet<number> {
  const named = metadata.schemas.flatMap((schema) =>
    [...fieldsById(schema).values()].filter(({ name }) => CHECKED_COLUMNS.has(name)),
  );
  const sources = metadata.partitionSpecs.flatMap(({ fields }) => fields);
  return new Set([...named.map(({ id }) => id), ...sources.map(({ sourceId }) => sourceId)]);
}

/** The manifests of a snapshot; none, and a problem, where the list is not there or damaged. */
export async function readList(
  store: ObjectStore,
  { manifestList, snapshotId }: Snapshot,
  problems: FileProblem[],
): Promise<readonly ManifestFile[]> {
  const problem = (state: 'missing' | 'unreadable', reason: string): void => {
    const example = `${manifestList} of snapshot ${snapshotId}${reason}`;
    problems.push({ kind: `${state} manifest lists`, example });
  };
  const read = async (): Promise<readonly ManifestFile[]> =>
    decodeManifestList(await store.get(manifestList));
  return (await orProblem(store, manifestList, read, problem)) ?? [];
}

/** All entries of a manifest, deleted ones too; none, and a problem, where it is not there or damaged. */
export async function readManifest(
  store: ObjectStore,
  manifest: ManifestFile,
  problems: FileProblem[],
): Promise<readonly ManifestEntry[]> {
  const { location, lengthBytes } = manifest;
  const problem = (state: 'missing' | 'unreadable', reason: string): void => {
    problems.push({ kind: `${state} manifests`, example: `${location}${reason}` });
  };
  const read = async (): Promise<readonly ManifestEntry[]> => {
    const bytes = await store.get(location);
    if (BigInt(bytes.byteLength) !== lengthBytes) {
      const example = `${location}: ${bytes.byteLength} bytes, listed with ${lengthBytes}`;
      problems.push({ kind: 'manifests of another size', example });
    }
    const entries = decodeManifest(bytes, manifest);
    const difference = countDifference(manifest, entries);
    if (difference !== undefined) {
      problems.push({ kind: 'manifest counts that differ', example: `${location}: ${difference}` });
    }
    return entries;
  };
  return (await orProblem(store, location, read, problem)) ?? [];
}

async function orProblem<T>(
  store: ObjectStore,
  location: string,
  read: () => Promise<T>,
  problem: (state: 'missing' | 'unreadable', reason: string) => void,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof CatalogError) || error.kind !== 'corrupt') throw error;
    const isThere = (await store.size(location)) !== undefined;
    if (isThere) problem('unreadable', `: ${error.message}`);
    else problem('missing', '');
    return undefined;
  }
}

function countDifference(
  manifest: ManifestFile,
  entries: readonly ManifestEntry[],
): string | undefined {
  const of = (status: ManifestEntry['status']) => entries.filter((one) => one.status === status);
  const [added, existing] = [of('added'), of('existing')];
  const found = [added.length, existing.length, rowsIn(added), rowsIn(existing)].map(String);
  const listed = [
    manifest.addedFilesCount,
    manifest.existingFilesCount,
    manifest.addedRowsCount,
    manifest.existingRowsCount,
  ].map(String);
  if (found.join() === listed.join()) return undefined;
  return `${inWords(found)}, listed with ${inWords(listed)}`;
}

function rowsIn(entries: readonly ManifestEntry[]): bigint {
  return entries.reduce((sum, { dataFile }) => sum + dataFile.recordCount, 0n);
}

function inWords([
  added = '',
  existing = '',
  addedRows = '',
  rows = '',
]: readonly string[]): string {
  return `${added} added and ${existing} existing files with ${addedRows} and ${rows} rows`;
}

/** Metrics of a wide table take kilobytes for each file; tables have tens of thousands. */
function slim(entry: ManifestEntry, boundsOf: ReadonlySet<number>): ManifestEntry {
  if (entry.content !== 'data') return entry;
  const none = new Map<number, bigint>();
  const kept = (bounds: ReadonlyMap<number, Uint8Array>): ReadonlyMap<number, Uint8Array> =>
    new Map([...bounds].filter(([id]) => boundsOf.has(id)));
  const { dataFile } = entry;
  return {
    ...entry,
    dataFile: {
      ...dataFile,
      columnSizes: none,
      valueCounts: none,
      nullValueCounts: none,
      nanValueCounts: none,
      splitOffsets: [],
      lowerBounds: kept(dataFile.lowerBounds),
      upperBounds: kept(dataFile.upperBounds),
    },
  };
}
