import { avroFields, renameFields } from './row-columns.ts';

/**
 * What the values of a source column are once they are canonical (see `canonical-value.ts`). Whole numbers are `int` up
 * to 32 bits and `long` above; `nested` are arrays, maps and records.
 */
export type SourceForm =
  | 'text'
  | 'uuid'
  | 'boolean'
  | 'int'
  | 'long'
  | 'real'
  | 'bytes'
  | 'date'
  | 'instant'
  | 'time-of-day'
  | 'decimal'
  | 'nested';

export type SourceColumn = {
  name: string;
  form: SourceForm;
  /** As Debezium names it: its semantic name, else Avro's type. */
  type: string;
  /** Digits of a decimal, where Debezium says; `numeric` without any has none. */
  digits?: { precision: number; scale: number };
};

const decimalName = 'org.apache.kafka.connect.data.Decimal';

const formBySemanticName: Readonly<Record<string, SourceForm>> = {
  'io.debezium.data.Uuid': 'uuid',
  'io.debezium.time.Date': 'date',
  'io.debezium.time.IsoDate': 'date',
  'org.apache.kafka.connect.data.Date': 'date',
  'io.debezium.time.Timestamp': 'instant',
  'io.debezium.time.MicroTimestamp': 'instant',
  'io.debezium.time.NanoTimestamp': 'instant',
  'io.debezium.time.ZonedTimestamp': 'instant',
  'io.debezium.time.IsoTimestamp': 'instant',
  'org.apache.kafka.connect.data.Timestamp': 'instant',
  'io.debezium.time.Time': 'time-of-day',
  'io.debezium.time.MicroTime': 'time-of-day',
  'io.debezium.time.NanoTime': 'time-of-day',
  'io.debezium.time.ZonedTime': 'time-of-day',
  'io.debezium.time.IsoTime': 'time-of-day',
  'org.apache.kafka.connect.data.Time': 'time-of-day',
  'io.debezium.time.MicroDuration': 'long',
  'io.debezium.data.VariableScaleDecimal': 'decimal',
  [decimalName]: 'decimal',
};

const formByKind: Readonly<Record<string, SourceForm>> = {
  string: 'text',
  enum: 'text',
  boolean: 'boolean',
  int: 'int',
  long: 'long',
  float: 'real',
  double: 'real',
  bytes: 'bytes',
  fixed: 'bytes',
};

/**
 * The columns of a table as Debezium registered them: the row that an envelope carries in `after`. Nothing where the
 * schema is no envelope.
 */
export function sourceColumns(avroSchema: unknown): SourceColumn[] | undefined {
  if (!isEnvelope(avroSchema)) return undefined;
  return avroFields(avroSchema, 'after').map(({ name, kind, semantics, precision }) => {
    const { name: semanticName = '', scale = 0 } = semantics;
    const form = Object.hasOwn(formBySemanticName, semanticName)
      ? formBySemanticName[semanticName]
      : formByKind[kind];
    return {
      name,
      form: form ?? 'nested',
      type: semanticName === '' ? kind : semanticName,
      ...(semanticName === decimalName && precision !== undefined
        ? { digits: { precision, scale } }
        : {}),
    };
  });
}

/**
 * A schema that Debezium registered, of keys or of values, as if the table's columns had other names: `renamed` gives
 * them by those that they have. It reads the same bytes.
 */
export function renameSourceColumns(
  avroSchema: object,
  renamed: (names: readonly string[]) => ReadonlyMap<string, string>,
): object {
  return renameFields(avroSchema, isEnvelope(avroSchema) ? 'after' : undefined, renamed);
}

function isEnvelope(avroSchema: unknown): boolean {
  const names = new Set(avroFields(avroSchema).map(({ name }) => name));
  return names.has('after') && names.has('source') && names.has('op');
}
