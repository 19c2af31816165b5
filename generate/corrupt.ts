import type { AvroObject } from '../schemas/contract.ts';
import type { DecodeFailure } from '../schemas/row-buffer.ts';
import { FRAME_BYTES, writeFrame, type AvroEncoder } from './avro.ts';
import type { Random } from './random.ts';

/** Why the pipeline has to reject a record that was made wrong on purpose. */
export type CorruptKind = Exclude<DecodeFailure['kind'], 'schema-change'>;

export const CORRUPT_KINDS: readonly CorruptKind[] = [
  'null-value',
  'no-magic-byte',
  'unknown-schema-id',
  'truncated',
  'malformed',
  'invalid-utf8',
  'out-of-range',
  'contract-violation',
];

/** An id that no registry has given out. */
const UNKNOWN_SCHEMA_ID = 0x7fff_fff0;
/** Zigzag varint of 2^60 ms: its microseconds leave 64 bits. */
const EVENT_TIME_OUT_OF_RANGE = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
const VALUE_BYTES_MAX = 4_096;

/**
 * A writer schema that breaks the contract: its user_id may be null, the contract's may not. Nothing else is wrong
 * with the record: once the contract allows it, it is a row of the click's values, without user and session.
 */
export const VIOLATING_AVRO_SCHEMA: AvroObject = {
  type: 'record',
  name: 'Click',
  namespace: 'tributary',
  fields: [
    { name: 'event_time', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'user_id', type: ['null', 'long'], default: null },
    { name: 'url', type: 'string' },
    { name: 'device_id', type: 'string' },
  ],
};

export type Corruption = {
  kind: CorruptKind;
  /** The framed value of a good click. */
  good: Buffer;
  /** What `good` is the value of. */
  click: { event_time: number; url: string; device_id: string };
  random: Random;
  violation: { schemaId: number; encode: AvroEncoder };
};

/** The value to send in place of a good one, always a fresh buffer; null for `null-value`. */
export function corruptValue({ kind, good, click, random, violation }: Corruption): Buffer | null {
  switch (kind) {
    case 'null-value':
      return null;
    case 'no-magic-byte':
      return Buffer.concat([Buffer.from([0x07]), good.subarray(1)]);
    case 'unknown-schema-id': {
      const value = Buffer.from(good);
      writeFrame(UNKNOWN_SCHEMA_ID, value, 0);
      return value;
    }
    case 'truncated':
      return Buffer.from(good.subarray(0, FRAME_BYTES + random.below(good.length - FRAME_BYTES)));
    case 'malformed':
      return Buffer.concat([good, Buffer.from([0x00, 0x2a])]);
    case 'invalid-utf8': {
      const value = Buffer.from(good);
      value[value.indexOf(click.url) + 1] = 0xff;
      return value;
    }
    case 'out-of-range': {
      const body = good.subarray(endOfVarint(good, FRAME_BYTES));
      return Buffer.concat([
        good.subarray(0, FRAME_BYTES),
        Buffer.from(EVENT_TIME_OUT_OF_RANGE),
        body,
      ]);
    }
    case 'contract-violation': {
      const value = Buffer.alloc(VALUE_BYTES_MAX);
      const start = writeFrame(violation.schemaId, value, 0);
      const nobodys = { ...click, user_id: null };
      return Buffer.from(value.subarray(0, violation.encode(nobodys, value, start)));
    }
  }
}

function endOfVarint(bytes: Uint8Array, start: number): number {
  let at = start;
  while (((bytes[at] ?? 0) & 0x80) !== 0) at += 1;
  return at + 1;
}
