import { deflateRawSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { CatalogError } from '../../../catalog/error.ts';
import { decodeAvroFile, encodeAvroFile } from '../../../catalog/manifest/avro-file.ts';
import type { AvroField, AvroRecordType } from '../../../catalog/manifest/avro-file.ts';
import type { DataFile } from '../../../catalog/manifest/data-file.ts';
import { decodeManifestList, encodeManifestList } from '../../../catalog/manifest/manifest-list.ts';
import type {
  ManifestFile,
  PartitionFieldSummary,
} from '../../../catalog/manifest/manifest-list.ts';
import { decodeManifest, encodeManifest } from '../../../catalog/manifest/manifest.ts';
import { summarizePartitions } from '../../../catalog/manifest/partition-summary.ts';
import type { PartitionSpec } from '../../../catalog/spec/table-metadata.ts';
import type { PrimitiveType, TableSchema } from '../../../catalog/spec/table-schema.ts';

const LONG_MAX = 2n ** 63n - 1n;

const MANIFEST: ManifestFile = {
  location: 's3://lake/m0.avro',
  lengthBytes: LONG_MAX,
  specId: 3,
  content: 'data',
  sequenceNumber: 42n,
  minSequenceNumber: 7n,
  addedSnapshotId: 3051729675574597004n,
  addedFilesCount: 2,
  existingFilesCount: 1,
  deletedFilesCount: 0,
  addedRowsCount: 5_000_000_000n,
  existingRowsCount: 1n,
  deletedRowsCount: 0n,
  partitions: [
    {
      containsNull: true,
      containsNan: false,
      lowerBound: Buffer.of(1, 0, 0, 0),
      upperBound: Buffer.of(9, 0, 0, 0),
    },
    { containsNull: false, containsNan: undefined, lowerBound: undefined, upperBound: undefined },
  ],
  keyMetadata: Buffer.of(1, 2, 3),
};

const PARTITION_TYPES: readonly [type: PrimitiveType, value: DataFile['partitionTuple'][number]][] =
  [
    ['boolean', true],
    ['int', -5],
    ['long', LONG_MAX],
    ['float', 1.5],
    ['double', -0.1],
    ['date', 20_833],
    ['time', 86_399_999_999n],
    ['timestamp', -1n],
    ['timestamptz', 1_800_000_000_000_000n],
    ['string', 'größer 🛒'],
    ['uuid', Buffer.alloc(16, 7)],
    ['binary', Buffer.of(0, 255)],
    ['fixed[3]', Buffer.of(1, 2, 3)],
    ['decimal(9, 2)', -12345n],
    ['decimal(38, 10)', 10n ** 37n],
  ];

const TABLE_SCHEMA: TableSchema = {
  schemaId: 4,
  fields: PARTITION_TYPES.map(([type], i) => ({ id: i + 1, name: `c${i}`, required: false, type })),
};

const SPEC: PartitionSpec = {
  specId: 3,
  fields: PARTITION_TYPES.map(([type], i) => ({
    sourceId: i + 1,
    fieldId: 1000 + i,
    name: `part of-${type}`,
    transform: 'identity',
  })),
};

const DATA_FILE: DataFile = {
  location: 's3://lake/data/0.parquet',
  format: 'PARQUET',
  specId: 3,
  partitionTuple: PARTITION_TYPES.map(([, value]) => value),
  recordCount: LONG_MAX,
  fileSizeBytes: 4_294_967_297n,
  columnSizes: new Map([[1, 10n]]),
  valueCounts: new Map([[1, 11n]]),
  nullValueCounts: new Map([[1, 0n]]),
  nanValueCounts: new Map([[4, 1n]]),
  lowerBounds: new Map([[1, Buffer.of(0)]]),
  upperBounds: new Map([[1, Buffer.of(1)]]),
  splitOffsets: [4n, LONG_MAX],
  sortOrderId: 1,
};

function fieldIdsOf(type: unknown, found: number[] = []): number[] {
  if (typeof type !== 'object' || type === null) return found;
  for (const [name, value] of Object.entries(type)) {
    if (name === 'field-id' || name === 'element-id') found.push(Number(value));
    else fieldIdsOf(value, found);
  }
  return found;
}

describe('manifest', () => {
  test('a data file comes back with every metric and every partition type, 64 bits wide', () => {
    const [entry] = decodeManifest(encode([DATA_FILE]), MANIFEST);
    expect(entry?.dataFile).toEqual(DATA_FILE);
  });

  test('an added entry inherits snapshot and sequence number from the manifest list', () => {
    const bytes = encode([DATA_FILE]);
    expect(decodeAvroFile(bytes).records[0]).toMatchObject({
      status: 1,
      snapshot_id: null,
      sequence_number: null,
      file_sequence_number: null,
    });
    expect(decodeManifest(bytes, MANIFEST)[0]).toMatchObject({
      status: 'added',
      content: 'data',
      snapshotId: MANIFEST.addedSnapshotId,
      sequenceNumber: 42n,
      dataFile: { specId: 3 },
    });
  });

  test('null partition values and empty metrics stay apart from zero', () => {
    const bare: DataFile = {
      ...DATA_FILE,
      partitionTuple: PARTITION_TYPES.map(() => null),
      columnSizes: new Map(),
      lowerBounds: new Map(),
      splitOffsets: [],
      sortOrderId: undefined,
    };
    expect(decodeManifest(encode([bare]), MANIFEST)[0]?.dataFile).toEqual(bare);
  });

  test('an unpartitioned table has an empty partition struct', () => {
    const spec = { specId: 0, fields: [] };
    const file = { ...DATA_FILE, specId: 0, partitionTuple: [] };
    const bytes = encodeManifest({
      tableSchema: TABLE_SCHEMA,
      partitionSpec: spec,
      dataFiles: [file, file],
    });
    const entries = decodeManifest(bytes, { ...MANIFEST, specId: 0 });
    expect(entries.map((entry) => entry.dataFile.partitionTuple)).toEqual([[], []]);
  });

  test('the header carries what readers look for, and the field ids of the spec', () => {
    const { metadata, avroSchema } = decodeAvroFile(encode([DATA_FILE]));
    expect(Object.fromEntries(metadata)).toMatchObject({
      'schema-id': '4',
      'partition-spec-id': '3',
      'format-version': '2',
      content: 'data',
    });
    expect(JSON.parse(metadata.get('schema') ?? '')).toMatchObject({
      type: 'struct',
      'schema-id': 4,
    });
    expect(JSON.parse(metadata.get('partition-spec') ?? '')[0]).toEqual({
      'source-id': 1,
      'field-id': 1000,
      name: 'part of-boolean',
      transform: 'identity',
    });
    expect(fieldIdsOf(avroSchema).toSorted((a, b) => a - b)).toEqual([
      ...idsFrom(0, 4),
      ...idsFrom(100, 104),
      ...idsFrom(108, 110),
      ...idsFrom(117, 122),
      ...idsFrom(125, 140),
      ...PARTITION_TYPES.map((_, i) => 1000 + i),
    ]);
  });

  test('names that Avro forbids are escaped and kept beside the escape', () => {
    const text = JSON.stringify(decodeAvroFile(encode([DATA_FILE])).avroSchema);
    expect(text).toContain('"name":"part_x20of_x2Dboolean"');
    expect(text).toContain('"iceberg-field-name":"part of-boolean"');
  });

  test('the same files give the same bytes', () => {
    expect(encode([DATA_FILE])).toEqual(encode([DATA_FILE]));
  });

  test('a file that is no Parquet, a code out of range and bytes cut short are corrupt', () => {
    const bytes = encode([DATA_FILE]);
    const { avroSchema, metadata, records } = decodeAvroFile(bytes);
    const dataFile = records[0]?.['data_file'] as object;
    const withEntry = (change: object): Uint8Array =>
      encodeAvroFile({ avroSchema, metadata, records: [{ ...records[0], ...change }] });
    const orc = withEntry({ data_file: { ...dataFile, file_format: 'ORC' } });
    expect(kindOf(() => decodeManifest(orc, MANIFEST))).toBe('corrupt');
    expect(kindOf(() => decodeManifest(withEntry({ status: 3 }), MANIFEST))).toBe('corrupt');
    for (const end of [0, 3, 50, bytes.length - 20, bytes.length - 1]) {
      expect(kindOf(() => decodeManifest(bytes.subarray(0, end), MANIFEST))).toBe('corrupt');
    }
    const damaged = bytes.slice();
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    expect(kindOf(() => decodeManifest(damaged, MANIFEST))).toBe('corrupt');
  });

  test('a version 1 manifest reads as data with sequence number 0', () => {
    const { avroSchema, metadata, records } = decodeAvroFile(encode([DATA_FILE]));
    const without = (schema: AvroRecordType, ids: readonly number[]): AvroRecordType => ({
      ...schema,
      fields: schema.fields
        .filter((field) => !ids.includes(field['field-id'] ?? -1))
        .map((field): AvroField =>
          field.name === 'data_file'
            ? { ...field, type: without(field.type as AvroRecordType, ids) }
            : field,
        ),
    });
    const v1 = encodeAvroFile({
      avroSchema: without(avroSchema, [3, 4, 134, 135]),
      metadata,
      records,
    });
    const [entry] = decodeManifest(v1, { ...MANIFEST, sequenceNumber: 0n });
    expect(entry).toMatchObject({ content: 'data', sequenceNumber: 0n, dataFile: DATA_FILE });
  });

  test('fields are found by id, not by name', () => {
    const { avroSchema, metadata, records } = decodeAvroFile(encode([DATA_FILE]));
    const renamed: AvroRecordType = {
      ...avroSchema,
      fields: avroSchema.fields.map((field) => ({ ...field, name: `f${field['field-id']}` })),
    };
    const rename = (record: object): Record<string, unknown> =>
      Object.fromEntries(
        Object.values(record).map((value, i) => [renamed.fields[i]?.name ?? '', value]),
      );
    const bytes = encodeAvroFile({ avroSchema: renamed, metadata, records: records.map(rename) });
    expect(decodeManifest(bytes, MANIFEST)[0]?.dataFile).toEqual(DATA_FILE);
  });
});

describe('manifest list', () => {
  const LIST = {
    snapshotId: LONG_MAX,
    parentSnapshotId: undefined,
    sequenceNumber: 42n,
    manifests: [
      MANIFEST,
      { ...MANIFEST, content: 'deletes', partitions: undefined, keyMetadata: undefined } as const,
    ],
  };

  test('manifests come back as they went in, 64 bits wide', () => {
    expect(decodeManifestList(encodeManifestList(LIST))).toEqual(LIST.manifests);
  });

  test('a list without manifests is a valid file', () => {
    expect(decodeManifestList(encodeManifestList({ ...LIST, manifests: [] }))).toEqual([]);
  });

  test('the header tells the snapshot, and the schema has the field ids of the spec', () => {
    const { metadata, avroSchema } = decodeAvroFile(encodeManifestList(LIST));
    expect(Object.fromEntries(metadata)).toEqual({
      'snapshot-id': '9223372036854775807',
      'parent-snapshot-id': 'null',
      'sequence-number': '42',
      'format-version': '2',
    });
    expect(fieldIdsOf(avroSchema).toSorted((a, b) => a - b)).toEqual(idsFrom(500, 519));
  });

  test('a list whose counts are missing is corrupt rather than empty', () => {
    const { avroSchema, metadata, records } = decodeAvroFile(encodeManifestList(LIST));
    const fields = avroSchema.fields.filter((field) => field['field-id'] !== 504);
    const bytes = encodeAvroFile({ avroSchema: { ...avroSchema, fields }, metadata, records });
    expect(kindOf(() => decodeManifestList(bytes))).toBe('corrupt');
  });
});

describe('partition summaries', () => {
  test('bounds are the least and the greatest value, nulls are flagged', () => {
    expect(summarize('int', [3, null, -7, 5])).toEqual({
      containsNull: true,
      containsNan: false,
      lowerBound: Uint8Array.of(0xf9, 0xff, 0xff, 0xff),
      upperBound: Uint8Array.of(5, 0, 0, 0),
    });
  });

  test('NaN is flagged and takes no part in the bounds', () => {
    expect(summarize('float', [Number.NaN, 1])).toMatchObject({
      containsNan: true,
      lowerBound: Uint8Array.of(0, 0, 0x80, 0x3f),
      upperBound: Uint8Array.of(0, 0, 0x80, 0x3f),
    });
  });

  test('nulls alone leave no bounds', () => {
    expect(summarize('string', [null])).toMatchObject({
      lowerBound: undefined,
      upperBound: undefined,
    });
  });

  test('text orders by code point, not by UTF-16 unit', () => {
    const summary = summarize('string', ['\u{1F6D2}', '\uFFFD']);
    expect(summary?.lowerBound).toEqual(new TextEncoder().encode('\uFFFD'));
  });
});

describe('codecs of other writers', () => {
  const avroSchema: AvroRecordType = {
    type: 'record',
    name: 'r',
    fields: [{ name: 'a', type: 'long', 'field-id': 1 }],
  };
  // -3 and 4 as zigzag varints.
  const plain = Buffer.of(5, 8);
  // A literal of two bytes, and a CRC-32 that nobody checks.
  const snappy = Buffer.of(2, 1 << 2, 5, 8, 0, 0, 0, 0);

  test.each([
    ['null', plain],
    ['deflate', deflateRawSync(plain)],
    ['zstandard', zstdCompressSync(plain)],
    ['snappy', snappy],
  ])('%s, in several blocks', (codec, data) => {
    const { records } = decodeAvroFile(container(codec, [data, data]));
    expect(records).toEqual([{ a: -3n }, { a: 4n }, { a: -3n }, { a: 4n }]);
  });

  test('an unknown codec is named', () => {
    expect(() => decodeAvroFile(container('lzo', [plain]))).toThrow('unknown Avro codec "lzo"');
  });

  function container(codec: string, blocks: readonly Buffer[]): Buffer {
    const text = (value: string): Buffer =>
      Buffer.concat([varint(value.length), Buffer.from(value)]);
    const sync = Buffer.alloc(16, 9);
    return Buffer.concat([
      Buffer.from('Obj\u0001', 'latin1'),
      varint(2),
      text('avro.schema'),
      text(JSON.stringify(avroSchema)),
      text('avro.codec'),
      text(codec),
      varint(0),
      sync,
      ...blocks.flatMap((data) => [varint(2), varint(data.length), data, sync]),
    ]);
  }
});

function kindOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof CatalogError ? error.kind : String(error);
  }
  return 'no error';
}

function idsFrom(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

function encode(dataFiles: readonly DataFile[]): Uint8Array {
  return encodeManifest({ tableSchema: TABLE_SCHEMA, partitionSpec: SPEC, dataFiles });
}

function summarize(
  type: PrimitiveType,
  values: readonly DataFile['partitionTuple'][number][],
): PartitionFieldSummary | undefined {
  return summarizePartitions(
    [{ fieldId: 1000, name: 'p', type }],
    values.map((value) => ({ ...DATA_FILE, partitionTuple: [value] })),
  )[0];
}

/** A zigzag varint of a number that is not negative. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value * 2;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
