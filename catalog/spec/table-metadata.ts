import type { TableSchema } from './table-schema.ts';

/** 64-bit ids, sequence numbers and counters are `bigint` everywhere; JSON is parsed 64-bit-safe. */

/** `identity`, `bucket[N]`, `truncate[W]`, `year`, `month`, `day`, `hour`, `void`. */
export type Transform = string;

export type PartitionField = {
  sourceId: number;
  fieldId: number;
  name: string;
  transform: Transform;
};

export type PartitionSpec = { specId: number; fields: readonly PartitionField[] };

export type SortField = {
  sourceId: number;
  transform: Transform;
  direction: 'asc' | 'desc';
  nullOrder: 'nulls-first' | 'nulls-last';
};

export type SortOrder = { orderId: number; fields: readonly SortField[] };

export type Snapshot = {
  snapshotId: bigint;
  parentSnapshotId?: bigint;
  sequenceNumber: bigint;
  timestampMs: number;
  manifestList: string;
  summary: Readonly<Record<string, string>>;
  schemaId?: number;
};

export type SnapshotRef = {
  snapshotId: bigint;
  type: 'branch' | 'tag';
  minSnapshotsToKeep?: number;
  maxSnapshotAgeMs?: number;
  maxRefAgeMs?: number;
};

/** Table metadata as the REST catalog returns it, with wire names translated once to camelCase. */
export type TableMetadata = {
  formatVersion: number;
  tableUuid: string;
  location: string;
  lastSequenceNumber: bigint;
  lastUpdatedMs: number;
  lastColumnId: number;
  schemas: readonly TableSchema[];
  currentSchemaId: number;
  partitionSpecs: readonly PartitionSpec[];
  defaultSpecId: number;
  lastPartitionId: number;
  sortOrders: readonly SortOrder[];
  defaultSortOrderId: number;
  properties: Readonly<Record<string, string>>;
  /** Absent for a table without snapshots (the wire says -1, null or nothing). */
  currentSnapshotId?: bigint;
  snapshots: readonly Snapshot[];
  refs: Readonly<Record<string, SnapshotRef>>;
  snapshotLog: readonly { snapshotId: bigint; timestampMs: number }[];
};

export type TableRequirement =
  | { type: 'assert-create' }
  | { type: 'assert-table-uuid'; uuid: string }
  | { type: 'assert-ref-snapshot-id'; ref: string; snapshotId: bigint | null }
  | { type: 'assert-last-assigned-field-id'; lastAssignedFieldId: number }
  | { type: 'assert-current-schema-id'; currentSchemaId: number }
  | { type: 'assert-last-assigned-partition-id'; lastAssignedPartitionId: number }
  | { type: 'assert-default-spec-id'; defaultSpecId: number }
  | { type: 'assert-default-sort-order-id'; defaultSortOrderId: number };

export type TableUpdate =
  | { action: 'add-schema'; schema: TableSchema; lastColumnId: number }
  | { action: 'set-current-schema'; schemaId: number }
  | { action: 'add-snapshot'; snapshot: Snapshot }
  | { action: 'set-snapshot-ref'; refName: string; ref: SnapshotRef }
  | { action: 'remove-snapshots'; snapshotIds: readonly bigint[] }
  | { action: 'set-properties'; updates: Readonly<Record<string, string>> }
  | { action: 'remove-properties'; removals: readonly string[] };
