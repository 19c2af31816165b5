import { isScalar } from './avro-type.ts';
import type { AvroNode, RecordNode } from './avro-type.ts';
import { takesBytes } from './avro-wire.ts';
import { isScalarField, pathWithin } from './contract-field.ts';
import type { ContractField, ScalarField } from './contract-field.ts';
import { failures, fieldStride } from './decode-failure.ts';
import { defaultStore, nullStore } from './default-value.ts';
import { checkPosition, readIndex, scalarCode } from './generate-scalar.ts';
import type { Emit, Target } from './generate-scalar.ts';
import { matchFields } from './match-fields.ts';

/**
 * The source of one decoder: the body of `(runtime, constants, skips) => (bytes, start, end, into) => code`.
 *
 *   p   next position       n   last length or index      w   last 64-bit integer
 *   cI  column of the contract's field I; within a struct cI_J, within a list cI_e, within a map cI_k and cI_v
 *   kD, mD, sD   next row within a list or a map, items left in its block, and where the block ends if it says so
 *
 * A value is checked to lie before `end` after it was read: reads beyond give other bytes, never harm.
 */
export type GeneratedDecoder = {
  body: string;
  constants: readonly unknown[];
  skipped: readonly AvroNode[];
  /** What a failure's number of a field stands for: names joined by dots, `[]` and `{}`. */
  paths: readonly string[];
};

/** What grows while code is generated. */
type Generation = {
  constants: unknown[];
  skipped: AvroNode[];
  paths: string[];
  loops: number;
};

/** The path of the field that makes the records of a writer unreadable, and the whole sentence of it. */
export type Violation = { path: string; message: string };

/** A field of which no value could be read; how the generation of its code ends. */
class Unreadable extends Error {
  readonly path: string;
  readonly failure: 'unreadable' | 'missing';

  constructor(path: string, failure: 'unreadable' | 'missing') {
    super(`field ${path}: ${failures[failure].text}`);
    this.path = path;
    this.failure = failure;
  }
}

/** Generates a decoder, or says which field makes the writer's records unreadable. */
export function generateDecoder(
  fields: readonly ContractField[],
  writer: RecordNode,
): GeneratedDecoder | { violation: Violation } {
  const generation: Generation = { constants: [], skipped: [], paths: [], loops: 0 };
  const columns = fields.map((_, index) => `c${index}`);
  let body: string;
  try {
    body = recordCode(generation, '', { fields, columns, row: 'row' }, writer);
  } catch (error) {
    if (error instanceof Unreadable) {
      const { path, message } = error;
      return { violation: { path, message } };
    }
    throw error;
  }
  const trailing = emitAt(generation, '').fail('trailing');
  const declared = fields.flatMap((field, index) =>
    declarations(field, `c${index}`, `into.columns[${index}]`),
  );
  const { constants, skipped, paths } = generation;
  return { body: wrap(declared, body, trailing), constants, skipped, paths };
}

function wrap(declared: readonly string[], body: string, trailing: string): string {
  return `'use strict';
const { readLong, clampToInt32 } = runtime;
const w = { low: 0, high: 0 };
return function decode(bytes, start, end, into) {
  const row = into.rowCount;
  ${declared.join('\n  ')}
  let p = start, n = 0;
  ${body}
  if (p !== end) ${trailing};
  into.rowCount = row + 1;
  return 0;
};`;
}

function declarations(field: ContractField, column: string, value: string): string[] {
  const own = `const ${column} = ${value};`;
  if (isScalarField(field)) return [own];
  switch (field.column) {
    case 'struct':
      return [
        own,
        ...field.fields.flatMap((inner, index) =>
          declarations(inner, `${column}_${index}`, `${column}.fields[${index}]`),
        ),
      ];
    case 'list':
      return [own, ...declarations(field.element, `${column}_e`, `${column}.element`)];
    case 'map':
      return [
        own,
        ...declarations(field.key, `${column}_k`, `${column}.key`),
        ...declarations(field.value, `${column}_v`, `${column}.value`),
      ];
  }
}

function emitAt(generation: Generation, path: string): Emit {
  const { constants, paths } = generation;
  const base = fieldStride * (paths.push(path) - 1);
  return {
    fail: (failure) => `return ${failures[failure].code + base}`,
    constant: (value) => `constants[${constants.push(value) - 1}]`,
  };
}

/** The columns of a record's fields, in the order of `fields`, and the row that they get. */
type RecordTarget = {
  fields: readonly ContractField[];
  columns: readonly string[];
  row: string;
};

/** Code that reads a record in the order of the writer, and then stores what the writer lacks. */
function recordCode(
  generation: Generation,
  path: string,
  { fields, columns, row }: RecordTarget,
  writer: RecordNode,
): string {
  const matches = matchFields(fields, writer.fields);
  const readers = new Map([...matches].map(([reader, field]) => [field, reader]));
  const targetOf = (field: ContractField): Target => ({
    column: columns[fields.indexOf(field)] ?? '',
    row,
  });
  const body = writer.fields.map((field) => {
    const fieldPath = pathWithin(path, 'struct', field.name);
    const reader = readers.get(field);
    return reader === undefined
      ? skipCode(generation, fieldPath, field.type)
      : readCode(generation, fieldPath, { field: reader, target: targetOf(reader) }, field.type);
  });
  for (const field of fields) {
    if (matches.has(field)) continue;
    const fieldPath = pathWithin(path, 'struct', field.name);
    const { constant } = emitAt(generation, fieldPath);
    const code = defaultStore(field, field.default, targetOf(field), constant);
    if (code === undefined) throw new Unreadable(fieldPath, 'missing');
    body.push(`${code};`);
  }
  return body.join('\n  ');
}

function skipCode(generation: Generation, path: string, type: AvroNode): string {
  const index = generation.skipped.push(type) - 1;
  return `p = skips[${index}](bytes, p, end, 0); ${checkPosition(emitAt(generation, path))}`;
}

/** A field of the contract and where its values go. */
type Reader<Field = ContractField> = { field: Field; target: Target };

/** Code that reads a wanted value. Throws `Unreadable` where no value of the writer's type could be read. */
function readCode(generation: Generation, path: string, reader: Reader, writer: AvroNode): string {
  const emit = emitAt(generation, path);
  if (writer.kind !== 'union') return branchCode(generation, { path, emit }, reader, writer);
  const cases = writer.branches.map((branch, index) => {
    const code = readableOrFail(generation, () =>
      branchCode(generation, { path, emit }, reader, branch),
    );
    return `case ${index}: { ${code}; break; }`;
  });
  return `${readIndex(emit)} switch (n) { ${cases.join(' ')} default: ${emit.fail('malformed')}; }`;
}

/** A branch that cannot be read fails where it is met: the writer may never use it. */
function readableOrFail(generation: Generation, generate: () => string): string {
  try {
    return generate();
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return emitAt(generation, error.path).fail(error.failure);
  }
}

type At = { path: string; emit: Emit };

function branchCode(
  generation: Generation,
  { path, emit }: At,
  { field, target }: Reader,
  writer: AvroNode,
): string {
  if (writer.kind === 'null') {
    return field.nullable ? nullStore(field, target) : emit.fail('nullValue');
  }
  const code = valueCode(generation, { path, emit }, { field, target }, writer);
  if (code === undefined) throw new Unreadable(path, 'unreadable');
  return code;
}

function valueCode(
  generation: Generation,
  at: At,
  { field, target }: Reader,
  writer: AvroNode,
): string | undefined {
  const { column, row } = target;
  if (isScalarField(field)) {
    return isScalar(writer) ? scalarCode(at.emit, field, target, writer) : undefined;
  }
  switch (field.column) {
    case 'struct': {
      if (writer.kind !== 'record') return undefined;
      const { fields } = field;
      const columns = fields.map((_, index) => `${column}_${index}`);
      const code = recordCode(generation, at.path, { fields, columns, row }, writer);
      return `${column}.valid[${row}] = 1; ${code}`;
    }
    case 'list': {
      if (writer.kind !== 'array' || !takesBytes(writer.items)) return undefined;
      const path = pathWithin(at.path, 'list', '');
      return blocksCode(generation, at.emit, target, (inner) => {
        const element = { column: `${column}_e`, row: inner };
        const code = readCode(
          generation,
          path,
          { field: field.element, target: element },
          writer.items,
        );
        return `${roomFor(element)} ${code}`;
      });
    }
    case 'map': {
      if (writer.kind !== 'map') return undefined;
      const path = pathWithin(at.path, 'map', '');
      return blocksCode(generation, at.emit, target, (inner) => {
        const key = { column: `${column}_k`, row: inner };
        const value = { column: `${column}_v`, row: inner };
        const keyCode = mapKeyCode(at.emit, { field: field.key, target: key });
        const code = readCode(
          generation,
          path,
          { field: field.value, target: value },
          writer.values,
        );
        return `${roomFor(key)} ${roomFor(value)} ${keyCode}; ${code}`;
      });
    }
  }
}

function mapKeyCode(emit: Emit, { field, target }: Reader<ScalarField>): string {
  return (
    scalarCode(emit, field, target, { kind: 'string', logical: {} }) ?? emit.fail('unreadable')
  );
}

function roomFor({ column, row }: Target): string {
  return `if (${row} >= ${column}.valid.length) runtime.growRows(${column}, ${row} + 1);`;
}

/**
 * Code that reads the blocks of an array or a map, `itemCode` for each item. Every item takes a byte or more, so that
 * whatever number of them is claimed, the record ends first.
 */
function blocksCode(
  generation: Generation,
  emit: Emit,
  { column, row }: Target,
  itemCode: (row: string) => string,
): string {
  generation.loops += 1;
  const depth = generation.loops;
  const [k, m, s] = [`k${depth}`, `m${depth}`, `s${depth}`];
  return `{ let ${k} = ${column}.offsets[${row}];
  for (;;) {
  ${readIndex(emit)}
  if (n === 0) break;
  let ${m} = n, ${s} = -1;
  if (n < 0) { ${m} = -n; ${readIndex(emit)} if (n < 0) ${emit.fail('malformed')}; ${s} = p + n; }
  for (; ${m} > 0; ${m}--) { ${itemCode(k)}; ${k}++; }
  if (${s} >= 0 && p !== ${s}) ${emit.fail('malformed')};
  }
  ${column}.offsets[${row} + 1] = ${k}; ${column}.valid[${row}] = 1; }`;
}
