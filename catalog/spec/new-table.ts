import { CatalogError } from '../error.ts';
import type { CreateTableRequest } from '../rest/catalog.ts';
import { fieldsById, renumberFields } from './field-ids.ts';
import type { PartitionSpec, SortOrder, TableMetadata } from './table-metadata.ts';
import type { TableSchema } from './table-schema.ts';

/** The only one whose rules `applyUpdates` knows. */
const FORMAT_VERSION = 2;
/** Partition field ids count from here; a table without partition fields has one less. */
const PARTITION_FIELD_ID_FIRST = 1000;

/**
 * Properties that steer the creation or mirror other metadata; the reference implementation
 * consumes them and never stores them.
 */
const RESERVED_PROPERTIES: ReadonlySet<string> = new Set([
  'format-version',
  'uuid',
  'snapshot-count',
  'current-snapshot-summary',
  'current-snapshot-id',
  'current-snapshot-timestamp-ms',
  'current-schema',
  'default-partition-spec',
  'default-sort-order',
]);

/**
 * The metadata of a table that has just been created. As on a server, the ids in the request are
 * only labels: fields get fresh ids (siblings first, then their children), and the spec, the sort
 * order and the identifier fields follow them.
 * Errors: `config` where the request refers to a field it does not have or asks for another format
 * version than 2.
 * Source: Iceberg REST spec, `CreateTableRequest`; table spec, "Field IDs", "Partition specs".
 */
export function newTableMetadata(
  request: CreateTableRequest,
  options: { location: string; tableUuid: string; nowMs: number },
): TableMetadata {
  const fresh = withFreshIds(request.schema);
  const partitionSpec = freshSpec(request.partitionSpec, fresh.idOf);
  const sortOrder = freshSortOrder(request.sortOrder, fresh.idOf);
  return {
    formatVersion: supportedFormatVersion(request.properties),
    tableUuid: options.tableUuid,
    location: options.location,
    lastSequenceNumber: 0n,
    lastUpdatedMs: options.nowMs,
    lastColumnId: fresh.lastColumnId,
    schemas: [fresh.tableSchema],
    currentSchemaId: fresh.tableSchema.schemaId,
    partitionSpecs: [partitionSpec],
    defaultSpecId: partitionSpec.specId,
    lastPartitionId: PARTITION_FIELD_ID_FIRST + partitionSpec.fields.length - 1,
    sortOrders: [sortOrder],
    defaultSortOrderId: sortOrder.orderId,
    properties: {
      'write.parquet.compression-codec': 'zstd',
      ...Object.fromEntries(
        Object.entries(request.properties).filter(([name]) => !RESERVED_PROPERTIES.has(name)),
      ),
    },
    snapshots: [],
    refs: {},
    snapshotLog: [],
  };
}

function supportedFormatVersion(properties: Readonly<Record<string, string>>): number {
  const requested = properties['format-version'] ?? String(FORMAT_VERSION);
  if (requested !== String(FORMAT_VERSION)) {
    throw new CatalogError(
      'config',
      `table property format-version: expected ${FORMAT_VERSION}, got ${requested}`,
    );
  }
  return FORMAT_VERSION;
}

type IdOf = (requestedId: number, usedBy: string) => number;

function withFreshIds(requested: TableSchema): {
  tableSchema: TableSchema;
  lastColumnId: number;
  idOf: IdOf;
} {
  const freshIds = new Map<number, number>();
  let lastColumnId = 0;
  const assign = (requestedId: number): number => {
    lastColumnId += 1;
    freshIds.set(requestedId, lastColumnId);
    return lastColumnId;
  };
  const fields = renumberFields(requested.fields, assign);
  const idOf: IdOf = (requestedId, usedBy) => {
    const freshId = freshIds.get(requestedId);
    if (freshId === undefined || !fieldsById(requested).has(requestedId)) {
      throw new CatalogError('config', `${usedBy} refers to unknown field id ${requestedId}`);
    }
    return freshId;
  };
  const identifierFieldIds = (requested.identifierFieldIds ?? []).map((id) =>
    idOf(id, 'identifier-field-ids'),
  );
  return {
    tableSchema: {
      schemaId: 0,
      fields,
      ...(identifierFieldIds.length > 0 ? { identifierFieldIds } : {}),
    },
    lastColumnId,
    idOf,
  };
}

function freshSpec(requested: PartitionSpec, idOf: IdOf): PartitionSpec {
  return {
    specId: 0,
    fields: requested.fields.map((field, index) => ({
      ...field,
      sourceId: idOf(field.sourceId, `partition field ${field.name}`),
      fieldId: PARTITION_FIELD_ID_FIRST + index,
    })),
  };
}

/** Order id 0 is reserved for the unsorted order. */
function freshSortOrder(requested: SortOrder, idOf: IdOf): SortOrder {
  return {
    orderId: requested.fields.length === 0 ? 0 : 1,
    fields: requested.fields.map((field) => ({
      ...field,
      sourceId: idOf(field.sourceId, 'the sort order'),
    })),
  };
}
