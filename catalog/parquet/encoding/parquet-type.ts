import type { PrimitiveType } from '../../spec/table-schema.ts';
import { decimalBytesMin, decimalShape, fixedLength } from '../../spec/type-text.ts';
import type { CompactThrift } from './compact-thrift.ts';

/** Physical types by their numbers in parquet.thrift. */
const PHYSICAL = {
  BOOLEAN: 0,
  INT32: 1,
  INT64: 2,
  FLOAT: 4,
  DOUBLE: 5,
  BYTE_ARRAY: 6,
  FIXED_LEN_BYTE_ARRAY: 7,
} as const;

/** What a primitive type of Iceberg is in a Parquet file. Source: Iceberg table spec, appendix A. */
export type ParquetType = {
  physical: (typeof PHYSICAL)[keyof typeof PHYSICAL];
  /** Bytes of a FIXED_LEN_BYTE_ARRAY. */
  length?: number;
  /** The older annotation, for readers that know no other. */
  converted?: number;
  decimal?: { precision: number; scale: number };
  /** Writes the member of the LogicalType union. */
  logical?: (thrift: CompactThrift) => void;
};

const UUID_BYTES = 16;
/** Up to this precision a decimal lies in an INT32, up to the next in an INT64; then in fixed bytes. */
const INT32_PRECISION_MAX = 9;
const INT64_PRECISION_MAX = 18;

const nothing = (): void => {};

export function parquetType(type: PrimitiveType): ParquetType {
  switch (type) {
    case 'boolean':
      return { physical: PHYSICAL.BOOLEAN };
    case 'int':
      return { physical: PHYSICAL.INT32 };
    case 'long':
      return { physical: PHYSICAL.INT64 };
    case 'float':
      return { physical: PHYSICAL.FLOAT };
    case 'double':
      return { physical: PHYSICAL.DOUBLE };
    case 'date':
      return { physical: PHYSICAL.INT32, converted: 6, logical: (t) => t.struct(6, nothing) };
    case 'time':
      return { physical: PHYSICAL.INT64, converted: 8, logical: micros(7, false) };
    case 'timestamp':
      // The older annotation would make it a moment in UTC.
      return { physical: PHYSICAL.INT64, logical: micros(8, false) };
    case 'timestamptz':
      return { physical: PHYSICAL.INT64, converted: 10, logical: micros(8, true) };
    case 'string':
      return { physical: PHYSICAL.BYTE_ARRAY, converted: 0, logical: (t) => t.struct(1, nothing) };
    case 'binary':
      return { physical: PHYSICAL.BYTE_ARRAY };
    case 'uuid':
      return fixed(UUID_BYTES, { logical: (t) => t.struct(14, nothing) });
    default:
      return decimalOrFixed(type);
  }
}

function decimalOrFixed(type: PrimitiveType): ParquetType {
  const decimal = decimalShape(type);
  if (decimal === undefined) return fixed(fixedLength(type) ?? 0);
  const { precision, scale } = decimal;
  const annotation = {
    decimal,
    converted: 5,
    logical: (thrift: CompactThrift) =>
      thrift.struct(5, () => {
        thrift.int32(1, scale);
        thrift.int32(2, precision);
      }),
  };
  if (precision <= INT32_PRECISION_MAX) return { physical: PHYSICAL.INT32, ...annotation };
  if (precision <= INT64_PRECISION_MAX) return { physical: PHYSICAL.INT64, ...annotation };
  return fixed(decimalBytesMin(precision), annotation);
}

function fixed(length: number, rest: Partial<ParquetType> = {}): ParquetType {
  return { physical: PHYSICAL.FIXED_LEN_BYTE_ARRAY, length, ...rest };
}

/** TIME or TIMESTAMP in microseconds. */
function micros(member: number, isAdjustedToUtc: boolean) {
  return (thrift: CompactThrift): void =>
    thrift.struct(member, () => {
      thrift.bool(1, isAdjustedToUtc);
      thrift.struct(2, () => thrift.struct(2, nothing));
    });
}
