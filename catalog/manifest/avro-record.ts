import { CatalogError } from '../error.ts';
import type { AvroField, AvroRecord, AvroRecordType, AvroType } from './avro-file.ts';

/** The value of a record's field by Iceberg field id; undefined where it is null or not written. */
export type RecordView = (fieldId: number) => unknown;

/**
 * Prepares reading records of one Avro schema by field id, whatever their writer called the fields.
 * Errors: `corrupt` for a type that is no record.
 */
export function recordViewer(avroType: AvroType): (record: unknown) => RecordView {
  const names = new Map(
    recordTypeOf(avroType).fields.map((field) => [field['field-id'], field.name]),
  );
  return (record) => (fieldId) => {
    const name = names.get(fieldId);
    return name === undefined ? undefined : ((record as AvroRecord)[name] ?? undefined);
  };
}

/** The field with this id. Errors: `corrupt` where the record type lacks it. */
export function avroFieldOf(avroType: AvroType, fieldId: number): AvroField {
  const field = recordTypeOf(avroType).fields.find((known) => known['field-id'] === fieldId);
  if (field === undefined) throw new CatalogError('corrupt', `Avro field ${fieldId} is missing`);
  return field;
}

/** The type itself, or what an optional type holds when it is not null. */
export function presentTypeOf(avroType: AvroType): AvroType {
  if (!isUnion(avroType)) return avroType;
  const present = avroType.find((branch) => branch !== 'null');
  if (present === undefined) throw new CatalogError('corrupt', 'an Avro union of nulls');
  return present;
}

/** A record type, also as the present branch of an optional one. Errors: `corrupt` for another type. */
export function recordTypeOf(avroType: AvroType): AvroRecordType {
  const present = presentTypeOf(avroType);
  if (typeof present === 'object' && !isUnion(present) && present.type === 'record') return present;
  throw new CatalogError('corrupt', 'expected an Avro record', { context: { avroType } });
}

/** A string field. Errors: `corrupt` where it is missing. */
export function readText(view: RecordView, fieldId: number): string {
  const value = view(fieldId);
  return typeof value === 'string' ? value : unexpected(fieldId, 'a string', value);
}

/** An int field as a number; `fallback` stands in for a missing one. Errors: `corrupt` without either. */
export function readInt(view: RecordView, fieldId: number, fallback?: number): number {
  const value = view(fieldId) ?? fallback;
  return typeof value === 'number' ? value : unexpected(fieldId, 'an int', value);
}

/** A long field (or an int that another version made of it); `fallback` as for `readInt`. */
export function readLong(view: RecordView, fieldId: number, fallback?: bigint): bigint {
  const value = view(fieldId) ?? fallback;
  if (typeof value === 'number') return BigInt(value);
  return typeof value === 'bigint' ? value : unexpected(fieldId, 'a long', value);
}

/** An optional bytes field. Errors: `corrupt` for a value of another type. */
export function readBytes(view: RecordView, fieldId: number): Uint8Array | undefined {
  const value = view(fieldId);
  if (value === undefined || value instanceof Uint8Array) return value;
  return unexpected(fieldId, 'bytes', value);
}

/** An optional list; no list is an empty one. Errors: `corrupt` for a value of another type. */
export function readList(view: RecordView, fieldId: number): readonly unknown[] {
  const value = view(fieldId) ?? [];
  return Array.isArray(value) ? value : unexpected(fieldId, 'a list', value);
}

/** An optional map by int, which Avro holds as pairs; no map is an empty one. */
export function readIntMap<T extends bigint | Uint8Array>(
  view: RecordView,
  fieldId: number,
): ReadonlyMap<number, T> {
  const pairs = readList(view, fieldId) as readonly { key: number; value: T }[];
  return new Map(pairs.map(({ key, value }) => [key, value]));
}

function unexpected(fieldId: number, expected: string, value: unknown): never {
  throw new CatalogError(
    'corrupt',
    `field ${fieldId} of an Avro record: expected ${expected}, got ${typeof value}`,
    { context: { fieldId } },
  );
}

function isUnion(avroType: AvroType): avroType is readonly AvroType[] {
  return Array.isArray(avroType);
}
