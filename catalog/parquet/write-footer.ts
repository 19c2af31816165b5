import { lowerBound, upperBound } from '../spec/single-value.ts';
import type { NestedField } from '../spec/table-schema.ts';
import type { ByteSink } from './encoding/byte-sink.ts';
import type { ColumnChunk } from './encoding/column-chunk.ts';
import { CompactThrift } from './encoding/compact-thrift.ts';
import { parquetType } from './encoding/parquet-type.ts';
import { type FileField, type LeafField, leavesOf, REPEATED_GROUP } from './file-field.ts';

/** What was written: `rowGroups` have a chunk for each leaf of `fields`, in their order. */
export type FileContent = {
  fields: readonly FileField[];
  rowGroups: readonly { rowCount: number; chunks: readonly ColumnChunk[] }[];
  rowCount: number;
};

const FORMAT_VERSION = 2;
/** Readers take it apart: a name and a version. */
const CREATED_BY = 'tributary version 1';
const REQUIRED = 0;
const OPTIONAL = 1;
const REPEATED = 2;
const ZSTD = 6;

/** Writes an element of the file's schema; the elements of its children come after it. */
type SchemaElement = (thrift: CompactThrift) => void;

/** Appends FileMetaData of parquet.thrift and its length. */
export function writeFooter(file: ByteSink, { fields, rowGroups, rowCount }: FileContent): void {
  const leaves = fields.flatMap(leavesOf);
  const thrift = new CompactThrift();
  thrift.int32(1, FORMAT_VERSION);
  const root: SchemaElement = () => {
    thrift.string(4, 'schema');
    thrift.int32(5, fields.length);
  };
  thrift.structs(2, [root, ...fields.flatMap(elementsOf)], (write) => write(thrift));
  thrift.int64(3, rowCount);
  thrift.structs(4, rowGroups, (rowGroup) => writeRowGroup(thrift, leaves, rowGroup));
  thrift.string(6, CREATED_BY);
  // The order of each column's values, without which readers ignore the bounds: that of its type.
  thrift.structs(7, leaves, () => thrift.struct(1, () => {}));
  thrift.end();
  file.append(thrift.bytes);
  file.int32(thrift.bytes.length);
}

/** The elements of a field and all below it, each before its children. */
function elementsOf(field: FileField): SchemaElement[] {
  if (field.kind === 'leaf') return [leafElement(field)];
  const below = field.children.flatMap(elementsOf);
  const { length } = field.children;
  switch (field.kind) {
    case 'struct':
      return [groupElement(field.field, length), ...below];
    case 'list':
      return [
        groupElement(field.field, 1, LIST),
        repeatedElement(REPEATED_GROUP.list, 1),
        ...below,
      ];
    case 'map':
      return [
        groupElement(field.field, 1, MAP),
        repeatedElement(REPEATED_GROUP.map, length),
        ...below,
      ];
  }
}

/** The older annotation of a group, and the newer one's member of the LogicalType union. */
const MAP = { converted: 1, logical: 2 };
const LIST = { converted: 3, logical: 3 };

function groupElement(
  { id, name, required }: NestedField,
  childCount: number,
  annotation?: { converted: number; logical: number },
): SchemaElement {
  return (thrift) => {
    thrift.int32(3, required ? REQUIRED : OPTIONAL);
    thrift.string(4, name);
    thrift.int32(5, childCount);
    thrift.int32(6, annotation?.converted);
    thrift.int32(9, id);
    if (annotation !== undefined) {
      thrift.struct(10, () => thrift.struct(annotation.logical, () => {}));
    }
  };
}

/** The group that a list's or a map's items stand in. It has no field id. */
function repeatedElement(name: string, childCount: number): SchemaElement {
  return (thrift) => {
    thrift.int32(3, REPEATED);
    thrift.string(4, name);
    thrift.int32(5, childCount);
  };
}

function leafElement({ field, path }: LeafField): SchemaElement {
  const { physical, length, converted, decimal, logical } = parquetType(field.type);
  return (thrift) => {
    thrift.int32(1, physical);
    thrift.int32(2, length);
    thrift.int32(3, field.required ? REQUIRED : OPTIONAL);
    thrift.string(4, path.at(-1) ?? field.name);
    thrift.int32(6, converted);
    thrift.int32(7, decimal?.scale);
    thrift.int32(8, decimal?.precision);
    thrift.int32(9, field.id);
    if (logical !== undefined) thrift.struct(10, () => logical(thrift));
  };
}

function writeRowGroup(
  thrift: CompactThrift,
  leaves: readonly LeafField[],
  { rowCount, chunks }: FileContent['rowGroups'][number],
): void {
  const start = chunks[0]?.start ?? 0;
  const pairs = leaves.flatMap((leaf, index) => {
    const chunk = chunks[index];
    return chunk === undefined ? [] : [{ leaf, chunk }];
  });
  thrift.structs(1, pairs, ({ leaf, chunk }) => {
    thrift.int64(2, 0);
    thrift.struct(3, () => writeColumnMetaData(thrift, leaf, chunk));
  });
  thrift.int64(
    2,
    chunks.reduce((sum, { uncompressedBytes }) => sum + uncompressedBytes, 0),
  );
  thrift.int64(3, rowCount);
  thrift.int64(5, start);
  thrift.int64(6, (chunks.at(-1)?.end ?? 0) - start);
}

function writeColumnMetaData(
  thrift: CompactThrift,
  { field, path }: LeafField,
  chunk: ColumnChunk,
): void {
  const { start, dataStart, end, bounds } = chunk;
  thrift.int32(1, parquetType(field.type).physical);
  thrift.int32s(2, chunk.encodings);
  thrift.strings(3, path);
  thrift.int32(4, ZSTD);
  thrift.int64(5, chunk.entryCount);
  thrift.int64(6, chunk.uncompressedBytes);
  thrift.int64(7, end - start);
  thrift.int64(9, dataStart);
  thrift.int64(11, dataStart === start ? undefined : start);
  thrift.struct(12, () => {
    thrift.int64(3, chunk.nullCount);
    if (bounds === undefined) return;
    // Long text is cut, as in a manifest.
    const min = lowerBound(field.type, bounds.min);
    const max = upperBound(field.type, bounds.max);
    thrift.binary(5, max);
    thrift.binary(6, min);
    if (max !== undefined)
      thrift.bool(7, max.length === bounds.max.length && isSame(max, bounds.max));
    thrift.bool(8, min.length === bounds.min.length);
  });
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.every((byte, index) => byte === right[index]);
}
