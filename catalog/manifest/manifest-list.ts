import { CatalogError } from '../error.ts';
import { decodeAvroFile, encodeAvroFile } from './avro-file.ts';
import type { AvroArrayType, AvroRecord, AvroRecordType } from './avro-file.ts';
import {
  presentTypeOf,
  readBytes,
  readInt,
  readList,
  readLong,
  readText,
  recordViewer,
} from './avro-record.ts';
import type { RecordView } from './avro-record.ts';
import {
  MANIFEST_FILE_AVRO_SCHEMA,
  MANIFEST_FILE_FIELD,
  SUMMARY_FIELD,
} from './manifest-schema.ts';

/** What the partition values of one manifest span, for one field of its spec; bounds as single values. */
export type PartitionFieldSummary = {
  containsNull: boolean;
  /** Undefined where the writer did not say. */
  containsNan: boolean | undefined;
  lowerBound: Uint8Array | undefined;
  upperBound: Uint8Array | undefined;
};

/** One manifest as its manifest list describes it. */
export type ManifestFile = {
  location: string;
  lengthBytes: bigint;
  specId: number;
  content: 'data' | 'deletes';
  /** Of the snapshot that added the manifest; its entries inherit it. */
  sequenceNumber: bigint;
  /** The lowest data sequence number of its live entries. */
  minSequenceNumber: bigint;
  addedSnapshotId: bigint;
  addedFilesCount: number;
  existingFilesCount: number;
  deletedFilesCount: number;
  addedRowsCount: bigint;
  existingRowsCount: bigint;
  deletedRowsCount: bigint;
  /** One for each field of the spec; undefined where the writer gave none. */
  partitions: readonly PartitionFieldSummary[] | undefined;
  keyMetadata: Uint8Array | undefined;
};

const CONTENTS = ['data', 'deletes'] as const;

/**
 * Encodes the manifest list of one snapshot, format version 2. An empty list is valid.
 * Source: Iceberg table spec, "Manifest Lists".
 */
export function encodeManifestList(options: {
  snapshotId: bigint;
  parentSnapshotId: bigint | undefined;
  sequenceNumber: bigint;
  manifests: readonly ManifestFile[];
}): Uint8Array {
  return encodeAvroFile({
    avroSchema: MANIFEST_FILE_AVRO_SCHEMA,
    metadata: new Map([
      ['snapshot-id', String(options.snapshotId)],
      ['parent-snapshot-id', String(options.parentSnapshotId ?? null)],
      ['sequence-number', String(options.sequenceNumber)],
      ['format-version', '2'],
    ]),
    records: options.manifests.map(manifestRecord),
  });
}

function manifestRecord(manifest: ManifestFile): AvroRecord {
  return {
    manifest_path: manifest.location,
    manifest_length: manifest.lengthBytes,
    partition_spec_id: manifest.specId,
    content: CONTENTS.indexOf(manifest.content),
    sequence_number: manifest.sequenceNumber,
    min_sequence_number: manifest.minSequenceNumber,
    added_snapshot_id: manifest.addedSnapshotId,
    added_files_count: manifest.addedFilesCount,
    existing_files_count: manifest.existingFilesCount,
    deleted_files_count: manifest.deletedFilesCount,
    added_rows_count: manifest.addedRowsCount,
    existing_rows_count: manifest.existingRowsCount,
    deleted_rows_count: manifest.deletedRowsCount,
    partitions: manifest.partitions?.map(summaryRecord) ?? null,
    key_metadata: optionalBuffer(manifest.keyMetadata),
  };
}

function summaryRecord(summary: PartitionFieldSummary): AvroRecord {
  return {
    contains_null: summary.containsNull,
    contains_nan: summary.containsNan ?? null,
    lower_bound: optionalBuffer(summary.lowerBound),
    upper_bound: optionalBuffer(summary.upperBound),
  };
}

function optionalBuffer(bytes: Uint8Array | undefined): Buffer | null {
  return bytes === undefined ? null : Buffer.from(bytes);
}

/**
 * Decodes a manifest list of any writer, version 1 or 2, in the order of the file. Version 1 has no
 * sequence numbers and no content: they are 0 and data.
 * Errors: `corrupt` for bytes that are no manifest list, or one whose counts are missing.
 */
export function decodeManifestList(bytes: Uint8Array): readonly ManifestFile[] {
  const { avroSchema, records } = decodeAvroFile(bytes);
  const viewManifest = recordViewer(avroSchema);
  const viewSummary = summaryViewer(avroSchema);
  return records.map((record) => readManifestFile(viewManifest(record), viewSummary));
}

function summaryViewer(avroSchema: AvroRecordType): (record: unknown) => RecordView {
  const id = MANIFEST_FILE_FIELD.partitions;
  const field = avroSchema.fields.find((known) => known['field-id'] === id);
  if (field === undefined) return () => () => undefined;
  return recordViewer((presentTypeOf(field.type) as AvroArrayType).items);
}

function readManifestFile(
  manifest: RecordView,
  viewSummary: (record: unknown) => RecordView,
): ManifestFile {
  const id = MANIFEST_FILE_FIELD;
  const content = CONTENTS[readInt(manifest, id.content, 0)];
  if (content === undefined) throw new CatalogError('corrupt', 'unknown content of a manifest');
  const hasPartitions = manifest(id.partitions) !== undefined;
  return {
    location: readText(manifest, id.manifestPath),
    lengthBytes: readLong(manifest, id.manifestLength),
    specId: readInt(manifest, id.partitionSpecId),
    content,
    sequenceNumber: readLong(manifest, id.sequenceNumber, 0n),
    minSequenceNumber: readLong(manifest, id.minSequenceNumber, 0n),
    addedSnapshotId: readLong(manifest, id.addedSnapshotId),
    addedFilesCount: readInt(manifest, id.addedFilesCount),
    existingFilesCount: readInt(manifest, id.existingFilesCount),
    deletedFilesCount: readInt(manifest, id.deletedFilesCount),
    addedRowsCount: readLong(manifest, id.addedRowsCount),
    existingRowsCount: readLong(manifest, id.existingRowsCount),
    deletedRowsCount: readLong(manifest, id.deletedRowsCount),
    partitions: hasPartitions
      ? readList(manifest, id.partitions).map((record) => readSummary(viewSummary(record)))
      : undefined,
    keyMetadata: readBytes(manifest, id.keyMetadata),
  };
}

function readSummary(summary: RecordView): PartitionFieldSummary {
  return {
    containsNull: summary(SUMMARY_FIELD.containsNull) === true,
    containsNan: summary(SUMMARY_FIELD.containsNan) as boolean | undefined,
    lowerBound: readBytes(summary, SUMMARY_FIELD.lowerBound),
    upperBound: readBytes(summary, SUMMARY_FIELD.upperBound),
  };
}
