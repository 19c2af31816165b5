import type { TableMetadata, TableRequirement } from './table-metadata.ts';

/** The first requirement that a table does not meet; the wire answers 409 with this message. */
export type RequirementFailure = { type: TableRequirement['type']; message: string };

/**
 * Judges a commit's requirements against the table as it is now; undefined means that all hold.
 * A table that is not there (`metadata` undefined) meets `assert-create` only.
 * Source: Iceberg REST spec, `TableRequirement`.
 */
export function checkRequirements(
  metadata: TableMetadata | undefined,
  requirements: readonly TableRequirement[],
): RequirementFailure | undefined {
  for (const requirement of requirements) {
    const message =
      metadata === undefined
        ? failureWithoutTable(requirement)
        : failureOfTable(metadata, requirement);
    if (message !== undefined) return { type: requirement.type, message };
  }
  return undefined;
}

function failureWithoutTable(requirement: TableRequirement): string | undefined {
  return requirement.type === 'assert-create' ? undefined : 'the table does not exist';
}

function failureOfTable(
  metadata: TableMetadata,
  requirement: TableRequirement,
): string | undefined {
  switch (requirement.type) {
    case 'assert-create':
      return 'the table already exists';
    case 'assert-table-uuid':
      return sameUuid(metadata.tableUuid, requirement.uuid)
        ? undefined
        : changed('table UUID', requirement.uuid, metadata.tableUuid);
    case 'assert-ref-snapshot-id':
      return refFailure(metadata, requirement.ref, requirement.snapshotId);
    case 'assert-last-assigned-field-id':
      return unlessEqual('last field id', requirement.lastAssignedFieldId, metadata.lastColumnId);
    case 'assert-current-schema-id':
      return unlessEqual('current schema', requirement.currentSchemaId, metadata.currentSchemaId);
    case 'assert-last-assigned-partition-id':
      return unlessEqual(
        'last partition field id',
        requirement.lastAssignedPartitionId,
        metadata.lastPartitionId,
      );
    case 'assert-default-spec-id':
      return unlessEqual(
        'default partition spec',
        requirement.defaultSpecId,
        metadata.defaultSpecId,
      );
    case 'assert-default-sort-order-id':
      return unlessEqual(
        'default sort order',
        requirement.defaultSortOrderId,
        metadata.defaultSortOrderId,
      );
  }
}

function refFailure(
  metadata: TableMetadata,
  name: string,
  expected: bigint | null,
): string | undefined {
  const ref = metadata.refs[name];
  if (ref === undefined) {
    return expected === null ? undefined : `ref ${name} is missing, expected snapshot ${expected}`;
  }
  if (expected === null) return `${ref.type} ${name} was created concurrently`;
  return expected === ref.snapshotId
    ? undefined
    : changed(`${ref.type} ${name}`, expected, ref.snapshotId);
}

function unlessEqual(what: string, expected: number, actual: number): string | undefined {
  return expected === actual ? undefined : changed(what, expected, actual);
}

function changed(what: string, expected: unknown, actual: unknown): string {
  return `${what} has changed: expected ${String(expected)}, found ${String(actual)}`;
}

/** UUIDs are compared as the reference implementation does, whatever the case of their digits. */
function sameUuid(left: string, right: string): boolean {
  return left.toLowerCase() === right.toLowerCase();
}
