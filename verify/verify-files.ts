import type { ManifestFile } from '@iceberg-js/rest-client-shim/manifest/manifest-list.ts';
import { headSnapshot } from '@iceberg-js/rest-client-shim/spec/snapshot-walk.ts';
import type { Snapshot, TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { partitionDifference } from './file-claims.ts';
import { inParallel } from './in-parallel.ts';
import { ownerOf } from './recorded.ts';
import { openFindings, type Findings, type Report } from './report.ts';
import { readList, readManifest, type FileProblem, type TableFiles } from './table-files.ts';

export type VerifyFilesOptions = {
  table: 'events' | 'dead letters';
  metadata: TableMetadata;
  store: ObjectStore;
  listFiles: (metadata: TableMetadata) => Promise<TableFiles>;
  /** The table's newest metadata: what was expired while we read is not missing. */
  reload: () => Promise<TableMetadata | undefined>;
  /** Files that a commit has decided on and the table does not list yet: no orphans. */
  pending: readonly string[];
};

const REQUESTS_CONCURRENT = 8;

/**
 * Checks that what the snapshots list is in the object store, once and in its size, and that manifests say
 * the same as their lists and their files' bounds. Every file of the current snapshot is looked up; of the
 * older ones whether it is there. Lists the table's folders, so that orphans are told, which are no fault.
 * Memory: the names of the table's objects. Errors: the store's, but for `corrupt`.
 */
export async function verifyFiles(options: VerifyFilesOptions): Promise<Report> {
  const { table, metadata, store, listFiles } = options;
  const findings = openFindings();
  const listed = await listFiles(metadata);
  const objects = await listObjects(store, metadata);
  for (const { kind, example } of listed.problems) findings.add(kind, () => example);
  checkTwice(listed, findings);
  checkTotals(metadata, listed, findings);
  for (const file of listed.files) {
    const difference = partitionDifference(metadata, file);
    if (difference === undefined) continue;
    const example = (): string => `${file.location}: ${difference}`;
    findings.add('partition values that do not hold', example);
  }
  await checkStored({ store, objects, findings }, listed);
  const older = await readOlder(options, listed);
  await checkOlder({ ...options, objects, findings }, older);
  const referenced = [...listed.deletes.map(({ dataFile }) => dataFile), ...listed.files];
  const names = [
    ...referenced.map(({ location }) => location),
    ...listed.manifests.map(({ location }) => location),
    ...options.pending,
    ...older.keys(),
  ];
  const bytes = listed.files.reduce((sum, { fileSizeBytes }) => sum + fileSizeBytes, 0n);
  return {
    title: `every file of the ${table === 'events' ? 'events' : 'dead-letter'} table is there, once, and as listed`,
    facts: {
      'data files': listed.files.length,
      bytes: Number(bytes),
      manifests: listed.manifests.length,
      snapshots: metadata.snapshots.length,
      ...orphansOf(objects, new Set(names.map(normal))),
    },
    findings: findings.list(),
    notes: [],
  };
}

type StoredObject = { sizeBytes: number; modifiedMs: number };
/** By location, `s3a` spelled `s3`. */
type Objects = ReadonlyMap<string, StoredObject>;

function normal(location: string): string {
  return location.replace(/^s3[an]:/, 's3:');
}

async function listObjects(store: ObjectStore, metadata: TableMetadata): Promise<Objects> {
  const { properties, location } = metadata;
  const folders = [location, properties['write.data.path'], properties['write.metadata.path']]
    .filter((folder) => folder !== undefined)
    .map((folder) => `${folder.replace(/\/+$/, '')}/`);
  const outermost = folders.filter((one) =>
    folders.every((other) => other === one || !one.startsWith(other)),
  );
  const objects = new Map<string, StoredObject>();
  for (const folder of new Set(outermost)) {
    for await (const { location: name, sizeBytes, modifiedMs } of store.list(folder)) {
      objects.set(normal(name), { sizeBytes, modifiedMs });
    }
  }
  return objects;
}

/** Twice in the manifest list, in one manifest or in several. */
function checkTwice({ manifests, files }: TableFiles, findings: Findings): void {
  const lists = new Set<string>();
  for (const { location } of manifests) {
    if (lists.has(location)) findings.add('manifests listed twice', () => location);
    lists.add(location);
  }
  const first = new Map<string, string>();
  for (const { location, manifest } of files) {
    const before = first.get(location);
    if (before === undefined) first.set(location, manifest);
    else findings.add('files referenced twice', () => `${location} in ${before} and ${manifest}`);
  }
}

/** A total that the snapshot does not state is not judged. */
function checkTotals(metadata: TableMetadata, { files }: TableFiles, findings: Findings): void {
  const head = headSnapshot(metadata);
  const found = {
    'total-data-files': BigInt(files.length),
    'total-records': files.reduce((sum, { recordCount }) => sum + recordCount, 0n),
  };
  for (const [name, count] of Object.entries(found)) {
    const stated = head?.summary[name];
    if (stated === undefined || stated === String(count)) continue;
    findings.add(
      'snapshot totals that differ',
      () => `snapshot ${head?.snapshotId}: ${name} is ${stated}, its manifests have ${count}`,
    );
  }
}

type Storage = { store: ObjectStore; objects: Objects; findings: Findings };

async function checkStored(storage: Storage, listed: TableFiles): Promise<void> {
  const { findings } = storage;
  const files = [...listed.files, ...listed.deletes.map(({ dataFile }) => dataFile)];
  await inParallel(files, REQUESTS_CONCURRENT, async ({ location, fileSizeBytes }) => {
    const sizeBytes = await sizeOf(storage, location);
    if (sizeBytes === undefined) findings.add('missing data files', () => location);
    else if (BigInt(sizeBytes) !== fileSizeBytes) {
      const example = (): string => `${location}: ${sizeBytes} bytes, listed with ${fileSizeBytes}`;
      findings.add('data files of another size', example);
    }
  });
}

/** What the listing does not have may lie elsewhere: it is asked for by name. */
async function sizeOf({ store, objects }: Storage, location: string): Promise<number | undefined> {
  return objects.get(normal(location))?.sizeBytes ?? (await store.size(location));
}

/** Objects that older snapshots refer to, with the snapshot; lists and manifests that could not be read. */
type Older = Map<string, Snapshot>;

/**
 * The manifest lists of all snapshots, and the manifests and files that only older ones refer to. A snapshot
 * of ours only adds to its parent, so that of a run of them the last one's list names all manifests:
 * reading each would take the square of their number.
 */
async function readOlder(options: VerifyFilesOptions, listed: TableFiles): Promise<Older> {
  const { metadata, store } = options;
  const older: Older = new Map(metadata.snapshots.map((one) => [one.manifestList, one]));
  const grown = new Set(
    metadata.snapshots.flatMap(({ summary, parentSnapshotId }) =>
      ownerOf(summary) === undefined ? [] : (parentSnapshotId ?? []),
    ),
  );
  const ends = metadata.snapshots.filter(
    ({ snapshotId }) => snapshotId !== metadata.currentSnapshotId && !grown.has(snapshotId),
  );
  const known = new Set(listed.manifests.map(({ location }) => location));
  const manifests: { manifest: ManifestFile; snapshot: Snapshot }[] = [];
  // Whether they are there is judged later, against what is still kept by then.
  const unjudged: FileProblem[] = [];
  for (const snapshot of ends) {
    for (const manifest of await readList(store, snapshot, unjudged)) {
      if (known.has(manifest.location)) continue;
      known.add(manifest.location);
      manifests.push({ manifest, snapshot });
    }
  }
  await inParallel(manifests, REQUESTS_CONCURRENT, async ({ manifest, snapshot }) => {
    older.set(manifest.location, snapshot);
    for (const { status, dataFile } of await readManifest(store, manifest, unjudged)) {
      if (status !== 'deleted' && !older.has(dataFile.location)) {
        older.set(dataFile.location, snapshot);
      }
    }
  });
  return older;
}

async function checkOlder(options: VerifyFilesOptions & Storage, older: Older): Promise<void> {
  const missing: { location: string; snapshot: Snapshot }[] = [];
  await inParallel(older, REQUESTS_CONCURRENT, async ([location, snapshot]) => {
    if ((await sizeOf(options, location)) === undefined) missing.push({ location, snapshot });
  });
  if (missing.length === 0) return;
  const kept = new Set((await options.reload())?.snapshots.map(({ snapshotId }) => snapshotId));
  for (const { location, snapshot } of missing) {
    const { snapshotId } = snapshot;
    // The current snapshot's own list is among the problems of its files already.
    if (!kept.has(snapshotId) || snapshotId === options.metadata.currentSnapshotId) continue;
    const example = (): string => `${location} of snapshot ${snapshotId}`;
    options.findings.add('files of older snapshots that are missing', example);
  }
}

/** Data files, manifests and manifest lists that no snapshot names; metadata and statistics are the catalog's. */
function orphansOf(
  objects: Objects,
  referenced: ReadonlySet<string>,
): Record<string, number | string> {
  let [count, bytes, oldestMs] = [0, 0, Infinity];
  for (const [location, { sizeBytes, modifiedMs }] of objects) {
    if (!/\.(parquet|avro)$/.test(location) || referenced.has(location)) continue;
    count += 1;
    bytes += sizeBytes;
    oldestMs = Math.min(oldestMs, modifiedMs);
  }
  const oldest = count === 0 ? '-' : new Date(oldestMs).toISOString();
  return { 'orphan files': count, 'orphan bytes': bytes, 'oldest orphan': oldest };
}
