import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type {
  Catalog,
  CreateTableRequest,
  LoadedTable,
  TableIdentifier,
} from '../../../catalog/rest/catalog.ts';
import type { TableMetadata, TableUpdate } from '../../../catalog/spec/table-metadata.ts';
import { append, snapshotOf, tableRequest } from './table-requests.ts';

/** A catalog under test and a namespace in it that nobody else uses. */
export type CatalogUnderTest = { catalog: Catalog; namespace: readonly string[] };

/** What every catalog must keep; run on the in-memory twin and on a real REST server. */
export function describeCatalog(name: string, open: () => Promise<CatalogUnderTest>): void {
  describe(`${name} keeps the catalog contract`, () => {
    let catalog: Catalog;
    let namespace: readonly string[];
    const used: TableIdentifier[] = [];

    beforeAll(async () => {
      ({ catalog, namespace } = await open());
      await catalog.ensureNamespace(namespace);
    });

    afterAll(async () => {
      for (const identifier of used) {
        if ((await catalog.loadTable(identifier)) !== undefined)
          await catalog.dropTable(identifier);
      }
    });

    const freshIdentifier = (): TableIdentifier => {
      const identifier = { namespace, name: `t${used.length}` };
      used.push(identifier);
      return identifier;
    };

    const freshTable = async (
      overrides: Partial<CreateTableRequest> = {},
    ): Promise<{ identifier: TableIdentifier; metadata: TableMetadata }> => {
      const identifier = freshIdentifier();
      const { metadata } = await catalog.createTable({ ...tableRequest(identifier), ...overrides });
      return { identifier, metadata };
    };

    const mustLoad = async (identifier: TableIdentifier): Promise<LoadedTable> => {
      const table = await catalog.loadTable(identifier);
      if (table === undefined) throw new Error(`table ${identifier.name} is missing`);
      return table;
    };

    const commit = (
      identifier: TableIdentifier,
      updates: readonly TableUpdate[],
    ): Promise<LoadedTable> =>
      catalog.prepareCommit({ identifier, requirements: [], updates }).send();

    describe('namespaces and tables', () => {
      test('ensuring a namespace that exists changes nothing', async () => {
        const { identifier } = await freshTable();
        await catalog.ensureNamespace(namespace);
        expect(await catalog.loadTable(identifier)).toBeDefined();
      });

      test('a nested namespace can be ensured in one call and holds tables', async () => {
        const nested = [...namespace, 'inner level', 'x'];
        await catalog.ensureNamespace(nested);
        const identifier = { namespace: nested, name: 'odd name ä+&=' };
        used.push(identifier);
        await catalog.createTable(tableRequest(identifier));
        expect((await mustLoad(identifier)).metadata.formatVersion).toBe(2);
      });

      test('a missing table, or one in a missing namespace, loads as undefined', async () => {
        expect(await catalog.loadTable({ namespace, name: 'missing' })).toBeUndefined();
        const elsewhere = { namespace: [...namespace, 'nowhere'], name: 'missing' };
        expect(await catalog.loadTable(elsewhere)).toBeUndefined();
      });

      test('a table is created with fresh ids, siblings before their children', async () => {
        const { identifier, metadata } = await freshTable();
        expect(metadata.schemas).toEqual([
          {
            schemaId: 0,
            identifierFieldIds: [1],
            fields: [
              { id: 1, name: 'event_id', required: true, type: 'string' },
              {
                id: 2,
                name: 'tags',
                required: false,
                type: { type: 'list', elementId: 4, element: 'string', elementRequired: false },
              },
              { id: 3, name: 'event_time', required: true, type: 'timestamptz', doc: 'UTC' },
            ],
          },
        ]);
        expect(metadata.partitionSpecs).toEqual([
          {
            specId: 0,
            fields: [{ sourceId: 3, fieldId: 1000, name: 'event_day', transform: 'day' }],
          },
        ]);
        expect(metadata.sortOrders).toEqual([
          {
            orderId: 1,
            fields: [
              { sourceId: 3, transform: 'identity', direction: 'asc', nullOrder: 'nulls-first' },
            ],
          },
        ]);
        expect(metadata).toMatchObject({
          formatVersion: 2,
          lastColumnId: 4,
          lastPartitionId: 1000,
          lastSequenceNumber: 0n,
          defaultSortOrderId: 1,
          snapshots: [],
          refs: {},
        });
        expect(metadata).not.toHaveProperty('currentSnapshotId');
        expect((await mustLoad(identifier)).metadata).toEqual(metadata);
      });

      test('properties are kept, the format version is consumed, the codec defaults to zstd', async () => {
        const { metadata } = await freshTable({ properties: { 'format-version': '2', a: 'b' } });
        expect(metadata.properties).toEqual({ a: 'b', 'write.parquet.compression-codec': 'zstd' });
      });

      test('an unpartitioned, unsorted table counts partition fields from 1000', async () => {
        const { metadata } = await freshTable({
          partitionSpec: { specId: 0, fields: [] },
          sortOrder: { orderId: 0, fields: [] },
        });
        expect(metadata).toMatchObject({ lastPartitionId: 999, defaultSortOrderId: 0 });
      });

      test('creating a table that exists is a conflict and leaves it alone', async () => {
        const { identifier, metadata } = await freshTable();
        await expect(catalog.createTable(tableRequest(identifier))).rejects.toMatchObject({
          kind: 'conflict',
        });
        expect((await mustLoad(identifier)).metadata).toEqual(metadata);
      });

      test('a dropped table is gone, and dropping it again is an error of configuration', async () => {
        const { identifier } = await freshTable();
        await catalog.dropTable(identifier);
        expect(await catalog.loadTable(identifier)).toBeUndefined();
        await expect(catalog.dropTable(identifier)).rejects.toMatchObject({ kind: 'config' });
      });
    });

    describe('commits', () => {
      test('snapshot, ref and properties land together, and 64-bit ids survive', async () => {
        const { identifier, metadata } = await freshTable();
        const first = snapshotOf(metadata, { snapshotId: 2n ** 63n - 1n });
        const committed = await catalog
          .prepareCommit(append(identifier, metadata, first, { position: '{"0":10}' }))
          .send();
        expect(committed.metadata).toMatchObject({
          currentSnapshotId: 9_223_372_036_854_775_807n,
          lastSequenceNumber: 1n,
          snapshots: [first],
          refs: { main: { snapshotId: first.snapshotId, type: 'branch' } },
          snapshotLog: [{ snapshotId: first.snapshotId, timestampMs: first.timestampMs }],
        });
        expect(committed.metadata.properties).toMatchObject({ position: '{"0":10}' });
        expect((await mustLoad(identifier)).metadata).toEqual(committed.metadata);
      });

      test('a child snapshot keeps its parent, and the log its order', async () => {
        const { identifier, metadata } = await freshTable();
        const first = snapshotOf(metadata);
        const one = await catalog.prepareCommit(append(identifier, metadata, first)).send();
        const second = snapshotOf(one.metadata, { snapshotId: 5n });
        const two = await catalog.prepareCommit(append(identifier, one.metadata, second)).send();
        expect(two.metadata.snapshots).toEqual([first, second]);
        expect(second.parentSnapshotId).toBe(first.snapshotId);
        expect(two.metadata.snapshotLog.map((entry) => entry.snapshotId)).toEqual([
          first.snapshotId,
          5n,
        ]);
      });

      test('a commit on a stale parent is a conflict and applies nothing', async () => {
        const { identifier, metadata } = await freshTable();
        const winner = append(identifier, metadata, snapshotOf(metadata), { who: 'winner' });
        const loser = append(identifier, metadata, snapshotOf(metadata), { who: 'loser' });
        const { metadata: won } = await catalog.prepareCommit(winner).send();
        await expect(catalog.prepareCommit(loser).send()).rejects.toMatchObject({
          kind: 'conflict',
        });
        expect((await mustLoad(identifier)).metadata).toEqual(won);
      });

      test('the identical bytes sent again are a conflict: at most one copy lands', async () => {
        const { identifier, metadata } = await freshTable();
        const prepared = catalog.prepareCommit(
          append(identifier, metadata, snapshotOf(metadata), { n: '1' }),
        );
        const { metadata: landed } = await prepared.send();
        await expect(prepared.send()).rejects.toMatchObject({ kind: 'conflict' });
        expect((await mustLoad(identifier)).metadata).toEqual(landed);
      });

      test('what is sent is fixed when the commit is prepared', async () => {
        const { identifier, metadata } = await freshTable();
        const properties: Record<string, string> = { n: 'then' };
        const prepared = catalog.prepareCommit(
          append(identifier, metadata, snapshotOf(metadata), properties),
        );
        properties['n'] = 'now';
        expect((await prepared.send()).metadata.properties['n']).toBe('then');
      });

      test('of 8 concurrent commits on one parent exactly one lands', async () => {
        const { identifier, metadata } = await freshTable();
        const outcomes = await Promise.allSettled(
          Array.from({ length: 8 }, (_, index) =>
            catalog
              .prepareCommit(
                append(
                  identifier,
                  metadata,
                  snapshotOf(metadata, { snapshotId: BigInt(index + 1) }),
                ),
              )
              .send(),
          ),
        );
        const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
        expect(refused).toHaveLength(7);
        for (const { reason } of refused) expect(reason).toMatchObject({ kind: 'conflict' });
        expect((await mustLoad(identifier)).metadata.snapshots).toHaveLength(1);
      });

      test('another UUID is a conflict, also for a table that was recreated', async () => {
        const { identifier, metadata } = await freshTable();
        await catalog.dropTable(identifier);
        const recreated = await catalog.createTable(tableRequest(identifier));
        expect(recreated.metadata.tableUuid).not.toBe(metadata.tableUuid);
        const request = append(identifier, metadata, snapshotOf(metadata));
        await expect(catalog.prepareCommit(request).send()).rejects.toMatchObject({
          kind: 'conflict',
        });
      });

      test('a commit to a dropped table is fenced', async () => {
        const { identifier, metadata } = await freshTable();
        await catalog.dropTable(identifier);
        const request = append(identifier, metadata, snapshotOf(metadata));
        await expect(catalog.prepareCommit(request).send()).rejects.toMatchObject({
          kind: 'fenced',
        });
      });

      test('a stale sequence number on the right parent is a conflict', async () => {
        const { identifier, metadata } = await freshTable();
        const one = await catalog
          .prepareCommit(append(identifier, metadata, snapshotOf(metadata)))
          .send();
        const stale = snapshotOf(one.metadata, { sequenceNumber: 1n });
        await expect(
          catalog.prepareCommit(append(identifier, one.metadata, stale)).send(),
        ).rejects.toMatchObject({ kind: 'conflict' });
      });

      test('a snapshot id that exists is refused, and nothing of the commit is applied', async () => {
        const { identifier, metadata } = await freshTable();
        const first = snapshotOf(metadata);
        const one = await catalog.prepareCommit(append(identifier, metadata, first)).send();
        const same = snapshotOf(one.metadata, { snapshotId: first.snapshotId });
        await expect(
          catalog.prepareCommit(append(identifier, one.metadata, same, { n: '1' })).send(),
        ).rejects.toMatchObject({ kind: 'commit-unknown' });
        expect((await mustLoad(identifier)).metadata).toEqual(one.metadata);
      });

      test('a snapshot from more than a minute before the last one is refused', async () => {
        const { identifier, metadata } = await freshTable();
        const first = snapshotOf(metadata);
        const one = await catalog.prepareCommit(append(identifier, metadata, first)).send();
        const within = snapshotOf(one.metadata, { timestampMs: first.timestampMs - 30_000 });
        const beyond = snapshotOf(one.metadata, { timestampMs: first.timestampMs - 120_000 });
        await expect(
          catalog.prepareCommit(append(identifier, one.metadata, beyond)).send(),
        ).rejects.toMatchObject({ kind: 'commit-unknown' });
        await catalog.prepareCommit(append(identifier, one.metadata, within)).send();
      });

      test('a snapshot from more than a minute ahead of the catalog is refused', async () => {
        const { identifier, metadata } = await freshTable();
        const ahead = (ms: number) =>
          append(
            identifier,
            metadata,
            snapshotOf(metadata, { timestampMs: metadata.lastUpdatedMs + ms }),
          );
        await expect(catalog.prepareCommit(ahead(120_000)).send()).rejects.toMatchObject({
          kind: 'commit-unknown',
        });
        await expect(catalog.prepareCommit(ahead(30_000)).send()).resolves.toBeDefined();
      });

      test('a ref to an unknown snapshot is refused', async () => {
        const { identifier } = await freshTable();
        const ref = { snapshotId: 42n, type: 'branch' } as const;
        await expect(
          commit(identifier, [{ action: 'set-snapshot-ref', refName: 'main', ref }]),
        ).rejects.toMatchObject({ kind: 'commit-unknown' });
      });

      test('rolling main back keeps the newer snapshot and logs the older one again', async () => {
        const { identifier, metadata } = await freshTable();
        const first = snapshotOf(metadata);
        const one = await catalog.prepareCommit(append(identifier, metadata, first)).send();
        const second = snapshotOf(one.metadata);
        await catalog.prepareCommit(append(identifier, one.metadata, second)).send();
        const ref = { snapshotId: first.snapshotId, type: 'branch' } as const;
        const { metadata: back } = await commit(identifier, [
          { action: 'set-snapshot-ref', refName: 'main', ref },
        ]);
        expect(back.currentSnapshotId).toBe(first.snapshotId);
        expect(back.snapshots).toHaveLength(2);
        expect(back.lastSequenceNumber).toBe(2n);
        expect(back.snapshotLog.map((entry) => entry.snapshotId)).toEqual([
          first.snapshotId,
          second.snapshotId,
          first.snapshotId,
        ]);
      });

      test('tags and branches beside main leave main and the log alone', async () => {
        const { identifier, metadata } = await freshTable();
        const first = snapshotOf(metadata);
        const one = await catalog.prepareCommit(append(identifier, metadata, first)).send();
        const tag = { snapshotId: first.snapshotId, type: 'tag', maxRefAgeMs: 1000 } as const;
        const branch = {
          snapshotId: first.snapshotId,
          type: 'branch',
          minSnapshotsToKeep: 3,
          maxSnapshotAgeMs: 7,
        } as const;
        const { metadata: tagged } = await commit(identifier, [
          { action: 'set-snapshot-ref', refName: 'audit', ref: tag },
          { action: 'set-snapshot-ref', refName: 'dev', ref: branch },
        ]);
        expect(tagged.refs).toEqual({ ...one.metadata.refs, audit: tag, dev: branch });
        expect(tagged.snapshotLog).toEqual(one.metadata.snapshotLog);
      });

      test('expiring the head leaves a table without a current snapshot', async () => {
        const { identifier, metadata } = await freshTable();
        const first = snapshotOf(metadata);
        await catalog.prepareCommit(append(identifier, metadata, first)).send();
        const { metadata: emptied } = await commit(identifier, [
          { action: 'remove-snapshots', snapshotIds: [first.snapshotId] },
        ]);
        expect(emptied).toMatchObject({ snapshots: [], refs: {}, snapshotLog: [] });
        expect(emptied).not.toHaveProperty('currentSnapshotId');
      });

      test('expired snapshots leave the snapshots and the log; the head keeps its parent id', async () => {
        const { identifier, metadata } = await freshTable();
        const first = snapshotOf(metadata);
        const one = await catalog.prepareCommit(append(identifier, metadata, first)).send();
        const second = snapshotOf(one.metadata);
        await catalog.prepareCommit(append(identifier, one.metadata, second)).send();
        const { metadata: expired } = await commit(identifier, [
          { action: 'remove-snapshots', snapshotIds: [first.snapshotId] },
        ]);
        expect(expired.snapshots).toEqual([second]);
        expect(expired.snapshotLog.map((entry) => entry.snapshotId)).toEqual([second.snapshotId]);
        expect(expired.currentSnapshotId).toBe(second.snapshotId);
      });

      test('properties are set and removed', async () => {
        const { identifier } = await freshTable();
        await commit(identifier, [{ action: 'set-properties', updates: { a: '1', b: '2' } }]);
        const { metadata } = await commit(identifier, [
          { action: 'remove-properties', removals: ['a', 'never-there'] },
        ]);
        expect(metadata.properties).toMatchObject({ b: '2' });
        expect(metadata.properties).not.toHaveProperty('a');
      });

      test('a schema is added under the next id and made current as the last added', async () => {
        const { identifier, metadata } = await freshTable();
        const [current] = metadata.schemas;
        const wider = {
          schemaId: 0,
          identifierFieldIds: [1],
          fields: [
            ...(current?.fields ?? []),
            { id: 5, name: 'device', required: false, type: 'decimal(12, 2)' } as const,
          ],
        };
        const { metadata: evolved } = await commit(identifier, [
          { action: 'add-schema', schema: wider, lastColumnId: 5 },
          { action: 'set-current-schema', schemaId: -1 },
        ]);
        expect(evolved.currentSchemaId).toBe(1);
        expect(evolved.lastColumnId).toBe(5);
        expect(evolved.schemas).toEqual([current, { ...wider, schemaId: 1 }]);
        const { metadata: again } = await commit(identifier, [
          { action: 'add-schema', schema: wider, lastColumnId: 5 },
          { action: 'set-current-schema', schemaId: 0 },
        ]);
        expect(again.schemas).toHaveLength(2);
        expect(again.currentSchemaId).toBe(0);
      });

      test('an unknown schema cannot be made current', async () => {
        const { identifier } = await freshTable();
        await expect(
          commit(identifier, [{ action: 'set-current-schema', schemaId: 9 }]),
        ).rejects.toMatchObject({ kind: 'commit-unknown' });
      });

      test('the column that a table is partitioned by cannot be dropped', async () => {
        const { identifier, metadata } = await freshTable();
        const fields = (metadata.schemas[0]?.fields ?? []).filter((field) => field.id !== 3);
        await expect(
          commit(identifier, [
            { action: 'add-schema', schema: { schemaId: 1, fields }, lastColumnId: 4 },
            { action: 'set-current-schema', schemaId: -1 },
          ]),
        ).rejects.toMatchObject({ kind: 'commit-unknown' });
      });

      test.each([
        { type: 'assert-create' },
        { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: 7n },
        { type: 'assert-ref-snapshot-id', ref: 'other', snapshotId: 7n },
        { type: 'assert-last-assigned-field-id', lastAssignedFieldId: 99 },
        { type: 'assert-current-schema-id', currentSchemaId: 99 },
        { type: 'assert-last-assigned-partition-id', lastAssignedPartitionId: 99 },
        { type: 'assert-default-spec-id', defaultSpecId: 99 },
        { type: 'assert-default-sort-order-id', defaultSortOrderId: 99 },
      ] as const)('a requirement that does not hold is a conflict: %o', async (requirement) => {
        const { identifier } = await freshTable();
        const updates = [{ action: 'set-properties', updates: { a: '1' } }] as const;
        await expect(
          catalog.prepareCommit({ identifier, requirements: [requirement], updates }).send(),
        ).rejects.toMatchObject({ kind: 'conflict' });
      });

      test('requirements that hold let the commit through', async () => {
        const { identifier, metadata } = await freshTable();
        const { metadata: updated } = await catalog
          .prepareCommit({
            identifier,
            requirements: [
              { type: 'assert-table-uuid', uuid: metadata.tableUuid },
              { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: null },
              { type: 'assert-last-assigned-field-id', lastAssignedFieldId: 4 },
              { type: 'assert-current-schema-id', currentSchemaId: 0 },
              { type: 'assert-last-assigned-partition-id', lastAssignedPartitionId: 1000 },
              { type: 'assert-default-spec-id', defaultSpecId: 0 },
              { type: 'assert-default-sort-order-id', defaultSortOrderId: 1 },
            ],
            updates: [{ action: 'set-properties', updates: { a: '1' } }],
          })
          .send();
        expect(updated.properties).toMatchObject({ a: '1' });
      });
    });
  });
}
