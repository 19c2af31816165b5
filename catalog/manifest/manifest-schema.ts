import { decimalBytesMin, decimalShape, fixedLength } from '../spec/type-text.ts';
import type { PrimitiveType } from '../spec/table-schema.ts';
import type { AvroArrayType, AvroField, AvroRecordType, AvroType } from './avro-file.ts';
import type { PartitionFieldType } from './partition-type.ts';

/**
 * Field ids of manifests and manifest lists, format versions 1 and 2. Readers find fields by these
 * ids alone: writers differ in names. Source: Iceberg table spec, "Manifests", "Manifest Lists".
 */
export const ENTRY_FIELD = {
  status: 0,
  snapshotId: 1,
  dataFile: 2,
  sequenceNumber: 3,
  fileSequenceNumber: 4,
} as const;

export const DATA_FILE_FIELD = {
  filePath: 100,
  fileFormat: 101,
  partition: 102,
  recordCount: 103,
  fileSizeInBytes: 104,
  columnSizes: 108,
  valueCounts: 109,
  nullValueCounts: 110,
  lowerBounds: 125,
  upperBounds: 128,
  splitOffsets: 132,
  content: 134,
  equalityIds: 135,
  nanValueCounts: 137,
  sortOrderId: 140,
  referencedDataFile: 143,
} as const;

export const MANIFEST_FILE_FIELD = {
  manifestPath: 500,
  manifestLength: 501,
  partitionSpecId: 502,
  addedSnapshotId: 503,
  addedFilesCount: 504,
  existingFilesCount: 505,
  deletedFilesCount: 506,
  partitions: 507,
  addedRowsCount: 512,
  existingRowsCount: 513,
  deletedRowsCount: 514,
  sequenceNumber: 515,
  minSequenceNumber: 516,
  content: 517,
  keyMetadata: 519,
} as const;

export const SUMMARY_FIELD = {
  containsNull: 509,
  lowerBound: 510,
  upperBound: 511,
  containsNan: 518,
} as const;

/** The Avro schema of a version 2 manifest entry for one partition type. */
export function entryAvroSchema(partitionFields: readonly PartitionFieldType[]): AvroRecordType {
  return record('manifest_entry', [
    required(ENTRY_FIELD.status, 'status', 'int'),
    optional(ENTRY_FIELD.snapshotId, 'snapshot_id', 'long'),
    optional(ENTRY_FIELD.sequenceNumber, 'sequence_number', 'long'),
    optional(ENTRY_FIELD.fileSequenceNumber, 'file_sequence_number', 'long'),
    required(ENTRY_FIELD.dataFile, 'data_file', dataFileAvroSchema(partitionFields)),
  ]);
}

function dataFileAvroSchema(partitionFields: readonly PartitionFieldType[]): AvroRecordType {
  const id = DATA_FILE_FIELD;
  return record('r2', [
    required(id.content, 'content', 'int'),
    required(id.filePath, 'file_path', 'string'),
    required(id.fileFormat, 'file_format', 'string'),
    required(id.partition, 'partition', record('r102', partitionFields.map(partitionAvroField))),
    required(id.recordCount, 'record_count', 'long'),
    required(id.fileSizeInBytes, 'file_size_in_bytes', 'long'),
    optional(id.columnSizes, 'column_sizes', intMap(117, 118, 'long')),
    optional(id.valueCounts, 'value_counts', intMap(119, 120, 'long')),
    optional(id.nullValueCounts, 'null_value_counts', intMap(121, 122, 'long')),
    optional(id.nanValueCounts, 'nan_value_counts', intMap(138, 139, 'long')),
    optional(id.lowerBounds, 'lower_bounds', intMap(126, 127, 'bytes')),
    optional(id.upperBounds, 'upper_bounds', intMap(129, 130, 'bytes')),
    optional(131, 'key_metadata', 'bytes'),
    optional(id.splitOffsets, 'split_offsets', list(133, 'long')),
    optional(id.equalityIds, 'equality_ids', list(136, 'int')),
    optional(id.sortOrderId, 'sort_order_id', 'int'),
  ]);
}

/** The Avro schema of a version 2 manifest list. */
export const MANIFEST_FILE_AVRO_SCHEMA: AvroRecordType = record('manifest_file', [
  required(MANIFEST_FILE_FIELD.manifestPath, 'manifest_path', 'string'),
  required(MANIFEST_FILE_FIELD.manifestLength, 'manifest_length', 'long'),
  required(MANIFEST_FILE_FIELD.partitionSpecId, 'partition_spec_id', 'int'),
  required(MANIFEST_FILE_FIELD.content, 'content', 'int'),
  required(MANIFEST_FILE_FIELD.sequenceNumber, 'sequence_number', 'long'),
  required(MANIFEST_FILE_FIELD.minSequenceNumber, 'min_sequence_number', 'long'),
  required(MANIFEST_FILE_FIELD.addedSnapshotId, 'added_snapshot_id', 'long'),
  required(MANIFEST_FILE_FIELD.addedFilesCount, 'added_files_count', 'int'),
  required(MANIFEST_FILE_FIELD.existingFilesCount, 'existing_files_count', 'int'),
  required(MANIFEST_FILE_FIELD.deletedFilesCount, 'deleted_files_count', 'int'),
  required(MANIFEST_FILE_FIELD.addedRowsCount, 'added_rows_count', 'long'),
  required(MANIFEST_FILE_FIELD.existingRowsCount, 'existing_rows_count', 'long'),
  required(MANIFEST_FILE_FIELD.deletedRowsCount, 'deleted_rows_count', 'long'),
  optional(
    MANIFEST_FILE_FIELD.partitions,
    'partitions',
    list(
      508,
      record('r508', [
        required(SUMMARY_FIELD.containsNull, 'contains_null', 'boolean'),
        optional(SUMMARY_FIELD.containsNan, 'contains_nan', 'boolean'),
        optional(SUMMARY_FIELD.lowerBound, 'lower_bound', 'bytes'),
        optional(SUMMARY_FIELD.upperBound, 'upper_bound', 'bytes'),
      ]),
    ),
  ),
  optional(MANIFEST_FILE_FIELD.keyMetadata, 'key_metadata', 'bytes'),
]);

/**
 * A partition field's name as Avro allows it: a character outside [A-Za-z0-9_] becomes `_x` and its
 * code in hexadecimal, a leading digit gets `_` before it, as the reference implementation writes it.
 */
export function avroName(name: string): string {
  const escaped = name.replaceAll(
    /[^A-Za-z0-9_]/g,
    (unit) => `_x${unit.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return /^\d/.test(escaped) ? `_${escaped}` : escaped;
}

function partitionAvroField(field: PartitionFieldType): AvroField {
  const name = avroName(field.name);
  const avroField = optional(field.fieldId, name, avroTypeOf(field));
  return name === field.name ? avroField : { ...avroField, 'iceberg-field-name': field.name };
}

/** Source: Iceberg table spec, appendix A, "Avro". Named types carry the field id: names are unique. */
function avroTypeOf({ type, fieldId }: PartitionFieldType): AvroType {
  switch (type) {
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'string':
      return type;
    case 'binary':
      return 'bytes';
    case 'date':
      return { type: 'int', logicalType: 'date' };
    case 'time':
      return { type: 'long', logicalType: 'time-micros' };
    case 'timestamp':
      return { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': false };
    case 'timestamptz':
      return { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': true };
    case 'uuid':
      return { type: 'fixed', name: `uuid_${fieldId}`, size: 16, logicalType: 'uuid' };
    default:
      return fixedTypeOf(type, fieldId);
  }
}

function fixedTypeOf(type: PrimitiveType, fieldId: number): AvroType {
  const decimal = decimalShape(type);
  if (decimal === undefined) {
    return { type: 'fixed', name: `fixed_${fieldId}`, size: fixedLength(type) ?? 0 };
  }
  return {
    type: 'fixed',
    name: `decimal_${fieldId}`,
    size: decimalBytesMin(decimal.precision),
    logicalType: 'decimal',
    ...decimal,
  };
}

function record(name: string, fields: readonly AvroField[]): AvroRecordType {
  return { type: 'record', name, fields };
}

function required(id: number, name: string, type: AvroType): AvroField {
  return { name, type, 'field-id': id };
}

function optional(id: number, name: string, type: AvroType): AvroField {
  return { name, type: ['null', type], default: null, 'field-id': id };
}

function list(elementId: number, items: AvroType): AvroArrayType {
  return { type: 'array', items, 'element-id': elementId };
}

/** Avro maps have text keys only, so a map by field id is an array of pairs. */
function intMap(keyId: number, valueId: number, values: AvroType): AvroArrayType {
  const pair = record(`k${keyId}_v${valueId}`, [
    required(keyId, 'key', 'int'),
    required(valueId, 'value', values),
  ]);
  return { type: 'array', items: pair, logicalType: 'map' };
}
