import { CatalogError } from '../error.ts';
import { partitionFieldsToWire } from '../spec/metadata-json.ts';
import { tableSchemaToWire } from '../spec/schema-json.ts';
import { fromTwosComplement } from '../spec/single-value.ts';
import type { PartitionSpec } from '../spec/table-metadata.ts';
import type { TableSchema } from '../spec/table-schema.ts';
import { decimalBytesMin, decimalShape } from '../spec/type-text.ts';
import { decodeAvroFile, encodeAvroFile } from './avro-file.ts';
import type { AvroField, AvroRecord, AvroType } from './avro-file.ts';
import {
  avroFieldOf,
  presentTypeOf,
  readInt,
  readIntMap,
  readList,
  readLong,
  readText,
  recordTypeOf,
  recordViewer,
} from './avro-record.ts';
import type { RecordView } from './avro-record.ts';
import type { DataFile, PartitionValue } from './data-file.ts';
import type { ManifestFile } from './manifest-list.ts';
import { DATA_FILE_FIELD, ENTRY_FIELD, avroName, entryAvroSchema } from './manifest-schema.ts';
import { partitionFieldTypes } from './partition-type.ts';
import type { PartitionFieldType } from './partition-type.ts';

const STATUSES = ['existing', 'added', 'deleted'] as const;
const CONTENTS = ['data', 'position-deletes', 'equality-deletes'] as const;
const ADDED = STATUSES.indexOf('added');
const DATA = CONTENTS.indexOf('data');

/** One entry of a manifest with what it inherits from the manifest list filled in. */
export type ManifestEntry = {
  status: (typeof STATUSES)[number];
  content: (typeof CONTENTS)[number];
  /** The snapshot that added the file, or deleted it for a `deleted` entry. */
  snapshotId: bigint;
  /** Data sequence number: a delete file applies to data files with a lower (position: or equal) one. */
  sequenceNumber: bigint;
  dataFile: DataFile;
  /** Columns by which an equality delete file matches; empty for other contents. */
  equalityIds: readonly number[];
  /** The one data file that a position delete file is about, where its writer says so. */
  referencedDataFile: string | undefined;
};

/**
 * Encodes a version 2 manifest of added data files. Snapshot id and sequence numbers stay null, to be
 * inherited from the manifest list: the manifest stays right when its commit moves to another parent.
 * The same input gives the same bytes. Errors: `config` where the schema lacks a column of the spec.
 * Source: Iceberg table spec, "Manifests", "Sequence Number Inheritance".
 */
export function encodeManifest(options: {
  tableSchema: TableSchema;
  partitionSpec: PartitionSpec;
  dataFiles: readonly DataFile[];
}): Uint8Array {
  const { tableSchema, partitionSpec, dataFiles } = options;
  const partitionFields = partitionFieldTypes(partitionSpec, tableSchema);
  return encodeAvroFile({
    avroSchema: entryAvroSchema(partitionFields),
    metadata: new Map([
      ['schema', JSON.stringify(tableSchemaToWire(tableSchema))],
      ['schema-id', String(tableSchema.schemaId)],
      ['partition-spec', JSON.stringify(partitionFieldsToWire(partitionSpec))],
      ['partition-spec-id', String(partitionSpec.specId)],
      ['format-version', '2'],
      ['content', 'data'],
    ]),
    records: dataFiles.map((dataFile) => ({
      status: ADDED,
      snapshot_id: null,
      sequence_number: null,
      file_sequence_number: null,
      data_file: dataFileRecord(dataFile, partitionFields),
    })),
  });
}

function dataFileRecord(
  file: DataFile,
  partitionFields: readonly PartitionFieldType[],
): AvroRecord {
  const partition: AvroRecord = {};
  for (const [i, field] of partitionFields.entries()) {
    partition[avroName(field.name)] = avroValueOf(field, file.partitionTuple[i] ?? null);
  }
  return {
    content: DATA,
    file_path: file.location,
    file_format: file.format,
    partition,
    record_count: file.recordCount,
    file_size_in_bytes: file.fileSizeBytes,
    column_sizes: pairsOf(file.columnSizes),
    value_counts: pairsOf(file.valueCounts),
    null_value_counts: pairsOf(file.nullValueCounts),
    nan_value_counts: pairsOf(file.nanValueCounts),
    lower_bounds: pairsOf(file.lowerBounds),
    upper_bounds: pairsOf(file.upperBounds),
    key_metadata: null,
    split_offsets: file.splitOffsets.length === 0 ? null : file.splitOffsets,
    equality_ids: null,
    sort_order_id: file.sortOrderId ?? null,
  };
}

function pairsOf(map: ReadonlyMap<number, bigint | Uint8Array>): readonly AvroRecord[] | null {
  if (map.size === 0) return null;
  return Array.from(map, ([key, value]) => ({
    key,
    value: value instanceof Uint8Array ? Buffer.from(value) : value,
  }));
}

/** Decimals fill their `fixed` from the left with the sign; bytes must be a `Buffer` for avsc. */
function avroValueOf({ type }: PartitionFieldType, value: PartitionValue): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value);
  const decimal = decimalShape(type);
  if (typeof value !== 'bigint' || decimal === undefined) return value;
  const sizeBytes = decimalBytesMin(decimal.precision);
  const hex = BigInt.asUintN(8 * sizeBytes, value).toString(16);
  return Buffer.from(hex.padStart(2 * sizeBytes, '0'), 'hex');
}

/**
 * Decodes a manifest of any writer, version 1 or 2, in the order of the file. Null snapshot ids and
 * sequence numbers are taken from the manifest list's `manifestFile`, as is the spec id.
 * Errors: `corrupt` for bytes that are no manifest, or an entry for a file that is not Parquet.
 * Source: Iceberg table spec, "Manifests", "Sequence Number Inheritance".
 */
export function decodeManifest(
  bytes: Uint8Array,
  manifestFile: ManifestFile,
): readonly ManifestEntry[] {
  const { avroSchema, records } = decodeAvroFile(bytes);
  const dataFileType = avroFieldOf(avroSchema, ENTRY_FIELD.dataFile).type;
  const partitionType = avroFieldOf(dataFileType, DATA_FILE_FIELD.partition).type;
  const partitionFields = recordTypeOf(partitionType).fields;
  const viewEntry = recordViewer(avroSchema);
  const viewDataFile = recordViewer(dataFileType);
  return records.map((record) => {
    const entry = viewEntry(record);
    const file = viewDataFile(entry(ENTRY_FIELD.dataFile));
    return {
      status: nameOf(STATUSES, readInt(entry, ENTRY_FIELD.status)),
      content: nameOf(CONTENTS, readInt(file, DATA_FILE_FIELD.content, DATA)),
      snapshotId: readLong(entry, ENTRY_FIELD.snapshotId, manifestFile.addedSnapshotId),
      sequenceNumber: readLong(entry, ENTRY_FIELD.sequenceNumber, manifestFile.sequenceNumber),
      dataFile: readDataFile(file, partitionFields, manifestFile.specId),
      equalityIds: readList(file, DATA_FILE_FIELD.equalityIds).map(Number),
      referencedDataFile: file(DATA_FILE_FIELD.referencedDataFile) as string | undefined,
    };
  });
}

function readDataFile(
  file: RecordView,
  partitionFields: readonly AvroField[],
  specId: number,
): DataFile {
  const location = readText(file, DATA_FILE_FIELD.filePath);
  const format = readText(file, DATA_FILE_FIELD.fileFormat).toUpperCase();
  if (format !== 'PARQUET') {
    throw new CatalogError('corrupt', `${location} is ${format}; only PARQUET is understood`);
  }
  const partition = file(DATA_FILE_FIELD.partition) as AvroRecord;
  const sortOrderId = file(DATA_FILE_FIELD.sortOrderId);
  return {
    location,
    format,
    specId,
    partitionTuple: partitionFields.map(({ name, type }) => partitionValue(type, partition[name])),
    recordCount: readLong(file, DATA_FILE_FIELD.recordCount),
    fileSizeBytes: readLong(file, DATA_FILE_FIELD.fileSizeInBytes),
    columnSizes: readIntMap(file, DATA_FILE_FIELD.columnSizes),
    valueCounts: readIntMap(file, DATA_FILE_FIELD.valueCounts),
    nullValueCounts: readIntMap(file, DATA_FILE_FIELD.nullValueCounts),
    nanValueCounts: readIntMap(file, DATA_FILE_FIELD.nanValueCounts),
    lowerBounds: readIntMap(file, DATA_FILE_FIELD.lowerBounds),
    upperBounds: readIntMap(file, DATA_FILE_FIELD.upperBounds),
    splitOffsets: readList(file, DATA_FILE_FIELD.splitOffsets) as readonly bigint[],
    sortOrderId: typeof sortOrderId === 'number' ? sortOrderId : undefined,
  };
}

function partitionValue(avroType: AvroType, value: unknown): PartitionValue {
  const present = presentTypeOf(avroType);
  const isDecimal =
    typeof present === 'object' && 'logicalType' in present && present.logicalType === 'decimal';
  if (isDecimal && value instanceof Uint8Array) return fromTwosComplement(value);
  return (value ?? null) as PartitionValue;
}

function nameOf<T>(names: readonly T[], code: number): T {
  const name = names[code];
  if (name === undefined) {
    throw new CatalogError('corrupt', `unknown code ${code} in a manifest`, { context: { names } });
  }
  return name;
}
