import { truncated } from './avro-wire.ts';
import type { AvroNode, EnumNode, ScalarNode } from './avro-type.ts';
import type { ScalarField } from './contract-field.ts';
import type { failures } from './decode-failure.ts';

/** What code of a field is generated with. */
export type Emit = {
  /** Code that leaves the decoder with a failure of the field at hand. */
  fail: (failure: keyof typeof failures) => string;
  /** Makes a value reachable from the code and returns its name there. */
  constant: (value: unknown) => string;
};

/** Names in the code of the column and of the row that a value goes to. */
export type Target = { column: string; row: string };

/** Code that reads a scalar of the writer, or nothing where no value of its type could be read. */
export function scalarCode(
  emit: Emit,
  field: ScalarField,
  target: Target,
  writer: ScalarNode,
): string | undefined {
  switch (field.type.kind) {
    case 'boolean':
      return writer.kind === 'boolean' ? booleanCode(emit, target) : undefined;
    case 'int':
      return writer.kind === 'int' ? intCode(emit, field, target, writer) : undefined;
    case 'long':
      return writer.kind === 'int' || writer.kind === 'long'
        ? longCode(emit, field, target, writer)
        : undefined;
    case 'float':
    case 'double':
      return floatCode(emit, field, target, writer);
    case 'string':
    case 'bytes':
      return writer.kind === 'string' || writer.kind === 'bytes'
        ? sizedCode(emit, field, target, writer)
        : undefined;
    case 'fixed':
      return writer.kind === 'fixed' && writer.size === field.type.size
        ? fixedCode(emit, field, target, writer)
        : undefined;
    case 'enum':
      return writer.kind === 'enum' ? enumCode(emit, field.type, target, writer) : undefined;
  }
}

/** Length, count or index: one byte nearly always. */
export function readIndex(emit: Emit): string {
  return `n = bytes[p++];
  if (n < 0x80) { n = (n >>> 1) ^ -(n & 1); if (p > end) ${emit.fail('truncated')}; }
  else { p = readLong(bytes, p - 1, end, w); ${checkPosition(emit)} n = clampToInt32(w); }`;
}

/** Code that ends in a failure where a reader has put one in place of the position. */
export function checkPosition(emit: Emit): string {
  return `if (p < 0) { if (p === ${truncated}) ${emit.fail('truncated')}; ${emit.fail('malformed')}; }`;
}

/** Code that stores a number. */
export function valueStore({ column, row }: Target, value: string): string {
  return `${column}.values[${row}] = ${value}; ${column}.valid[${row}] = 1`;
}

/** Code that stores a 64-bit integer of two words. */
export function wordStore({ column, row }: Target, low: string, high: string): string {
  return (
    `${column}.words[2 * ${row}] = ${low}; ${column}.words[2 * ${row} + 1] = ${high}; ` +
    `${column}.valid[${row}] = 1`
  );
}

function booleanCode(emit: Emit, target: Target): string {
  return `if (p >= end) ${emit.fail('truncated')};
  n = bytes[p++]; if (n > 1) ${emit.fail('malformed')};
  ${valueStore(target, 'n')}`;
}

const readWord = (emit: Emit): string => `p = readLong(bytes, p, end, w); ${checkPosition(emit)}`;

const checkInt = (emit: Emit): string => `if (w.high !== w.low >> 31) ${emit.fail('malformed')};`;

function intCode(
  emit: Emit,
  field: ScalarField,
  target: Target,
  writer: ScalarNode,
): string | undefined {
  if (field.meaning === 'time-of-day') return longCode(emit, field, target, writer);
  const range =
    field.meaning === 'date' ? `if (!runtime.isDate(w.low)) ${emit.fail('timestamp')};` : '';
  return `${readWord(emit)} ${checkInt(emit)} ${range}
  ${valueStore(target, 'w.low')}`;
}

function longCode(
  emit: Emit,
  field: ScalarField,
  target: Target,
  writer: ScalarNode,
): string | undefined {
  const convert = timeCode(emit, field, writer);
  if (convert === undefined) return undefined;
  return `${readWord(emit)} ${writer.kind === 'int' ? checkInt(emit) : ''} ${convert}
  ${wordStore(target, 'w.low', 'w.high')}`;
}

/** Code that makes microseconds of `w` in the writer's unit, which is the contract's where it names none. */
function timeCode(emit: Emit, field: ScalarField, writer: ScalarNode): string | undefined {
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
  field: ScalarField,
  target: Target,
  writer: ScalarNode,
): string | undefined {
  const put = (value: string): string => valueStore(target, value);
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
  field: ScalarField,
  target: Target,
  writer: ScalarNode,
): string | undefined {
  const append = appendCode(emit, field, target, writer);
  if (append === undefined) return undefined;
  return `${readIndex(emit)}
  if (n < 0) ${emit.fail('malformed')};
  if (n > end - p) ${emit.fail('truncated')};
  ${append}; p += n`;
}

function fixedCode(
  emit: Emit,
  field: ScalarField,
  target: Target,
  writer: ScalarNode & { kind: 'fixed' },
): string | undefined {
  const append = appendCode(emit, field, target, writer);
  if (append === undefined) return undefined;
  return `n = ${writer.size}; if (n > end - p) ${emit.fail('truncated')}; ${append}; p += n`;
}

/** Code that appends the `n` bytes at `p`, checked for what they mean. */
function appendCode(
  emit: Emit,
  field: ScalarField,
  target: Target,
  writer: ScalarNode,
): string | undefined {
  const { column, row } = target;
  const append = `runtime.appendBytes(${column}, ${row}, bytes, p, n)`;
  const { precision, scale = 0 } = field.type.logical;
  switch (field.meaning) {
    case 'text':
      return `if (!runtime.appendText(${column}, ${row}, bytes, p, n)) ${emit.fail('invalidUtf8')}`;
    case 'uuid':
      return field.type.kind === 'fixed'
        ? append
        : `if (!runtime.appendUuidText(${column}, ${row}, bytes, p, n)) ${emit.fail('uuid')}`;
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
function enumCode(emit: Emit, reader: EnumNode, target: Target, writer: EnumNode): string {
  const texts = writer.symbols.map((symbol) => {
    const known = reader.symbols.includes(symbol) ? symbol : reader.default;
    return known === undefined ? undefined : new TextEncoder().encode(known);
  });
  return `${readIndex(emit)}
  if (n < 0 || n >= ${texts.length}) ${emit.fail('malformed')};
  { const text = ${emit.constant(texts)}[n]; if (text === undefined) ${emit.fail('symbol')};
  runtime.appendBytes(${target.column}, ${target.row}, text, 0, text.length); }`;
}
