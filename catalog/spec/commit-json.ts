import type { CommitTableRequest, CreateTableRequest } from '../rest/catalog.ts';
import {
  partitionSpecToWire,
  snapshotRefToWire,
  snapshotToWire,
  sortOrderToWire,
} from './metadata-json.ts';
import { tableSchemaToWire } from './schema-json.ts';
import type { TableRequirement, TableUpdate } from './table-metadata.ts';
import { present, type WireObject } from './wire.ts';

/**
 * A create request as its JSON object. `stage-create` is always said: servers exist that fail
 * without it. Source: Iceberg REST spec, `CreateTableRequest`.
 */
export function createTableToWire(request: CreateTableRequest): WireObject {
  return {
    name: request.identifier.name,
    ...present('location', request.location),
    schema: tableSchemaToWire(request.schema),
    'partition-spec': partitionSpecToWire(request.partitionSpec),
    'write-order': sortOrderToWire(request.sortOrder),
    'stage-create': false,
    properties: request.properties,
  };
}

/** A commit as its JSON object. Source: Iceberg REST spec, `CommitTableRequest`. */
export function commitTableToWire(request: CommitTableRequest): WireObject {
  return {
    identifier: { namespace: request.identifier.namespace, name: request.identifier.name },
    requirements: request.requirements.map(requirementToWire),
    updates: request.updates.map(updateToWire),
  };
}

/** One requirement as its JSON object. Source: Iceberg REST spec, `TableRequirement`. */
export function requirementToWire(requirement: TableRequirement): WireObject {
  const { type } = requirement;
  switch (type) {
    case 'assert-create':
      return { type };
    case 'assert-table-uuid':
      return { type, uuid: requirement.uuid };
    case 'assert-ref-snapshot-id':
      return { type, ref: requirement.ref, 'snapshot-id': requirement.snapshotId };
    case 'assert-last-assigned-field-id':
      return { type, 'last-assigned-field-id': requirement.lastAssignedFieldId };
    case 'assert-current-schema-id':
      return { type, 'current-schema-id': requirement.currentSchemaId };
    case 'assert-last-assigned-partition-id':
      return { type, 'last-assigned-partition-id': requirement.lastAssignedPartitionId };
    case 'assert-default-spec-id':
      return { type, 'default-spec-id': requirement.defaultSpecId };
    case 'assert-default-sort-order-id':
      return { type, 'default-sort-order-id': requirement.defaultSortOrderId };
  }
}

/** One update as its JSON object. Source: Iceberg REST spec, `TableUpdate`. */
export function updateToWire(update: TableUpdate): WireObject {
  const { action } = update;
  switch (action) {
    case 'add-schema':
      // Deprecated, but servers exist that refuse a schema without its last column id.
      return {
        action,
        schema: tableSchemaToWire(update.schema),
        'last-column-id': update.lastColumnId,
      };
    case 'set-current-schema':
      return { action, 'schema-id': update.schemaId };
    case 'add-snapshot':
      return { action, snapshot: snapshotToWire(update.snapshot) };
    case 'set-snapshot-ref':
      return { action, 'ref-name': update.refName, ...snapshotRefToWire(update.ref) };
    case 'remove-snapshots':
      return { action, 'snapshot-ids': update.snapshotIds };
    case 'set-properties':
      return { action, updates: update.updates };
    case 'remove-properties':
      return { action, removals: update.removals };
  }
}
