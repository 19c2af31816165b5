import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parseJson, stringifyJson } from '../../../catalog/rest/json.ts';
import { tableMetadataFromWire, tableMetadataToWire } from '../../../catalog/spec/metadata-json.ts';
import type { TableMetadata } from '../../../catalog/spec/table-metadata.ts';

async function golden(name: string): Promise<Record<string, unknown>> {
  const text = await readFile(new URL(`../golden/${name}.json`, import.meta.url), 'utf8');
  return (parseJson(text) as { metadata: Record<string, unknown> }).metadata;
}

const tableSchema: TableMetadata['schemas'][number] = {
  schemaId: 0,
  identifierFieldIds: [1],
  fields: [
    { id: 1, name: 'id', required: true, type: 'long' },
    { id: 2, name: 'at', required: false, type: 'timestamptz', doc: 'event time' },
    { id: 3, name: 'price', required: false, type: 'decimal(9, 2)' },
    {
      id: 4,
      name: 'attributes',
      required: false,
      type: {
        type: 'map',
        keyId: 5,
        key: 'string',
        valueId: 6,
        value: {
          type: 'struct',
          fields: [{ id: 7, name: 'n', required: true, type: 'fixed[4]' }],
        },
        valueRequired: false,
      },
    },
  ],
};

const layout = {
  lastColumnId: 7,
  schemas: [tableSchema],
  currentSchemaId: 0,
  partitionSpecs: [
    {
      specId: 0,
      fields: [
        { sourceId: 2, fieldId: 1000, name: 'at_day', transform: 'day' },
        { sourceId: 1, fieldId: 1001, name: 'id_bucket', transform: 'bucket[8]' },
      ],
    },
  ],
  defaultSpecId: 0,
  lastPartitionId: 1001,
  sortOrders: [
    {
      orderId: 1,
      fields: [{ sourceId: 2, transform: 'identity', direction: 'desc', nullOrder: 'nulls-last' }],
    },
  ],
  defaultSortOrderId: 1,
  properties: { 'write.parquet.compression-codec': 'zstd' },
} as const;

const version2: TableMetadata = {
  ...layout,
  formatVersion: 2,
  tableUuid: '69921f85-7c53-40c6-8a52-6907ac72d032',
  location: 's3://lake/warehouse/golden/v2',
  lastSequenceNumber: 2n,
  lastUpdatedMs: 1_795_389_010_361,
  currentSnapshotId: 17n,
  snapshots: [
    {
      snapshotId: 9_223_372_036_854_775_807n,
      sequenceNumber: 1n,
      timestampMs: 1_795_389_010_315,
      manifestList: 's3://lake/x/snap-1.avro',
      summary: { operation: 'append', 'added-records': '5' },
      schemaId: 0,
    },
    {
      snapshotId: 17n,
      parentSnapshotId: 9_223_372_036_854_775_807n,
      sequenceNumber: 2n,
      timestampMs: 1_795_389_010_320,
      manifestList: 's3://lake/x/snap-2.avro',
      summary: { operation: 'append' },
      schemaId: 0,
    },
  ],
  refs: {
    main: { snapshotId: 17n, type: 'branch' },
    audit: { snapshotId: 9_223_372_036_854_775_807n, type: 'tag', maxRefAgeMs: 86_400_000 },
  },
  snapshotLog: [
    { snapshotId: 9_223_372_036_854_775_807n, timestampMs: 1_795_389_010_315 },
    { snapshotId: 17n, timestampMs: 1_795_389_010_320 },
  ],
};

describe('reading table metadata', () => {
  test('version 2 is read whole; every 64-bit field is a bigint, however small', async () => {
    expect(tableMetadataFromWire(await golden('v2-load-table'))).toEqual(version2);
  });

  test('version 1 without snapshots and sequence numbers is read with the defaults of the spec', async () => {
    const metadata = tableMetadataFromWire(await golden('v1-load-table'));
    expect(metadata).toEqual({
      ...layout,
      formatVersion: 1,
      tableUuid: 'b1574d57-df6b-42a4-9c1a-21d13e7e4e28',
      location: 's3://lake/warehouse/golden/v1',
      lastSequenceNumber: 0n,
      lastUpdatedMs: 1_795_389_010_154,
      snapshots: [],
      refs: {},
      snapshotLog: [],
    });
  });

  test('version 1 as its first writers wrote it, with one schema and one spec, is read the same', async () => {
    const wire = await golden('v1-load-table');
    const written = [
      'schemas',
      'current-schema-id',
      'partition-specs',
      'default-spec-id',
      'last-partition-id',
      'refs',
      'current-snapshot-id',
    ];
    const old = Object.fromEntries(
      Object.entries(wire).filter(([name]) => !written.includes(name)),
    );
    expect(tableMetadataFromWire(old)).toEqual(tableMetadataFromWire(wire));
  });

  test('version 3 is read as far as it is known; its new types keep their names', async () => {
    const metadata = tableMetadataFromWire(await golden('v3-load-table'));
    expect(metadata).toMatchObject({ ...layout, formatVersion: 3, currentSnapshotId: 17n });
    expect(metadata.snapshots[0]).not.toHaveProperty('first-row-id');
    const newer = tableMetadataFromWire(await golden('v3-newer-types'));
    expect(newer.schemas[0]?.fields.map((field) => field.type)).toEqual([
      'timestamptz_ns',
      'variant',
    ]);
    expect(newer).not.toHaveProperty('currentSnapshotId');
  });

  test.each([-1, null, undefined])('a current snapshot of %s means none', async (id) => {
    const wire = { ...(await golden('v1-load-table')), 'current-snapshot-id': id };
    expect(tableMetadataFromWire(wire)).not.toHaveProperty('currentSnapshotId');
  });

  test('a parent of -1 means none', () => {
    const wire = tableMetadataToWire({ ...version2, snapshots: [] });
    const snapshot = {
      'snapshot-id': 1,
      'parent-snapshot-id': -1,
      'timestamp-ms': 5,
      'manifest-list': 'x',
    };
    expect(tableMetadataFromWire({ ...wire, snapshots: [snapshot] }).snapshots).toEqual([
      { snapshotId: 1n, sequenceNumber: 0n, timestampMs: 5, manifestList: 'x', summary: {} },
    ]);
  });

  test('a current snapshot without refs is the head of main', () => {
    const { refs: _refs, ...wire } = tableMetadataToWire(version2);
    expect(tableMetadataFromWire(wire).refs).toEqual({
      main: { snapshotId: 17n, type: 'branch' },
    });
  });

  test.each([
    ['table-uuid', undefined],
    ['location', 7],
    ['format-version', 4],
    ['format-version', '2'],
    ['schemas', { 0: 'x' }],
    ['properties', { a: 1 }],
    ['snapshots', ['x']],
    ['refs', { main: { 'snapshot-id': 1, type: 'fork' } }],
    ['current-snapshot-id', 'x'],
    ['last-column-id', 1.5],
  ])('metadata whose %s is %o is corrupt, and the error names a field', (name, value) => {
    const wire = { ...tableMetadataToWire(version2), [name]: value };
    expect(() => tableMetadataFromWire(wire)).toThrow(
      expect.objectContaining({ kind: 'corrupt', message: expect.stringMatching(/^[a-z]/) }),
    );
  });

  test.each([null, 'text', [1], 5n])('%o is not table metadata', (value) => {
    expect(() => tableMetadataFromWire(value)).toThrow(
      expect.objectContaining({ kind: 'corrupt' }),
    );
  });
});

describe('writing table metadata', () => {
  test('what is written is read back as the same', () => {
    const text = stringifyJson(tableMetadataToWire(version2));
    expect(tableMetadataFromWire(parseJson(text))).toEqual(version2);
  });

  test('every field that is written is spelled and typed as the server spells it', async () => {
    const wire = await golden('v2-load-table');
    const written = parseJson(stringifyJson(tableMetadataToWire(version2)));
    expect(wire).toMatchObject(written as object);
  });
});
