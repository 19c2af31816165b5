import { isPromotion } from '@iceberg-js/rest-client-shim/spec/type-promotion.ts';
import type { AvroNode, EnumNode, FieldNode, RecordNode, ScalarNode } from './avro-type.ts';
import { isScalar, parseAvroType } from './avro-type.ts';
import { takesBytes } from './avro-wire.ts';
import { contractFields, isScalarField, pathWithin } from './contract-field.ts';
import type { ContractField, ScalarField } from './contract-field.ts';
import type { AvroObject, Contract } from './contract.ts';
import { generateDecoder } from './generate-decoder.ts';
import { matchFields } from './match-fields.ts';
import { printAvroField } from './print-avro-type.ts';
import type { SchemaChangeKind } from './schema-change-kind.ts';

/** One difference of consequence between a contract and the schema of a writer. */
export type SchemaChange = Change<RecordNode>;

/** A difference within a type of the contract. */
type Change<Type> = {
  kind: SchemaChangeKind;
  /** Its path in the contract, of an added one in the writer's schema: `x`, `x.zip`, `x[]` for items, `x{}` for values. */
  field: string;
  /** Completes the sentence that begins with the field. */
  what: string;
  /** The contract's type as one that also takes what the writer writes. Absent where none does. */
  follow?: (type: Type) => Type;
};

/**
 * How a writer's schema differs from a contract, seen by whoever reads with the contract: what it would skip, refuse or
 * read as something else, at any depth. Names of types, documentation, order, aliases that the contract has, types that
 * the contract's are read from, and fields that it has a default for are no differences. Where a writer has several types
 * for what is nested, what differs within them is none either, as long as one can be read. A schema that is no record
 * has none.
 */
export function schemaChanges(
  contract: Contract,
  writerSchema: AvroObject,
): readonly SchemaChange[] {
  const fields = contractFields(contract);
  const writer = parsedRecord(writerSchema);
  return writer === undefined ? [] : recordChanges('', fields, writer);
}

/**
 * Whether a schema is of the sort of record that a contract is of: it has its name, or all fields that it requires. A
 * damaged schema id may name any schema of the registry, and those must change no table.
 */
export function isSameSort(contract: Contract, writerSchema: AvroObject): boolean {
  const writer = parsedRecord(writerSchema);
  if (writer === undefined) return false;
  if (lastPart(contract.avroSchema.name ?? '') === lastPart(writer.name)) return true;
  const names = new Set(writer.fields.map(({ name }) => name));
  const required = contractFields(contract).filter(
    (field) => !field.nullable && field.default === undefined,
  );
  return required.length > 0 && required.every(({ name }) => names.has(name));
}

/** The contract with these changes, as far as it can follow them. */
export function evolveContract(contract: Contract, changes: readonly SchemaChange[]): Contract {
  const record = changes.reduce(
    (grown, { follow }) => follow?.(grown) ?? grown,
    parseAvroType(contract.avroSchema) as RecordNode,
  );
  const fields = record.fields.map(printAvroField);
  return { ...contract, avroSchema: { ...contract.avroSchema, fields } };
}

function parsedRecord(avroSchema: AvroObject): RecordNode | undefined {
  try {
    const node = parseAvroType(avroSchema);
    return node.kind === 'record' ? node : undefined;
  } catch {
    return undefined;
  }
}

const lastPart = (name: string): string => name.slice(name.lastIndexOf('.') + 1);

function recordChanges(
  path: string,
  fields: readonly ContractField[],
  writer: RecordNode,
): Change<RecordNode>[] {
  const matches = matchFields(fields, writer.fields);
  const read = new Set(matches.values());
  const added = writer.fields.filter((field) => !read.has(field));
  const renamed = new Map(
    added.flatMap((field) => {
      const old = fields.find((one) => !matches.has(one) && field.aliases.includes(one.name));
      return old === undefined ? [] : [[old, field] as const];
    }),
  );
  const isRename = new Set(renamed.values());
  return [
    ...fields.flatMap((field) => {
      const at = { field, path: pathWithin(path, 'struct', field.name) };
      const match = matches.get(field);
      if (match !== undefined) {
        return typeChanges(at, match.type).map((change) => lift(change, inField(field.name)));
      }
      const successor = renamed.get(field);
      return successor === undefined ? dropChanges(at) : [renameChange(at, successor)];
    }),
    ...added
      .filter((field) => !isRename.has(field))
      .map((field) => addChange(pathWithin(path, 'struct', field.name), field)),
  ];
}

/** How a type is edited, given how something within it is. */
type Edit<Outer, Inner> = (outer: Outer, within: (inner: Inner) => Inner) => Outer;

/** The change as one of the type around. */
function lift<Outer, Inner>(
  { follow, ...change }: Change<Inner>,
  edit: Edit<Outer, Inner>,
): Change<Outer> {
  return follow === undefined ? change : { ...change, follow: (outer) => edit(outer, follow) };
}

function inField(name: string): Edit<RecordNode, AvroNode> {
  return (record, within) =>
    editField(record, name, (field) => ({ ...field, type: within(field.type) }));
}

const inRecord: Edit<AvroNode, RecordNode> = (type, within) =>
  editValue(type, (value) => (value.kind === 'record' ? within(value) : value));

const inItems: Edit<AvroNode, AvroNode> = (type, within) =>
  editValue(type, (value) =>
    value.kind === 'array' ? { ...value, items: within(value.items) } : value,
  );

const inValues: Edit<AvroNode, AvroNode> = (type, within) =>
  editValue(type, (value) =>
    value.kind === 'map' ? { ...value, values: within(value.values) } : value,
  );

function editField(
  record: RecordNode,
  name: string,
  edit: (field: FieldNode) => FieldNode,
): RecordNode {
  const fields = record.fields.map((field) => (field.name === name ? edit(field) : field));
  return { ...record, fields };
}

/** Edits a type, where it may be null the other one of the two. */
function editValue(type: AvroNode, edit: (value: AvroNode) => AvroNode): AvroNode {
  if (type.kind !== 'union') return edit(type);
  const branches = type.branches.map((branch) => (branch.kind === 'null' ? branch : edit(branch)));
  return { ...type, branches };
}

function orNull(type: AvroNode): AvroNode {
  const branches = type.kind === 'union' ? type.branches : [type];
  if (branches.some(({ kind }) => kind === 'null')) return type;
  return { kind: 'union', branches: [{ kind: 'null' }, ...branches] };
}

function addChange(path: string, { name, type, doc }: FieldNode): Change<RecordNode> {
  // It may be null, since records of before lack it.
  const field: FieldNode = { name, aliases: [], type: orNull(type), doc, default: null };
  const made = columnOf(field);
  const what = 'is not in the contract';
  if (typeof made === 'string') {
    return { kind: 'add-field', field: path, what: `${what}, and ${made}` };
  }
  const follow = (record: RecordNode): RecordNode => ({
    ...record,
    fields: [...record.fields, field],
  });
  return { kind: 'add-field', field: path, what, follow };
}

/** A field of the contract and where it stands. */
type Reader = { field: ContractField; path: string };

function dropChanges({ field, path }: Reader): Change<RecordNode>[] {
  const { name, default: fallback } = field;
  if (fallback !== undefined) return [];
  const what = 'is missing, and the contract has no default for it';
  const follow = (record: RecordNode): RecordNode =>
    editField(record, name, (one) => ({ ...one, type: orNull(one.type), default: null }));
  return [{ kind: 'drop-field', field: path, what, follow }];
}

/** Values go on into the column as it is named: the name of a column is changed where everybody can see it, in git. */
function renameChange(reader: Reader, writer: FieldNode): Change<RecordNode> {
  const { field, path } = reader;
  const kind = 'rename-field';
  const what = `is called ${writer.name} now`;
  if (typeChanges(reader, writer.type).length > 0) return { kind, field: path, what };
  const follow = (record: RecordNode): RecordNode =>
    editField(record, field.name, (one) => ({ ...one, aliases: [...one.aliases, writer.name] }));
  return { kind, field: path, what, follow };
}

function typeChanges(reader: Reader, writer: AvroNode): Change<AvroNode>[] {
  const { field, path } = reader;
  const branches = writer.kind === 'union' ? writer.branches : [writer];
  const values = branches.filter(({ kind }) => kind !== 'null');
  const changes = values.flatMap(
    (value) =>
      (values.length === 1 ? innerChanges(reader, value) : undefined) ??
      valueChanges(reader, value),
  );
  if (field.nullable || values.length === branches.length) return changes;
  const what = 'may be null, and the contract requires it';
  return [...changes, { kind: 'make-optional', field: path, what, follow: orNull }];
}

/** What differs within types that are nested alike; undefined for all others. */
function innerChanges({ field, path }: Reader, writer: AvroNode): Change<AvroNode>[] | undefined {
  switch (field.column) {
    case 'struct': {
      if (writer.kind !== 'record') return undefined;
      const changes = recordChanges(path, field.fields, writer);
      return changes.map((change) => lift(change, inRecord));
    }
    case 'list': {
      if (writer.kind !== 'array' || !takesBytes(writer.items)) return undefined;
      const items = { field: field.element, path: pathWithin(path, 'list', '') };
      return typeChanges(items, writer.items).map((change) => lift(change, inItems));
    }
    case 'map': {
      if (writer.kind !== 'map') return undefined;
      const values = { field: field.value, path: pathWithin(path, 'map', '') };
      return typeChanges(values, writer.values).map((change) => lift(change, inValues));
    }
    case 'int32':
    case 'int64':
    case 'float32':
    case 'float64':
    case 'boolean':
    case 'bytes':
      return undefined;
  }
}

function valueChanges({ field, path }: Reader, writer: AvroNode): Change<AvroNode>[] {
  const wider = isScalarField(field) ? widerType(field, writer) : undefined;
  if (wider !== undefined) {
    const what = `is ${describe(writer)}, and ${describeField(field)} in the contract`;
    // By then another type of the same writer may have made it wider.
    const follow = (type: AvroNode): AvroNode =>
      editValue(type, (value) => {
        const own = columnOf(requiredField(value));
        const isOne = typeof own !== 'string' && isScalarField(own);
        return (isOne ? widerType(own, writer) : undefined) ?? value;
      });
    return [{ kind: 'widen-type', field: path, what, follow }];
  }
  if (isReadable(field, writer)) return [];
  const what = `is ${describe(writer)}, which cannot be read as ${describeField(field)}`;
  return [{ kind: 'change-type', field: path, what }];
}

/** A type that takes what both write, which the column can become; undefined where there is none, or no need for one. */
function widerType(field: ScalarField, writer: AvroNode): ScalarNode | undefined {
  const wider = writer.kind === 'enum' ? withSymbols(field, writer) : promoted(field, writer);
  if (wider === undefined) return undefined;
  const evolved = columnOf(requiredField(wider));
  if (typeof evolved === 'string') return undefined;
  return isReadable(evolved, field.type) && isReadable(evolved, writer) ? wider : undefined;
}

function promoted(field: ScalarField, writer: AvroNode): ScalarNode | undefined {
  if (!isScalar(writer)) return undefined;
  const made = columnOf(requiredField(writer));
  if (typeof made === 'string' || !isScalarField(made)) return undefined;
  return isPromotion(field.tableType, made.tableType) ? writer : undefined;
}

/** An enumeration with the writer's symbols too. */
function withSymbols({ type }: ScalarField, writer: EnumNode): EnumNode | undefined {
  if (type.kind !== 'enum') return undefined;
  const symbols = [...new Set([...type.symbols, ...writer.symbols])];
  return symbols.length === type.symbols.length ? undefined : { ...type, symbols };
}

/** Whether any value of the writer's can be read; asks the decoder, so that it and this never disagree. */
function isReadable(field: ContractField, writer: AvroNode): boolean {
  const only = { ...requiredField(writer), name: field.name };
  const record: RecordNode = { kind: 'record', name: 'writer', aliases: [], fields: [only] };
  return !('violation' in generateDecoder([field], record));
}

function requiredField(type: AvroNode): FieldNode {
  return { name: 'value', aliases: [], type, doc: undefined, default: undefined };
}

/** The field as one of a contract; or why it can be none. */
function columnOf(field: FieldNode): ContractField | string {
  try {
    const fields = [printAvroField(field)];
    const avroSchema = { type: 'record', name: 'writer', fields };
    return contractFields({ name: 'writer', avroSchema })[0] as ContractField;
  } catch (error) {
    const { message } = error as Error;
    const subject = `field ${field.name} `;
    const at = message.indexOf(subject);
    return at < 0 ? message : message.slice(at + subject.length);
  }
}

function describeField(field: ContractField): string {
  if (isScalarField(field)) return describe(field.type);
  return { struct: 'a record', list: 'an array', map: 'a map' }[field.column];
}

function describe(node: AvroNode): string {
  if (isScalar(node)) {
    if (node.kind === 'enum') return `an enum of ${node.symbols.join(', ')}`;
    const { logicalType, precision, scale } = node.logical;
    if (logicalType !== 'decimal') return logicalType ?? node.kind;
    return `decimal(${precision ?? '?'}, ${scale ?? 0})`;
  }
  if (node.kind === 'union') return node.branches.map(describe).join(' or ');
  return node.kind === 'array' ? 'an array' : `a ${node.kind}`;
}
