import { zstdDecompressSync } from 'node:zlib';
import {
  type FileMetaData,
  parquetMetadataAsync,
  parquetScan,
  type SchemaElement,
} from 'hyparquet';
import { compressors as portableCompressors } from 'hyparquet-compressors';
import { CatalogError } from '../error.ts';
import type { DataFile, PartitionValue } from '../manifest/data-file.ts';
import { fromTwosComplement } from '../spec/single-value.ts';
import type { PrimitiveType, TableSchema } from '../spec/table-schema.ts';
import { decimalShape } from '../spec/type-text.ts';
import type { ObjectStore } from '../store/object-store.ts';

/** What it takes to find and read a file; `DataFile` has more. */
export type StoredFile = Pick<DataFile, 'location' | 'fileSizeBytes'>;

/** Values in the file's row order, in the form that `applyTransform` documents, by column name. */
export type FileColumns = {
  rowCount: number;
  columns: ReadonlyMap<string, readonly PartitionValue[]>;
};

export type ReadDataFileOptions = {
  store: ObjectStore;
  dataFile: StoredFile;
  /** Names and types to read by; columns are found in the file by field id, whatever their name there. */
  tableSchema: TableSchema;
  columnNames: readonly string[];
};

/** One request fetches this much of the file's end, which mostly holds the whole footer. */
const FOOTER_FETCH_BYTES = 65_536;

/** Node's own zstd is several times faster than the portable one. */
const compressors = {
  ...portableCompressors,
  ZSTD: (input: Uint8Array) => zstdDecompressSync(input),
};

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Reads columns of one Parquet data file, fetching the footer and those columns only. 64-bit values
 * and µs timestamps are exact bigints. A column that the file does not have reads as nulls.
 * Errors: `config` for a name that the schema lacks or a nested column; `corrupt` for a file that
 * cannot be decoded or has no field ids; those of the store.
 */
export async function readDataFile(options: ReadDataFileOptions): Promise<FileColumns> {
  const { store, dataFile, tableSchema, columnNames } = options;
  const wanted = columnNames.map((name) => primitiveField(tableSchema, name));
  const file = {
    byteLength: Number(dataFile.fileSizeBytes),
    slice: async (start: number, end = Number(dataFile.fileSizeBytes)) =>
      toArrayBuffer(await store.getRange(dataFile.location, start, end)),
  };
  const read = async (): Promise<FileColumns> => {
    const metadata = await parquetMetadataAsync(file, { initialFetchSize: FOOTER_FETCH_BYTES });
    const rowCount = Number(metadata.num_rows);
    const fileColumnOf = columnsByFieldId(metadata, dataFile.location);
    const scan = await parquetScan({
      file,
      metadata: rawMetadata(metadata),
      compressors,
      utf8: false,
    });
    const columns = new Map<string, PartitionValue[]>();
    for (const { id, name, type } of wanted) {
      const fileColumn = fileColumnOf.get(id);
      const values: PartitionValue[] = [];
      if (fileColumn === undefined) values.length = rowCount;
      for (const range of fileColumn === undefined ? [] : scan.ranges) {
        const chunk = await scan.readColumn({ column: fileColumn ?? '', ...range });
        for (const raw of chunk) values.push(toValue(type, raw));
      }
      columns.set(name, fileColumn === undefined ? values.fill(null) : values);
    }
    return { rowCount, columns };
  };
  return read().catch((cause: unknown) => {
    if (cause instanceof CatalogError) throw cause;
    throw new CatalogError('corrupt', `cannot read ${dataFile.location}: ${String(cause)}`, {
      context: { location: dataFile.location },
      cause,
    });
  });
}

type ReadField = { id: number; name: string; type: PrimitiveType };

function primitiveField(tableSchema: TableSchema, name: string): ReadField {
  const field = tableSchema.fields.find((one) => one.name === name);
  if (field === undefined || typeof field.type !== 'string') {
    const problem = field === undefined ? 'is not in the table schema' : 'is nested: not supported';
    throw new CatalogError('config', `column "${name}" ${problem}`, { context: { column: name } });
  }
  return { id: field.id, name, type: field.type };
}

/** Names in the file of its top-level columns, by field id. */
function columnsByFieldId(metadata: FileMetaData, location: string): ReadonlyMap<number, string> {
  const byFieldId = new Map<number, string>();
  for (const { field_id: fieldId, name } of metadata.schema.slice(1)) {
    if (fieldId !== undefined && !byFieldId.has(fieldId)) byFieldId.set(fieldId, name);
  }
  if (byFieldId.size === 0) {
    throw new CatalogError('corrupt', `${location} has no field ids`, { context: { location } });
  }
  return byFieldId;
}

/**
 * The footer without logical types, which makes the reader hand out stored values: it would turn
 * timestamps into millisecond dates and decimals into rounded floats.
 */
function rawMetadata(metadata: FileMetaData): FileMetaData {
  return { ...metadata, schema: metadata.schema.map(withoutLogicalType) };
}

function withoutLogicalType(element: SchemaElement): SchemaElement {
  if (element.type === undefined) return element;
  const { converted_type: _converted, logical_type: _logical, ...physical } = element;
  return physical;
}

function toValue(type: PrimitiveType, raw: unknown): PartitionValue {
  if (raw === null || raw === undefined) return null;
  if (raw instanceof Uint8Array) {
    if (type === 'string') return utf8.decode(raw);
    return decimalShape(type) === undefined ? raw : fromTwosComplement(raw);
  }
  if (typeof raw === 'number' && (type === 'long' || decimalShape(type) !== undefined)) {
    return BigInt(raw);
  }
  if (typeof raw === 'bigint' || typeof raw === 'number' || typeof raw === 'boolean') return raw;
  throw new CatalogError('corrupt', `a ${typeof raw} where the table has a ${type}`);
}

function toArrayBuffer(bytes: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes;
  const isWhole = byteOffset === 0 && byteLength === buffer.byteLength;
  return isWhole && buffer instanceof ArrayBuffer ? buffer : new Uint8Array(bytes).buffer;
}
