import {
  Binary,
  Bool,
  type Data,
  DateDay,
  Decimal,
  Dictionary,
  Field,
  FixedSizeBinary,
  Float32,
  Float64,
  Int32,
  Int64,
  makeData,
  makeVector,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Timestamp,
  TimeMicrosecond,
  TimeUnit,
  Utf8,
} from 'apache-arrow';
import { CatalogError } from '../error.ts';
import type { NestedField, PrimitiveType } from '../spec/table-schema.ts';
import { decimalShape, fixedLength } from '../spec/type-text.ts';
import type { ByteSlices, Column } from './columns.ts';
import { compactDictionary } from './compact-dictionary.ts';
import { packDecimals, packFixed, packText } from './pack-slices.ts';
import { expandDictionary } from './select-rows.ts';
import { type Bitmap, nullBitmap, packBits } from './validity.ts';

type PlainColumn = Exclude<Column, { kind: 'dictionary' }>;
type DictionaryColumn = Extract<Column, { kind: 'dictionary' }>;
type BytesColumn = Extract<Column, { kind: 'bytes' }>;

/** A field of the table schema whose type is primitive. */
export type PrimitiveField = NestedField & { type: PrimitiveType };

/** One column as Arrow takes it, with the counts that its metrics need. */
export type ArrowColumn = {
  field: PrimitiveField;
  kind: Column['kind'];
  data: Data;
  nullCount: number;
  /** Of float and double columns only. */
  nanCount: number | undefined;
};

const FIELD_ID_KEY = 'PARQUET:field_id';
const UTC = 'UTC';
const UUID_BYTES = 16;

/**
 * One column as Arrow data over the same typed arrays where possible. Text and binary dictionaries stay
 * dictionaries, cut down to what the rows use; those of other types are expanded.
 * Errors: `config` for a column kind that does not fit the type, a value that does not fit a fixed
 * length or a decimal's precision, or a null in a required column.
 */
export function toArrowColumn(
  field: PrimitiveField,
  column: Column,
  rowCount: number,
): ArrowColumn {
  const isText = field.type === 'string' || field.type === 'binary';
  const { data, nanCount } =
    column.kind === 'dictionary' && isText
      ? { data: dictionaryData(field, column, rowCount), nanCount: undefined }
      : plainData(field, plainColumn(column, rowCount), rowCount);
  if (field.required && data.nullCount > 0) {
    throw new CatalogError(
      'config',
      `required column "${field.name}" has ${data.nullCount} nulls`,
      {
        context: { fieldId: field.id },
      },
    );
  }
  return { field, kind: column.kind, data, nullCount: data.nullCount, nanCount };
}

/** The columns as one Arrow IPC stream of one record batch, with the field id on each column. */
export function toIpcStream(columns: readonly ArrowColumn[], rowCount: number): Uint8Array {
  const fields = columns.map(
    ({ field, data }) =>
      new Field(field.name, data.type, !field.required, new Map([[FIELD_ID_KEY, `${field.id}`]])),
  );
  const children = columns.map(({ data }) => data);
  const struct = makeData({ type: new Struct(fields), length: rowCount, nullCount: 0, children });
  const writer = new RecordBatchStreamWriter();
  writer.write(new RecordBatch(new Schema(fields), struct));
  writer.finish();
  return writer.toUint8Array(true);
}

function plainColumn(column: Column, rowCount: number): PlainColumn {
  if (column.kind !== 'dictionary') return column;
  return expandDictionary({ ...column, codes: column.codes.subarray(0, rowCount) });
}

function dictionaryData(field: PrimitiveField, column: DictionaryColumn, rowCount: number): Data {
  const { size, values } = column.dictionary;
  if (values.kind !== 'bytes') throw wrongKind(field, values.kind);
  const compact = compactDictionary(column.codes, { size, values }, rowCount);
  const dictionary = textData(field, compact.slices, { length: compact.size, nullCount: 0 });
  return makeData({
    type: new Dictionary(dictionary.type, new Int32(), field.id),
    length: rowCount,
    ...nullProps(compact.nulls),
    data: compact.codes,
    dictionary: makeVector(dictionary),
  });
}

function textData(field: PrimitiveField, slices: ByteSlices, props: DataProps): Data {
  const buffers = { valueOffsets: slices.offsets, data: slices.bytes };
  return field.type === 'string'
    ? makeData({ type: new Utf8(), ...props, ...buffers })
    : makeData({ type: new Binary(), ...props, ...buffers });
}

type PlainData = { data: Data; nanCount: number | undefined };

function plainData(field: PrimitiveField, column: PlainColumn, rowCount: number): PlainData {
  const props = { length: rowCount, ...nullProps(nullBitmap(column.valid, rowCount)) };
  const { type } = field;
  switch (column.kind) {
    case 'int32': {
      const data = column.values.subarray(0, rowCount);
      if (type === 'int') return exact(makeData({ type: new Int32(), ...props, data }));
      if (type === 'date') return exact(makeData({ type: new DateDay(), ...props, data }));
      throw wrongKind(field, column.kind);
    }
    case 'int64': {
      const data = column.values.subarray(0, rowCount);
      if (type === 'long') return exact(makeData({ type: new Int64(), ...props, data }));
      if (type === 'time') return exact(makeData({ type: new TimeMicrosecond(), ...props, data }));
      if (type !== 'timestamp' && type !== 'timestamptz') throw wrongKind(field, column.kind);
      const zone = type === 'timestamptz' ? UTC : null;
      return exact(makeData({ type: new Timestamp(TimeUnit.MICROSECOND, zone), ...props, data }));
    }
    case 'float32': {
      if (type !== 'float') throw wrongKind(field, column.kind);
      const data = makeData({
        type: new Float32(),
        ...props,
        data: column.values.subarray(0, rowCount),
      });
      return { data, nanCount: countNans(column, rowCount) };
    }
    case 'float64': {
      if (type !== 'double') throw wrongKind(field, column.kind);
      const data = makeData({
        type: new Float64(),
        ...props,
        data: column.values.subarray(0, rowCount),
      });
      return { data, nanCount: countNans(column, rowCount) };
    }
    case 'boolean': {
      if (type !== 'boolean') throw wrongKind(field, column.kind);
      return exact(
        makeData({ type: new Bool(), ...props, data: packBits(column.values, rowCount).bits }),
      );
    }
    case 'bytes':
      return exact(bytesData(field, column, props));
  }
}

type DataProps = { length: number; nullCount: number; nullBitmap?: Uint8Array };

function bytesData(field: PrimitiveField, column: BytesColumn, props: DataProps): Data {
  const { type } = field;
  const rowCount = props.length;
  if (type === 'string' || type === 'binary') {
    return textData(field, packText(column, rowCount, props.nullCount > 0), props);
  }
  const decimal = decimalShape(type);
  if (decimal !== undefined) {
    const data = packDecimals(field, column, rowCount);
    return makeData({ type: new Decimal(decimal.scale, decimal.precision, 128), ...props, data });
  }
  const width = type === 'uuid' ? UUID_BYTES : fixedLength(type);
  if (width === undefined) throw wrongKind(field, column.kind);
  const data = packFixed(field, column, { rowCount, width });
  return makeData({ type: new FixedSizeBinary(width), ...props, data });
}

function exact(data: Data): PlainData {
  return { data, nanCount: undefined };
}

function nullProps(bitmap: Bitmap | undefined): { nullCount: number; nullBitmap?: Uint8Array } {
  return bitmap === undefined
    ? { nullCount: 0 }
    : { nullCount: bitmap.zeros, nullBitmap: bitmap.bits };
}

function countNans(
  column: Extract<Column, { kind: 'float32' | 'float64' }>,
  rowCount: number,
): number {
  const { values, valid } = column;
  let count = 0;
  for (let row = 0; row < rowCount; row += 1) {
    const value = values[row];
    if (value !== value && (valid === undefined || valid[row] !== 0)) count += 1;
  }
  return count;
}

function wrongKind(field: PrimitiveField, kind: Column['kind']): CatalogError {
  return new CatalogError(
    'config',
    `column "${field.name}" holds ${kind} values, which do not fit its type ${field.type}`,
    { context: { fieldId: field.id } },
  );
}
