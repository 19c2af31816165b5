import {
  decodeSingleValue,
  twosComplement,
} from '@iceberg-js/rest-client-shim/spec/single-value.ts';
import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { ProjectionValue } from './projection.ts';

/**
 * How values of one column stand in a state row and in a dictionary: the binary single-value form of the
 * Iceberg table spec, appendix D.
 */
export type ColumnCodec = {
  type: PrimitiveType;
  /**
   * Writes the length plus one and the bytes of a canonical value that is not null (see
   * `connectors/canonical-value.ts`). Throws `ValueRefused` where the type does not hold the value,
   * and for text and bytes above 1 MiB.
   */
  write(writer: ByteWriter, value: unknown): void;
  read(bytes: Uint8Array): ProjectionValue;
};

/** The value does not fit the type that the contract gives the column: the change is a reject. */
export class ValueRefused extends Error {}

/**
 * Longest text or bytes that a dimension column may carry: every commit that a value is used in writes it,
 * and `core/join.ts` bounds what one commit may carry in all.
 */
export const valueBytesMax = 1024 ** 2;

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
const int32Min = -(2 ** 31);
const int32Max = 2 ** 31 - 1;

export function columnCodec(type: PrimitiveType): ColumnCodec {
  return {
    type,
    write: writerFor(type),
    read: (bytes) => decodeSingleValue(type, bytes),
  };
}

/** A stored value in the canonical form that `write` of another type takes: columns may change their type. */
export function canonicalValue(type: PrimitiveType, value: ProjectionValue): unknown {
  const decimal = decimalType(type);
  return decimal === undefined ? value : { unscaled: value, scale: decimal.scale };
}

type Write = ColumnCodec['write'];

function writerFor(type: PrimitiveType): Write {
  switch (type) {
    case 'string':
      return (writer, value) => {
        if (typeof value !== 'string') throw refused(type, value);
        // No text has more than three bytes for each of its UTF-16 units.
        if (value.length * 3 > valueBytesMax) checkLength(Buffer.byteLength(value));
        writer.sizedText(value);
      };
    case 'int':
    case 'date':
      return (writer, value) => {
        const integer = int32Of(type, value);
        writer.varint(5);
        writer.int32(integer);
      };
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return (writer, value) => {
        const integer = int64Of(type, value);
        writer.varint(9);
        writer.int64(integer);
      };
    case 'float':
      return (writer, value) => {
        if (typeof value !== 'number') throw refused(type, value);
        writer.varint(5);
        writer.float32(value);
      };
    case 'double':
      return (writer, value) => {
        if (typeof value !== 'number') throw refused(type, value);
        writer.varint(9);
        writer.float64(value);
      };
    case 'boolean':
      return (writer, value) => {
        if (typeof value !== 'boolean') throw refused(type, value);
        writer.varint(2);
        writer.uint8(value ? 1 : 0);
      };
    case 'uuid':
      return (writer, value) => sized(writer, uuidOf(value));
    case 'binary':
    default:
      return decimalOrBytes(type);
  }
}

function decimalOrBytes(type: PrimitiveType): Write {
  const decimal = decimalType(type);
  if (decimal !== undefined) {
    return (writer, value) => sized(writer, twosComplement(unscaledOf(type, decimal, value)));
  }
  const length = /^fixed\[(\d+)\]$/.exec(type)?.[1];
  return (writer, value) => {
    if (!(value instanceof Uint8Array)) throw refused(type, value);
    if (length !== undefined && value.length !== Number(length)) throw refused(type, value);
    checkLength(value.length);
    sized(writer, value);
  };
}

function checkLength(bytes: number): void {
  if (bytes > valueBytesMax) {
    throw new ValueRefused(
      `${bytes} bytes are more than the ${valueBytesMax} that a value may have`,
    );
  }
}

function sized(writer: ByteWriter, bytes: Uint8Array): void {
  writer.varint(bytes.length + 1);
  writer.raw(bytes, 0, bytes.length);
}

/** An integer of 32 bits, whether it arrives as number or bigint. */
function int32Of(type: PrimitiveType, value: unknown): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) throw refused(type, value);
  if (number < int32Min || number > int32Max) throw refused(type, value);
  return number;
}

/** An integer of 64 bits, whether it arrives as number or bigint. */
export function int64Of(type: PrimitiveType, value: unknown): bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value !== 'bigint' || value < int64Min || value > int64Max) throw refused(type, value);
  return value;
}

const uuidForm = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

/** 16 bytes, from the text of a uuid or the bytes themselves. */
export function uuidOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array && value.length === 16) return value;
  if (typeof value !== 'string' || !uuidForm.test(value)) throw refused('uuid', value);
  return Buffer.from(value.replaceAll('-', ''), 'hex');
}

type Decimal = { precision: number; scale: number };

function decimalType(type: PrimitiveType): Decimal | undefined {
  const match = /^decimal\((\d+), ?(\d+)\)$/.exec(type);
  if (match === null) return undefined;
  return { precision: Number(match[1]), scale: Number(match[2]) };
}

/** The value at the scale of the contract. Digits are never rounded away: that would be another value. */
function unscaledOf(type: PrimitiveType, target: Decimal, value: unknown): bigint {
  const source = decimalOf(value);
  if (source === undefined) throw refused(type, value);
  const shift = target.scale - source.scale;
  const factor = 10n ** BigInt(Math.abs(shift));
  if (shift < 0 && source.unscaled % factor !== 0n) throw refused(type, value);
  const unscaled = shift < 0 ? source.unscaled / factor : source.unscaled * factor;
  const magnitude = unscaled < 0n ? -unscaled : unscaled;
  if (magnitude >= 10n ** BigInt(target.precision)) throw refused(type, value);
  return unscaled;
}

/** Beyond this a scale or an exponent is an attack on memory, not a number. */
const digitsMax = 1_000;
const unscaledMax = 10n ** BigInt(digitsMax);

function decimalOf(value: unknown): { unscaled: bigint; scale: number } | undefined {
  if (typeof value === 'bigint') return { unscaled: value, scale: 0 };
  if (typeof value === 'number' && Number.isSafeInteger(value)) {
    return { unscaled: BigInt(value), scale: 0 };
  }
  if (typeof value === 'string') {
    const match = /^(-?\d+)(?:\.(\d+))?$/.exec(value);
    if (match === null || value.length > digitsMax) return undefined;
    const [, integer = '', fraction = ''] = match;
    return { unscaled: BigInt(integer + fraction), scale: fraction.length };
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { unscaled, scale } = value as { unscaled?: unknown; scale?: unknown };
  if (typeof unscaled !== 'bigint' || typeof scale !== 'number') return undefined;
  if (!Number.isInteger(scale) || Math.abs(scale) > digitsMax) return undefined;
  return unscaled > unscaledMax || unscaled < -unscaledMax ? undefined : { unscaled, scale };
}

function refused(type: PrimitiveType, value: unknown): ValueRefused {
  return new ValueRefused(`${describe(value)} is no ${type}`);
}

function describe(value: unknown): string {
  if (typeof value === 'string') return `text of ${value.length} characters`;
  if (typeof value === 'bigint' && (value > unscaledMax || value < -unscaledMax)) {
    return `an integer of more than ${digitsMax} digits`;
  }
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') {
    return `${typeof value} ${value}`;
  }
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  const decimal = decimalOf(value);
  if (decimal !== undefined) return `decimal ${decimal.unscaled}e-${decimal.scale}`;
  return value === undefined ? 'nothing' : `a value of type ${typeof value}`;
}
