import { CatalogError } from '../error.ts';
import type { DataFile, PartitionValue } from './data-file.ts';

type Tagged = readonly ['null' | 'boolean' | 'number' | 'bigint' | 'string' | 'bytes', string];

/** The JSON form of a `DataFile`; every number beyond a count of bytes stands as text, bytes as base64. */
export type DataFileJson = {
  location: string;
  specId: number;
  partitionTuple: Tagged[];
  recordCount: string;
  fileSizeBytes: string;
  columnSizes: Record<string, string>;
  valueCounts: Record<string, string>;
  nullValueCounts: Record<string, string>;
  nanValueCounts: Record<string, string>;
  lowerBounds: Record<string, string>;
  upperBounds: Record<string, string>;
  splitOffsets: string[];
  sortOrderId: number | null;
};

/** A data file as JSON, so that a file that is written but not yet appended can be told to a successor. */
export function dataFileToJson(file: DataFile): DataFileJson {
  return {
    location: file.location,
    specId: file.specId,
    partitionTuple: file.partitionTuple.map(tag),
    recordCount: String(file.recordCount),
    fileSizeBytes: String(file.fileSizeBytes),
    columnSizes: mapToJson(file.columnSizes, String),
    valueCounts: mapToJson(file.valueCounts, String),
    nullValueCounts: mapToJson(file.nullValueCounts, String),
    nanValueCounts: mapToJson(file.nanValueCounts, String),
    lowerBounds: mapToJson(file.lowerBounds, toBase64),
    upperBounds: mapToJson(file.upperBounds, toBase64),
    splitOffsets: file.splitOffsets.map(String),
    sortOrderId: file.sortOrderId ?? null,
  };
}

/** The inverse of `dataFileToJson`. Text that it did not write is `corrupt`. */
export function dataFileFromJson(json: DataFileJson): DataFile {
  return {
    location: json.location,
    format: 'PARQUET',
    specId: json.specId,
    partitionTuple: json.partitionTuple.map(untag),
    recordCount: BigInt(json.recordCount),
    fileSizeBytes: BigInt(json.fileSizeBytes),
    columnSizes: mapFromJson(json.columnSizes, BigInt),
    valueCounts: mapFromJson(json.valueCounts, BigInt),
    nullValueCounts: mapFromJson(json.nullValueCounts, BigInt),
    nanValueCounts: mapFromJson(json.nanValueCounts, BigInt),
    lowerBounds: mapFromJson(json.lowerBounds, fromBase64),
    upperBounds: mapFromJson(json.upperBounds, fromBase64),
    splitOffsets: json.splitOffsets.map(BigInt),
    sortOrderId: json.sortOrderId ?? undefined,
  };
}

function tag(value: PartitionValue): Tagged {
  if (value === null) return ['null', ''];
  if (value instanceof Uint8Array) return ['bytes', toBase64(value)];
  if (typeof value === 'string') return ['string', value];
  if (typeof value === 'boolean') return ['boolean', String(value)];
  return [typeof value === 'bigint' ? 'bigint' : 'number', String(value)];
}

function untag([kind, text]: Tagged): PartitionValue {
  switch (kind) {
    case 'null':
      return null;
    case 'boolean':
      return text === 'true';
    case 'number':
      return Number(text);
    case 'bigint':
      return BigInt(text);
    case 'string':
      return text;
    case 'bytes':
      return fromBase64(text);
    default:
      throw new CatalogError('corrupt', `unknown kind of partition value: ${String(kind)}`);
  }
}

function mapToJson<T>(map: ReadonlyMap<number, T>, write: (value: T) => string) {
  return Object.fromEntries([...map].map(([id, value]) => [id, write(value)]));
}

function mapFromJson<T>(json: Record<string, string>, read: (text: string) => T): Map<number, T> {
  return new Map(Object.entries(json).map(([id, text]) => [Number(id), read(text)]));
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
