import type { PartitionValue } from '../manifest/data-file.ts';
import { fromTwosComplement } from '../spec/single-value.ts';
import type { PrimitiveType } from '../spec/table-schema.ts';
import { decimalShape } from '../spec/type-text.ts';
import type { FlatColumn } from './columns.ts';
import { isValid } from './validity.ts';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * One value of a column in the form that `applyTransform` documents; null where it is null. It makes a
 * string, a BigInt or a copy, so the hot path reads columns itself.
 */
export function columnValue(column: FlatColumn, type: PrimitiveType, row: number): PartitionValue {
  if (column.kind === 'dictionary') {
    const code = column.codes[row] ?? -1;
    return code < 0 ? null : columnValue(column.dictionary.values, type, code);
  }
  if (!isValid(column.valid, row)) return null;
  switch (column.kind) {
    case 'boolean':
      return column.values[row] !== 0;
    case 'int32':
    case 'int64':
    case 'float32':
    case 'float64':
      return column.values[row] ?? null;
    case 'bytes': {
      const { bytes, offsets } = column.slices;
      const slice = bytes.slice(offsets[row], offsets[row + 1]);
      if (type === 'string') return utf8.decode(slice);
      return decimalShape(type) === undefined ? slice : fromTwosComplement(slice);
    }
  }
}
