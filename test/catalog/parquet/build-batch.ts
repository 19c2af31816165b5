import * as fc from 'fast-check';
import type { PartitionValue } from '../../../catalog/manifest/data-file.ts';
import type {
  Column,
  ColumnBatch,
  FlatColumn,
  PlainColumn,
} from '../../../catalog/parquet/columns.ts';
import { compareValues, twosComplement } from '../../../catalog/spec/single-value.ts';
import type { PrimitiveType, TableSchema } from '../../../catalog/spec/table-schema.ts';
import { decimalShape, fixedLength } from '../../../catalog/spec/type-text.ts';

/** Values by column name: the model that columns and files are compared with. */
export type Model = {
  tableSchema: TableSchema;
  rowCount: number;
  values: ReadonlyMap<string, readonly PartitionValue[]>;
  batch: ColumnBatch;
};

/** Bytes that no null row may leak into a file: they are not UTF-8. */
const UNDER_NULL = Uint8Array.of(0xff, 0xfe);

/** A plain column of the values, with rubbish under its nulls and a few entries beyond the rows. */
export function plainColumn(type: PrimitiveType, values: readonly PartitionValue[]): PlainColumn {
  const hasNulls = values.includes(null);
  const padded = [...values, null, null];
  const valid = hasNulls ? Uint8Array.from(padded, (value) => (value === null ? 0 : 1)) : undefined;
  switch (type) {
    case 'boolean':
      return {
        kind: 'boolean',
        values: Uint8Array.from(padded, (v) => (v === true ? 1 : 0)),
        valid,
      };
    case 'int':
    case 'date':
      return { kind: 'int32', values: Int32Array.from(padded, (v) => Number(v ?? -77)), valid };
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return {
        kind: 'int64',
        values: BigInt64Array.from(padded, (v) => (v as bigint | null) ?? -77n),
        valid,
      };
    case 'float':
      return {
        kind: 'float32',
        values: Float32Array.from(padded, (v) => Number(v ?? Number.NaN)),
        valid,
      };
    case 'double':
      return {
        kind: 'float64',
        values: Float64Array.from(padded, (v) => Number(v ?? Number.NaN)),
        valid,
      };
    case 'string':
    case 'binary':
    case 'uuid':
    default:
      return { kind: 'bytes', slices: slicesOf(padded.map((v) => bytesOf(v))), valid };
  }
}

function bytesOf(value: PartitionValue): Uint8Array {
  if (value === null) return UNDER_NULL;
  if (typeof value === 'string') return new TextEncoder().encode(value);
  // A byte of sign more than needed: decimals come in any length.
  if (typeof value === 'bigint')
    return Uint8Array.of(value < 0n ? 0xff : 0, ...twosComplement(value));
  return value as Uint8Array;
}

export function slicesOf(all: readonly Uint8Array[]): { bytes: Uint8Array; offsets: Int32Array } {
  const offsets = new Int32Array(all.length + 1);
  all.forEach((bytes, index) => {
    offsets[index + 1] = (offsets[index] ?? 0) + bytes.length;
  });
  return { bytes: Uint8Array.from(Buffer.concat(all)), offsets };
}

/** A dictionary column of the values; `unused` values come first and are used by no row. */
export function dictionaryColumn(
  type: PrimitiveType,
  values: readonly PartitionValue[],
  unused: readonly PartitionValue[],
): FlatColumn {
  const distinct: PartitionValue[] = [...unused];
  const codeOf = (value: PartitionValue): number => {
    if (value === null) return -1;
    const found = distinct.findIndex(
      (one, index) => index >= unused.length && one !== null && isSame(one, value),
    );
    return found >= 0 ? found : distinct.push(value) - 1;
  };
  const codes = Int32Array.from(values, codeOf);
  return {
    kind: 'dictionary',
    codes,
    dictionary: { size: distinct.length, values: plainColumn(type, distinct) },
  };
}

function isSame(
  left: Exclude<PartitionValue, null>,
  right: Exclude<PartitionValue, null>,
): boolean {
  return compareValues(left, right) === 0;
}

const int64 = fc.bigInt({ min: -(2n ** 61n), max: 2n ** 61n });
const fewBytes = fc.uint8Array({ maxLength: 24 });

/** Values of a type; timestamps stay within what DuckDB can hold. */
export function valueOf(type: PrimitiveType): fc.Arbitrary<PartitionValue> {
  const decimal = decimalShape(type);
  if (decimal !== undefined) {
    const largest = 10n ** BigInt(decimal.precision) - 1n;
    return fc.bigInt({ min: -largest, max: largest });
  }
  const length = type === 'uuid' ? 16 : fixedLength(type);
  if (length !== undefined) return fc.uint8Array({ minLength: length, maxLength: length });
  switch (type) {
    case 'boolean':
      return fc.boolean();
    case 'int':
      return fc.integer();
    case 'date':
      return fc.integer({ min: -2_000_000, max: 2_000_000 });
    case 'long':
    case 'timestamp':
    case 'timestamptz':
      return int64;
    case 'time':
      return fc.bigInt({ min: 0n, max: 86_399_999_999n });
    case 'float':
      return fc.float();
    case 'double':
      return fc.double();
    case 'string':
      return fc.string({ unit: 'binary', maxLength: 24 });
    case 'binary':
    case 'uuid':
    default:
      return fewBytes;
  }
}

export const ALL_TYPES = [
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'string',
  'uuid',
  'binary',
  'fixed[3]',
  'decimal(9, 2)',
  'decimal(18, 4)',
  'decimal(38, 5)',
] as const satisfies readonly PrimitiveType[];

/** Values of one column: whole numbers of one order of magnitude, since their range decides how they are packed. */
function poolOf(type: PrimitiveType, rowCount: number): fc.Arbitrary<PartitionValue[]> {
  const sizes = { minLength: 1, maxLength: rowCount };
  if (type !== 'long' && type !== 'timestamp' && type !== 'timestamptz') {
    return fc.array(valueOf(type), sizes);
  }
  return fc
    .constantFrom(61n, 53n, 52n, 51n, 40n, 32n, 8n)
    .chain((bits) => fc.array(fc.bigInt({ min: -(2n ** bits), max: 2n ** bits }), sizes));
}

type ColumnPlan = {
  type: PrimitiveType;
  form: 'plain' | 'dictionary' | 'absent';
  required: boolean;
  values: PartitionValue[];
  unused: PartitionValue[];
};

function columnPlan(type: PrimitiveType, rowCount: number): fc.Arbitrary<ColumnPlan> {
  return fc
    .record({
      form: fc.constantFrom('plain' as const, 'dictionary' as const, 'absent' as const),
      required: fc.boolean(),
      pool: poolOf(type, rowCount),
      picks: fc.array(fc.option(fc.nat(), { freq: 4 }), {
        minLength: rowCount,
        maxLength: rowCount,
      }),
      unused: fc.array(valueOf(type), { maxLength: 400, size: '+1' }),
    })
    .map(({ form, required, pool, picks, unused }) => ({
      type,
      form,
      required: required && form !== 'absent',
      unused,
      values: picks.map((pick) => {
        const value = pick === null && !required ? null : pool[(pick ?? 0) % pool.length];
        return form === 'absent' ? null : (value ?? null);
      }),
    }));
}

/** Batches of all column kinds and types: nulls, dictionaries with unused values, absent columns. */
export function models(options: { rowsMax: number }): fc.Arbitrary<Model> {
  return fc.integer({ min: 1, max: options.rowsMax }).chain((rowCount) =>
    fc
      .tuple(...ALL_TYPES.map((type) => columnPlan(type, rowCount)))
      .filter((plans) => plans.some(({ form }) => form !== 'absent'))
      .map((plans) => modelOf(rowCount, plans)),
  );
}

function modelOf(rowCount: number, plans: readonly ColumnPlan[]): Model {
  const columns = new Map<number, Column>();
  const values = new Map<string, readonly PartitionValue[]>();
  const fields = plans.map((plan, index) => {
    const id = 10 + index;
    const name = `${plan.type}.column`;
    values.set(name, plan.values);
    if (plan.form === 'plain') columns.set(id, plainColumn(plan.type, plan.values));
    if (plan.form === 'dictionary') {
      columns.set(id, dictionaryColumn(plan.type, plan.values, plan.unused));
    }
    return { id, name, required: plan.required, type: plan.type };
  });
  return { tableSchema: { schemaId: 0, fields }, rowCount, values, batch: { rowCount, columns } };
}
