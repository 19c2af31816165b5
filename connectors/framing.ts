/** How a key or value is serialised, told from its first byte: users have both. */
export type Framing = { kind: 'avro'; schemaId: number } | { kind: 'json' } | { kind: 'unknown' };

/** Avro follows the zero byte and the 4-byte schema id of Confluent's frame. */
export const frameBytes = 5;

const openingBrace = 0x7b;

/**
 * The schema id of a value in Confluent's frame (one zero byte, then the id as 4 big-endian bytes); -1 where
 * `bytes[start .. end)` is not framed. The Avro data follows `frameBytes` after `start`.
 */
export function readSchemaId(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < frameBytes || bytes[start] !== 0) return -1;
  const id =
    ((bytes[start + 1] as number) << 24) |
    ((bytes[start + 2] as number) << 16) |
    ((bytes[start + 3] as number) << 8) |
    (bytes[start + 4] as number);
  // Ids are positive int32: a sign means that these bytes are no frame.
  return id < 0 ? -1 : id;
}

/** Tells the framing of a whole key or value; a negative id is no frame. */
export function framingOf(bytes: Uint8Array): Framing {
  if (bytes[0] === openingBrace) return { kind: 'json' };
  const schemaId = readSchemaId(bytes, 0, bytes.length);
  return schemaId < 0 ? { kind: 'unknown' } : { kind: 'avro', schemaId };
}

/** The schema id that a record's value names, or else its key; undefined where neither is framed. */
export function schemaIdOf(record: {
  key: Uint8Array | null;
  value: Uint8Array | null;
}): number | undefined {
  for (const bytes of [record.value, record.key]) {
    const framing = bytes === null ? undefined : framingOf(bytes);
    if (framing?.kind === 'avro') return framing.schemaId;
  }
  return undefined;
}

/** The same memory as a Buffer, which avsc and text decoding want. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
