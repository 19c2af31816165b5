import { createEnvelopeCodec, createStructCodec } from './avro-codec.ts';
import type { Envelope } from './avro-codec.ts';
import { AvroFault } from './avro-reader.ts';
import type { Change, ChangeReject } from './change.ts';
import { framingOf } from './framing.ts';
import { readJsonEnvelope, readJsonStruct } from './json-codec.ts';
import { toCanonicalRow } from './row-columns.ts';
import type { CanonicalRow } from './row-columns.ts';
import { createPlainChangeReader } from './read-plain-change.ts';
import type { PlainChangeReader } from './read-plain-change.ts';
import { sourcePositionOf } from './source-position.ts';

/** Key and value of a Kafka record as they came. */
export type ChangeRecord = { key: Uint8Array | null; value: Uint8Array | null };

/**
 * The Avro schema of a registry id, undefined while it is not loaded. It must give the same object for
 * an id each time: codecs are kept by that object.
 */
export type ResolveSchema = (schemaId: number) => object | undefined;

export type ChangeDecoder = {
  /** Ids in the record's frames that `resolve` does not know: load them, then decode. */
  missingSchemaIds(record: ChangeRecord): readonly number[];
  /**
   * The change that a record of a table's topic means, its values in canonical form
   * (`CanonicalValue`). Never throws: whatever cannot be decoded is a `reject` with a stable reason.
   */
  decode(record: ChangeRecord): Change;
  /** The quick way for records with nothing unusual about them: no object is made for any. */
  readPlain: PlainChangeReader;
};

type KeyCodec = NonNullable<ReturnType<typeof createStructCodec>>;
type EnvelopeCodec = NonNullable<ReturnType<typeof createEnvelopeCodec>>;

class Reject extends Error {
  readonly reject: ChangeReject;

  constructor(reason: ChangeReject['reason'], message: string) {
    super(message);
    this.reject = { reason, message };
  }
}

/**
 * Decodes Debezium's change events: Avro in Confluent's frame or JSON, with and without Connect's
 * schema. `columns` names the columns of a row to decode; all others are stepped over.
 *
 * A primary-key change arrives as a delete of the old key and a create of the new one and needs nothing
 * else. A delete's `before` holds column defaults, not old values, and is never read.
 * Source: Debezium 3 reference, PostgreSQL connector, "Change events".
 */
export function createChangeDecoder(options: {
  resolve: ResolveSchema;
  columns?: readonly string[];
}): ChangeDecoder {
  const { resolve, columns } = options;
  const keyCodec = keepBySchema(createStructCodec);
  const envelopeCodec = keepBySchema((schema) => createEnvelopeCodec(schema, columns));
  const readers: Readers = {
    key: (bytes) => readKey(bytes, resolve, keyCodec),
    envelope: (bytes) => readEnvelope(bytes, resolve, envelopeCodec, columns),
  };
  return {
    readPlain:
      columns === undefined ? () => undefined : createPlainChangeReader({ resolve, columns }),
    missingSchemaIds: (record) => missingSchemaIds(record, resolve),
    decode(record) {
      try {
        return changeOf(record, readers);
      } catch (error) {
        return { kind: 'reject', reject: rejectOf(error) };
      }
    },
  };
}

type Readers = {
  key: (bytes: Uint8Array) => CanonicalRow;
  envelope: (bytes: Uint8Array) => Envelope;
};

function changeOf({ key, value }: ChangeRecord, read: Readers): Change {
  if (value === null) {
    return { kind: 'tombstone', rowKey: read.key(requireKey(key)) };
  }
  const envelope = read.envelope(value);
  const sourcePosition = sourcePositionOf(envelope.source);
  if (sourcePosition === undefined) {
    throw new Reject('missing-position', 'source tells neither an LSN nor a binlog position');
  }
  switch (envelope.op) {
    case 'c':
    case 'u':
    case 'r': {
      const { row, unavailable } = afterOf(envelope);
      const rowKey = read.key(requireKey(key));
      const initialSnapshot = envelope.op === 'r';
      return { kind: 'upsert', sourcePosition, initialSnapshot, rowKey, after: row, unavailable };
    }
    case 'd':
      return { kind: 'delete', sourcePosition, rowKey: read.key(requireKey(key)) };
    case 't':
      return { kind: 'truncate', sourcePosition };
    default:
      throw new Reject('unknown-op', `op is ${JSON.stringify(envelope.op)}`);
  }
}

function afterOf(envelope: Envelope): ReturnType<typeof toCanonicalRow> {
  const { after, columns, op } = envelope;
  if (after === null) throw new Reject('missing-after', `op ${String(op)} without after`);
  return toCanonicalRow(columns, after);
}

function requireKey(key: Uint8Array | null): Uint8Array {
  if (key === null) throw new Reject('missing-key', 'the record has no key');
  return key;
}

function readKey(
  bytes: Uint8Array,
  resolve: ResolveSchema,
  codecOf: (schema: object) => KeyCodec | undefined,
): CanonicalRow {
  const framing = framingOf(bytes);
  if (framing.kind === 'json') {
    const { columns, struct } = readJsonStruct(bytes);
    return toCanonicalRow(columns, struct).row;
  }
  const codec = codecOf(schemaOf(framing, resolve));
  if (codec === undefined) throw new Reject('not-a-row-key', 'the key is not a record');
  return toCanonicalRow(codec.columns, codec.read(bytes)).row;
}

function readEnvelope(
  bytes: Uint8Array,
  resolve: ResolveSchema,
  codecOf: (schema: object) => EnvelopeCodec | undefined,
  columns: readonly string[] | undefined,
): Envelope {
  const framing = framingOf(bytes);
  const envelope =
    framing.kind === 'json'
      ? readJsonEnvelope(bytes, columns)
      : codecOf(schemaOf(framing, resolve))?.(bytes);
  if (envelope === undefined) {
    throw new Reject('not-an-envelope', 'the value lacks after, source or op');
  }
  return envelope;
}

function schemaOf(framing: ReturnType<typeof framingOf>, resolve: ResolveSchema): object {
  if (framing.kind !== 'avro') {
    throw new Reject('unknown-framing', 'neither framed Avro nor a JSON object');
  }
  const schema = resolve(framing.schemaId);
  if (schema !== undefined) return schema;
  throw new Reject('unknown-schema-id', `no Avro schema with id ${framing.schemaId}`);
}

const none: readonly number[] = [];

/** Schema ids in the frames of a record that are not loaded. */
export function missingSchemaIds(
  { key, value }: ChangeRecord,
  resolve: ResolveSchema,
): readonly number[] {
  const keyId = missingSchemaId(key, resolve);
  const valueId = missingSchemaId(value, resolve);
  if (keyId === undefined && valueId === undefined) return none;
  return [keyId, valueId].filter((schemaId) => schemaId !== undefined);
}

function missingSchemaId(bytes: Uint8Array | null, resolve: ResolveSchema): number | undefined {
  if (bytes === null) return undefined;
  const framing = framingOf(bytes);
  if (framing.kind !== 'avro' || resolve(framing.schemaId) !== undefined) return undefined;
  return framing.schemaId;
}

/** Compiles once for each schema object. */
export function keepBySchema<T>(compile: (schema: object) => T): (schema: object) => T {
  const kept = new WeakMap<object, T>();
  return (schema) => {
    const known = kept.get(schema);
    if (known !== undefined) return known;
    const compiled = compile(schema);
    kept.set(schema, compiled);
    return compiled;
  };
}

function rejectOf(error: unknown): ChangeReject {
  if (error instanceof Reject) return error.reject;
  if (error instanceof AvroFault) return { reason: error.reason, message: error.message };
  return { reason: 'malformed', message: error instanceof Error ? error.message : String(error) };
}
