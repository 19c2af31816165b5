import type { ContractField } from './contract-field.ts';
import { appendUuidText, decimalFits } from './column-store.ts';
import type { BytesColumn } from './row-buffer.ts';

/**
 * Code that stores a field's default in the row, for writers that lack the field; nothing where the
 * contract gives no default or one that its type cannot hold. Bytes defaults are text whose code points
 * are the bytes (Avro specification 1.12, "Complex Types, Records").
 */
export function defaultStore(
  field: ContractField,
  column: string,
  constant: (value: unknown) => string,
): string | undefined {
  if (field.default === undefined) return undefined;
  if (field.default === null) {
    return field.column === 'bytes'
      ? `runtime.appendNull(${column}, row);`
      : `${column}.valid[row] = 0;`;
  }
  switch (field.column) {
    case 'bytes':
      return bytesStore(field, column, constant);
    case 'int64':
      return wordStore(field, column);
    case 'boolean':
      return typeof field.default === 'boolean'
        ? valueStore(column, field.default ? 1 : 0)
        : undefined;
    case 'int32':
    case 'float32':
    case 'float64':
      return typeof field.default === 'number' ? valueStore(column, field.default) : undefined;
  }
}

const valueStore = (column: string, value: number): string =>
  `${column}.values[row] = ${value}; ${column}.valid[row] = 1;`;

function wordStore(field: ContractField, column: string): string | undefined {
  if (typeof field.default !== 'number' || !Number.isInteger(field.default)) return undefined;
  const millis = field.type.logical.logicalType?.endsWith('-millis') === true;
  const value = BigInt(field.default) * (millis ? 1000n : 1n);
  const low = Number(BigInt.asIntN(32, value));
  const high = Number(BigInt.asIntN(32, value >> 32n));
  return (
    `${column}.words[2 * row] = ${low}; ${column}.words[2 * row + 1] = ${high}; ` +
    `${column}.valid[row] = 1;`
  );
}

function bytesStore(
  field: ContractField,
  column: string,
  constant: (value: unknown) => string,
): string | undefined {
  const value = defaultBytes(field);
  if (value === undefined) return undefined;
  return `runtime.appendBytes(${column}, row, ${constant(value)}, 0, ${value.length});`;
}

function defaultBytes(field: ContractField): Uint8Array | undefined {
  const { default: text, type, meaning } = field;
  if (typeof text !== 'string') return undefined;
  if (type.kind === 'enum' && !type.symbols.includes(text)) return undefined;
  if (type.kind === 'string') {
    const bytes = new TextEncoder().encode(text);
    return meaning === 'uuid' ? uuidBytes(bytes) : bytes;
  }
  if (type.kind === 'enum') return new TextEncoder().encode(text);
  const bytes = Uint8Array.from(Buffer.from(text, 'latin1'));
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
  };
  return appendUuidText(column, 0, text, 0, text.length) ? column.bytes : undefined;
}
