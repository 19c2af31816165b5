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

const SOURCE = {
  type: 'record',
  name: 'Source',
  namespace: 'io.debezium.connector.postgresql',
  fields: [
    { name: 'version', type: 'string' },
    { name: 'connector', type: 'string' },
    { name: 'name', type: 'string' },
    { name: 'ts_ms', type: 'long' },
    {
      name: 'snapshot',
      type: [semantic('string', 'io.debezium.data.Enum'), 'null'],
      default: 'false',
    },
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
  ],
  'connect.name': 'io.debezium.connector.postgresql.Source',
  'connect.version': 1,
};

const TRANSACTION = {
  type: 'record',
  name: 'block',
  namespace: 'event',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'total_order', type: 'long' },
    { name: 'data_collection_order', type: 'long' },
  ],
  'connect.name': 'event.block',
  'connect.version': 1,
};

const TAIL_FIELDS: AvroField[] = [
  { name: 'source', type: SOURCE },
  optional('transaction', TRANSACTION),
  { name: 'op', type: 'string' },
  optional('ts_ms', 'long'),
  optional('ts_us', 'long'),
  optional('ts_ns', 'long'),
];

/** What Debezium's notification channel of the name `sink` writes. */
export const NOTIFICATION_SCHEMA = {
  type: 'record',
  name: 'Notification',
  namespace: 'io.debezium.connector.common',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'aggregate_type', type: 'string' },
    { name: 'type', type: 'string' },
    optional('additional_data', { type: 'map', values: 'string' }),
    { name: 'timestamp', type: 'long' },
  ],
};

/** The schemas of one topic; `namespace` is the topic's name, as Debezium has it. */
export function debeziumSchemas(
  namespace: string,
  table: 'users' | 'devices' | 'urls',
): DebeziumSchemas {
  const columns = COLUMNS[table];
  const value: RecordSchema = { type: 'record', name: 'Value', fields: columns };
  return {
    key: { type: 'record', name: 'Key', namespace, fields: columns.slice(0, 1) },
    envelope: {
      type: 'record',
      name: 'Envelope',
      namespace,
      fields: [optional('before', value), optional('after', 'Value'), ...TAIL_FIELDS],
    },
    value: { ...value, namespace },
    tail: { type: 'record', name: 'Tail', fields: TAIL_FIELDS },
  };
}
