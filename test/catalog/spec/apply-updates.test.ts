import { describe, expect, test } from 'vitest';
import { applyUpdates } from '../../../catalog/spec/apply-updates.ts';
import { checkRequirements } from '../../../catalog/spec/check-requirements.ts';
import { newTableMetadata } from '../../../catalog/spec/new-table.ts';
import type { TableMetadata } from '../../../catalog/spec/table-metadata.ts';
import { append, snapshotOf, tableRequest } from '../rest/table-requests.ts';

const nowMs = 1_795_380_549_287;
const identifier = { namespace: ['a'], name: 't' };
const created = newTableMetadata(tableRequest(identifier), {
  location: 'memory://lake/a/t',
  tableUuid: 'a1d72a34-de37-4625-914a-2d6b0963c011',
  nowMs,
});

const appended = (metadata: TableMetadata, snapshot = snapshotOf(metadata)): TableMetadata =>
  applyUpdates(metadata, append(identifier, metadata, snapshot).updates, nowMs);

describe('applying updates', () => {
  test('the input is left as it was', () => {
    const before = structuredClone(created);
    appended(created);
    expect(created).toEqual(before);
  });

  test('updates that change nothing give back the very same metadata', () => {
    const [tableSchema] = created.schemas;
    expect(
      applyUpdates(
        created,
        [
          { action: 'remove-snapshots', snapshotIds: [1n] },
          { action: 'set-current-schema', schemaId: 0 },
          ...(tableSchema === undefined
            ? []
            : [{ action: 'add-schema', schema: tableSchema, lastColumnId: 4 } as const]),
        ],
        nowMs + 1,
      ),
    ).toBe(created);
  });

  test('a snapshot that was current only within one request is not in the log', () => {
    const first = snapshotOf(created);
    const between = appended(created, first);
    const second = snapshotOf(between);
    const both = applyUpdates(
      created,
      [
        ...append(identifier, created, first).updates,
        ...append(identifier, between, second).updates,
      ],
      nowMs,
    );
    expect(both.snapshots).toEqual([first, second]);
    expect(both.snapshotLog).toEqual([
      { snapshotId: second.snapshotId, timestampMs: second.timestampMs },
    ]);
  });

  test('an expired snapshot in the middle takes the history before it along', () => {
    const one = appended(created);
    const two = appended(one);
    const three = appended(two);
    const [, middle] = three.snapshots;
    const expired = applyUpdates(
      three,
      [{ action: 'remove-snapshots', snapshotIds: [middle?.snapshotId ?? 0n] }],
      nowMs,
    );
    expect(expired.snapshots).toHaveLength(2);
    expect(expired.snapshotLog).toEqual(three.snapshotLog.slice(2));
  });

  test('a snapshot without a parent may repeat the last sequence number, not go below it', () => {
    const one = appended(created);
    const orphan = (sequenceNumber: bigint) => {
      const snapshot = { ...snapshotOf(one), sequenceNumber };
      delete snapshot.parentSnapshotId;
      return [{ action: 'add-snapshot', snapshot } as const];
    };
    expect(applyUpdates(one, orphan(1n), nowMs).snapshots).toHaveLength(2);
    expect(() => applyUpdates(one, orphan(0n), nowMs)).toThrow(
      expect.objectContaining({ kind: 'config' }),
    );
  });

  test('setting the last added schema in a request that added none is refused', () => {
    expect(() =>
      applyUpdates(created, [{ action: 'set-current-schema', schemaId: -1 }], nowMs),
    ).toThrow(expect.objectContaining({ kind: 'config' }));
  });

  test('a failing update leaves nothing behind, because all are applied together or none', () => {
    const updates = [
      { action: 'set-properties', updates: { a: '1' } },
      { action: 'set-current-schema', schemaId: 9 },
    ] as const;
    expect(() => applyUpdates(created, updates, nowMs)).toThrow(/unknown schema 9/);
    expect(created.properties).not.toHaveProperty('a');
  });
});

describe('checking requirements', () => {
  test('a table that is not there meets assert-create only', () => {
    expect(checkRequirements(undefined, [{ type: 'assert-create' }])).toBeUndefined();
    expect(checkRequirements(undefined, [{ type: 'assert-table-uuid', uuid: 'u' }])).toMatchObject({
      type: 'assert-table-uuid',
    });
  });

  test('UUIDs are the same whatever the case of their digits', () => {
    const uuid = created.tableUuid.toUpperCase();
    expect(checkRequirements(created, [{ type: 'assert-table-uuid', uuid }])).toBeUndefined();
  });

  test('the first requirement that fails is the one reported, with both values', () => {
    expect(
      checkRequirements(created, [
        { type: 'assert-default-spec-id', defaultSpecId: 0 },
        { type: 'assert-current-schema-id', currentSchemaId: 4 },
        { type: 'assert-create' },
      ]),
    ).toEqual({
      type: 'assert-current-schema-id',
      message: 'current schema has changed: expected 4, found 0',
    });
  });
});

describe('a new table', () => {
  const options = { location: 'memory://x', tableUuid: 'u', nowMs };

  test('refuses a partition field whose source is not in the schema', () => {
    const request = {
      ...tableRequest(identifier),
      partitionSpec: {
        specId: 0,
        fields: [{ sourceId: 999, fieldId: 1000, name: 'p', transform: 'identity' }],
      },
    };
    expect(() => newTableMetadata(request, options)).toThrow(
      expect.objectContaining({ kind: 'config' }),
    );
  });

  test('numbers maps and nested structs level by level', () => {
    const request = {
      ...tableRequest(identifier),
      partitionSpec: { specId: 0, fields: [] },
      sortOrder: { orderId: 0, fields: [] },
      schema: {
        schemaId: 0,
        fields: [
          {
            id: 1,
            name: 'm',
            required: false,
            type: {
              type: 'map',
              keyId: 2,
              key: 'string',
              valueId: 3,
              value: {
                type: 'struct',
                fields: [{ id: 4, name: 'inner', required: true, type: 'int' }],
              },
              valueRequired: true,
            },
          },
          { id: 5, name: 'last', required: true, type: 'long' },
        ],
      } as const,
    };
    const { schemas, lastColumnId } = newTableMetadata(request, options);
    expect(lastColumnId).toBe(5);
    expect(schemas[0]?.fields).toMatchObject([
      { id: 1, type: { keyId: 3, valueId: 4, value: { fields: [{ id: 5 }] } } },
      { id: 2 },
    ]);
  });

  test('refuses a format version whose rules are not known here', () => {
    const request = { ...tableRequest(identifier), properties: { 'format-version': '3' } };
    expect(() => newTableMetadata(request, options)).toThrow(/format-version/);
  });
});
