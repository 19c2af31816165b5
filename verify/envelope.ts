import { isUtf8 } from 'node:buffer';
import avsc from 'avsc';
import { parseAvroType } from '../schemas/avro-type.ts';
import { createSkip, type Skip } from '../schemas/avro-wire.ts';
import { matchFields } from '../schemas/match-fields.ts';
import { VerifyError } from './error.ts';

/** A value of a source row in the form in which it is compared: text that is equal when values are. */
export type Canonical = string | null;

/** One change of a source row. `row` is null where it is gone; columns of it in canonical form. */
export type ReplayedChange = {
  rowKey: string;
  /** Null for tombstones and for rows that an incremental snapshot read: they count by their place. */
  lsn: bigint | null;
  row: ReadonlyMap<string, Canonical> | null;
  /** An insert or a row of an initial snapshot: no earlier state of the row is implied. */
  startsRow: boolean;
};

/** The Avro schema of an id, as the registry has it; anything but a schema is `corrupt` to the replay. */
export type FetchAvroSchema = (schemaId: number) => Promise<unknown>;

export type EnvelopeDecoder = {
  /** Errors: `corrupt` for a record that is no Debezium change. */
  decode(key: Buffer | null, value: Buffer | null): Promise<ReplayedChange>;
};

/** Stands for a value that was too long to be sent again. Source: Debezium, `unavailable.value.placeholder`. */
export const UNAVAILABLE = '__debezium_unavailable_value';

const FRAME_BYTES = 5;

/** What the values of a column mean; `scale` is that of a decimal. */
type Meaning = { kind: string; scale: number };

type Reader = {
  type: avsc.Type;
  skip: Skip;
  meanings: ReadonlyMap<string, Meaning>;
  /** What the contract calls columns that the source calls by an alias. */
  contractNames: ReadonlyMap<string, string>;
};

/** A field of a dimension's contract, and what else the source may call it. */
export type NamedField = { name: string; aliases: readonly string[] };

/** As avsc reads it: text and maps as `Text` and `Entries`. */
type Envelope = {
  op: unknown;
  after: Record<string, unknown> | null;
  source: { lsn: bigint | null; snapshot: unknown };
};

/**
 * Decodes Debezium's envelopes with avsc, schema by schema, longs exact. `columns` names those of a row to decode;
 * what stands in others may be no text, as nobody reads it. Default: all. A column that the source calls by an alias of
 * one of `fields` has that field's name.
 */
export function openEnvelopeDecoder(
  fetchAvroSchema: FetchAvroSchema,
  columns?: readonly string[],
  fields: readonly NamedField[] = [],
): EnvelopeDecoder {
  const readers = new Map<number, Reader>();
  const readerOf = async (frame: Buffer): Promise<Reader> => {
    if (frame[0] !== 0 || frame.length < FRAME_BYTES) {
      throw new VerifyError('corrupt', 'a change record is not framed Avro');
    }
    const schemaId = frame.readInt32BE(1);
    const known = readers.get(schemaId);
    if (known !== undefined) return known;
    const reader = openReader(schemaId, await fetchAvroSchema(schemaId), fields);
    readers.set(schemaId, reader);
    return reader;
  };
  return {
    async decode(key, value) {
      try {
        return await decodeChange(key, value);
      } catch (cause) {
        // Whatever avsc finds wrong with the bytes.
        if (cause instanceof VerifyError) throw cause;
        throw new VerifyError('corrupt', 'a change record cannot be decoded', { cause });
      }
    },
  };

  async function decodeChange(key: Buffer | null, value: Buffer | null): Promise<ReplayedChange> {
    if (key === null) throw new VerifyError('corrupt', 'a change record without a key');
    const keyReader = await readerOf(key);
    const keyRow = plainOf(readFramed(keyReader, key)) as Record<string, unknown>;
    const rowKey = Object.values(keyRow).map(String).join('\u0000');
    if (value === null) return { rowKey, lsn: null, row: null, startsRow: false };
    const valueReader = await readerOf(value);
    const envelope = readFramed(valueReader, value) as Envelope;
    const { after, source } = envelope;
    const op = plainOf(envelope.op);
    const lsn = plainOf(source.snapshot) === 'incremental' ? null : (source.lsn ?? 0n);
    if (op === 'd') return { rowKey, lsn, row: null, startsRow: false };
    if (after === null) throw new VerifyError('corrupt', `a change "${String(op)}" without a row`);
    const { meanings, contractNames } = valueReader;
    const row = Object.entries(after).flatMap(([sourceName, cell]) => {
      const name = contractNames.get(sourceName) ?? sourceName;
      if (columns?.includes(name) === false) return [];
      const meaning = meanings.get(sourceName) ?? { kind: '', scale: 0 };
      return [[name, canonicalOf(meaning, plainOf(cell))] as const];
    });
    return { rowKey, lsn, row: new Map(row), startsRow: op === 'c' || op === 'r' };
  }
}

/** avsc takes a length for what it claims to be, and would count to 2^53: the bytes are walked first. */
function readFramed({ type, skip }: Reader, framed: Buffer): unknown {
  if (skip(framed, FRAME_BYTES, framed.length, 0) !== framed.length) {
    throw new VerifyError('corrupt', 'a change record is not of its schema');
  }
  return type.fromBuffer(framed.subarray(FRAME_BYTES));
}

function openReader(schemaId: number, avroSchema: unknown, fields: readonly NamedField[]): Reader {
  try {
    const type = avsc.Type.forSchema(withoutDefaults(avroSchema), {
      logicalTypes: {},
      typeHook: openTypeHook(),
    });
    const skip = createSkip(parseAvroType(avroSchema));
    const meanings = meaningsOf(avroSchema);
    const matches = matchFields(
      fields,
      [...meanings.keys()].map((name) => ({ name })),
    );
    const contractNames = new Map([...matches].map(([field, { name }]) => [name, field.name]));
    return { type, skip, meanings, contractNames };
  } catch (cause) {
    throw new VerifyError('corrupt', `schema id ${schemaId} is no Avro schema`, { cause });
  }
}

/** Text as it came: avsc would put U+FFFD for what is no UTF-8, unseen. */
class Text {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

/** A map as it came: on the wire it is an array of names and values. */
class Entries {
  readonly list: readonly { name: Text; value: unknown }[];

  constructor(list: Entries['list']) {
    this.list = list;
  }
}

class TextType extends avsc.types.LogicalType {
  protected override _fromValue(bytes: Buffer): Text {
    return new Text(bytes);
  }
}

class EntriesType extends avsc.types.LogicalType {
  protected override _fromValue(list: Entries['list']): Entries {
    return new Entries(list);
  }
}

/** The value with text as text and maps as objects. Errors: `corrupt` for text that is not UTF-8. */
function plainOf(value: unknown): unknown {
  if (value instanceof Text) {
    if (isUtf8(value.bytes)) return value.bytes.toString();
    throw new VerifyError('corrupt', 'text of a change record is not UTF-8');
  }
  if (value instanceof Entries) {
    const entries = value.list.map((entry) => [plainOf(entry.name), plainOf(entry.value)]);
    return Object.fromEntries(entries) as Record<string, unknown>;
  }
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(plainOf);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plainOf(one)]));
}

function openTypeHook(): NonNullable<avsc.ForSchemaOptions['typeHook']> {
  const long = exactLong();
  let maps = 0;
  return (schema, options) => {
    const plain = primitiveOf(schema);
    if (plain === 'long') return long;
    if (plain === 'string') return new TextType('bytes', options);
    if (plain !== 'map') return undefined;
    maps += 1;
    const { values } = schema as unknown as { values: avsc.Schema };
    const fields = [
      { name: 'name', type: 'string' },
      { name: 'value', type: values },
    ];
    const items = { type: 'record', name: `Entry${maps}OfMap`, fields };
    return new EntriesType({ type: 'array', items } as avsc.Schema, options);
  };
}

/** A type in a semantic dress is still that type: `{"type":"long","connect.name":…}`. */
function primitiveOf(schema: unknown): unknown {
  return typeof schema === 'string' ? schema : (schema as { type?: unknown } | null)?.type;
}

/** Nothing is resolved here, and a default of text is none of bytes. */
function withoutDefaults(avroSchema: unknown): avsc.Schema {
  const text = JSON.stringify(avroSchema, (name, value: unknown) =>
    name === 'default' ? undefined : value,
  );
  return JSON.parse(text) as avsc.Schema;
}

function exactLong(): avsc.Type {
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

/** `connect.name`, or the logical type, of each column of the record that `before` and `after` hold. */
function meaningsOf(avroSchema: unknown): Map<string, Meaning> {
  type Named = { name: string; type: unknown };
  type Annotated = {
    'connect.name'?: string;
    'connect.parameters'?: { scale?: string };
    logicalType?: string;
    scale?: number;
  };
  const fieldsOf = (schema: unknown): Named[] => (schema as { fields?: Named[] }).fields ?? [];
  const rows = fieldsOf(avroSchema).filter(({ name }) => name === 'before' || name === 'after');
  // The second names the record of the first.
  const columns = rows.flatMap(({ type }) => fieldsOf(withoutNull(type)));
  return new Map(
    columns.map(({ name, type }) => {
      const plain = withoutNull(type) as Annotated;
      const kind = plain['connect.name'] ?? plain.logicalType ?? '';
      return [
        name,
        { kind, scale: Number(plain['connect.parameters']?.scale ?? plain.scale ?? 0) },
      ];
    }),
  );
}

function withoutNull(type: unknown): unknown {
  return Array.isArray(type) ? type.find((branch) => branch !== 'null') : type;
}

/** Source: Debezium's PostgreSQL connector, "Data type mappings", temporal and decimal types. */
function canonicalOf({ kind, scale }: Meaning, cell: unknown): Canonical {
  if (cell === null || cell === undefined) return null;
  if (cell instanceof Uint8Array) {
    const isDecimal = kind === 'org.apache.kafka.connect.data.Decimal' || kind === 'decimal';
    return isDecimal
      ? canonicalDecimal(unscaledOf(cell), scale)
      : Buffer.from(cell).toString('hex');
  }
  if (kind === 'io.debezium.data.VariableScaleDecimal') {
    const own = cell as { scale: number; value: Uint8Array };
    return canonicalDecimal(unscaledOf(own.value), own.scale);
  }
  const text = typeof cell === 'object' ? JSON.stringify(cell) : `${cell as Scalar}`;
  switch (kind) {
    case 'io.debezium.time.Timestamp':
    case 'org.apache.kafka.connect.data.Timestamp':
      return String(BigInt(text) * 1000n);
    case 'io.debezium.time.NanoTimestamp':
      return String(BigInt(text) / 1000n);
    case 'io.debezium.time.ZonedTimestamp':
      return String(microsOf(text));
    default:
      return text;
  }
}

/** More than PostgreSQL's `numeric` has, and less than takes memory. */
const scaleMax = 20_000;

/** A decimal with as many digits after the point as it needs: 1.5 is the same number as 1.500. */
export function canonicalDecimal(unscaled: bigint, scale: number): string {
  if (Math.abs(scale) > scaleMax) throw new VerifyError('corrupt', `a decimal of scale ${scale}`);
  if (scale <= 0) return String(unscaled * 10n ** BigInt(-scale));
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  const fraction = digits.slice(-scale).replace(/0+$/, '');
  const sign = unscaled < 0n ? '-' : '';
  return sign + digits.slice(0, -scale) + (fraction === '' ? '' : `.${fraction}`);
}

type Scalar = string | number | bigint | boolean;

/** Microseconds of an ISO 8601 time with up to nine digits of fraction. */
function microsOf(text: string): bigint {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? '';
  const seconds = BigInt(Date.parse(text.replace(/\.\d+/, '')) / 1000);
  return seconds * 1_000_000n + BigInt(fraction.padEnd(6, '0').slice(0, 6));
}

function unscaledOf(bytes: Uint8Array): bigint {
  const magnitude = BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
  return BigInt.asIntN(bytes.length * 8, magnitude);
}
