/** How a key or value is serialised, told from its first byte: users have both. */
export type Framing = { kind: 'avro'; schemaId: number } | { kind: 'json' } | { kind: 'unknown' };

/** Avro follows the zero byte and the 4-byte schema id of Confluent's frame. */
export const frameBytes = 5;

const openingBrace = 0x7b;

/** Tells the framing of a whole key or value; a negative id is no frame. */
export function framingOf(bytes: Uint8Array): Framing {
  if (bytes[0] === openingBrace) return { kind: 'json' };
  if (bytes[0] !== 0 || bytes.length < frameBytes) return { kind: 'unknown' };
  const schemaId = asBuffer(bytes).readInt32BE(1);
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
