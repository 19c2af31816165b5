import avsc from 'avsc';
import { asBuffer, frameBytes } from './framing.ts';
import { avroColumns } from './row-columns.ts';
import type { RowColumns } from './row-columns.ts';
import { sourceFields } from './source-position.ts';
import type { SourceBlock } from './source-position.ts';

export type Struct = Readonly<Record<string, unknown>>;

/** A decoded envelope before its row is made canonical: deletes never need it. */
export type Envelope = {
  op: unknown;
  source: SourceBlock;
  after: Struct | null;
  columns: RowColumns;
};

/** Reads framed Avro; throws for bytes that are not of the schema. */
export type FramedReader<T> = (framed: Uint8Array) => T;

/** Longs as bigint: `ts_ns` exceeds 2^53, where avsc's own long throws. */
const bigLong = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(value);
    return buffer;
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : Number(a > b)),
});

/**
 * Compiles a reader of Debezium envelopes for one writer schema. It decodes `after` (only the wanted
 * columns), `op` and what `source` tells of the position, and steps over all else, which is twice as
 * fast. Nothing where the schema is no envelope.
 */
export function createEnvelopeCodec(
  avroSchema: unknown,
  wanted?: readonly string[],
): FramedReader<Envelope> | undefined {
  const writer = compile(avroSchema);
  if (!isRecord(writer)) return undefined;
  const after = writer.fields.find(({ name }) => name === 'after')?.type;
  const source = writer.fields.find(({ name }) => name === 'source')?.type;
  const op = writer.fields.find(({ name }) => name === 'op')?.type;
  if (after === undefined || source === undefined || op === undefined) return undefined;
  const reader = recordOf(writer.name, [
    { name: 'after', type: wanted === undefined ? after : projectNullable(after, wanted) },
    { name: 'source', type: projectNullable(source, sourceFields) },
    { name: 'op', type: op },
  ]);
  const columns = avroColumns(avroSchema, { field: 'after', wanted });
  const read = framedReader(reader, reader.createResolver(writer));
  return (framed) => {
    const envelope = read(framed);
    return {
      op: envelope['op'],
      source: envelope['source'] ?? {},
      after: (envelope['after'] ?? null) as Struct | null,
      columns,
    };
  };
}

/** Compiles a reader of whole structs, such as record keys, with their columns. */
export function createStructCodec(
  avroSchema: unknown,
): { read: FramedReader<Struct>; columns: RowColumns } | undefined {
  const type = compile(avroSchema);
  if (!isRecord(type)) return undefined;
  return { read: framedReader(type), columns: avroColumns(avroSchema) };
}

function compile(avroSchema: unknown): avsc.Type {
  return avsc.Type.forSchema(avroSchema as avsc.Schema, { typeHook });
}

function typeHook(schema: unknown): avsc.Type | undefined {
  const isObject = typeof schema === 'object' && schema !== null && 'type' in schema;
  return (isObject ? schema.type : schema) === 'long' ? bigLong : undefined;
}

function framedReader(type: avsc.Type, resolver?: unknown): FramedReader<Struct> {
  return (framed) => {
    const { value, offset } = type.decode(asBuffer(framed), frameBytes, resolver as never);
    if (offset !== framed.length) {
      throw new Error(
        offset < 0 ? 'the record ends early' : `${framed.length - offset} bytes follow the record`,
      );
    }
    return value;
  };
}

/** The record of a type, bare or in a union with null, cut down to the fields in `names`. */
function projectNullable(type: avsc.Type, names: readonly string[]): avsc.Type {
  if (isRecord(type)) return project(type, names);
  if (!avsc.Type.isType(type, 'union')) return type;
  const branches = (type as avsc.types.UnwrappedUnionType).types.map((branch) =>
    isRecord(branch) ? project(branch, names) : branch,
  );
  return avsc.Type.forSchema(branches as never);
}

function project(record: avsc.types.RecordType, names: readonly string[]): avsc.Type {
  const fields = record.fields.filter(({ name }) => names.includes(name));
  return recordOf(
    record.name,
    fields.map(({ name, type }) => ({ name, type })),
  );
}

function recordOf(
  name: string | undefined,
  fields: { name: string; type: avsc.Type }[],
): avsc.Type {
  return avsc.Type.forSchema({ type: 'record', name: name ?? 'Record', fields } as never);
}

function isRecord(type: avsc.Type): type is avsc.types.RecordType {
  return avsc.Type.isType(type, 'record');
}
