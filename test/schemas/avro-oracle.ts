/**
 * A second, slow reader of Avro, written for nothing but to be plainly right: the oracle of what is wrong with
 * bytes, and where first. It shares no code with the decoders; avsc is the oracle of what it reads.
 * Source: Avro specification 1.12, "Binary Encoding".
 */

type Schema = string | readonly Schema[] | { readonly [attribute: string]: unknown };

export type FaultKind = 'truncated' | 'malformed' | 'invalid-utf8';

export class OracleFault extends Error {
  readonly kind: FaultKind;

  constructor(kind: FaultKind, path: string) {
    super(`${path}: ${kind}`);
    this.kind = kind;
  }
}

export type OracleOptions = {
  /** Whether the text at a path, such as `after.name`, is read and so must be UTF-8. */
  isRead: (path: string) => boolean;
  /** Told of each value at its end, in the order of the bytes; may throw to end the reading. */
  onValue?: (path: string, value: unknown) => void;
  depthMax: number;
};

type Place = { bytes: Uint8Array; at: number; depth: number; options: OracleOptions };

/** The value of a whole record: ints are numbers, longs bigints. Throws `OracleFault`. */
export function readByOracle(schema: unknown, bytes: Uint8Array, options: OracleOptions): unknown {
  const names = new Map<string, Schema>();
  collect(schema as Schema, '', names);
  const place: Place = { bytes, at: 0, depth: 0, options };
  const value = read(schema as Schema, '', place, { names, namespace: '' });
  if (place.at !== bytes.length) throw new OracleFault('malformed', 'the end');
  return value;
}

type Scope = { names: Map<string, Schema>; namespace: string };

function collect(schema: Schema, namespace: string, names: Map<string, Schema>): void {
  if (typeof schema === 'string') return;
  if (Array.isArray(schema)) {
    for (const branch of schema as readonly Schema[]) collect(branch, namespace, names);
    return;
  }
  const attributes = schema as { readonly [attribute: string]: unknown };
  const own = attributes['namespace'];
  const inner = typeof own === 'string' ? own : namespace;
  if (typeof attributes['name'] === 'string') names.set(`${inner}.${attributes['name']}`, schema);
  for (const part of ['type', 'items', 'values']) {
    if (attributes[part] !== undefined) collect(attributes[part] as Schema, inner, names);
  }
  for (const field of (attributes['fields'] ?? []) as { type: Schema }[]) {
    collect(field.type, inner, names);
  }
}

function read(schema: Schema, path: string, place: Place, scope: Scope): unknown {
  const value = readType(schema, path, place, scope);
  place.options.onValue?.(path, value);
  return value;
}

function readType(schema: Schema, path: string, place: Place, scope: Scope): unknown {
  if (Array.isArray(schema)) {
    const index = Number(varint(path, place));
    const branch = (schema as readonly Schema[])[index];
    if (index < 0 || branch === undefined) throw new OracleFault('malformed', path);
    return readType(branch, path, place, scope);
  }
  if (typeof schema !== 'string') return readComplex(schema as never, path, place, scope);
  switch (schema) {
    case 'null':
      return null;
    case 'boolean': {
      const [byte] = take(1n, path, place);
      if (byte !== 0 && byte !== 1) throw new OracleFault('malformed', path);
      return byte === 1;
    }
    case 'int': {
      const value = varint(path, place);
      if (BigInt.asIntN(32, value) !== value) throw new OracleFault('malformed', path);
      return Number(value);
    }
    case 'long':
      return varint(path, place);
    case 'float':
      return Buffer.from(take(4n, path, place)).readFloatLE();
    case 'double':
      return Buffer.from(take(8n, path, place)).readDoubleLE();
    case 'bytes':
      return take(size(path, place), path, place);
    case 'string':
      return text(take(size(path, place), path, place), path, place);
    default: {
      const named = scope.names.get(`${scope.namespace}.${schema}`) ?? scope.names.get(schema);
      if (named === undefined) throw new Error(`the oracle knows no type ${schema}`);
      return readType(named, path, place, scope);
    }
  }
}

type Complex = {
  type: Schema;
  namespace?: string;
  fields: { name: string; type: Schema }[];
  symbols: string[];
  size: number;
  items: Schema;
  values: Schema;
};

function readComplex(schema: Complex, path: string, place: Place, scope: Scope): unknown {
  const inner = { names: scope.names, namespace: schema.namespace ?? scope.namespace };
  switch (schema.type) {
    case 'record': {
      deeper(path, place);
      const entries = schema.fields.map(({ name, type }) => {
        const value = read(type, path === '' ? name : `${path}.${name}`, place, inner);
        return [name, value] as const;
      });
      place.depth--;
      return Object.fromEntries(entries);
    }
    case 'enum': {
      const symbol = schema.symbols[Number(varint(path, place))];
      if (symbol === undefined) throw new OracleFault('malformed', path);
      return symbol;
    }
    case 'fixed':
      return take(BigInt(schema.size), path, place);
    case 'array':
      return blocks(path, place, () => read(schema.items, `${path}[]`, place, inner));
    case 'map':
      return blocks(path, place, () => [
        text(take(size(path, place), path, place), `${path}{}`, place),
        read(schema.values, `${path}{}`, place, inner),
      ]);
    default:
      return readType(schema.type, path, place, inner);
  }
}

function blocks(path: string, place: Place, item: () => unknown): unknown[] {
  deeper(path, place);
  const items: unknown[] = [];
  for (;;) {
    const claimed = varint(path, place);
    if (claimed === 0n) break;
    const count = claimed < 0n ? -claimed : claimed;
    const bytes = claimed < 0n ? size(path, place) : undefined;
    const start = place.at;
    // Every item of the schemas that are tried takes a byte or more.
    if (count > BigInt(place.bytes.length - start)) throw new OracleFault('truncated', path);
    for (let i = 0n; i < count; i++) items.push(item());
    if (bytes !== undefined && BigInt(place.at - start) !== bytes) {
      throw new OracleFault('malformed', path);
    }
  }
  place.depth--;
  return items;
}

function deeper(path: string, place: Place): void {
  if (++place.depth > place.options.depthMax) throw new OracleFault('malformed', path);
}

/** Zigzag, base 128, at most 64 bits in ten bytes. */
function varint(path: string, place: Place): bigint {
  let value = 0n;
  for (let group = 0; group < 10; group++) {
    const byte = place.bytes[place.at];
    if (byte === undefined) throw new OracleFault('truncated', path);
    place.at++;
    if (group === 9 && byte > 1) throw new OracleFault('malformed', path);
    value |= BigInt(byte % 128) << BigInt(7 * group);
    if (byte < 128) break;
  }
  return value % 2n === 0n ? value / 2n : -(value + 1n) / 2n;
}

function size(path: string, place: Place): bigint {
  const bytes = varint(path, place);
  if (bytes < 0n) throw new OracleFault('malformed', path);
  return bytes;
}

function take(count: bigint, path: string, place: Place): Uint8Array {
  const rest = BigInt(place.bytes.length - place.at);
  if (count > rest) throw new OracleFault('truncated', path);
  const taken = place.bytes.subarray(place.at, place.at + Number(count));
  place.at += Number(count);
  return taken;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function text(bytes: Uint8Array, path: string, place: Place): string {
  try {
    return strict.decode(bytes);
  } catch {
    if (place.options.isRead(path)) throw new OracleFault('invalid-utf8', path);
    return '';
  }
}
