import type { DataFile } from '../../catalog/manifest/data-file.ts';
import { decodeManifestList, encodeManifestList } from '../../catalog/manifest/manifest-list.ts';
import type { ManifestFile } from '../../catalog/manifest/manifest-list.ts';
import { decodeManifest, encodeManifest } from '../../catalog/manifest/manifest.ts';
import { headSnapshot } from '../../catalog/spec/snapshot-walk.ts';
import type { Snapshot, TableMetadata } from '../../catalog/spec/table-metadata.ts';
import type { ObjectStore } from '../../catalog/store/object-store.ts';

/** A table and where its files are: what is cut open. */
export type Patient = { store: ObjectStore; metadata: TableMetadata };

export function headOf({ metadata }: Patient): Snapshot {
  const head = headSnapshot(metadata);
  if (head === undefined) throw new Error('no snapshot');
  return head;
}

/** The manifests of the current snapshot, the newest first. */
export async function manifestsOf(patient: Patient): Promise<readonly ManifestFile[]> {
  return decodeManifestList(await patient.store.get(headOf(patient).manifestList));
}

/** Writes the current snapshot's manifest list anew, in its place. */
export async function rewriteList(
  patient: Patient,
  edit: (manifests: readonly ManifestFile[]) => readonly ManifestFile[],
): Promise<void> {
  const head = headOf(patient);
  const bytes = encodeManifestList({
    snapshotId: head.snapshotId,
    parentSnapshotId: head.parentSnapshotId,
    sequenceNumber: head.sequenceNumber,
    manifests: edit(await manifestsOf(patient)),
  });
  await patient.store.put(head.manifestList, bytes);
}

/** Writes the newest manifest anew, in its place; the manifest list agrees with it afterwards. */
export async function rewriteNewestManifest(
  patient: Patient,
  edit: (files: readonly DataFile[]) => readonly DataFile[],
): Promise<void> {
  const { store, metadata } = patient;
  const [newest] = await manifestsOf(patient);
  const [tableSchema] = metadata.schemas;
  const [partitionSpec] = metadata.partitionSpecs;
  if (newest === undefined || tableSchema === undefined || partitionSpec === undefined) {
    throw new Error('no manifest');
  }
  const entries = decodeManifest(await store.get(newest.location), newest);
  const dataFiles = edit(entries.map(({ dataFile }) => dataFile));
  const bytes = encodeManifest({ tableSchema, partitionSpec, dataFiles });
  await store.put(newest.location, bytes);
  const told = {
    lengthBytes: BigInt(bytes.byteLength),
    addedFilesCount: dataFiles.length,
    addedRowsCount: dataFiles.reduce((sum, { recordCount }) => sum + recordCount, 0n),
  };
  await rewriteList(patient, ([, ...others]) => [{ ...newest, ...told }, ...others]);
}

/** The live data files that the newest manifest lists. */
export async function newestFiles(patient: Patient): Promise<readonly DataFile[]> {
  const [newest] = await manifestsOf(patient);
  if (newest === undefined) return [];
  return decodeManifest(await patient.store.get(newest.location), newest).map(
    ({ dataFile }) => dataFile,
  );
}

/** The metadata with one of its snapshots changed, the newest unless another is named. */
export function withSnapshot(
  metadata: TableMetadata,
  change: (snapshot: Snapshot) => Snapshot,
  at = metadata.snapshots.length - 1,
): TableMetadata {
  const snapshots = metadata.snapshots.map((one, i) => (i === at ? change(one) : one));
  return { ...metadata, snapshots };
}

/** The metadata with one entry of a summary changed. */
export function withEntry(
  metadata: TableMetadata,
  name: string,
  change: (json: Record<string, unknown>) => unknown,
  at?: number,
): TableMetadata {
  const edit = (snapshot: Snapshot): Snapshot => {
    const json = JSON.parse(snapshot.summary[name] ?? '') as Record<string, unknown>;
    const summary = { ...snapshot.summary, [name]: JSON.stringify(change(json)) };
    return { ...snapshot, summary };
  };
  return withSnapshot(metadata, edit, at);
}

/** The metadata with the pipeline's table property changed. */
export function withProperty(
  metadata: TableMetadata,
  change: (json: Record<string, unknown>) => unknown,
  name = 'tributary.clicks',
): TableMetadata {
  const json = JSON.parse(metadata.properties[name] ?? '') as Record<string, unknown>;
  const properties = { ...metadata.properties, [name]: JSON.stringify(change(json)) };
  return { ...metadata, properties };
}
