import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { ScalarNode } from './avro-type.ts';
import type { ScalarColumn } from './row-buffer.ts';

/**
 * How the values of a field stand in a column. `int64` counts microseconds for `micros` and
 * `time-of-day`; `bytes` holds UTF-8 for `text`, 16 bytes for `uuid`, big-endian two's complement for
 * `decimal`.
 */
type ColumnMeaning = 'plain' | 'text' | 'date' | 'micros' | 'time-of-day' | 'decimal' | 'uuid';

/** What a scalar type of Avro is in memory and in the table. */
export type ScalarShape = {
  column: ScalarColumn['kind'];
  meaning: ColumnMeaning;
  tableType: PrimitiveType;
};

const decimalPrecisionMax = 38;

/**
 * The shape of a type, or the reason why it has none and what to do instead. A logical type that is unknown, or stands
 * on another type than its own, is refused and not ignored as Avro has it: a contract that misspells one would give
 * the table a column of numbers for good. In a writer's schema it is ignored.
 */
export function scalarShape(type: ScalarNode): ScalarShape | string {
  const { logicalType } = type.logical;
  return logicalType === undefined ? plainShape(type) : logicalShape(type, logicalType);
}

function plainShape(type: ScalarNode): ScalarShape | string {
  switch (type.kind) {
    case 'boolean':
      return { column: 'boolean', meaning: 'plain', tableType: 'boolean' };
    case 'int':
      return { column: 'int32', meaning: 'plain', tableType: 'int' };
    case 'long':
      return { column: 'int64', meaning: 'plain', tableType: 'long' };
    case 'float':
      return { column: 'float32', meaning: 'plain', tableType: 'float' };
    case 'double':
      return { column: 'float64', meaning: 'plain', tableType: 'double' };
    case 'string':
    case 'enum':
      return { column: 'bytes', meaning: 'text', tableType: 'string' };
    case 'bytes':
      return { column: 'bytes', meaning: 'plain', tableType: 'binary' };
    case 'fixed':
      return type.size === 0
        ? 'is a fixed of size 0, which has no values: leave it out'
        : { column: 'bytes', meaning: 'plain', tableType: `fixed[${type.size}]` };
  }
}

function logicalShape(type: ScalarNode, logicalType: string): ScalarShape | string {
  switch (logicalType) {
    case 'date':
      return type.kind === 'int'
        ? { column: 'int32', meaning: 'date', tableType: 'date' }
        : misplaced(type, 'int');
    case 'time-millis':
      return timeShape(type, 'int', { meaning: 'time-of-day', tableType: 'time' });
    case 'time-micros':
      return timeShape(type, 'long', { meaning: 'time-of-day', tableType: 'time' });
    case 'timestamp-millis':
    case 'timestamp-micros':
      return timeShape(type, 'long', { meaning: 'micros', tableType: 'timestamptz' });
    case 'local-timestamp-millis':
    case 'local-timestamp-micros':
      return timeShape(type, 'long', { meaning: 'micros', tableType: 'timestamp' });
    case 'uuid':
      return type.kind === 'string' || (type.kind === 'fixed' && type.size === 16)
        ? { column: 'bytes', meaning: 'uuid', tableType: 'uuid' }
        : misplaced(type, 'string or a fixed of 16 bytes');
    case 'decimal':
      return decimalShape(type);
    default:
      return `has logicalType ${logicalType}, which has no column type: ${insteadOf(logicalType, type)}`;
  }
}

function timeShape(
  type: ScalarNode,
  kind: ScalarNode['kind'],
  shape: Pick<ScalarShape, 'meaning' | 'tableType'>,
): ScalarShape | string {
  return type.kind === kind ? { column: 'int64', ...shape } : misplaced(type, kind);
}

function misplaced({ kind, logical }: ScalarNode, needed: string): string {
  return `has logicalType ${logical.logicalType} on ${kind}: it needs ${needed}, or take logicalType away`;
}

function insteadOf(logicalType: string, type: ScalarNode): string {
  switch (logicalType) {
    case 'timestamp-nanos':
    case 'local-timestamp-nanos':
      return `the table counts microseconds, so use ${logicalType.replace('nanos', 'micros')}, or a long`;
    case 'duration':
      return 'use a record of months, days and millis, or take logicalType away for the 12 bytes';
    case 'big-decimal':
      return 'use decimal, whose scale is the same in every row, or a string';
    default:
      return `correct its name, or take it away for a column of ${type.kind}`;
  }
}

function decimalShape(type: ScalarNode): ScalarShape | string {
  const { precision, scale = 0 } = type.logical;
  if (type.kind !== 'bytes' && type.kind !== 'fixed') return misplaced(type, 'bytes or a fixed');
  if (precision === undefined || !Number.isInteger(precision) || precision < 1) {
    return 'is a decimal without a precision: give it one of 1 to 38 digits';
  }
  if (precision > decimalPrecisionMax) {
    return `has a precision above ${decimalPrecisionMax}: lower it, or use a string`;
  }
  if (!Number.isInteger(scale) || scale < 0 || scale > precision) {
    return `has scale ${scale}, which is not within 0 and its precision`;
  }
  return { column: 'bytes', meaning: 'decimal', tableType: `decimal(${precision}, ${scale})` };
}
