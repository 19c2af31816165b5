import type { ContractField, NestedContractField, ScalarField } from './contract-field.ts';
import { isScalarField } from './contract-field.ts';
import { appendUuidText, decimalFits, isDate, isTimeOfDay, isTimestamp } from './column-store.ts';
import { valueStore, wordStore } from './generate-scalar.ts';
import type { Emit, Target } from './generate-scalar.ts';
import type { BytesColumn } from './row-buffer.ts';

/** Code that stores null in the row, and in all that is part of it. */
export function nullStore(field: ContractField, target: Target): string {
  const { column, row } = target;
  switch (field.column) {
    case 'bytes':
      return `runtime.appendNull(${column}, ${row})`;
    case 'list':
    case 'map':
      return `${column}.offsets[${row} + 1] = ${column}.offsets[${row}]; ${column}.valid[${row}] = 0`;
    case 'struct': {
      const fields = field.fields.map((inner, index) =>
        nullStore(inner, { column: `${column}_${index}`, row }),
      );
      return [`${column}.valid[${row}] = 0`, ...fields].join('; ');
    }
    case 'int32':
    case 'int64':
    case 'float32':
    case 'float64':
    case 'boolean':
      return `${column}.valid[${row}] = 0`;
  }
}

/**
 * Code that stores a default in the row, for writers that lack the field; nothing where the contract gives
 * no default or one that its type cannot hold. Bytes defaults are text whose code points are the bytes; a record's
 * default may leave out what has a default of its own (Avro specification 1.12, "Complex Types, Records").
 */
export function defaultStore(
  field: ContractField,
  value: unknown,
  target: Target,
  constant: Emit['constant'],
): string | undefined {
  if (value === undefined) return undefined;
  if (value === null) return field.nullable ? nullStore(field, target) : undefined;
  return isScalarField(field)
    ? scalarStore(field, value, target, constant)
    : nestedStore(field, value, target, constant);
}

function nestedStore(
  field: NestedContractField,
  value: unknown,
  target: Target,
  constant: Emit['constant'],
): string | undefined {
  const { column, row } = target;
  switch (field.column) {
    case 'struct': {
      if (!isObject(value)) return undefined;
      const stores = field.fields.map((inner, index) => {
        const own = Object.hasOwn(value, inner.name) ? value[inner.name] : inner.default;
        return defaultStore(inner, own, { column: `${column}_${index}`, row }, constant);
      });
      return allOf([`${column}.valid[${row}] = 1`, ...stores]);
    }
    case 'list': {
      if (!Array.isArray(value)) return undefined;
      const items = value.map((item: unknown) => [
        ...roomAndStore(field.element, item, `${column}_e`, constant),
      ]);
      return itemsStore(target, items);
    }
    case 'map': {
      if (!isObject(value)) return undefined;
      const items = Object.entries(value).map(([key, item]) => [
        ...roomAndStore(field.key, key, `${column}_k`, constant),
        ...roomAndStore(field.value, item, `${column}_v`, constant),
      ]);
      return itemsStore(target, items);
    }
  }
}

/** The row within a list or a map is `k` here: what is stored of an item reads it before the next one raises it. */
function roomAndStore(
  field: ContractField,
  value: unknown,
  column: string,
  constant: Emit['constant'],
): (string | undefined)[] {
  return [
    `if (k >= ${column}.valid.length) runtime.growRows(${column}, k + 1)`,
    defaultStore(field, value, { column, row: 'k' }, constant),
  ];
}

/** An outer `k` is read before the inner one hides it. */
function itemsStore(
  { column, row }: Target,
  items: readonly (readonly (string | undefined)[])[],
): string | undefined {
  const stores = items.map((parts) => allOf([...parts, 'k++']));
  const code = allOf(stores);
  if (code === undefined) return undefined;
  const end = `${column}.offsets[at + 1] = k; ${column}.valid[at] = 1`;
  return `{ const at = ${row}; { let k = ${column}.offsets[at]; ${code}; ${end}; } }`;
}

function allOf(parts: readonly (string | undefined)[]): string | undefined {
  return parts.includes(undefined) ? undefined : parts.join('; ');
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function scalarStore(
  field: ScalarField,
  value: unknown,
  target: Target,
  constant: Emit['constant'],
): string | undefined {
  switch (field.column) {
    case 'bytes': {
      const bytes = defaultBytes(field, value);
      if (bytes === undefined) return undefined;
      const { column, row } = target;
      return `runtime.appendBytes(${column}, ${row}, ${constant(bytes)}, 0, ${bytes.length})`;
    }
    case 'int64':
      return defaultWord(field, value, target);
    case 'boolean':
      return typeof value === 'boolean' ? valueStore(target, value ? '1' : '0') : undefined;
    case 'int32':
    case 'float32':
    case 'float64':
      return fitsNumber(field, value) ? valueStore(target, String(value)) : undefined;
  }
}

function fitsNumber({ column, meaning }: ScalarField, value: unknown): boolean {
  if (typeof value !== 'number') return false;
  if (column === 'float64') return Number.isFinite(value);
  if (column === 'float32') return Number.isFinite(Math.fround(value));
  return meaning === 'date' ? Number.isInteger(value) && isDate(value) : value === (value | 0);
}

function defaultWord(field: ScalarField, value: unknown, target: Target): string | undefined {
  if (typeof value !== 'number' || !Number.isInteger(value)) return undefined;
  const millis = field.type.logical.logicalType?.endsWith('-millis') === true;
  const whole = BigInt(value) * (millis ? 1000n : 1n);
  if (BigInt.asIntN(64, whole) !== whole) return undefined;
  const word = { low: Number(BigInt.asIntN(32, whole)), high: Number(whole >> 32n) };
  if (field.meaning === 'micros' && !isTimestamp(word)) return undefined;
  if (field.meaning === 'time-of-day' && !isTimeOfDay(word)) return undefined;
  return wordStore(target, String(word.low), String(word.high));
}

function defaultBytes(field: ScalarField, text: unknown): Uint8Array | undefined {
  const { type, meaning } = field;
  if (typeof text !== 'string') return undefined;
  if (type.kind === 'enum' && !type.symbols.includes(text)) return undefined;
  if (type.kind === 'string') {
    if (!text.isWellFormed()) return undefined;
    const bytes = new TextEncoder().encode(text);
    return meaning === 'uuid' ? uuidBytes(bytes) : bytes;
  }
  if (type.kind === 'enum') return new TextEncoder().encode(text);
  const bytes = Uint8Array.from(Buffer.from(text, 'latin1'));
  // A code point above 255 is no byte.
  if (Buffer.from(bytes).toString('latin1') !== text) return undefined;
  if (type.kind === 'fixed' && bytes.length !== type.size) return undefined;
  const { precision = 0 } = type.logical;
  if (meaning === 'decimal' && !decimalFits(bytes, 0, bytes.length, precision)) return undefined;
  return bytes;
}

function uuidBytes(text: Uint8Array): Uint8Array | undefined {
  const column: BytesColumn = {
    kind: 'bytes',
    name: 'uuid',
    bytes: new Uint8Array(16),
    offsets: new Int32Array(2),
    valid: new Uint8Array(1),
    grown: { bytes: 0 },
  };
  return appendUuidText(column, 0, text, 0, text.length) ? column.bytes : undefined;
}
