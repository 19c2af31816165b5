import { CatalogError } from '../error.ts';
import { highestFieldId } from './field-ids.ts';
import { tableSchemaFromWire, tableSchemaToWire } from './schema-json.ts';
import type {
  PartitionField,
  PartitionSpec,
  Snapshot,
  SnapshotRef,
  SortField,
  SortOrder,
  TableMetadata,
} from './table-metadata.ts';
import type { TableSchema } from './table-schema.ts';
import {
  intAt,
  intsAt,
  longAt,
  millisAt,
  objectAt,
  objectsAt,
  optionalAt,
  present,
  stringAt,
  stringMapAt,
  wireObject,
  type WireObject,
} from './wire.ts';

/** v1 metadata may leave partition field ids out; they are then counted from here. */
const PARTITION_FIELD_ID_FIRST = 1000;
/** What some servers write for "no snapshot". */
const NO_SNAPSHOT = -1n;
const FORMAT_VERSION_MAX = 3;

/**
 * Table metadata from its JSON object, of format version 1, 2 or 3. Whatever a version lets a writer
 * leave out gets the value that the spec gives it; fields that this package has no use for are
 * dropped. 64-bit fields are `bigint` however small they are. A current snapshot without a `main`
 * ref gets one, as in the reference implementation.
 * Errors: `corrupt` for a required field that is missing or of another type, and for a later version.
 * Source: Iceberg table spec, "Table metadata" and appendix C.
 */
export function tableMetadataFromWire(value: unknown): TableMetadata {
  const wire = wireObject(value, 'table metadata');
  const formatVersion = intAt(wire, 'format-version');
  if (formatVersion < 1 || formatVersion > FORMAT_VERSION_MAX) {
    throw new CatalogError('corrupt', `format version ${formatVersion} is not supported`);
  }
  const currentSnapshotId = snapshotIdAt(wire, 'current-snapshot-id');
  return {
    formatVersion,
    tableUuid: stringAt(wire, 'table-uuid'),
    location: stringAt(wire, 'location'),
    lastSequenceNumber: optionalAt(wire, 'last-sequence-number', longAt) ?? 0n,
    lastUpdatedMs: optionalAt(wire, 'last-updated-ms', millisAt) ?? 0,
    ...schemasFromWire(wire),
    ...partitionSpecsFromWire(wire),
    ...sortOrdersFromWire(wire),
    properties: stringMapAt(wire, 'properties'),
    ...present('currentSnapshotId', currentSnapshotId),
    snapshots: objectsAt(wire, 'snapshots').map(snapshotFromWire),
    refs: refsFromWire(wire, currentSnapshotId),
    snapshotLog: objectsAt(wire, 'snapshot-log').map((entry) => ({
      snapshotId: longAt(entry, 'snapshot-id'),
      timestampMs: millisAt(entry, 'timestamp-ms'),
    })),
  };
}

/** Table metadata as the JSON object of a metadata file or of a catalog's answer. */
export function tableMetadataToWire(metadata: TableMetadata): WireObject {
  return {
    'format-version': metadata.formatVersion,
    'table-uuid': metadata.tableUuid,
    location: metadata.location,
    'last-sequence-number': metadata.lastSequenceNumber,
    'last-updated-ms': metadata.lastUpdatedMs,
    'last-column-id': metadata.lastColumnId,
    'current-schema-id': metadata.currentSchemaId,
    schemas: metadata.schemas.map(tableSchemaToWire),
    'default-spec-id': metadata.defaultSpecId,
    'partition-specs': metadata.partitionSpecs.map(partitionSpecToWire),
    'last-partition-id': metadata.lastPartitionId,
    'default-sort-order-id': metadata.defaultSortOrderId,
    'sort-orders': metadata.sortOrders.map(sortOrderToWire),
    properties: metadata.properties,
    ...present('current-snapshot-id', metadata.currentSnapshotId),
    refs: Object.fromEntries(
      Object.entries(metadata.refs).map(([name, ref]) => [name, snapshotRefToWire(ref)]),
    ),
    snapshots: metadata.snapshots.map(snapshotToWire),
    'snapshot-log': metadata.snapshotLog.map((entry) => ({
      'timestamp-ms': entry.timestampMs,
      'snapshot-id': entry.snapshotId,
    })),
  };
}

/** A partition spec as its JSON object. */
export function partitionSpecToWire(spec: PartitionSpec): WireObject {
  return { 'spec-id': spec.specId, fields: partitionFieldsToWire(spec) };
}

/** The fields of a partition spec as a JSON list; manifests carry this list alone. */
export function partitionFieldsToWire(spec: PartitionSpec): readonly WireObject[] {
  return spec.fields.map((field) => ({
    'source-id': field.sourceId,
    'field-id': field.fieldId,
    name: field.name,
    transform: field.transform,
  }));
}

/** A sort order as its JSON object. */
export function sortOrderToWire(order: SortOrder): WireObject {
  return {
    'order-id': order.orderId,
    fields: order.fields.map((field) => ({
      transform: field.transform,
      'source-id': field.sourceId,
      direction: field.direction,
      'null-order': field.nullOrder,
    })),
  };
}

/** A snapshot as its JSON object. */
export function snapshotToWire(snapshot: Snapshot): WireObject {
  return {
    'snapshot-id': snapshot.snapshotId,
    ...present('parent-snapshot-id', snapshot.parentSnapshotId),
    'sequence-number': snapshot.sequenceNumber,
    'timestamp-ms': snapshot.timestampMs,
    'manifest-list': snapshot.manifestList,
    summary: snapshot.summary,
    ...present('schema-id', snapshot.schemaId),
  };
}

/** A ref (branch or tag) as its JSON object. */
export function snapshotRefToWire(ref: SnapshotRef): WireObject {
  return {
    'snapshot-id': ref.snapshotId,
    type: ref.type,
    ...present('min-snapshots-to-keep', ref.minSnapshotsToKeep),
    ...present('max-snapshot-age-ms', ref.maxSnapshotAgeMs),
    ...present('max-ref-age-ms', ref.maxRefAgeMs),
  };
}

/** v1 writes a single `schema`; v2 a list of them. */
function schemasFromWire(
  wire: WireObject,
): Pick<TableMetadata, 'schemas' | 'currentSchemaId' | 'lastColumnId'> {
  const listed = objectsAt(wire, 'schemas').map(tableSchemaFromWire);
  const schemas: readonly TableSchema[] =
    listed.length > 0 ? listed : [tableSchemaFromWire(objectAt(wire, 'schema'))];
  return {
    schemas,
    currentSchemaId: optionalAt(wire, 'current-schema-id', intAt) ?? schemas[0]?.schemaId ?? 0,
    lastColumnId:
      optionalAt(wire, 'last-column-id', intAt) ?? Math.max(0, ...schemas.map(highestFieldId)),
  };
}

/** v1 writes the fields of a single spec as `partition-spec`; v2 a list of specs. */
function partitionSpecsFromWire(
  wire: WireObject,
): Pick<TableMetadata, 'partitionSpecs' | 'defaultSpecId' | 'lastPartitionId'> {
  const listed = objectsAt(wire, 'partition-specs').map((spec) => ({
    specId: intAt(spec, 'spec-id'),
    fields: objectsAt(spec, 'fields').map(partitionFieldFromWire),
  }));
  const partitionSpecs =
    listed.length > 0
      ? listed
      : [{ specId: 0, fields: objectsAt(wire, 'partition-spec').map(partitionFieldFromWire) }];
  const fieldIds = partitionSpecs.flatMap((spec) => spec.fields.map((field) => field.fieldId));
  return {
    partitionSpecs,
    defaultSpecId: optionalAt(wire, 'default-spec-id', intAt) ?? 0,
    lastPartitionId:
      optionalAt(wire, 'last-partition-id', intAt) ??
      Math.max(PARTITION_FIELD_ID_FIRST - 1, ...fieldIds),
  };
}

function partitionFieldFromWire(wire: WireObject, index: number): PartitionField {
  return {
    sourceId: sourceIdAt(wire),
    fieldId: optionalAt(wire, 'field-id', intAt) ?? PARTITION_FIELD_ID_FIRST + index,
    name: stringAt(wire, 'name'),
    transform: stringAt(wire, 'transform'),
  };
}

function sortOrdersFromWire(
  wire: WireObject,
): Pick<TableMetadata, 'sortOrders' | 'defaultSortOrderId'> {
  const listed = objectsAt(wire, 'sort-orders').map((order) => ({
    orderId: intAt(order, 'order-id'),
    fields: objectsAt(order, 'fields').map(sortFieldFromWire),
  }));
  return {
    sortOrders: listed.length > 0 ? listed : [{ orderId: 0, fields: [] }],
    defaultSortOrderId: optionalAt(wire, 'default-sort-order-id', intAt) ?? 0,
  };
}

function sortFieldFromWire(wire: WireObject): SortField {
  return {
    sourceId: sourceIdAt(wire),
    transform: stringAt(wire, 'transform'),
    direction: oneOf(wire, 'direction', ['asc', 'desc']),
    nullOrder: oneOf(wire, 'null-order', ['nulls-first', 'nulls-last']),
  };
}

/** v3 may list the sources of a transform with several arguments; the first stands for them. */
function sourceIdAt(wire: WireObject): number {
  return (
    optionalAt(wire, 'source-id', intAt) ??
    intsAt(wire, 'source-ids')[0] ??
    intAt(wire, 'source-id')
  );
}

/** v1 snapshots may lack a sequence number (0 then), a summary, and a manifest list. */
function snapshotFromWire(wire: WireObject): Snapshot {
  return {
    snapshotId: longAt(wire, 'snapshot-id'),
    ...present('parentSnapshotId', snapshotIdAt(wire, 'parent-snapshot-id')),
    sequenceNumber: optionalAt(wire, 'sequence-number', longAt) ?? 0n,
    timestampMs: millisAt(wire, 'timestamp-ms'),
    manifestList: optionalAt(wire, 'manifest-list', stringAt) ?? '',
    summary: stringMapAt(wire, 'summary'),
    ...present('schemaId', optionalAt(wire, 'schema-id', intAt)),
  };
}

function refsFromWire(
  wire: WireObject,
  currentSnapshotId: bigint | undefined,
): TableMetadata['refs'] {
  const refs = optionalAt(wire, 'refs', objectAt) ?? {};
  const read = Object.entries(refs).map(
    ([name, ref]) => [name, snapshotRefFromWire(wireObject(ref, `ref ${name}`))] as const,
  );
  const main: TableMetadata['refs'] =
    currentSnapshotId === undefined
      ? {}
      : { main: { snapshotId: currentSnapshotId, type: 'branch' } };
  return { ...main, ...Object.fromEntries(read) };
}

function snapshotRefFromWire(wire: WireObject): SnapshotRef {
  return {
    snapshotId: longAt(wire, 'snapshot-id'),
    type: oneOf(wire, 'type', ['branch', 'tag']),
    ...present('minSnapshotsToKeep', optionalAt(wire, 'min-snapshots-to-keep', intAt)),
    ...present('maxSnapshotAgeMs', optionalAt(wire, 'max-snapshot-age-ms', millisAt)),
    ...present('maxRefAgeMs', optionalAt(wire, 'max-ref-age-ms', millisAt)),
  };
}

function snapshotIdAt(wire: WireObject, name: string): bigint | undefined {
  const id = optionalAt(wire, name, longAt);
  return id === NO_SNAPSHOT ? undefined : id;
}

/** Some writers put these words in upper case. */
function oneOf<T extends string>(wire: WireObject, name: string, allowed: readonly T[]): T {
  const text = stringAt(wire, name).toLowerCase();
  const match = allowed.find((word) => word === text);
  if (match === undefined) {
    throw new CatalogError('corrupt', `${name}: expected ${allowed.join(' or ')}, got ${text}`);
  }
  return match;
}
