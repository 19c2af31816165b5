import type {
  CommitTableRequest,
  CreateTableRequest,
  TableIdentifier,
} from '../../../catalog/rest/catalog.ts';
import type { Snapshot, TableMetadata } from '../../../catalog/spec/table-metadata.ts';

/** A small partitioned, sorted table whose requested ids are not those that a server assigns. */
export function tableRequest(identifier: TableIdentifier): CreateTableRequest {
  return {
    identifier,
    schema: {
      schemaId: 3,
      identifierFieldIds: [10],
      fields: [
        { id: 10, name: 'event_id', required: true, type: 'string' },
        {
          id: 20,
          name: 'tags',
          required: false,
          type: { type: 'list', elementId: 21, element: 'string', elementRequired: false },
        },
        { id: 30, name: 'event_time', required: true, type: 'timestamptz', doc: 'UTC' },
      ],
    },
    partitionSpec: {
      specId: 7,
      fields: [{ sourceId: 30, fieldId: 1234, name: 'event_day', transform: 'day' }],
    },
    sortOrder: {
      orderId: 5,
      fields: [{ sourceId: 30, transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' }],
    },
    properties: { 'format-version': '2' },
  };
}

let lastSnapshotId = 6_000_000_000_000_000_001n;

/** The next snapshot on top of the table's head; its id needs all 64 bits. */
export function snapshotOf(metadata: TableMetadata, overrides: Partial<Snapshot> = {}): Snapshot {
  lastSnapshotId += 1n;
  const { currentSnapshotId } = metadata;
  return {
    snapshotId: lastSnapshotId,
    ...(currentSnapshotId === undefined ? {} : { parentSnapshotId: currentSnapshotId }),
    sequenceNumber: metadata.lastSequenceNumber + 1n,
    timestampMs: metadata.lastUpdatedMs + 10,
    manifestList: `${metadata.location}/metadata/snap-${lastSnapshotId}.avro`,
    summary: { operation: 'append', 'added-records': '0', 'total-records': '0' },
    schemaId: metadata.currentSchemaId,
    ...overrides,
  };
}

/** An append as the commit loop sends it: one parent asserted, all updates in one request. */
export function append(
  identifier: TableIdentifier,
  metadata: TableMetadata,
  snapshot: Snapshot,
  properties: Record<string, string> = {},
): CommitTableRequest {
  return {
    identifier,
    requirements: [
      { type: 'assert-table-uuid', uuid: metadata.tableUuid },
      {
        type: 'assert-ref-snapshot-id',
        ref: 'main',
        snapshotId: metadata.currentSnapshotId ?? null,
      },
    ],
    updates: [
      { action: 'add-snapshot', snapshot },
      {
        action: 'set-snapshot-ref',
        refName: 'main',
        ref: { snapshotId: snapshot.snapshotId, type: 'branch' },
      },
      { action: 'set-properties', updates: properties },
    ],
  };
}
