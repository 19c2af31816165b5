import { CatalogError } from '../error.ts';
import { encodeManifest } from '../manifest/manifest.ts';
import { decodeManifestList, encodeManifestList } from '../manifest/manifest-list.ts';
import type { ManifestFile } from '../manifest/manifest-list.ts';
import { summarizePartitions } from '../manifest/partition-summary.ts';
import { partitionFieldTypes } from '../manifest/partition-type.ts';
import type { PreparedCommit } from '../rest/catalog.ts';
import { fieldsById } from '../spec/field-ids.ts';
import { headSnapshot } from '../spec/snapshot-walk.ts';
import type { PartitionSpec, Snapshot, TableMetadata } from '../spec/table-metadata.ts';
import type { TableSchema } from '../spec/table-schema.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { AppendOptions, AppendVerdict, SchemaEvolution } from './append.ts';
import { appendSummary } from './snapshot-summary.ts';

/** How many names are tried for a new object before something must be wrong. */
const NAMES_MAX = 16;

/** A clock that differs more from the catalog's is not believed; the time of its answers is in whole seconds. */
const CLOCK_ERROR_MS_MAX = 10_000;

/** A manifest of ours before a snapshot has taken it up: what the snapshot decides is still open. */
export type NewManifest = Omit<
  ManifestFile,
  'sequenceNumber' | 'minSequenceNumber' | 'addedSnapshotId'
>;

/** One attempt, ready to send: everything it refers to is stored. */
export type StagedAppend = {
  snapshotId: bigint;
  /** What the commit asserts `main` to be; undefined for a table without snapshots. */
  parentSnapshotId: bigint | undefined;
  commit: PreparedCommit;
};

/**
 * Writes the manifests of an append, one for each spec that its files were written for; no files, no
 * manifest. They are written once and survive every rebase. Errors: `config` for a table of another
 * format version than 2; `fenced` where a spec is gone from the table; the store's `unavailable`.
 */
export async function writeManifests(
  options: Pick<AppendOptions, 'store' | 'commitId' | 'dataFiles' | 'clock'>,
  metadata: TableMetadata,
  evolution?: SchemaEvolution,
): Promise<readonly NewManifest[]> {
  if (metadata.formatVersion !== 2) {
    throw new CatalogError(
      'config',
      `the table has format version ${metadata.formatVersion}; appends write version 2`,
      { context: { tableUuid: metadata.tableUuid } },
    );
  }
  const written: NewManifest[] = [];
  // Each call has names of its own: a commit whose outcome stays unknown is tried again for as long as that lasts.
  const call = Math.floor(options.clock.random() * 2 ** 32).toString(16);
  for (const [specId, dataFiles] of Map.groupBy(options.dataFiles, (file) => file.specId)) {
    const partitionSpec = specOf(metadata, specId);
    const tableSchema = schemaOf(evolved(metadata, evolution), partitionSpec);
    const bytes = encodeManifest({ tableSchema, partitionSpec, dataFiles });
    const first = written.length;
    const location = await putFresh(
      options.store,
      bytes,
      (n) => `${metadataFolder(metadata)}/${options.commitId}-${call}-m${first + n}.avro`,
    );
    written.push({
      location,
      lengthBytes: BigInt(bytes.byteLength),
      specId,
      content: 'data',
      addedFilesCount: dataFiles.length,
      existingFilesCount: 0,
      deletedFilesCount: 0,
      addedRowsCount: dataFiles.reduce((rows, file) => rows + file.recordCount, 0n),
      existingRowsCount: 0n,
      deletedRowsCount: 0n,
      partitions: summarizePartitions(partitionFieldTypes(partitionSpec, tableSchema), dataFiles),
      keyMetadata: undefined,
    });
  }
  return written;
}

/**
 * Makes one attempt ready against the head of `metadata`: a new snapshot id, a manifest list under a
 * fresh name with the parent's manifests carried over, and the commit request that moves `main` from
 * exactly that head. Errors: the store's; `corrupt` where the parent's manifest list is unreadable.
 * Source: Iceberg table spec, "Snapshots"; REST spec, `CommitTableRequest`.
 */
export async function stageAppend(
  options: AppendOptions,
  parts: {
    metadata: TableMetadata;
    verdict: Extract<AppendVerdict, { kind: 'append' }>;
    newManifests: readonly NewManifest[];
    attempt: number;
    /** What the catalog's clock is ahead of the elapsed time by. */
    serverAheadMs: number | undefined;
  },
): Promise<StagedAppend> {
  const { metadata, verdict } = parts;
  const parent = parentOf(metadata);
  const snapshotId = newSnapshotId(options.clock.random, metadata);
  const sequenceNumber = metadata.lastSequenceNumber + 1n;
  const bytes = encodeManifestList({
    snapshotId,
    parentSnapshotId: parent?.snapshotId,
    sequenceNumber,
    manifests: [
      ...parts.newManifests.map((manifest) => ({
        ...manifest,
        sequenceNumber,
        minSequenceNumber: sequenceNumber,
        addedSnapshotId: snapshotId,
      })),
      ...(parent === undefined ? [] : await readManifestList(options.store, parent)),
    ],
  });
  const manifestList = await putFresh(options.store, bytes, (n) => {
    const name = `snap-${snapshotId}-${parts.attempt + n}-${options.commitId}.avro`;
    return `${metadataFolder(metadata)}/${name}`;
  });
  const snapshot: Snapshot = {
    snapshotId,
    ...(parent === undefined ? {} : { parentSnapshotId: parent.snapshotId }),
    sequenceNumber,
    timestampMs: Math.max(
      commitTimeMs(options.clock, parts.serverAheadMs),
      metadata.lastUpdatedMs,
      parent?.timestampMs ?? 0,
    ),
    manifestList,
    summary: appendSummary({
      callersEntries: verdict.summary,
      dataFiles: options.dataFiles,
      parent,
    }),
    schemaId: verdict.evolution?.tableSchema.schemaId ?? metadata.currentSchemaId,
  };
  const commit = prepareCommit(options, snapshot, verdict);
  return { snapshotId, parentSnapshotId: parent?.snapshotId, commit };
}

/**
 * The time of a commit in whole ms: ours, unless the catalog's clock says that ours is wrong. Catalogs refuse a
 * snapshot that is more than a minute ahead of them, for as long as it is.
 */
function commitTimeMs(
  clock: Pick<AppendOptions['clock'], 'nowMs' | 'elapsedMs'>,
  serverAheadMs: number | undefined,
): number {
  const nowMs = clock.nowMs();
  if (serverAheadMs === undefined) return nowMs;
  // A monotonic clock counts fractions too, and catalogs read nothing but a long.
  const serverTimeMs = Math.trunc(clock.elapsedMs() + serverAheadMs);
  return Math.abs(nowMs - serverTimeMs) > CLOCK_ERROR_MS_MAX ? serverTimeMs : nowMs;
}

/** The manifests of a snapshot. Errors: the store's; `corrupt` for a list that is unreadable. */
export async function readManifestList(
  store: ObjectStore,
  snapshot: Snapshot,
): Promise<readonly ManifestFile[]> {
  return decodeManifestList(await store.get(snapshot.manifestList));
}

/** Schema, rows and position in one request: no state has one without the others (INVARIANTS.md 2). */
function prepareCommit(
  options: AppendOptions,
  snapshot: Snapshot,
  { properties, evolution }: Extract<AppendVerdict, { kind: 'append' }>,
): PreparedCommit {
  const { snapshotId, parentSnapshotId } = snapshot;
  return options.catalog.prepareCommit({
    identifier: options.identifier,
    requirements: [
      { type: 'assert-table-uuid', uuid: options.tableUuid },
      { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: parentSnapshotId ?? null },
      ...(evolution?.requirements ?? []),
    ],
    updates: [
      ...(evolution?.updates ?? []),
      { action: 'add-snapshot', snapshot },
      { action: 'set-snapshot-ref', refName: 'main', ref: { snapshotId, type: 'branch' } },
      ...(Object.keys(properties).length === 0
        ? []
        : [{ action: 'set-properties', updates: properties } as const]),
    ],
  });
}

function parentOf(metadata: TableMetadata): Snapshot | undefined {
  const parent = headSnapshot(metadata);
  if (parent === undefined && metadata.currentSnapshotId !== undefined) {
    throw new CatalogError('corrupt', 'the table metadata lacks its current snapshot', {
      context: { snapshotId: metadata.currentSnapshotId },
    });
  }
  return parent;
}

/**
 * Stores bytes under the first name that is free. An object is never overwritten: a snapshot may
 * refer to it. A name can be taken by an earlier call for the same commit, or by this very `put`,
 * repeated below after a lost answer; the copy left over is an orphan.
 */
async function putFresh(
  store: ObjectStore,
  bytes: Uint8Array,
  locationOf: (n: number) => string,
): Promise<string> {
  for (let n = 0; ; n += 1) {
    const location = locationOf(n);
    try {
      await store.put(location, bytes, { ifAbsent: true });
      return location;
    } catch (error) {
      const isTaken = error instanceof CatalogError && error.kind === 'conflict';
      if (!isTaken || n + 1 === NAMES_MAX) throw error;
    }
  }
}

function metadataFolder(metadata: TableMetadata): string {
  const configured = metadata.properties['write.metadata.path'];
  return configured === undefined
    ? `${withoutSlash(metadata.location)}/metadata`
    : withoutSlash(configured);
}

function withoutSlash(location: string): string {
  return location.replace(/\/+$/, '');
}

function specOf(metadata: TableMetadata, specId: number): PartitionSpec {
  const spec = metadata.partitionSpecs.find((known) => known.specId === specId);
  if (spec === undefined) {
    throw new CatalogError('fenced', `the table has no partition spec ${specId} any more`, {
      context: { specId, tableUuid: metadata.tableUuid },
    });
  }
  return spec;
}

/** The schemas of a table once the evolution has landed. */
function evolved(
  { schemas, currentSchemaId }: TableMetadata,
  evolution: SchemaEvolution | undefined,
): Pick<TableMetadata, 'schemas' | 'currentSchemaId'> {
  if (evolution === undefined) return { schemas, currentSchemaId };
  const { tableSchema } = evolution;
  return { schemas: [...schemas, tableSchema], currentSchemaId: tableSchema.schemaId };
}

/** The current schema, or the newest that still has the columns of a spec that outlived them. */
function schemaOf(
  metadata: Pick<TableMetadata, 'schemas' | 'currentSchemaId'>,
  spec: PartitionSpec,
): TableSchema {
  const newestFirst = metadata.schemas.toSorted((a, b) => rank(b) - rank(a));
  const found = newestFirst.find((candidate) => {
    const columns = fieldsById(candidate);
    return spec.fields.every((field) => columns.has(field.sourceId));
  });
  if (found === undefined) {
    throw new CatalogError('corrupt', `no schema has the columns of spec ${spec.specId}`, {
      context: { specId: spec.specId },
    });
  }
  return found;

  function rank(schema: TableSchema): number {
    return schema.schemaId === metadata.currentSchemaId ? Infinity : schema.schemaId;
  }
}

/** A random positive 63-bit id that the table does not know. */
function newSnapshotId(random: () => number, metadata: TableMetadata): bigint {
  const taken = new Set(metadata.snapshots.map((snapshot) => snapshot.snapshotId));
  const high = BigInt(Math.floor(random() * 2 ** 31));
  const low = BigInt(Math.floor(random() * 2 ** 32));
  let snapshotId = (high << 32n) | low;
  while (snapshotId === 0n || taken.has(snapshotId)) {
    snapshotId = BigInt.asUintN(63, snapshotId + 1n);
  }
  return snapshotId;
}
