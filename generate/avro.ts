import avsc from 'avsc';

/** Writes values of one Avro schema into a buffer; -1 when they do not fit. */
export type AvroEncoder = (value: unknown, buffer: Buffer, at: number) => number;

/** Puts an Avro schema (as JSON text) under a subject of the registry and gives its id. */
export type RegisterAvroSchema = (subject: string, avroSchema: string) => Promise<number>;

/** First byte of a framed value. Source: Confluent wire format: 0, schema id as 4 bytes, Avro binary. */
export const FRAME_BYTES = 5;

/** An encoder for the schema; logical types are taken as the plain values beneath them. */
export function openAvroEncoder(avroSchema: unknown): AvroEncoder {
  // avsc reads the schema itself; a wrong one throws here, with its reason.
  const type = avsc.Type.forSchema(avroSchema as avsc.Schema, { logicalTypes: {} });
  return (value, buffer, at) => {
    const end = type.encode(value, buffer, at);
    return end < 0 ? -1 : end;
  };
}

/** Writes the five frame bytes at `at` and returns where the Avro binary starts. */
export function writeFrame(schemaId: number, buffer: Buffer, at: number): number {
  buffer[at] = 0;
  buffer.writeInt32BE(schemaId, at + 1);
  return at + FRAME_BYTES;
}
