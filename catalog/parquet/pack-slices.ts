import { CatalogError } from '../error.ts';
import type { PrimitiveType } from '../spec/table-schema.ts';
import { decimalBytesMin, decimalShape } from '../spec/type-text.ts';
import type { ByteSlices, Column } from './columns.ts';
import { gatherSlices } from './select-rows.ts';
import { isValid } from './validity.ts';

type BytesColumn = Extract<Column, { kind: 'bytes' }>;
type NamedField = { id: number; name: string; type: PrimitiveType };

/** Arrow's 128-bit decimals: little-endian, 16 bytes each. */
const DECIMAL_BYTES = 16;

/**
 * Text or binary slices of the first `rowCount` rows. Where null rows have bytes under them, they are
 * taken out: they need not be UTF-8 and would cost space.
 */
export function packText(column: BytesColumn, rowCount: number, hasNulls: boolean): ByteSlices {
  const { bytes, offsets } = column.slices;
  if (hasNulls && hasBytesUnderNulls(column, rowCount)) {
    const rows = Int32Array.from({ length: rowCount }, (_, row) => row);
    return gatherSlices(column.slices, column.valid, rows);
  }
  return { bytes, offsets: offsets.subarray(0, rowCount + 1) };
}

function hasBytesUnderNulls(
  { slices: { offsets }, valid }: BytesColumn,
  rowCount: number,
): boolean {
  for (let row = 0; row < rowCount; row += 1) {
    if (!isValid(valid, row) && offsets[row] !== offsets[row + 1]) return true;
  }
  return false;
}

/**
 * Values of one length, end to end, zeros at null rows. Errors: `config` for a value of another length.
 */
export function packFixed(
  field: NamedField,
  column: BytesColumn,
  { rowCount, width }: { rowCount: number; width: number },
): Uint8Array {
  const packed = new Uint8Array(rowCount * width);
  const { bytes, offsets } = column.slices;
  for (let row = 0; row < rowCount; row += 1) {
    if (!isValid(column.valid, row)) continue;
    const start = offsets[row] ?? 0;
    const length = (offsets[row + 1] ?? 0) - start;
    if (length !== width) throw misfit(field, row, `has ${length} bytes`);
    for (let index = 0; index < width; index += 1) {
      packed[row * width + index] = bytes[start + index] ?? 0;
    }
  }
  return packed;
}

/**
 * Big-endian two's complement values of any length as 16-byte little-endian ones. Errors: `config` for
 * a value that needs more bytes than the precision has: the encoder would wrap it silently.
 */
export function packDecimals(field: NamedField, column: BytesColumn, rowCount: number): Uint8Array {
  const packed = new Uint8Array(rowCount * DECIMAL_BYTES);
  const { bytes, offsets } = column.slices;
  const bytesMax = decimalBytesMin(decimalShape(field.type)?.precision ?? 0);
  for (let row = 0; row < rowCount; row += 1) {
    if (!isValid(column.valid, row)) continue;
    const start = offsets[row] ?? 0;
    const end = offsets[row + 1] ?? 0;
    const sign = end > start && (bytes[start] ?? 0) >= 0x80 ? 0xff : 0;
    const target = row * DECIMAL_BYTES;
    if (sign !== 0) packed.fill(sign, target, target + DECIMAL_BYTES);
    for (let at = end - 1, index = 0; at >= start; at -= 1, index += 1) {
      const byte = bytes[at] ?? 0;
      if (index < bytesMax) packed[target + index] = byte;
      else if (byte !== sign) throw misfit(field, row, 'is too large');
    }
    const top = packed[target + bytesMax - 1] ?? 0;
    if (top >= 0x80 !== (sign !== 0)) throw misfit(field, row, 'is too large');
  }
  return packed;
}

function misfit(field: NamedField, row: number, problem: string): CatalogError {
  return new CatalogError(
    'config',
    `value of column "${field.name}" in row ${row} ${problem} for type ${field.type}`,
    { context: { fieldId: field.id, row } },
  );
}
