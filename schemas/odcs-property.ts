import type {
  IcebergType,
  NestedField,
  PrimitiveType,
} from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { AvroNode, FieldNode, ScalarNode } from './avro-type.ts';
import { withoutNull } from './avro-type.ts';

type LogicalType =
  'string' | 'date' | 'timestamp' | 'time' | 'number' | 'integer' | 'object' | 'array' | 'boolean';

/** What holds for a value whatever it is called. */
type OdcsElement = {
  logicalType: LogicalType;
  logicalTypeOptions?: Readonly<Record<string, unknown>>;
  physicalType: string;
  properties?: readonly OdcsProperty[];
  items?: OdcsElement;
};

/** One property of a schema object. Source: Open Data Contract Standard v3.1.0, "Schema". */
export type OdcsProperty = OdcsElement & {
  name: string;
  description?: string;
  required: boolean;
  primaryKey?: boolean;
  primaryKeyPosition?: number;
  partitioned?: boolean;
  partitionKeyPosition?: number;
  relationships?: readonly { type: 'foreignKey'; to: string }[];
};

/** A field of a contract; its physical type is that of Avro. A map, which the standard lacks, is an object. */
export function odcsOfField({ name, type, doc }: FieldNode): OdcsProperty {
  const branches = type.kind === 'union' ? type.branches : [type];
  const value = branches.find(({ kind }) => kind !== 'null') ?? type;
  return {
    name,
    ...(doc === undefined ? {} : { description: doc }),
    required: !branches.some(({ kind }) => kind === 'null'),
    ...odcsOfAvro(value),
  };
}

/** A column of a table; its physical type is that of Iceberg. */
export function odcsOfColumn({ name, required, type, doc }: NestedField): OdcsProperty {
  return {
    name,
    ...(doc === undefined ? {} : { description: doc }),
    required,
    ...odcsOfIceberg(type),
  };
}

function odcsOfAvro(node: AvroNode): OdcsElement {
  switch (node.kind) {
    case 'record': {
      const properties = node.fields.map(odcsOfField);
      return { logicalType: 'object', physicalType: 'record', properties };
    }
    case 'array': {
      const items = odcsOfAvro(withoutNull(node.items));
      return { logicalType: 'array', physicalType: 'array', items };
    }
    case 'map':
      return {
        logicalType: 'object',
        physicalType: `map<${odcsOfAvro(withoutNull(node.values)).physicalType}>`,
      };
    case 'null':
    case 'union':
      return { logicalType: 'object', physicalType: node.kind };
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'bytes':
    case 'string':
    case 'fixed':
    case 'enum':
      return odcsOfScalar(node);
  }
}

function odcsOfScalar(node: ScalarNode): OdcsElement {
  const { logicalType, precision, scale = 0 } = node.logical;
  const size = node.kind === 'fixed' ? `[${node.size}]` : '';
  const logical =
    logicalType === 'decimal' ? `decimal(${precision ?? '?'}, ${scale})` : logicalType;
  const physicalType = `${node.kind}${size}${logical === undefined ? '' : ` (${logical})`}`;
  const withOptions = (type: LogicalType, options?: OdcsElement['logicalTypeOptions']) => ({
    logicalType: type,
    ...(options === undefined ? {} : { logicalTypeOptions: options }),
    physicalType,
  });
  if (logicalType?.startsWith('timestamp-')) return withOptions('timestamp', { timezone: true });
  if (logicalType?.startsWith('local-timestamp-')) {
    return withOptions('timestamp', { timezone: false });
  }
  if (logicalType?.startsWith('time-')) return withOptions('time');
  if (logicalType === 'date') return withOptions('date');
  if (logicalType === 'decimal') return withOptions('number');
  if (logicalType === 'uuid') return withOptions('string', { format: 'uuid' });
  switch (node.kind) {
    case 'boolean':
      return withOptions('boolean');
    case 'int':
    case 'long':
      return withOptions('integer', { format: node.kind === 'int' ? 'i32' : 'i64' });
    case 'float':
    case 'double':
      return withOptions('number', { format: node.kind === 'float' ? 'f32' : 'f64' });
    case 'string':
      return withOptions('string');
    case 'enum':
      return withOptions('string', { pattern: `^(${node.symbols.join('|')})$` });
    case 'bytes':
    case 'fixed':
      return withOptions('string', { format: 'binary' });
  }
}

function odcsOfIceberg(type: IcebergType): OdcsElement {
  if (typeof type === 'string') return { ...odcsOfPrimitive(type), physicalType: type };
  switch (type.type) {
    case 'struct': {
      const properties = type.fields.map(odcsOfColumn);
      return { logicalType: 'object', physicalType: 'struct', properties };
    }
    case 'list':
      return { logicalType: 'array', physicalType: 'list', items: odcsOfIceberg(type.element) };
    case 'map': {
      const [key, value] = [odcsOfIceberg(type.key), odcsOfIceberg(type.value)];
      const physicalType = `map<${key.physicalType}, ${value.physicalType}>`;
      return { logicalType: 'object', physicalType };
    }
  }
}

function odcsOfPrimitive(type: PrimitiveType): Omit<OdcsElement, 'physicalType'> {
  if (type.startsWith('decimal')) return { logicalType: 'number' };
  return (
    odcsOfPlain.get(type) ?? { logicalType: 'string', logicalTypeOptions: { format: 'binary' } }
  );
}

/** Of types without parameters, but for bytes. */
const odcsOfPlain: ReadonlyMap<PrimitiveType, Omit<OdcsElement, 'physicalType'>> = new Map([
  ['boolean', { logicalType: 'boolean' }],
  ['string', { logicalType: 'string' }],
  ['date', { logicalType: 'date' }],
  ['time', { logicalType: 'time' }],
  ['int', { logicalType: 'integer', logicalTypeOptions: { format: 'i32' } }],
  ['long', { logicalType: 'integer', logicalTypeOptions: { format: 'i64' } }],
  ['float', { logicalType: 'number', logicalTypeOptions: { format: 'f32' } }],
  ['double', { logicalType: 'number', logicalTypeOptions: { format: 'f64' } }],
  ['timestamp', { logicalType: 'timestamp', logicalTypeOptions: { timezone: false } }],
  ['timestamptz', { logicalType: 'timestamp', logicalTypeOptions: { timezone: true } }],
  ['uuid', { logicalType: 'string', logicalTypeOptions: { format: 'uuid' } }],
]);
