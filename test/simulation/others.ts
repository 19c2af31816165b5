import { CatalogError } from '@iceberg-js/rest-client-shim/error.ts';
import { decodeManifest, encodeManifest } from '@iceberg-js/rest-client-shim/manifest/manifest.ts';
import {
  decodeManifestList,
  encodeManifestList,
} from '@iceberg-js/rest-client-shim/manifest/manifest-list.ts';
import type { ManifestFile } from '@iceberg-js/rest-client-shim/manifest/manifest-list.ts';
import type { DataFile } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import { partitionKey } from '@iceberg-js/rest-client-shim/manifest/partition-key.ts';
import type { CommitTableRequest } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { Snapshot, TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { FileRows } from './file-rows.ts';
import { EVENTS } from './world.ts';
import type { World } from './world.ts';

/** What others than the pipeline do to the events table, as Trino's maintenance and an operator do it. */
export type Maintenance = 'append' | 'optimize' | 'optimize-manifests' | 'expire' | 'add-column';

/** Does it, if there is anything to do it to. */
export async function maintain(world: World, what: Maintenance): Promise<void> {
  const metadata = (await world.catalog.loadTable(EVENTS))?.metadata;
  const head = metadata?.snapshots.find((one) => one.snapshotId === metadata.currentSnapshotId);
  if (metadata === undefined || head === undefined) return;
  world.tell(`maintenance: ${what}`);
  switch (what) {
    case 'append':
      return addSnapshot(world, metadata, { operation: 'append', manifestList: head.manifestList });
    case 'optimize':
      return optimize(world, metadata, head);
    case 'optimize-manifests': {
      const files = liveFiles(world, head);
      return files.length === 0 ? undefined : rewrite(world, { metadata, files });
    }
    case 'expire': {
      const snapshotIds = metadata.snapshots.map(({ snapshotId }) => snapshotId);
      const old = snapshotIds.filter((id) => id !== head.snapshotId);
      return send(world, [{ action: 'remove-snapshots', snapshotIds: old }]);
    }
    case 'add-column':
      return addColumn(world, metadata);
  }
}

/** Sets main back to an ancestor of its head; false where there is none. */
export async function rollBack(world: World): Promise<boolean> {
  const metadata = (await world.catalog.loadTable(EVENTS))?.metadata;
  const byId = new Map(metadata?.snapshots.map((one) => [one.snapshotId, one]));
  const head =
    metadata?.currentSnapshotId === undefined ? undefined : byId.get(metadata.currentSnapshotId);
  const parent = head?.parentSnapshotId === undefined ? undefined : byId.get(head.parentSnapshotId);
  if (head?.summary['tributary.pipeline'] === undefined || parent === undefined) return false;
  world.tell(`main is rolled back to ${parent.snapshotId}`);
  world.rolledBack = true;
  const ref = { type: 'branch', snapshotId: parent.snapshotId } as const;
  await send(world, [{ action: 'set-snapshot-ref', refName: 'main', ref }]);
  return true;
}

/** All files of a partition become one. */
async function optimize(world: World, metadata: TableMetadata, head: Snapshot): Promise<void> {
  const byPartition = Map.groupBy(liveFiles(world, head), partitionKey);
  const files: DataFile[] = [];
  for (const [, parts] of byPartition) {
    const [first] = parts;
    if (first !== undefined)
      files.push(parts.length === 1 ? first : await merge(world, first, parts));
  }
  if (files.length > 0) await rewrite(world, { metadata, files });
}

async function merge(world: World, first: DataFile, parts: readonly DataFile[]): Promise<DataFile> {
  const rows = parts.map(
    ({ location }) => world.fileRows.get(location) ?? { fieldIds: [], rows: [] },
  );
  const fieldIds = [...new Set(rows.flatMap((part) => part.fieldIds))];
  const merged: FileRows = {
    fieldIds,
    rows: rows.flatMap((part) =>
      part.rows.map((row) => fieldIds.map((id) => row[part.fieldIds.indexOf(id)] ?? null)),
    ),
  };
  const location = `${first.location.replace(/[^/]*$/, '')}optimized-${freshId(world)}.parquet`;
  const bytes = new Uint8Array(8 + merged.rows.length);
  await world.store.put(location, bytes);
  world.fileRows.set(location, merged);
  const recordCount = BigInt(merged.rows.length);
  return { ...first, location, recordCount, fileSizeBytes: BigInt(bytes.byteLength) };
}

/** One manifest of all these files in place of all manifests. */
async function rewrite(
  world: World,
  { metadata, files }: { metadata: TableMetadata; files: readonly DataFile[] },
): Promise<void> {
  const tableSchema = metadata.schemas.find(
    ({ schemaId }) => schemaId === metadata.currentSchemaId,
  );
  const partitionSpec = metadata.partitionSpecs[0];
  if (tableSchema === undefined || partitionSpec === undefined) return;
  const bytes = encodeManifest({ tableSchema, partitionSpec, dataFiles: files });
  const folder = `${metadata.location}/metadata`;
  const location = `${folder}/rewritten-${freshId(world)}.avro`;
  await world.store.put(location, bytes);
  const snapshotId = BigInt(freshId(world));
  const sequenceNumber = metadata.lastSequenceNumber + 1n;
  const manifest: ManifestFile = {
    location,
    lengthBytes: BigInt(bytes.byteLength),
    specId: partitionSpec.specId,
    content: 'data',
    sequenceNumber,
    minSequenceNumber: sequenceNumber,
    addedSnapshotId: snapshotId,
    addedFilesCount: files.length,
    existingFilesCount: 0,
    deletedFilesCount: 0,
    addedRowsCount: files.reduce((sum, { recordCount }) => sum + recordCount, 0n),
    existingRowsCount: 0n,
    deletedRowsCount: 0n,
    partitions: undefined,
    keyMetadata: undefined,
  };
  const manifestList = `${folder}/snap-${snapshotId}.avro`;
  const parentSnapshotId = metadata.currentSnapshotId;
  await world.store.put(
    manifestList,
    encodeManifestList({ snapshotId, parentSnapshotId, sequenceNumber, manifests: [manifest] }),
  );
  await addSnapshot(world, metadata, { operation: 'replace', manifestList, snapshotId });
}

async function addSnapshot(
  world: World,
  metadata: TableMetadata,
  made: { operation: string; manifestList: string; snapshotId?: bigint },
): Promise<void> {
  const { operation, manifestList, snapshotId = BigInt(freshId(world)) } = made;
  const { currentSnapshotId: parent } = metadata;
  const snapshot: Snapshot = {
    snapshotId,
    ...(parent === undefined ? {} : { parentSnapshotId: parent }),
    sequenceNumber: metadata.lastSequenceNumber + 1n,
    timestampMs: Math.max(world.time.nowMs(), metadata.lastUpdatedMs),
    manifestList,
    summary: { operation },
    schemaId: metadata.currentSchemaId,
  };
  await send(
    world,
    [
      { action: 'add-snapshot', snapshot },
      { action: 'set-snapshot-ref', refName: 'main', ref: { snapshotId, type: 'branch' } },
    ],
    [{ type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: parent ?? null }],
  );
}

/** An optional column that the pipeline does not know. */
async function addColumn(world: World, metadata: TableMetadata): Promise<void> {
  const current = metadata.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  const id = metadata.lastColumnId + 1;
  if (current === undefined || current.fields.length > 20) return;
  const added = { id, name: `note_${id}`, type: 'string', required: false } as const;
  const schema = { ...current, fields: [...current.fields, added] };
  await send(world, [
    { action: 'add-schema', schema, lastColumnId: id },
    { action: 'set-current-schema', schemaId: -1 },
  ]);
}

function liveFiles(world: World, head: Snapshot): DataFile[] {
  const list = world.objects.get(head.manifestList)?.bytes ?? new Uint8Array();
  return decodeManifestList(list).flatMap((manifest) =>
    decodeManifest(world.objects.get(manifest.location)?.bytes ?? new Uint8Array(), manifest)
      .filter(({ status }) => status !== 'deleted')
      .map(({ dataFile }) => dataFile),
  );
}

async function send(
  world: World,
  updates: CommitTableRequest['updates'],
  requirements: CommitTableRequest['requirements'] = [],
): Promise<void> {
  try {
    await world.catalog.prepareCommit({ identifier: EVENTS, requirements, updates }).send();
  } catch (error) {
    // A commit of ours was faster.
    if (!(error instanceof CatalogError) || error.kind !== 'conflict') throw error;
  }
}

function freshId(world: World): number {
  return 1_000_000_000 + world.random.below(1_000_000_000);
}
