import { isDeepStrictEqual } from 'node:util';
import { CatalogError } from '../error.ts';
import { fieldsById, highestFieldId } from './field-ids.ts';
import type { Snapshot, SnapshotRef, TableMetadata, TableUpdate } from './table-metadata.ts';
import type { TableSchema } from './table-schema.ts';

const MAIN_BRANCH = 'main';
/** On the wire, schema id -1 means "the schema that this request added last". */
const LAST_ADDED = -1;
/** Writers' clocks may differ by this much before the snapshot log counts as out of order. */
const CLOCK_SKEW_MS_MAX = 60_000;

/** What one request has done so far; the last steps depend on it. */
type Draft = {
  metadata: TableMetadata;
  lastAddedSchemaId: number | undefined;
  addedSchemaIds: ReadonlySet<number>;
  addedSnapshotIds: ReadonlySet<bigint>;
  /** Snapshots that this request made current, each in its turn. */
  setAsMain: readonly bigint[];
  removedSnapshots: boolean;
};

/**
 * The table after a commit's updates, in their order and all together; the input is not changed.
 * `nowMs` (epoch ms) is the server's clock. Format version 2; refuses what the reference
 * implementation refuses. Errors: `conflict` for a snapshot whose sequence number is stale (a retry
 * with a new one may pass); `config` for a request that can never pass: an existing snapshot id, a
 * ref to an unknown snapshot, an unknown schema id, a column that a spec needs gone, a snapshot more
 * than a minute older than the log's last or ahead of the server's clock.
 * Source: Iceberg REST spec, `TableUpdate`; table spec, "Table metadata", "Sequence numbers".
 */
export function applyUpdates(
  metadata: TableMetadata,
  updates: readonly TableUpdate[],
  nowMs: number,
): TableMetadata {
  let draft: Draft = {
    metadata,
    lastAddedSchemaId: undefined,
    addedSchemaIds: new Set(),
    addedSnapshotIds: new Set(),
    setAsMain: [],
    removedSnapshots: false,
  };
  for (const update of updates) draft = applyUpdate(draft, update, nowMs);
  // The reference hands back the very same metadata where nothing changed.
  if (draft.metadata === metadata) return metadata;

  const updated: TableMetadata = {
    ...draft.metadata,
    lastUpdatedMs: nowMs,
    snapshotLog: tidySnapshotLog(draft),
  };
  checkSequenceNumbers(updated);
  checkSources(updated);
  checkSnapshotLogTimes(updated);
  return updated;
}

function applyUpdate(draft: Draft, update: TableUpdate, nowMs: number): Draft {
  switch (update.action) {
    case 'add-schema':
      return addSchema(draft, update.schema, update.lastColumnId);
    case 'set-current-schema':
      return setCurrentSchema(draft, update.schemaId);
    case 'add-snapshot':
      return addSnapshot(draft, update.snapshot);
    case 'set-snapshot-ref':
      return setRef(draft, update.refName, update.ref, nowMs);
    case 'remove-snapshots':
      return removeSnapshots(draft, update.snapshotIds);
    case 'set-properties':
      return withProperties(draft, { ...draft.metadata.properties, ...update.updates });
    case 'remove-properties': {
      const removed = new Set(update.removals);
      const kept = Object.entries(draft.metadata.properties).filter(([name]) => !removed.has(name));
      return withProperties(draft, Object.fromEntries(kept));
    }
  }
}

function withProperties(draft: Draft, properties: Readonly<Record<string, string>>): Draft {
  return { ...draft, metadata: { ...draft.metadata, properties } };
}

/** A schema that the table has already keeps its id; a new one gets the next id, whatever it says. */
function addSchema(draft: Draft, added: TableSchema, requestedLastColumnId: number): Draft {
  const { metadata } = draft;
  const lastColumnId = Math.max(
    metadata.lastColumnId,
    requestedLastColumnId,
    highestFieldId(added),
  );
  const existing = metadata.schemas.find((candidate) => sameSchema(candidate, added));
  if (existing !== undefined) {
    const isNew = draft.addedSchemaIds.has(existing.schemaId);
    return {
      ...draft,
      metadata: lastColumnId === metadata.lastColumnId ? metadata : { ...metadata, lastColumnId },
      lastAddedSchemaId: isNew ? existing.schemaId : undefined,
    };
  }
  const schemaId = 1 + Math.max(...metadata.schemas.map((known) => known.schemaId), -1);
  return {
    ...draft,
    metadata: { ...metadata, lastColumnId, schemas: [...metadata.schemas, { ...added, schemaId }] },
    lastAddedSchemaId: schemaId,
    addedSchemaIds: new Set([...draft.addedSchemaIds, schemaId]),
  };
}

function sameSchema(left: TableSchema, right: TableSchema): boolean {
  return (
    isDeepStrictEqual(left.fields, right.fields) &&
    isDeepStrictEqual(new Set(left.identifierFieldIds), new Set(right.identifierFieldIds))
  );
}

function setCurrentSchema(draft: Draft, requestedId: number): Draft {
  const schemaId = requestedId === LAST_ADDED ? draft.lastAddedSchemaId : requestedId;
  if (schemaId === undefined) {
    throw refused('cannot set the last added schema: this request has added none');
  }
  if (schemaId === draft.metadata.currentSchemaId) return draft;
  if (!draft.metadata.schemas.some((known) => known.schemaId === schemaId)) {
    throw refused(`cannot set the current schema to unknown schema ${schemaId}`);
  }
  return { ...draft, metadata: { ...draft.metadata, currentSchemaId: schemaId } };
}

function addSnapshot(draft: Draft, snapshot: Snapshot): Draft {
  const { metadata } = draft;
  if (metadata.snapshots.some((known) => known.snapshotId === snapshot.snapshotId)) {
    throw refused(`snapshot ${snapshot.snapshotId} already exists`);
  }
  const hasParent = snapshot.parentSnapshotId !== undefined;
  if (hasParent && snapshot.sequenceNumber <= metadata.lastSequenceNumber) {
    throw new CatalogError(
      'conflict',
      `snapshot ${snapshot.snapshotId} has the stale sequence number ${snapshot.sequenceNumber}: ` +
        `the table's last is ${metadata.lastSequenceNumber}`,
    );
  }
  return {
    ...draft,
    metadata: {
      ...metadata,
      lastSequenceNumber: snapshot.sequenceNumber,
      snapshots: [...metadata.snapshots, snapshot],
    },
    addedSnapshotIds: new Set([...draft.addedSnapshotIds, snapshot.snapshotId]),
  };
}

function setRef(draft: Draft, name: string, ref: SnapshotRef, nowMs: number): Draft {
  const { metadata } = draft;
  if (isDeepStrictEqual(metadata.refs[name], ref)) return draft;
  const snapshot = metadata.snapshots.find((known) => known.snapshotId === ref.snapshotId);
  if (snapshot === undefined) {
    throw refused(`cannot set ref ${name} to unknown snapshot ${ref.snapshotId}`);
  }
  const refs = { ...metadata.refs, [name]: ref };
  if (name !== MAIN_BRANCH) return { ...draft, metadata: { ...metadata, refs } };
  const isAdded = draft.addedSnapshotIds.has(snapshot.snapshotId);
  const timestampMs = isAdded ? snapshot.timestampMs : nowMs;
  return {
    ...draft,
    setAsMain: [...draft.setAsMain, ref.snapshotId],
    metadata: {
      ...metadata,
      refs,
      currentSnapshotId: ref.snapshotId,
      snapshotLog: [...metadata.snapshotLog, { snapshotId: ref.snapshotId, timestampMs }],
    },
  };
}

/** Removing an id that is not there changes nothing; a ref to a removed snapshot goes with it. */
function removeSnapshots(draft: Draft, snapshotIds: readonly bigint[]): Draft {
  const removedIds = new Set(snapshotIds);
  const snapshots = draft.metadata.snapshots.filter((known) => !removedIds.has(known.snapshotId));
  if (snapshots.length === draft.metadata.snapshots.length) return draft;
  const refs = Object.fromEntries(
    Object.entries(draft.metadata.refs).filter(([, ref]) => !removedIds.has(ref.snapshotId)),
  );
  const { currentSnapshotId, ...rest } = draft.metadata;
  const keepsHead = currentSnapshotId !== undefined && MAIN_BRANCH in refs;
  return {
    ...draft,
    metadata: { ...rest, snapshots, refs, ...(keepsHead ? { currentSnapshotId } : {}) },
    removedSnapshots: true,
  };
}

/**
 * Drops the entries of snapshots that were current only within this request, and, where a snapshot
 * is gone, all history before it: a gap would make time travel answer with the wrong snapshot.
 */
function tidySnapshotLog(draft: Draft): TableMetadata['snapshotLog'] {
  const { metadata } = draft;
  const passing = new Set(
    draft.setAsMain.filter(
      (id) => draft.addedSnapshotIds.has(id) && id !== metadata.currentSnapshotId,
    ),
  );
  const existing = new Set(metadata.snapshots.map((snapshot) => snapshot.snapshotId));
  const log = metadata.snapshotLog.filter((entry) => !passing.has(entry.snapshotId));
  if (!draft.removedSnapshots) return log;
  const lastGap = log.findLastIndex((entry) => !existing.has(entry.snapshotId));
  return log.slice(lastGap + 1);
}

/** A snapshot without a parent may lower the table's number, but not below that of another. */
function checkSequenceNumbers(metadata: TableMetadata): void {
  const { lastSequenceNumber } = metadata;
  const ahead = metadata.snapshots.find((known) => known.sequenceNumber > lastSequenceNumber);
  if (ahead === undefined) return;
  throw refused(
    `snapshot ${ahead.snapshotId} has sequence number ${ahead.sequenceNumber}, ` +
      `above the table's last ${lastSequenceNumber}`,
  );
}

function checkSources(metadata: TableMetadata): void {
  const current = metadata.schemas.find((known) => known.schemaId === metadata.currentSchemaId);
  if (current === undefined) return;
  const fields = fieldsById(current);
  const spec = metadata.partitionSpecs.find((known) => known.specId === metadata.defaultSpecId);
  for (const field of spec?.fields ?? []) {
    if (field.transform !== 'void' && !fields.has(field.sourceId)) {
      throw refused(`partition field ${field.name}: its source column ${field.sourceId} is gone`);
    }
  }
  const order = metadata.sortOrders.find((known) => known.orderId === metadata.defaultSortOrderId);
  for (const field of order?.fields ?? []) {
    if (!fields.has(field.sourceId)) {
      throw refused(`the sort order's source column ${field.sourceId} is gone`);
    }
  }
}

function checkSnapshotLogTimes(metadata: TableMetadata): void {
  let lastMs = -Infinity;
  const times = metadata.snapshotLog.map((entry) => entry.timestampMs);
  for (const timestampMs of [...times, metadata.lastUpdatedMs]) {
    if (timestampMs < lastMs - CLOCK_SKEW_MS_MAX) {
      throw refused(
        `invalid update timestamp ${timestampMs}: more than ${CLOCK_SKEW_MS_MAX} ms before ` +
          `the snapshot log's entry at ${lastMs}`,
      );
    }
    lastMs = timestampMs;
  }
}

/** The catalog answers such a request with 400: sent again, it fails again. */
function refused(message: string): CatalogError {
  return new CatalogError('config', message);
}
