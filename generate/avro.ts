import avsc from 'avsc';
import type { AvroObject } from '../schemas/contract.ts';

/** Writes values of one Avro schema into a buffer; -1 when they do not fit. */
export type AvroEncoder = (value: unknown, buffer: Buffer, at: number) => number;

/** Puts an Avro schema, as JSON text, under a subject of the registry and gives its id. */
export type RegisterAvroSchema = (subject: string, avroSchema: string) => Promise<number>;

/** First byte of a framed value. Source: Confluent wire format: 0, schema id as 4 bytes, Avro binary. */
export const FRAME_BYTES = 5;

/**
 * An encoder for the schema; logical types are taken as the plain values beneath them, longs as numbers
 * below 2^53 or, with `bigLongs`, as bigints of any size.
 */
export function openAvroEncoder(
  avroSchema: AvroObject,
  options?: { bigLongs: boolean },
): AvroEncoder {
  const big = options?.bigLongs === true ? bigLongType() : undefined;
  // avsc reads the schema itself; a wrong one throws here, with its reason.
  const type = avsc.Type.forSchema(avroSchema as avsc.Schema, {
    logicalTypes: {},
    ...(big && { typeHook: (schema) => (schema === 'long' ? big : undefined) }),
  });
  return (value, buffer, at) => {
    const end = type.encode(value, buffer, at);
    return end < 0 ? -1 : end;
  };
}

/** avsc's own long stops at 2^53; this one takes bigints, which it is handed as 8 bytes. */
function bigLongType(): avsc.Type {
  return avsc.types.LongType.__with({
    fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
    toBuffer: (value: bigint) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64LE(value);
      return bytes;
    },
    fromJSON: BigInt,
    toJSON: String,
    isValid: (value: unknown) => typeof value === 'bigint',
    compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
  });
}

/** Writes the five frame bytes at `at` and returns where the Avro binary starts. */
export function writeFrame(schemaId: number, buffer: Buffer, at: number): number {
  buffer[at] = 0;
  buffer.writeInt32BE(schemaId, at + 1);
  return at + FRAME_BYTES;
}
