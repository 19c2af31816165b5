import { isPromotion } from '@iceberg-js/rest-client-shim/spec/type-promotion.ts';
import type { AvroNode, EnumNode, FieldNode, RecordNode } from './avro-type.ts';
import { isScalar, parseAvroType, withoutNull } from './avro-type.ts';
import { contractFields } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import type { AvroField, AvroObject, AvroType, Contract } from './contract.ts';
import { generateDecoder } from './generate-decoder.ts';
import type { Violation } from './generate-decoder.ts';
import { matchFields } from './match-fields.ts';
import { printAvroType } from './print-avro-type.ts';
import type { SchemaChangeKind } from './schema-change-kind.ts';

/** One difference of consequence between a contract and the schema of a writer. */
export type SchemaChange = {
  kind: SchemaChangeKind;
  /** The field's name in the contract; of an added one, in the writer's schema. */
  field: string;
  /** Completes the sentence that begins with the field. */
  what: string;
  /** The contract's field, nothing for an added one, as one that also takes what the writer writes. Absent where none does. */
  follow?: (field: AvroField | undefined) => AvroField;
};

/**
 * How a writer's schema differs from a contract, seen by whoever reads with the contract: what it would skip, refuse or
 * read as something else. Names of types, documentation, order, aliases that the contract has, types that the contract's
 * are read from, and fields that it has a default for are no differences. What differs within a nested type is none
 * either, as long as it can be read.
 *
 * Undefined for a schema of another sort of record: one that neither has the contract's name nor all fields that the
 * contract requires. A damaged schema id may name any schema of the registry, and those must change no table.
 */
export function schemaChanges(
  contract: Contract,
  writerSchema: AvroObject,
): readonly SchemaChange[] | undefined {
  const reader = parseAvroType(contract.avroSchema) as RecordNode;
  const writer = parsedRecord(writerSchema);
  if (writer === undefined || !isSameSort(contract, reader, writer)) return undefined;
  const matches = matchFields(reader.fields, writer.fields);
  const read = new Set(matches.values());
  const added = writer.fields.filter((field) => !read.has(field));
  const renamed = new Map(
    added.flatMap((field) => {
      const old = reader.fields.find(
        (one) => !matches.has(one) && field.aliases.includes(one.name),
      );
      return old === undefined ? [] : [[old, field] as const];
    }),
  );
  const fields = new Map(contractFields(contract).map((field) => [field.name, field]));
  const isRename = new Set(renamed.values());
  return [
    ...reader.fields.flatMap((node) => {
      const field = fields.get(node.name);
      const match = matches.get(node);
      if (field === undefined) return [];
      const pair = { field, reader: withoutNull(node.type) };
      if (match !== undefined) return typeChanges(pair, match.type);
      const successor = renamed.get(node);
      return successor === undefined ? dropChanges(node) : [renameChange(pair, successor)];
    }),
    ...added.filter((field) => !isRename.has(field)).map(addChange),
  ];
}

/**
 * The fields of a contract by name, each with the types that it names written out, so that one of them can be changed or
 * left out and the others stay what they are. Names of types count for nothing where rows are read.
 */
export function standaloneFields({ avroSchema }: Contract): Map<string, AvroField> {
  const { fields } = parseAvroType(avroSchema) as RecordNode;
  const types = new Map(fields.map(({ name, type }) => [name, printAvroType(type)]));
  return new Map(
    avroSchema.fields.map((field) => [
      field.name,
      { ...field, type: types.get(field.name) ?? field.type },
    ]),
  );
}

/** The contract with these changes, as far as it can follow them. */
export function evolveContract(contract: Contract, changes: readonly SchemaChange[]): Contract {
  const fields = standaloneFields(contract);
  for (const { field, follow } of changes) {
    if (follow !== undefined) fields.set(field, follow(fields.get(field)));
  }
  return { ...contract, avroSchema: { ...contract.avroSchema, fields: [...fields.values()] } };
}

/**
 * The writer's schema with each field under the name of the contract's that it is read as, and all others under names that
 * no field has: contracts that grow from this one read its records just as this one does, whatever they come to have.
 */
export function pinnedSchema(contract: Contract, writerSchema: AvroObject): AvroObject {
  const reader = parseAvroType(contract.avroSchema) as RecordNode;
  const matches = matchFields(reader.fields, parsedRecord(writerSchema)?.fields ?? []);
  const names = new Map([...matches].map(([field, { name }]) => [name, field.name]));
  const fields = (writerSchema.fields ?? []).map((field) => {
    return { ...field, name: names.get(field.name) ?? `${field.name} (skipped)` };
  });
  return { ...writerSchema, fields };
}

function parsedRecord(avroSchema: AvroObject): RecordNode | undefined {
  try {
    const node = parseAvroType(avroSchema);
    return node.kind === 'record' ? node : undefined;
  } catch {
    return undefined;
  }
}

function isSameSort(contract: Contract, reader: RecordNode, writer: RecordNode): boolean {
  if (lastPart(reader.name) === lastPart(writer.name)) return true;
  const names = new Set(writer.fields.map(({ name }) => name));
  const required = contractFields(contract).filter(
    (field) => !field.nullable && field.default === undefined,
  );
  return required.length > 0 && required.every(({ name }) => names.has(name));
}

const lastPart = (name: string): string => name.slice(name.lastIndexOf('.') + 1);

function addChange({ name, type, doc }: FieldNode): SchemaChange {
  const made = newField(name, type);
  const what = 'is not in the contract';
  if (typeof made === 'string') {
    return { kind: 'add-field', field: name, what: `${what}, and ${made}` };
  }
  const field = { ...made, ...(doc === undefined ? {} : { doc }) };
  return { kind: 'add-field', field: name, what, follow: () => field };
}

/** A field that may be null, since records of before lack it; or why it can be no column. */
function newField(name: string, node: AvroNode): AvroField | string {
  try {
    const field: AvroField = { name, type: withNull(printAvroType(node)), default: null };
    columnOf(field);
    return field;
  } catch (error) {
    const { message } = error as Error;
    const at = message.indexOf(`field ${name} `);
    return at < 0 ? message : message.slice(at + `field ${name} `.length);
  }
}

function dropChanges({ name, default: fallback }: FieldNode): SchemaChange[] {
  if (fallback !== undefined) return [];
  const what = 'is missing, and the contract has no default for it';
  const follow = (field: AvroField | undefined): AvroField => ({
    name,
    ...field,
    type: withNull(field?.type ?? 'null'),
    default: null,
  });
  return [{ kind: 'drop-field', field: name, what, follow }];
}

/** A field of the contract, and its type without null. */
type Reader = { field: ContractField; reader: AvroNode };

/** Values go on into the column as it is named: the name of a column is changed where everybody can see it, in git. */
function renameChange(pair: Reader, writer: FieldNode): SchemaChange {
  const { field } = pair;
  const kind = 'rename-field';
  const what = `is called ${writer.name} now`;
  if (typeChanges(pair, writer.type).length > 0) return { kind, field: field.name, what };
  const follow = (before: AvroField | undefined): AvroField => ({
    name: field.name,
    type: 'null',
    ...before,
    aliases: [...(before?.aliases ?? []), writer.name],
  });
  return { kind, field: field.name, what, follow };
}

function typeChanges(pair: Reader, writer: AvroNode): SchemaChange[] {
  const { field } = pair;
  const branches = writer.kind === 'union' ? writer.branches : [writer];
  const changes = branches
    .filter(({ kind }) => kind !== 'null')
    .flatMap((branch) => branchChanges(pair, branch));
  if (field.nullable || !branches.some(({ kind }) => kind === 'null')) return changes;
  const follow = (before: AvroField | undefined): AvroField => ({
    name: field.name,
    ...before,
    type: withNull(before?.type ?? 'null'),
  });
  const what = 'may be null, and the contract requires it';
  return [...changes, { kind: 'make-optional', field: field.name, what, follow }];
}

function branchChanges({ field, reader }: Reader, writer: AvroNode): SchemaChange[] {
  const { name } = field;
  const wider = widerType({ field, reader }, writer);
  if (wider !== undefined) {
    const what = `is ${describe(writer)}, and ${describe(reader)} in the contract`;
    const follow = (before: AvroField | undefined): AvroField => ({
      ...before,
      name,
      type: field.nullable ? withNull(wider) : wider,
    });
    return [{ kind: 'widen-type', field: name, what, follow }];
  }
  const violation = violationOf(field, writer);
  if (violation === undefined) return [];
  const what =
    violation.path === name
      ? `is ${describe(writer)}, which cannot be read as ${describe(reader)}`
      : `cannot be read as the contract has it: ${violation.message}`;
  return [{ kind: 'change-type', field: name, what }];
}

/** A type that takes what both write, which the column can become; undefined where there is none, or no need for one. */
function widerType({ field, reader }: Reader, writer: AvroNode): AvroType | undefined {
  const wider = writer.kind === 'enum' ? withSymbols(reader, writer) : promoted(field, writer);
  if (wider === undefined) return undefined;
  const type = printAvroType(wider);
  const evolved = columnOf({ name: field.name, type });
  const takesBoth = isReadable(evolved, reader) && isReadable(evolved, writer);
  return takesBoth ? type : undefined;
}

function promoted(field: ContractField, writer: AvroNode): AvroNode | undefined {
  if (!isScalar(writer)) return undefined;
  const shape = newField(field.name, writer);
  if (typeof shape === 'string') return undefined;
  const [from, to] = [field.tableType, columnOf(shape).tableType];
  if (typeof from !== 'string' || typeof to !== 'string') return undefined;
  return isPromotion(from, to) ? writer : undefined;
}

/** An enumeration with the writer's symbols too; a default of the contract says what becomes of those that it lacks. */
function withSymbols(reader: AvroNode, writer: EnumNode): EnumNode | undefined {
  if (reader.kind !== 'enum' || reader.default !== undefined) return undefined;
  const symbols = [...new Set([...reader.symbols, ...writer.symbols])];
  return symbols.length === reader.symbols.length ? undefined : { ...reader, symbols };
}

function isReadable(field: ContractField, writer: AvroNode): boolean {
  return violationOf(field, writer) === undefined;
}

/** Why no value of the writer's can be read; asks the decoder, so that it and this never disagree. */
function violationOf(field: ContractField, writer: AvroNode): Violation | undefined {
  const { name } = field;
  const only: FieldNode = { name, aliases: [], type: writer, doc: undefined, default: undefined };
  const record: RecordNode = { kind: 'record', name: 'writer', aliases: [], fields: [only] };
  const generated = generateDecoder([field], record);
  return 'violation' in generated ? generated.violation : undefined;
}

function columnOf(field: AvroField): ContractField {
  const avroSchema = { type: 'record', name: 'writer', fields: [field] };
  return contractFields({ name: 'writer', avroSchema })[0] as ContractField;
}

function withNull(type: AvroType): AvroType {
  const branches = Array.isArray(type) ? (type as readonly AvroType[]) : [type];
  return branches.includes('null') ? type : ['null', ...branches];
}

function describe(node: AvroNode): string {
  if (isScalar(node)) {
    if (node.kind === 'enum') return `an enum of ${node.symbols.join(', ')}`;
    const { logicalType, precision, scale } = node.logical;
    if (logicalType !== 'decimal') return logicalType ?? node.kind;
    return `decimal(${precision ?? '?'}, ${scale ?? 0})`;
  }
  return node.kind === 'union' ? node.branches.map(describe).join(' or ') : `a ${node.kind}`;
}
