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
  const { rowCount, rowGroups } = await openDataFile(options);
  const columns = new Map(options.columnNames.map((name) => [name, [] as PartitionValue[]]));
  for await (const group of rowGroups) {
    for (const [name, values] of columns) {
      for (const value of group.columns.get(name) ?? []) values.push(value);
    }
  }
  return { rowCount, columns };
}

/** Some rows of a file: `firstRow` counts from the start of the file. */
export type RowGroup = FileColumns & {
  firstRow: number;
  /** Other columns of the same rows, for those that turn out to be needed. Errors: as `readDataFile`. */
  more: (columnNames: readonly string[]) => Promise<FileColumns['columns']>;
};

/**
 * The same row group by row group, so that a file of any size can be read in bounded memory: `rowCount` is
 * what the footer says of the whole file. Errors: as `readDataFile`, also while the row groups are read.
 */
export async function openDataFile(
  options: ReadDataFileOptions,
): Promise<{ rowCount: number; rowGroups: AsyncGenerator<RowGroup> }> {
  const { dataFile, tableSchema, columnNames } = options;
  const fieldsOf = (names: readonly string[]): ReadField[] =>
    names.map((name) => primitiveField(tableSchema, name));
  const wanted = fieldsOf(columnNames);
  return readable(dataFile, async () => {
    const file = openRanges(options);
    const metadata = await parquetMetadataAsync(file, { initialFetchSize: FOOTER_FETCH_BYTES });
    const fileColumnOf = columnsByFieldId(metadata, dataFile.location);
    const scan = await parquetScan({
      file,
      metadata: rawMetadata(metadata),
      compressors,
      utf8: false,
    });
    const readColumn = async ({ id, name, type }: ReadField, range: RowRange) => {
      const column = fileColumnOf.get(id);
      const values: PartitionValue[] = [];
      if (column === undefined) values.length = range.rowEnd - range.rowStart;
      else
        for (const raw of await scan.readColumn({ column, ...range }))
          values.push(toValue(type, raw));
      return [name, column === undefined ? values.fill(null) : values] as const;
    };
    const readColumns = async (fields: readonly ReadField[], range: RowRange) =>
      readable(dataFile, async () => {
        return new Map(await Promise.all(fields.map((field) => readColumn(field, range))));
      });
    const rowGroups = async function* (): AsyncGenerator<RowGroup> {
      for (const range of scan.ranges) {
        const firstRow = range.rowStart;
        yield {
          firstRow,
          rowCount: range.rowEnd - firstRow,
          columns: await readColumns(wanted, range),
          more: async (names) => readColumns(fieldsOf(names), range),
        };
      }
    };
    return { rowCount: Number(metadata.num_rows), rowGroups: rowGroups() };
  });
}

type RowRange = { rowStart: number; rowEnd: number };

/** The file by ranges. The end, which is fetched first for the footer, is kept: a small file is one request. */
function openRanges({ store, dataFile: { location, fileSizeBytes } }: ReadDataFileOptions) {
  const byteLength = Number(fileSizeBytes);
  let tail: { start: number; bytes: Uint8Array } | undefined;
  return {
    byteLength,
    slice: async (start: number, end = byteLength): Promise<ArrayBuffer> => {
      if (tail !== undefined && start >= tail.start) {
        return toArrayBuffer(tail.bytes.subarray(start - tail.start, end - tail.start));
      }
      const bytes = await store.getRange(location, start, end);
      if (end === byteLength) tail = { start, bytes };
      return toArrayBuffer(bytes);
    },
  };
}

async function readable<T>({ location }: StoredFile, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof CatalogError) throw cause;
    throw new CatalogError('corrupt', `cannot read ${location}: ${String(cause)}`, {
      context: { location },
      cause,
    });
  }
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
