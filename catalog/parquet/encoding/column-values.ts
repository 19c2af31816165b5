import { CatalogError } from '../../error.ts';
import { decimalShape, fixedLength } from '../../spec/type-text.ts';
import type { PlainColumn } from '../columns.ts';
import { fixedValues } from './fixed-values.ts';
import { booleanValues, floatValues, int32Values, int64Values } from './number-values.ts';
import type { PageValues, PrimitiveField } from './page-values.ts';
import { textValues } from './text-values.ts';

const UUID_BYTES = 16;

/**
 * The values of the given rows of a column, none of them null. Errors: `config` for a column kind that does not fit
 * the type, text that is no UTF-8, a value that does not fit a fixed length or a decimal's precision, values
 * of more than a GiB together.
 */
export function columnValues(
  field: PrimitiveField,
  column: PlainColumn,
  rows: Int32Array,
): PageValues {
  const { type } = field;
  switch (column.kind) {
    case 'int32':
      if (type === 'int' || type === 'date') return int32Values(column.values, rows);
      break;
    case 'int64':
      if (type === 'long' || type === 'time' || type === 'timestamp' || type === 'timestamptz') {
        return int64Values(column.values, rows);
      }
      break;
    case 'float32':
      if (type === 'float') return floatValues(column.values, rows);
      break;
    case 'float64':
      if (type === 'double') return floatValues(column.values, rows);
      break;
    case 'boolean':
      if (type === 'boolean') return booleanValues(column.values, rows);
      break;
    case 'bytes': {
      if (type === 'string' || type === 'binary') return textValues(field, column.slices, rows);
      const width = type === 'uuid' ? UUID_BYTES : fixedLength(type);
      if (width !== undefined || decimalShape(type) !== undefined) {
        return fixedValues(field, column.slices, { rows, width });
      }
      break;
    }
  }
  throw new CatalogError(
    'config',
    `column "${field.name}" holds ${column.kind} values, which do not fit its type ${type}`,
    { context: { fieldId: field.id } },
  );
}
