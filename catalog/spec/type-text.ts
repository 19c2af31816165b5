import { CatalogError } from '../error.ts';
import type { IcebergType, PrimitiveType } from './table-schema.ts';

const PLAIN: ReadonlySet<string> = new Set([
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'string',
  'uuid',
  'binary',
]);

const FIXED = /^fixed\[(\d+)\]$/;
const DECIMAL = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/;

/** The largest precision that the table spec allows for a decimal. */
const DECIMAL_PRECISION_MAX = 38;

/**
 * A primitive type from its JSON text, in the one spelling that this package uses: other writers
 * leave out the space in `decimal(9,2)`. Errors: `config` for a type that format version 2 does not have.
 * Source: Iceberg table spec, appendix C, "Schemas".
 */
export function parsePrimitiveType(text: string): PrimitiveType {
  if (PLAIN.has(text)) return text as PrimitiveType;
  const fixed = FIXED.exec(text);
  if (fixed !== null) return `fixed[${Number(fixed[1])}]`;
  const decimal = DECIMAL.exec(text);
  if (decimal !== null) {
    const precision = Number(decimal[1]);
    const scale = Number(decimal[2]);
    if (precision >= 1 && precision <= DECIMAL_PRECISION_MAX && scale <= precision) {
      return `decimal(${precision}, ${scale})`;
    }
  }
  throw new CatalogError('config', `unknown primitive type "${text}"`, { context: { type: text } });
}

/** A type in one line as people write it: `struct<street: string, lines: list<string>>`. */
export function typeText(type: IcebergType): string {
  if (typeof type === 'string') return type;
  switch (type.type) {
    case 'struct':
      return `struct<${type.fields.map((field) => `${field.name}: ${typeText(field.type)}`).join(', ')}>`;
    case 'list':
      return `list<${typeText(type.element)}>`;
    case 'map':
      return `map<${typeText(type.key)}, ${typeText(type.value)}>`;
  }
}

/** The length in bytes of a `fixed[n]`, or undefined for any other type. */
export function fixedLength(type: PrimitiveType): number | undefined {
  const match = FIXED.exec(type);
  return match === null ? undefined : Number(match[1]);
}

/** Precision and scale of a `decimal(p, s)`, or undefined for any other type. */
export function decimalShape(
  type: PrimitiveType,
): { precision: number; scale: number } | undefined {
  const match = DECIMAL.exec(type);
  return match === null ? undefined : { precision: Number(match[1]), scale: Number(match[2]) };
}

/**
 * The fewest bytes whose two's complement holds every decimal of this precision: the length of the
 * `fixed` that Avro manifests and Parquet files use. Source: Iceberg table spec, appendix A.
 */
export function decimalBytesMin(precision: number): number {
  const largest = 10n ** BigInt(precision) - 1n;
  return Math.floor(largest.toString(2).length / 8) + 1;
}
