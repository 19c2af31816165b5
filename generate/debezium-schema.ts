import type { AvroField, AvroObject, AvroType } from '../schemas/contract.ts';

/**
 * Avro schemas as Debezium's PostgreSQL connector registers them, for tables of the generator's three
 * shapes. Source: Debezium 3.7, `schema.name.adjustment.mode=avro`, decimals precise.
 */
type RecordSchema = AvroObject & { fields: readonly AvroField[] };

export type DebeziumSchemas = {
  key: RecordSchema;
  envelope: RecordSchema;
  /** The row inside `before` and `after`. */
  value: RecordSchema;
  /** The envelope's fields behind `after`, to be encoded once for many rows. */
  tail: RecordSchema;
};

const optional = (name: string, type: AvroType): AvroField => ({
  name,
  type: ['null', type],
  default: null,
});
const semantic = (type: string, name: string): AvroObject => ({
  type,
  'connect.name': name,
  'connect.version': 1,
});
const ZONED = semantic('string', 'io.debezium.time.ZonedTimestamp');

const PRICE = {
  type: 'bytes',
  logicalType: 'decimal',
  precision: 12,
  scale: 2,
  'connect.name': 'org.apache.kafka.connect.data.Decimal',
  'connect.version': 1,
  'connect.parameters': { 'connect.decimal.precision': '12', scale: '2' },
};

const COLUMNS: Record<'users' | 'devices' | 'urls', AvroField[]> = {
  users: [
    { name: 'user_id', type: 'long' },
    optional('name', 'string'),
    optional('country', 'string'),
    { name: 'tier', type: 'string', default: 'free' },
    optional('birth_year', 'int'),
    optional('signup_date', semantic('int', 'io.debezium.time.Date')),
    optional('bio', 'string'),
    optional('updated_at', ZONED),
  ],
  devices: [
    { name: 'device_id', type: 'string' },
    optional('user_id', 'long'),
    optional('os', 'string'),
    optional('os_version', 'string'),
    optional('model', 'string'),
    { name: 'form_factor', type: 'string', default: 'unknown' },
    optional('updated_at', ZONED),
  ],
  urls: [
    { name: 'url_id', type: 'long' },
    { name: 'url', type: 'string' },
    optional('domain', 'string'),
    optional('category', 'string'),
    optional('title', 'string'),
    optional('price', PRICE),
    optional('updated_at', ZONED),
  ],
};

const SNAPSHOT = {
  type: 'string',
  'connect.name': 'io.debezium.data.Enum',
  'connect.version': 1,
  'connect.parameters': {
    allowed: 'true,first,first_in_data_collection,last_in_data_collection,last,false,incremental',
  },
};

const SOURCE = connectRecord('io.debezium.connector.postgresql', 'Source', 1, [
  { name: 'version', type: 'string' },
  { name: 'connector', type: 'string' },
  { name: 'name', type: 'string' },
  { name: 'ts_ms', type: 'long' },
  { name: 'snapshot', type: [SNAPSHOT, 'null'], default: 'false' },
  { name: 'db', type: 'string' },
  optional('sequence', 'string'),
  optional('ts_us', 'long'),
  optional('ts_ns', 'long'),
  { name: 'schema', type: 'string' },
  { name: 'table', type: 'string' },
  optional('txId', 'long'),
  optional('lsn', 'long'),
  optional('xmin', 'long'),
  optional('origin', 'string'),
  optional('origin_lsn', 'long'),
]);

const TRANSACTION = connectRecord('event', 'block', 1, [
  { name: 'id', type: 'string' },
  { name: 'total_order', type: 'long' },
  { name: 'data_collection_order', type: 'long' },
]);

const TAIL_FIELDS: AvroField[] = [
  { name: 'source', type: SOURCE },
  optional('transaction', TRANSACTION),
  { name: 'op', type: 'string' },
  optional('ts_ms', 'long'),
  optional('ts_us', 'long'),
  optional('ts_ns', 'long'),
];

const COMMON = 'io.debezium.connector.common';

/** What Debezium's notification channel of the name `sink` writes. */
export const NOTIFICATION_SCHEMAS = {
  key: connectRecord(COMMON, 'NotificationKey', 1, [{ name: 'id', type: 'string' }]),
  value: connectRecord(COMMON, 'Notification', 1, [
    { name: 'id', type: 'string' },
    { name: 'type', type: 'string' },
    { name: 'aggregate_type', type: 'string' },
    optional('additional_data', { type: 'map', values: 'string' }),
    { name: 'timestamp', type: 'long' },
  ]),
};

/** The schemas of one topic; `namespace` is the topic's name, as Debezium has it. */
export function debeziumSchemas(
  namespace: string,
  table: 'users' | 'devices' | 'urls',
): DebeziumSchemas {
  const columns = COLUMNS[table];
  const value = {
    type: 'record',
    name: 'Value',
    fields: columns,
    'connect.name': `${namespace}.Value`,
  };
  return {
    key: connectRecord(namespace, 'Key', undefined, columns.slice(0, 1)),
    envelope: connectRecord(namespace, 'Envelope', 2, [
      optional('before', value),
      optional('after', 'Value'),
      ...TAIL_FIELDS,
    ]),
    value,
    tail: { type: 'record', name: 'Tail', fields: TAIL_FIELDS },
  };
}

function connectRecord(
  namespace: string,
  name: string,
  version: number | undefined,
  fields: readonly AvroField[],
): RecordSchema {
  return {
    type: 'record',
    name,
    namespace,
    fields,
    'connect.name': `${namespace}.${name}`,
    ...(version !== undefined && { 'connect.version': version }),
  };
}
