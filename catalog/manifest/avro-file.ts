import { createHash } from 'node:crypto';
import { deflateRawSync, inflateRawSync, zstdDecompressSync } from 'node:zlib';
import avro from 'avsc';
import { decompressSnappy } from 'hyparquet-compressors';
import { CatalogError } from '../error.ts';

/** An Avro schema in JSON form, as far as manifests use it; `field-id` and `element-id` are Iceberg's. */
export type AvroType =
  string | AvroRecordType | AvroArrayType | AvroOtherType | readonly AvroType[];
export type AvroRecordType = { type: 'record'; name: string; fields: readonly AvroField[] };
export type AvroField = {
  name: string;
  type: AvroType;
  'field-id'?: number;
  default?: null;
  'iceberg-field-name'?: string;
};
export type AvroArrayType = {
  type: 'array';
  items: AvroType;
  logicalType?: 'map';
  'element-id'?: number;
};
export type AvroOtherType = {
  type: 'fixed' | 'int' | 'long' | 'bytes';
  name?: string;
  size?: number;
  logicalType?: string;
  precision?: number;
  scale?: number;
  'adjust-to-utc'?: boolean;
};

/** One Avro record by field name. Longs are `bigint`, bytes and fixed `Buffer`, optionals null or the value. */
export type AvroRecord = Record<string, unknown>;

/** An Avro object container file taken apart. */
export type AvroFile = {
  avroSchema: AvroRecordType;
  /** The header's entries but `avro.schema` and `avro.codec`. */
  metadata: ReadonlyMap<string, string>;
  records: readonly AvroRecord[];
};

const MAGIC = Buffer.from('Obj\u0001', 'latin1');
const CODEC = 'deflate';
const SYNC_BYTES = 16;

/** avsc's own long is a double; this one keeps all 64 bits. */
const LONG = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(value);
    return buffer;
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => Number(a > b) - Number(a < b),
});

const SYNC = { type: 'fixed', name: 'Sync', size: SYNC_BYTES };
const HEADER = typeOf({
  type: 'record',
  name: 'Header',
  fields: [
    { name: 'magic', type: { type: 'fixed', name: 'Magic', size: MAGIC.length } },
    { name: 'meta', type: { type: 'map', values: 'bytes' } },
    { name: 'sync', type: SYNC },
  ],
});
const BLOCK = typeOf({
  type: 'record',
  name: 'Block',
  fields: [
    { name: 'count', type: 'long' },
    { name: 'data', type: 'bytes' },
    { name: 'sync', type: SYNC },
  ],
});

/**
 * Encodes records as one Avro object container file of one deflated block. The header is built here
 * rather than by avsc's `BlockEncoder`, which drops `field-id` from the schema or narrows longs to
 * doubles. The same input gives the same bytes: the sync marker is a digest of the block.
 * Source: Avro specification, "Object Container Files".
 */
export function encodeAvroFile(file: AvroFile): Uint8Array {
  const schemaText = JSON.stringify(file.avroSchema);
  const { type } = parsedSchema(schemaText);
  const plain = Buffer.concat(file.records.map((record) => type.toBuffer(record)));
  const data = deflateRawSync(plain);
  const sync = createHash('sha256').update(data).digest().subarray(0, SYNC_BYTES);
  const meta: Record<string, Buffer> = {
    'avro.schema': Buffer.from(schemaText),
    'avro.codec': Buffer.from(CODEC),
  };
  for (const [name, text] of file.metadata) meta[name] = Buffer.from(text);
  const parts = [HEADER.toBuffer({ magic: MAGIC, meta, sync })];
  if (file.records.length > 0) {
    parts.push(BLOCK.toBuffer({ count: BigInt(file.records.length), data, sync }));
  }
  return Buffer.concat(parts);
}

/**
 * Decodes an Avro object container file of any writer: codecs null, deflate, snappy and zstandard.
 * Errors: `corrupt` for anything that is not such a file, whole.
 */
export function decodeAvroFile(bytes: Uint8Array): AvroFile {
  try {
    return decodeContainer(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (error) {
    if (error instanceof CatalogError) throw error;
    throw new CatalogError('corrupt', 'not a readable Avro file', { cause: error });
  }
}

type Header = { magic: Buffer; meta: Record<string, Buffer>; sync: Buffer };
type Block = { count: bigint; data: Buffer; sync: Buffer };

function decodeContainer(buffer: Buffer): AvroFile {
  const [header, start] = decodeAt<Header>(HEADER, buffer, 0);
  if (!header.magic.equals(MAGIC)) throw new CatalogError('corrupt', 'not an Avro file: bad magic');
  const metadata = new Map(Object.entries(header.meta).map(([k, v]) => [k, v.toString('utf8')]));
  const { avroSchema, type } = parsedSchema(metadata.get('avro.schema') ?? 'null');
  const codec = metadata.get('avro.codec') ?? 'null';
  metadata.delete('avro.schema');
  metadata.delete('avro.codec');
  const records: AvroRecord[] = [];
  for (let position = start; position < buffer.length;) {
    const [block, end] = decodeAt<Block>(BLOCK, buffer, position);
    if (!block.sync.equals(header.sync)) {
      throw new CatalogError('corrupt', 'Avro block without its sync marker', {
        context: { position },
      });
    }
    decodeBlock({ type, data: decompress(codec, block.data), count: Number(block.count), records });
    position = end;
  }
  return { avroSchema, metadata, records };
}

function decodeBlock(options: {
  type: avro.Type;
  data: Buffer;
  count: number;
  records: AvroRecord[];
}): void {
  let position = 0;
  for (let i = 0; i < options.count; i += 1) {
    const [record, end] = decodeAt<AvroRecord>(options.type, options.data, position);
    options.records.push(record);
    position = end;
  }
  if (position !== options.data.length) {
    throw new CatalogError('corrupt', 'Avro block longer than its records', {
      context: { count: options.count, blockBytes: options.data.length, readBytes: position },
    });
  }
}

function decodeAt<T>(type: avro.Type, buffer: Buffer, position: number): [value: T, end: number] {
  const { value, offset } = type.decode(buffer, position);
  if (offset < 0)
    throw new CatalogError('corrupt', 'Avro file cut short', { context: { position } });
  return [value as T, offset];
}

function decompress(codec: string, data: Buffer): Buffer {
  switch (codec) {
    case 'null':
      return data;
    case 'deflate':
      return inflateRawSync(data);
    case 'zstandard':
      return zstdDecompressSync(data);
    case 'snappy': {
      // A CRC-32 of four bytes follows the snappy block; the block starts with its plain length.
      const block = data.subarray(0, -4);
      return Buffer.from(decompressSnappy(block, snappyPlainBytes(block)));
    }
    default:
      throw new CatalogError('corrupt', `unknown Avro codec "${codec}"`, { context: { codec } });
  }
}

function snappyPlainBytes(block: Uint8Array): number {
  let plainBytes = 0;
  for (const [i, byte] of block.subarray(0, 5).entries()) {
    plainBytes += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) break;
  }
  return plainBytes;
}

type ParsedSchema = { avroSchema: AvroRecordType; type: avro.Type };

/** Schemas as their texts stand in files. Making a type takes longer than reading a small file of it. */
const parsedSchemas = new Map<string, ParsedSchema>();
/** More than the writers, specs and versions of the tables of one process. */
const PARSED_SCHEMAS_MAX = 64;

function parsedSchema(text: string): ParsedSchema {
  const known = parsedSchemas.get(text);
  if (known !== undefined) return known;
  const avroSchema = JSON.parse(text) as AvroRecordType;
  const parsed = { avroSchema, type: typeOf(avroSchema) };
  const oldest = parsedSchemas.size < PARSED_SCHEMAS_MAX ? undefined : parsedSchemas.keys().next();
  if (oldest?.value !== undefined) parsedSchemas.delete(oldest.value);
  parsedSchemas.set(text, parsed);
  return parsed;
}

function typeOf(avroSchema: AvroType | object): avro.Type {
  return avro.Type.forSchema(avroSchema as avro.Schema, {
    typeHook: (part) => (isLong(part) ? LONG : undefined),
    wrapUnions: 'never',
    omitRecordMethods: true,
  });
}

function isLong(part: unknown): boolean {
  return part === 'long' || (part as { type?: unknown } | null)?.type === 'long';
}
