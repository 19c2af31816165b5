import type { AvroNode, EnumNode, FieldNode, RecordNode } from './avro-type.ts';
import { matchFields } from './match-fields.ts';

/** What a reader asks of a writer, by the rule that is not kept. */
export type Incompatibility = {
  /** Field names joined by dots, `[]` for the items of an array, `{}` for the values of a map; empty for the whole. */
  path: string;
} & (
  | { rule: 'type'; reader: string; writer: string }
  /** A field of the reader that the writer lacks, or has for another one by its name, and that has no default. */
  | { rule: 'missing-default' }
  /** A field of the reader that stands for several of the writer's, by its name and aliases. */
  | { rule: 'ambiguous-alias'; fields: readonly string[] }
  /** Another name of a record, enum or fixed, and none of the reader's aliases. */
  | { rule: 'name'; reader: string; writer: string }
  | { rule: 'enum-symbols'; missing: readonly string[] }
  | { rule: 'fixed-size'; reader: number; writer: number }
  /** A type that the writer may write and no branch of the reader's union takes. */
  | { rule: 'union-branch'; reader: string; writer: string }
);

/** The primitive types that a reader's type takes beside its own. */
const promotions: Readonly<Record<string, readonly string[]>> = {
  long: ['int'],
  float: ['int', 'long'],
  double: ['int', 'long', 'float'],
  bytes: ['string'],
  string: ['bytes'],
};

/**
 * Why data of the writer's schema cannot be read with the reader's, in the order of the reader's fields; empty where all of
 * it can. Logical types, order and documentation play no part, and of names only the last part, as in the
 * implementation that registries use. A recursive type is compatible unless something in it is not.
 * Source: Avro specification 1.12, "Schema Resolution"; Avro for Java 1.12, `SchemaCompatibility`.
 */
export function incompatibilities(reader: AvroNode, writer: AvroNode): readonly Incompatibility[] {
  return resolve({ reader, writer, known: new Map() });
}

type Found = readonly Incompatibility[];

type Pair = {
  reader: AvroNode;
  writer: AvroNode;
  /** By reader and writer: what was found, nothing while it is being looked at. Paths begin at the pair. */
  known: Map<AvroNode, Map<AvroNode, Found>>;
};

function resolve(pair: Pair): Found {
  const { reader, writer, known } = pair;
  const ofReader = known.get(reader) ?? new Map<AvroNode, Found>();
  known.set(reader, ofReader);
  const before = ofReader.get(writer);
  if (before !== undefined) return before;
  ofReader.set(writer, []);
  const found = compare(pair);
  ofReader.set(writer, found);
  return found;
}

/** What was found in a part, seen from the whole. */
function within(part: string, found: Found): Found {
  return found.map((each) => {
    const { path } = each;
    const joint = path === '' || path.startsWith('[') || path.startsWith('{') ? '' : '.';
    return { ...each, path: `${part}${joint}${path}` };
  });
}

function compare(pair: Pair): Found {
  const { reader, writer } = pair;
  if (writer.kind === 'union') {
    return writer.branches.flatMap((branch) => resolve({ ...pair, writer: branch }));
  }
  switch (reader.kind) {
    case 'union':
      return compareBranches(pair, reader.branches);
    case 'record':
      return writer.kind === 'record' ? compareRecords(pair, reader, writer) : mismatch(pair);
    case 'enum':
      return writer.kind === 'enum'
        ? [...compareNames(pair), ...compareSymbols(reader, writer)]
        : mismatch(pair);
    case 'fixed':
      return writer.kind === 'fixed'
        ? [...compareNames(pair), ...compareSizes(reader.size, writer.size)]
        : mismatch(pair);
    case 'array':
      return writer.kind === 'array'
        ? within('[]', resolve({ ...pair, reader: reader.items, writer: writer.items }))
        : mismatch(pair);
    case 'map':
      return writer.kind === 'map'
        ? within('{}', resolve({ ...pair, reader: reader.values, writer: writer.values }))
        : mismatch(pair);
    case 'null':
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'bytes':
    case 'string': {
      const takes = reader.kind === writer.kind || promotions[reader.kind]?.includes(writer.kind);
      return takes === true ? [] : mismatch(pair);
    }
  }
}

/** One branch must take all that the writer may write. Where a single branch could, what it lacks is told. */
function compareBranches(pair: Pair, branches: readonly AvroNode[]): Found {
  const attempts = branches.map((reader) => ({ reader, found: resolve({ ...pair, reader }) }));
  if (attempts.some(({ found }) => found.length === 0)) return [];
  const likely = attempts.filter(({ reader }) => isSameThing(reader, pair.writer));
  const only = likely[0];
  if (only !== undefined && likely.length === 1) return only.found;
  const { reader, writer } = pair;
  return [{ path: '', rule: 'union-branch', reader: typeText(reader), writer: typeText(writer) }];
}

function isSameThing(reader: AvroNode, writer: AvroNode): boolean {
  if (reader.kind !== writer.kind) return false;
  return 'name' in reader && 'name' in writer ? isSameName(reader, writer.name) : true;
}

function compareRecords(pair: Pair, reader: RecordNode, writer: RecordNode): Found {
  const matches = matchFields(reader.fields, writer.fields);
  const fields = reader.fields.flatMap((field) =>
    field.default === undefined && !matches.has(field)
      ? [{ path: field.name, rule: 'missing-default' as const }]
      : compareField(pair, field, writer),
  );
  return [...compareNames(pair), ...fields];
}

function compareField(pair: Pair, field: FieldNode, writer: RecordNode): Found {
  const path = field.name;
  const [match, ...others] = writerFields(field, writer);
  if (match === undefined) return [];
  if (others.length > 0) {
    return [{ path, rule: 'ambiguous-alias', fields: [match, ...others].map(({ name }) => name) }];
  }
  return within(path, resolve({ ...pair, reader: field.type, writer: match.type }));
}

/** The fields of the writer that a field of the reader names, by its name first. */
function writerFields(
  { name, aliases }: Pick<FieldNode, 'name' | 'aliases'>,
  writer: RecordNode,
): readonly FieldNode[] {
  const names = [...new Set([name, ...aliases])];
  return names.flatMap((wanted) => writer.fields.filter((field) => field.name === wanted));
}

function compareNames({ reader, writer }: Pair): Found {
  if (!('name' in reader) || !('name' in writer) || isSameName(reader, writer.name)) return [];
  return [{ path: '', rule: 'name', reader: reader.name, writer: writer.name }];
}

function isSameName(
  reader: { name: string; aliases: readonly string[] },
  writerName: string,
): boolean {
  return lastPart(reader.name) === lastPart(writerName) || reader.aliases.includes(writerName);
}

const lastPart = (name: string): string => name.slice(name.lastIndexOf('.') + 1);

function compareSymbols(reader: EnumNode, writer: EnumNode): Found {
  const missing = writer.symbols.filter((symbol) => !reader.symbols.includes(symbol));
  if (missing.length === 0) return [];
  const hasDefault = reader.default !== undefined && reader.symbols.includes(reader.default);
  return hasDefault ? [] : [{ path: '', rule: 'enum-symbols', missing }];
}

function compareSizes(reader: number, writer: number): Found {
  return reader === writer ? [] : [{ path: '', rule: 'fixed-size', reader, writer }];
}

function mismatch({ reader, writer }: Pair): Found {
  return [{ path: '', rule: 'type', reader: typeText(reader), writer: typeText(writer) }];
}

/** A type in one line, as people write it: `["null", "string"]` is `null or string`. */
function typeText(node: AvroNode): string {
  switch (node.kind) {
    case 'union':
      return node.branches.map(typeText).join(' or ');
    case 'array':
      return `array of ${typeText(node.items)}`;
    case 'map':
      return `map of ${typeText(node.values)}`;
    case 'record':
    case 'enum':
    case 'fixed':
      return `${node.kind} ${node.name}`;
    case 'null':
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'bytes':
    case 'string':
      return node.kind;
  }
}
