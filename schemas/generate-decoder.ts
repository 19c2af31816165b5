import { isScalar } from './avro-type.ts';
import type { AvroNode, EnumNode, FieldNode, RecordNode, ScalarNode } from './avro-type.ts';
import { truncated } from './avro-wire.ts';
import type { ContractField } from './contract-field.ts';
import { failures, fieldStride } from './decode-failure.ts';
import { defaultStore } from './default-value.ts';

/**
 * The source of one decoder: the body of `(runtime, constants, skips) => (bytes, start, end, into) => code`.
 *
 *   p   next position       n   last length or index      w   last 64-bit integer
 *   cI  column of the contract's field I, with its arrays vI and okI
 *
 * A value is checked to lie before `end` after it was read: reads beyond give other bytes, never harm.
 */
export type GeneratedDecoder = {
  body: string;
  constants: readonly unknown[];
  skipped: readonly AvroNode[];
};

type Emit = {
  /** Code that leaves the decoder with a failure of the field at hand. */
  fail: (failure: keyof typeof failures) => string;
  /** Makes a value reachable from the code and returns its name there. */
  constant: (value: unknown) => string;
};

/** Generates a decoder, or says which field makes the writer's records unreadable. */
export function generateDecoder(
  fields: readonly ContractField[],
  writer: RecordNode,
): GeneratedDecoder | { violation: string } {
  const constants: unknown[] = [];
  const constant = (value: unknown): string => `constants[${constants.push(value) - 1}]`;
  const skipped: AvroNode[] = [];
  const readers = matchFields(fields, writer);
  const body: string[] = [];
  for (const [index, field] of writer.fields.entries()) {
    const emit = { fail: failAt(index), constant };
    const reader = readers.get(field);
    if (reader === undefined) {
      body.push(skipCode(emit, skipped.push(field.type) - 1));
      continue;
    }
    const code = readCode(emit, reader, fields.indexOf(reader), field.type);
    if (code === undefined) {
      return { violation: `field ${reader.name}: ${failures.unreadable.text}` };
    }
    body.push(code);
  }
  const missing = missingFields(fields, [...readers.values()]);
  for (const field of missing) {
    const code = defaultStore(field, `c${fields.indexOf(field)}`, constant);
    if (code === undefined) {
      return { violation: `field ${field.name}: the writer lacks it and it has no usable default` };
    }
    body.push(code);
  }
  return { body: wrap(fields.length, writer.fields.length, body), constants, skipped };
}

function wrap(columnCount: number, writerFieldCount: number, body: readonly string[]): string {
  const columns = Array.from(
    { length: columnCount },
    (_, i) => `const c${i} = into.columns[${i}];`,
  );
  return `'use strict';
const { readLong, clampToInt32 } = runtime;
const w = { low: 0, high: 0 };
return function decode(bytes, start, end, into) {
  const row = into.rowCount;
  ${columns.join('\n  ')}
  let p = start, n = 0;
  ${body.join('\n  ')}
  if (p !== end) ${failAt(writerFieldCount)('trailing')};
  into.rowCount = row + 1;
  return 0;
};`;
}

function failAt(index: number): Emit['fail'] {
  return (failure) => `return ${failures[failure].code + fieldStride * index}`;
}

function matchFields(
  fields: readonly ContractField[],
  writer: RecordNode,
): Map<FieldNode, ContractField> {
  const readers = new Map<FieldNode, ContractField>();
  for (const field of fields) {
    const names = [field.name, ...field.aliases];
    const match = names
      .map((name) => writer.fields.find((candidate) => candidate.name === name))
      .find((candidate) => candidate !== undefined && !readers.has(candidate));
    if (match !== undefined) readers.set(match, field);
  }
  return readers;
}

function missingFields(
  fields: readonly ContractField[],
  matched: readonly ContractField[],
): ContractField[] {
  const present = new Set(matched);
  return fields.filter((field) => !present.has(field));
}

function skipCode(emit: Emit, index: number): string {
  return `p = skips[${index}](bytes, p, end, 0); ${checkPosition(emit)}`;
}

function checkPosition(emit: Emit): string {
  return `if (p < 0) { if (p === ${truncated}) ${emit.fail('truncated')}; ${emit.fail('malformed')}; }`;
}

/** Code that reads a wanted field, or nothing where no value of it could be read. */
function readCode(
  emit: Emit,
  field: ContractField,
  column: number,
  writer: AvroNode,
): string | undefined {
  if (writer.kind !== 'union') return branchCode(emit, field, column, writer);
  const branches = writer.branches.map(
    (branch) => branchCode(emit, field, column, branch) ?? emit.fail('unreadable'),
  );
  const cases = branches.map((code, index) => `case ${index}: { ${code}; break; }`);
  return `${readIndex(emit)} switch (n) { ${cases.join(' ')} default: ${emit.fail('malformed')}; }`;
}

function branchCode(
  emit: Emit,
  field: ContractField,
  column: number,
  writer: AvroNode,
): string | undefined {
  if (writer.kind === 'null') {
    return field.nullable ? nullStore(field, `c${column}`) : emit.fail('nullValue');
  }
  return isScalar(writer) ? scalarCode(emit, field, `c${column}`, writer) : undefined;
}

/** Code that stores null in the row. */
function nullStore(field: ContractField, column: string): string {
  return field.column === 'bytes'
    ? `runtime.appendNull(${column}, row)`
    : `${column}.valid[row] = 0`;
}

/** Length, count or index: one byte nearly always. */
function readIndex(emit: Emit): string {
  return `n = bytes[p++];
  if (n < 0x80) { n = (n >>> 1) ^ -(n & 1); if (p > end) ${emit.fail('truncated')}; }
  else { p = readLong(bytes, p - 1, end, w); ${checkPosition(emit)} n = clampToInt32(w); }`;
}

function scalarCode(
  emit: Emit,
  field: ContractField,
  column: string,
  writer: ScalarNode,
): string | undefined {
  switch (field.type.kind) {
    case 'boolean':
      return writer.kind === 'boolean' ? booleanCode(emit, column) : undefined;
    case 'int':
      return writer.kind === 'int' ? intCode(emit, field, column, writer) : undefined;
    case 'long':
      return writer.kind === 'int' || writer.kind === 'long'
        ? longCode(emit, field, column, writer)
        : undefined;
    case 'float':
    case 'double':
      return floatCode(emit, field, column, writer);
    case 'string':
    case 'bytes':
      return writer.kind === 'string' || writer.kind === 'bytes'
        ? sizedCode(emit, field, column, writer)
        : undefined;
    case 'fixed':
      return writer.kind === 'fixed' && writer.size === field.type.size
        ? fixedCode(emit, field, column, writer)
        : undefined;
    case 'enum':
      return writer.kind === 'enum' ? enumCode(emit, field.type, column, writer) : undefined;
  }
}

function booleanCode(emit: Emit, column: string): string {
  return `if (p >= end) ${emit.fail('truncated')};
  n = bytes[p++]; if (n > 1) ${emit.fail('malformed')};
  ${column}.values[row] = n; ${column}.valid[row] = 1`;
}

const readWord = (emit: Emit): string => `p = readLong(bytes, p, end, w); ${checkPosition(emit)}`;

const checkInt = (emit: Emit): string => `if (w.high !== w.low >> 31) ${emit.fail('malformed')};`;

function intCode(
  emit: Emit,
  field: ContractField,
  column: string,
  writer: ScalarNode,
): string | undefined {
  if (field.meaning === 'time-of-day') return longCode(emit, field, column, writer);
  const range =
    field.meaning === 'date' ? `if (!runtime.isDate(w.low)) ${emit.fail('timestamp')};` : '';
  return `${readWord(emit)} ${checkInt(emit)} ${range}
  ${column}.values[row] = w.low; ${column}.valid[row] = 1`;
}

function longCode(
  emit: Emit,
  field: ContractField,
  column: string,
  writer: ScalarNode,
): string | undefined {
  const convert = timeCode(emit, field, writer);
  if (convert === undefined) return undefined;
  return `${readWord(emit)} ${writer.kind === 'int' ? checkInt(emit) : ''} ${convert}
  ${column}.words[2 * row] = w.low; ${column}.words[2 * row + 1] = w.high; ${column}.valid[row] = 1`;
}

/** Code that makes microseconds of `w` in the writer's unit, which is the contract's where it names none. */
function timeCode(emit: Emit, field: ContractField, writer: ScalarNode): string | undefined {
  if (field.meaning === 'plain') return '';
  const unit = (writer.logical.logicalType ?? field.type.logical.logicalType ?? '')
    .split('-')
    .at(-1);
  if (unit !== 'millis' && unit !== 'micros') return undefined;
  const failure = field.meaning === 'micros' ? 'timestamp' : 'timeOfDay';
  const within = field.meaning === 'micros' ? 'isTimestamp' : 'isTimeOfDay';
  const scale =
    unit === 'millis' ? `if (!runtime.multiplyByThousand(w)) ${emit.fail(failure)};` : '';
  return `${scale} if (!runtime.${within}(w)) ${emit.fail(failure)};`;
}

function floatCode(
  emit: Emit,
  field: ContractField,
  column: string,
  writer: ScalarNode,
): string | undefined {
  const put = (value: string): string =>
    `${column}.values[row] = ${value}; ${column}.valid[row] = 1`;
  const floats: Partial<Record<AvroNode['kind'], string>> = {
    int: `${readWord(emit)} ${checkInt(emit)} ${put('w.low')}`,
    long: `${readWord(emit)} ${put('w.high * 4294967296 + (w.low >>> 0)')}`,
    float: `if (end - p < 4) ${emit.fail('truncated')};
  ${put('runtime.readFloat32(bytes, p)')}; p += 4`,
  };
  const double = `if (end - p < 8) ${emit.fail('truncated')};
  ${put('runtime.readFloat64(bytes, p)')}; p += 8`;
  return writer.kind === 'double' && field.type.kind === 'double' ? double : floats[writer.kind];
}

function sizedCode(
  emit: Emit,
  field: ContractField,
  column: string,
  writer: ScalarNode,
): string | undefined {
  const append = appendCode(emit, field, column, writer);
  if (append === undefined) return undefined;
  return `${readIndex(emit)}
  if (n < 0) ${emit.fail('malformed')};
  if (n > end - p) ${emit.fail('truncated')};
  ${append}; p += n`;
}

function fixedCode(
  emit: Emit,
  field: ContractField,
  column: string,
  writer: ScalarNode & { kind: 'fixed' },
): string | undefined {
  const append = appendCode(emit, field, column, writer);
  if (append === undefined) return undefined;
  return `n = ${writer.size}; if (n > end - p) ${emit.fail('truncated')}; ${append}; p += n`;
}

/** Code that appends the `n` bytes at `p`, checked for what they mean. */
function appendCode(
  emit: Emit,
  field: ContractField,
  column: string,
  writer: ScalarNode,
): string | undefined {
  const append = `runtime.appendBytes(${column}, row, bytes, p, n)`;
  const { precision, scale = 0 } = field.type.logical;
  switch (field.meaning) {
    case 'text':
      return `if (!runtime.appendText(${column}, row, bytes, p, n)) ${emit.fail('invalidUtf8')}`;
    case 'uuid':
      return field.type.kind === 'fixed'
        ? append
        : `if (!runtime.appendUuidText(${column}, row, bytes, p, n)) ${emit.fail('uuid')}`;
    case 'decimal':
      if (writer.logical.logicalType === 'decimal' && (writer.logical.scale ?? 0) !== scale) {
        return undefined;
      }
      return `if (!runtime.decimalFits(bytes, p, n, ${precision})) ${emit.fail('decimal')}; ${append}`;
    case 'plain':
    case 'date':
    case 'micros':
    case 'time-of-day':
      return append;
  }
}

/** An enum is stored as the text of its symbol; a symbol unknown to the contract becomes its default. */
function enumCode(emit: Emit, reader: EnumNode, column: string, writer: EnumNode): string {
  const texts = writer.symbols.map((symbol) => {
    const known = reader.symbols.includes(symbol) ? symbol : reader.default;
    return known === undefined ? undefined : new TextEncoder().encode(known);
  });
  return `${readIndex(emit)}
  if (n < 0 || n >= ${texts.length}) ${emit.fail('malformed')};
  { const text = ${emit.constant(texts)}[n]; if (text === undefined) ${emit.fail('symbol')};
  runtime.appendBytes(${column}, row, text, 0, text.length); }`;
}
