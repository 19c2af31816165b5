import avsc from 'avsc';
import { createAvroReader } from './avro-reader.ts';
import type { Wanted } from './avro-reader.ts';
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

/** Reads framed Avro; throws `AvroFault` for bytes that are not of the schema. */
export type FramedReader<T> = (framed: Uint8Array) => T;

/**
 * Compiles a reader of Debezium envelopes for one writer schema. It decodes `after` (only the wanted
 * columns), `op` and what `source` tells of the position, and steps over all else, which is twice as
 * fast. Nothing where the schema is no envelope.
 */
export function createEnvelopeCodec(
  avroSchema: unknown,
  wanted?: readonly string[],
): FramedReader<Envelope> | undefined {
  const writer = avsc.Type.forSchema(avroSchema as avsc.Schema);
  if (!isRecord(writer)) return undefined;
  const names = new Set(writer.fields.map(({ name }) => name));
  if (!names.has('after') || !names.has('source') || !names.has('op')) return undefined;
  const columns = avroColumns(avroSchema, { field: 'after', wanted });
  const read = framedReader(writer, {
    after: wanted === undefined ? undefined : wantedOf(wanted),
    source: wantedOf(sourceFields),
    op: undefined,
  });
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
  const type = avsc.Type.forSchema(avroSchema as avsc.Schema);
  if (!isRecord(type)) return undefined;
  return { read: framedReader(type), columns: avroColumns(avroSchema) };
}

function framedReader(type: avsc.types.RecordType, wanted?: Wanted): FramedReader<Struct> {
  const read = createAvroReader(type, wanted);
  return (framed) => read(asBuffer(framed), frameBytes) as Struct;
}

function wantedOf(names: readonly string[]): Wanted {
  return Object.fromEntries(names.map((name) => [name, undefined]));
}

function isRecord(type: avsc.Type): type is avsc.types.RecordType {
  return avsc.Type.isType(type, 'record');
}
