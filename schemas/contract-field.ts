import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { isScalar, parseAvroType } from './avro-type.ts';
import type { AvroNode, FieldNode, ScalarNode } from './avro-type.ts';
import type { Contract } from './contract.ts';
import { ContractError } from './error.ts';
import type { BufferColumn } from './row-buffer.ts';

/**
 * How the values of a field stand in a column. `int64` counts microseconds for `micros` and
 * `time-of-day`; `bytes` holds UTF-8 for `text`, 16 bytes for `uuid`, big-endian two's complement for
 * `decimal`.
 */
type ColumnMeaning = 'plain' | 'text' | 'date' | 'micros' | 'time-of-day' | 'decimal' | 'uuid';

/** One field of a contract, with everything that the decoder and the table need to know of it. */
export type ContractField = {
  name: string;
  aliases: readonly string[];
  nullable: boolean;
  type: ScalarNode;
  doc: string | undefined;
  /** `undefined` where the contract gives none; null for a default of null. */
  default: unknown;
  column: BufferColumn['kind'];
  meaning: ColumnMeaning;
  tableType: PrimitiveType;
};

type Shape = Pick<ContractField, 'column' | 'meaning' | 'tableType'>;

const decimalPrecisionMax = 38;

/**
 * The fields of a contract in order. Errors: `config` naming the contract, the field and the reason:
 * nested types, unions other than nullable ones, logical types that no column can hold.
 */
export function contractFields(contract: Contract): ContractField[] {
  const node = parseContract(contract);
  if (node.kind !== 'record') throw refuse(contract, undefined, `is a ${node.kind}, not a record`);
  if (node.fields.length === 0) throw refuse(contract, undefined, 'has no fields');
  return node.fields.map((field) => contractField(contract, field));
}

function parseContract(contract: Contract): AvroNode {
  try {
    return parseAvroType(contract.avroSchema);
  } catch (cause) {
    throw refuse(contract, undefined, (cause as Error).message);
  }
}

function contractField(contract: Contract, field: FieldNode): ContractField {
  const { type, nullable } = scalarOf(contract, field);
  const shape = shapeOf(type);
  if (typeof shape === 'string') throw refuse(contract, field.name, shape);
  if (field.default === null && !nullable) {
    throw refuse(contract, field.name, 'has a default of null but is not nullable');
  }
  return {
    name: field.name,
    aliases: field.aliases,
    nullable,
    type,
    doc: field.doc,
    default: field.default,
    ...shape,
  };
}

function scalarOf(contract: Contract, field: FieldNode): { type: ScalarNode; nullable: boolean } {
  const node = field.type;
  if (node.kind !== 'union') return { type: requireScalar(contract, field, node), nullable: false };
  const others = node.branches.filter((branch) => branch.kind !== 'null');
  const only = others[0];
  if (node.branches.length !== 2 || others.length !== 1 || only === undefined) {
    const kinds = node.branches.map((branch) => branch.kind).join(', ');
    throw refuse(
      contract,
      field.name,
      `is a union of [${kinds}]; only ["null", type] and [type, "null"] can be a column`,
    );
  }
  return { type: requireScalar(contract, field, only), nullable: true };
}

function requireScalar(contract: Contract, field: FieldNode, node: AvroNode): ScalarNode {
  if (isScalar(node)) return node;
  const what = node.kind === 'null' ? 'can only be null' : `is a nested ${node.kind}`;
  throw refuse(contract, field.name, `${what}; only flat fields can be columns`);
}

/** The column of a type, or the reason why it has none. */
function shapeOf(type: ScalarNode): Shape | string {
  const { logicalType } = type.logical;
  return logicalType === undefined ? plainShape(type) : logicalShape(type, logicalType);
}

function plainShape(type: ScalarNode): Shape | string {
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
        ? 'is a fixed of size 0'
        : { column: 'bytes', meaning: 'plain', tableType: `fixed[${type.size}]` };
  }
}

function logicalShape(type: ScalarNode, logicalType: string): Shape | string {
  const misplaced = `has logicalType ${logicalType} on ${type.kind}`;
  switch (logicalType) {
    case 'date':
      return type.kind === 'int'
        ? { column: 'int32', meaning: 'date', tableType: 'date' }
        : misplaced;
    case 'time-millis':
    case 'time-micros':
      return type.kind === (logicalType === 'time-millis' ? 'int' : 'long')
        ? { column: 'int64', meaning: 'time-of-day', tableType: 'time' }
        : misplaced;
    case 'timestamp-millis':
    case 'timestamp-micros':
      return type.kind === 'long'
        ? { column: 'int64', meaning: 'micros', tableType: 'timestamptz' }
        : misplaced;
    case 'local-timestamp-millis':
    case 'local-timestamp-micros':
      return type.kind === 'long'
        ? { column: 'int64', meaning: 'micros', tableType: 'timestamp' }
        : misplaced;
    case 'uuid':
      return type.kind === 'string' || (type.kind === 'fixed' && type.size === 16)
        ? { column: 'bytes', meaning: 'uuid', tableType: 'uuid' }
        : misplaced;
    case 'decimal':
      return decimalShape(type);
    default:
      return `has logicalType ${logicalType}, which has no column type`;
  }
}

function decimalShape(type: ScalarNode): Shape | string {
  const { precision, scale = 0 } = type.logical;
  if (type.kind !== 'bytes' && type.kind !== 'fixed') return `is a decimal on ${type.kind}`;
  if (precision === undefined || !Number.isInteger(precision) || precision < 1) {
    return 'is a decimal without a precision';
  }
  if (precision > decimalPrecisionMax) return `has a precision above ${decimalPrecisionMax}`;
  if (!Number.isInteger(scale) || scale < 0 || scale > precision) {
    return `has scale ${scale}, which is not within 0 and its precision`;
  }
  return { column: 'bytes', meaning: 'decimal', tableType: `decimal(${precision}, ${scale})` };
}

function refuse(contract: Contract, field: string | undefined, reason: string): ContractError {
  const subject = field === undefined ? 'it' : `field ${field}`;
  return new ContractError('config', `contract ${contract.name}: ${subject} ${reason}`, {
    context: { contract: contract.name, ...(field === undefined ? {} : { field }) },
  });
}
