import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { CatalogError } from '../../../catalog/error.ts';
import { createMemoryCatalog } from '../../../catalog/memory/memory-catalog.ts';
import type { Catalog, CommitTableRequest } from '../../../catalog/rest/catalog.ts';
import { openRestCatalog } from '../../../catalog/rest/rest-catalog.ts';
import type { TableMetadata, TableUpdate } from '../../../catalog/spec/table-metadata.ts';
import { endpoints } from '../../stack/endpoints.ts';
import { tableRequest } from './table-requests.ts';

/** One random commit; numbers choose among what the table has at that moment. */
type Step =
  | { do: 'append'; id: number; parent: number; sequenceShift: number; agoMs: number }
  | { do: 'ref'; name: string; id: number; type: 'branch' | 'tag' }
  | { do: 'expire'; ids: readonly number[] }
  | { do: 'property'; name: string; value: string }
  | { do: 'column'; name: string }
  | { do: 'current-schema'; schemaId: number };

const id = fc.integer({ min: 1, max: 6 });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      id,
      parent: fc.integer({ min: 0, max: 6 }),
      sequenceShift: fc.constantFrom(1, 1, 1, 0, -1),
      agoMs: fc.constantFrom(0, 0, 30_000, 150_000),
    }),
  },
  fc.record({
    do: fc.constant('ref' as const),
    name: fc.constantFrom('main', 'dev', 'audit'),
    id,
    type: fc.constantFrom('branch' as const, 'tag' as const),
  }),
  fc.record({ do: fc.constant('expire' as const), ids: fc.array(id, { maxLength: 3 }) }),
  fc.record({
    do: fc.constant('property' as const),
    name: fc.constantFrom('a', 'b'),
    value: fc.constantFrom('', '1'),
  }),
  fc.record({ do: fc.constant('column' as const), name: fc.constantFrom('x', 'y', 'z') }),
  fc.record({
    do: fc.constant('current-schema' as const),
    schemaId: fc.integer({ min: -1, max: 2 }),
  }),
);

function updatesOf(step_: Step, metadata: TableMetadata, nowMs: number): TableUpdate[] {
  switch (step_.do) {
    case 'append': {
      const snapshotId = BigInt(step_.id);
      // Below 0 the reference writes metadata that it cannot read again.
      const sequenceNumber = metadata.lastSequenceNumber + BigInt(step_.sequenceShift);
      return [
        {
          action: 'add-snapshot',
          snapshot: {
            snapshotId,
            ...(step_.parent === 0 ? {} : { parentSnapshotId: BigInt(step_.parent) }),
            sequenceNumber: sequenceNumber < 0n ? 0n : sequenceNumber,
            timestampMs: nowMs - step_.agoMs,
            manifestList: 's3://lake/none.avro',
            summary: { operation: 'append' },
            schemaId: metadata.currentSchemaId,
          },
        },
        { action: 'set-snapshot-ref', refName: 'main', ref: { snapshotId, type: 'branch' } },
      ];
    }
    case 'ref': {
      const ref = {
        snapshotId: BigInt(step_.id),
        type: step_.name === 'main' ? 'branch' : step_.type,
      };
      return [{ action: 'set-snapshot-ref', refName: step_.name, ref }];
    }
    case 'expire': {
      // The reference refuses more ids than there are snapshots, by the accident of a list's size.
      const snapshotIds = [...new Set(step_.ids.map(BigInt))].slice(0, metadata.snapshots.length);
      return [{ action: 'remove-snapshots', snapshotIds }];
    }
    case 'property':
      return step_.value === ''
        ? [{ action: 'remove-properties', removals: [step_.name] }]
        : [{ action: 'set-properties', updates: { [step_.name]: step_.value } }];
    case 'column': {
      const current = metadata.schemas.find((known) => known.schemaId === metadata.currentSchemaId);
      const fields = current?.fields ?? [];
      if (fields.some((field) => field.name === step_.name)) return [];
      const lastColumnId = metadata.lastColumnId + 1;
      const added = { id: lastColumnId, name: step_.name, required: false, type: 'int' } as const;
      return [
        {
          action: 'add-schema',
          schema: { schemaId: 0, identifierFieldIds: [1], fields: [...fields, added] },
          lastColumnId,
        },
        { action: 'set-current-schema', schemaId: -1 },
      ];
    }
    case 'current-schema':
      return [{ action: 'set-current-schema', schemaId: step_.schemaId }];
  }
}

/** The table afterwards, or the kind of the refusal. */
async function outcomeOf(catalog: Catalog, request: CommitTableRequest): Promise<unknown> {
  try {
    return comparable((await catalog.prepareCommit(request).send()).metadata);
  } catch (error) {
    if (error instanceof CatalogError) return error.kind;
    throw error;
  }
}

/** Without what two catalogs cannot have in common: UUID, place, and the server's clock. */
function comparable(metadata: TableMetadata): unknown {
  const { tableUuid: _uuid, location: _location, lastUpdatedMs: _updated, ...rest } = metadata;
  const ownTimes = new Map(
    metadata.snapshots.map((snapshot) => [snapshot.snapshotId, snapshot.timestampMs]),
  );
  return {
    ...rest,
    snapshotLog: rest.snapshotLog.map((entry) => ({
      snapshotId: entry.snapshotId,
      isOwnTime: ownTimes.get(entry.snapshotId) === entry.timestampMs,
    })),
  };
}

test('the in-memory twin answers any history of commits as the real server does', async () => {
  const server = await openRestCatalog({ uri: endpoints.catalogUri });
  const namespace = [`catalog_twin_${Date.now()}`];
  await server.ensureNamespace(namespace);
  let tables = 0;

  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
      tables += 1;
      const identifier = { namespace, name: `t${tables}` };
      const twin = createMemoryCatalog({
        clock: { nowMs: () => Date.now() },
        uuid: () => 'a1d72a34-de37-4625-914a-2d6b0963c011',
      });
      await twin.ensureNamespace(namespace);
      const created = await server.createTable(tableRequest(identifier));
      const twinCreated = await twin.createTable(tableRequest(identifier));
      expect(comparable(twinCreated.metadata)).toEqual(comparable(created.metadata));

      for (const one of steps) {
        const table = await server.loadTable(identifier);
        if (table === undefined) throw new Error(`table ${identifier.name} is missing`);
        const updates = updatesOf(one, table.metadata, Date.now());
        const request = { identifier, requirements: [], updates };
        expect(await outcomeOf(twin, request)).toEqual(await outcomeOf(server, request));
      }
      await server.dropTable(identifier);
    }),
    { numRuns: 40, endOnFailure: true },
  );
});
