import type { Envelope, Struct } from './avro-codec.ts';
import { AvroFault } from './avro-reader.ts';
import { jsonColumns } from './row-columns.ts';
import type { RowColumns } from './row-columns.ts';

/** Far above what any column holds; longer ones cost more than they are worth. */
const digitsMax = 1_000;

type Wrapped = { payload: Struct; schema: Struct | undefined };

/**
 * Reads a JSON envelope, with Connect's `{schema, payload}` around it or without. Without the schema
 * nothing tells the meaning of a value: it stays as JSON has it. Nothing where it is no envelope.
 * Throws for text that is not JSON.
 */
export function readJsonEnvelope(
  bytes: Uint8Array,
  wanted?: readonly string[],
): Envelope | undefined {
  const { payload, schema } = unwrap(bytes);
  const { after, source, op } = payload;
  if (source === undefined || op === undefined || !('after' in payload || op === 't')) {
    return undefined;
  }
  if (!isStruct(after ?? {}) || !isStruct(source ?? {})) return undefined;
  const row = (after ?? null) as Struct | null;
  const struct = childStruct(schema, 'after');
  const columns =
    struct === undefined ? plainColumns(row, wanted) : jsonColumns(struct, { wanted });
  return { op, source: source ?? {}, after: row, columns };
}

/** Reads a JSON key with its columns. */
export function readJsonStruct(bytes: Uint8Array): { struct: Struct; columns: RowColumns } {
  const { payload, schema } = unwrap(bytes);
  const columns = schema === undefined ? plainColumns(payload) : jsonColumns(schema);
  return { struct: payload, columns };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new AvroFault('invalid-utf8', 'the text is not UTF-8');
  }
}

function unwrap(bytes: Uint8Array): Wrapped {
  const parsed = parseExact(decodeText(bytes));
  const isWrapped = 'payload' in parsed && 'schema' in parsed;
  const payload = isWrapped ? parsed['payload'] : parsed;
  if (!isStruct(payload)) throw new Error('the payload is no object');
  return {
    payload,
    schema: isWrapped ? ((parsed['schema'] ?? undefined) as Struct | undefined) : undefined,
  };
}

function isStruct(value: unknown): value is Struct {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON.parse that keeps integers beyond 2^53 as bigint. */
function parseExact(text: string): Struct {
  return JSON.parse(text, reviveExact) as Struct;
}

function reviveExact(_name: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source ?? '';
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !/^-?\d+$/.test(source)) {
    return value;
  }
  if (source.length > digitsMax) throw new Error(`an integer of ${source.length} digits`);
  return BigInt(source);
}

function childStruct(schema: Struct | undefined, name: string): Struct | undefined {
  const fields = schema?.['fields'];
  if (!Array.isArray(fields)) return undefined;
  return (fields as Struct[]).find((field) => field['field'] === name);
}

function plainColumns(struct: Struct | null, wanted?: readonly string[]): RowColumns {
  return Object.keys(struct ?? {})
    .filter((name) => wanted === undefined || wanted.includes(name))
    .map((name) => ({ name, normalise: undefined }));
}
