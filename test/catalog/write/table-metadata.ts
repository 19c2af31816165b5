import type {
  PartitionField,
  SortField,
  TableMetadata,
} from '../../../catalog/spec/table-metadata.ts';
import type { TableSchema } from '../../../catalog/spec/table-schema.ts';

/** Metadata of a table without snapshots. Sort order 1 where there are sort fields, else 0. */
export function tableMetadata(options: {
  tableSchema: TableSchema;
  partitionFields?: readonly PartitionField[];
  sortFields?: readonly SortField[];
  properties?: Readonly<Record<string, string>>;
}): TableMetadata {
  const { tableSchema, partitionFields = [], sortFields = [], properties = {} } = options;
  return {
    formatVersion: 2,
    tableUuid: '00000000-0000-0000-0000-000000000000',
    location: 's3://lake/db/clicks',
    lastSequenceNumber: 0n,
    lastUpdatedMs: 0,
    lastColumnId: 100,
    schemas: [tableSchema],
    currentSchemaId: tableSchema.schemaId,
    partitionSpecs: [{ specId: 3, fields: partitionFields }],
    defaultSpecId: 3,
    lastPartitionId: 1001,
    sortOrders: [
      { orderId: 0, fields: [] },
      { orderId: 1, fields: sortFields },
    ],
    defaultSortOrderId: sortFields.length === 0 ? 0 : 1,
    properties,
    snapshots: [],
    refs: {},
    snapshotLog: [],
  };
}
