import { openAvroEncoder, writeFrame, type AvroEncoder, type RegisterAvroSchema } from './avro.ts';
import { debeziumSchemas, NOTIFICATION_SCHEMAS } from './debezium-schema.ts';
import {
  deviceRow,
  urlRow,
  userRow,
  type DeviceRow,
  type UrlRow,
  type UserRow,
} from './dimension-rows.ts';
import type { ProducerRecord, RecordProducer } from './kafka-producer.ts';
import { mix32 } from './random.ts';
import { timestampText } from './source-table.ts';
import { openValueSlab } from './value-slab.ts';

export type DimensionTopicOptions = {
  producer: RecordProducer;
  register: RegisterAvroSchema;
  seed: number;
  /** Topic of each table, and how many rows it gets. Topics are made compacted unless they exist. */
  users: { topic: string; rows: number };
  devices: { topic: string; rows: number };
  urls: { topic: string; rows: number };
  notificationTopic: string;
  partitions: number;
  nowMs: () => number;
  progress: (line: string) => void;
  signal?: AbortSignal;
};

/** kafkajs gets slower with the square of the records for one partition in a send. */
const ROWS_PER_SEND = 2_000;
const ROWS_PER_PROGRESS = 500_000;
/** Every row of a first load has the same log position, as with Debezium's initial snapshot. */
export const LOAD_LSN = 43_098_952n;

/**
 * Writes rows 1..n of the three tables straight into the change topics, as Debezium's initial snapshot
 * does, and then the notification that the snapshot is complete: a first load without PostgreSQL.
 * Resolves to the number of rows. Errors: `unavailable`.
 */
export async function writeDimensionTopics(options: DimensionTopicOptions): Promise<number> {
  const { seed, users, devices, urls } = options;
  const rows =
    (await writeTopic(options, 'users', users, (n) => userValue(userRow(seed, n)))) +
    (await writeTopic(options, 'devices', devices, (n) =>
      deviceValue(deviceRow(seed, n, users.rows)),
    )) +
    (await writeTopic(options, 'urls', urls, (n) => urlValue(urlRow(seed, n))));
  await writeCompletion(options);
  return rows;
}

async function writeTopic(
  options: DimensionTopicOptions,
  table: 'users' | 'devices' | 'urls',
  target: { topic: string; rows: number },
  valueOf: (number: number) => unknown,
): Promise<number> {
  const { producer, partitions, progress, signal } = options;
  await producer.ensureTopic(target.topic, partitions, { 'cleanup.policy': 'compact' });
  const encode = await openChangeEncoder(options, table, target.topic);
  const timestamp = String(options.nowMs());
  let sent = 0;
  let underWay: Promise<unknown> = Promise.resolve();
  while (sent < target.rows) {
    if (signal?.aborted === true) break;
    const length = Math.min(ROWS_PER_SEND, target.rows - sent);
    const records = Array.from({ length }, (_, i): ProducerRecord => {
      const number = sent + i + 1;
      return { partition: mix32(number) % partitions, timestamp, ...encode(valueOf(number)) };
    });
    await underWay;
    underWay = producer.send(target.topic, records);
    // Thrown by the await of the next turn; until then it must not count as unhandled.
    underWay.catch(() => undefined);
    sent += length;
    if (sent % ROWS_PER_PROGRESS === 0) progress(`${target.topic}: ${sent} of ${target.rows} rows`);
  }
  await underWay;
  progress(`${target.topic}: ${sent} rows`);
  return sent;
}

/**
 * Encodes rows, as `userValue` and its like give them, as changes of the initial snapshot into a topic. Key and value
 * stay valid for as long as anybody holds them.
 */
export async function openChangeEncoder(
  { register, nowMs }: Pick<DimensionTopicOptions, 'register' | 'nowMs'>,
  table: 'users' | 'devices' | 'urls',
  topic: string,
): Promise<(value: unknown) => { key: Buffer; value: Buffer }> {
  const avroSchemas = debeziumSchemas(topic, table);
  const keyId = await register(`${topic}-key`, JSON.stringify(avroSchemas.key));
  const valueId = await register(`${topic}-value`, JSON.stringify(avroSchemas.envelope));
  const encodeKey = openAvroEncoder(avroSchemas.key);
  const encodeRow = openAvroEncoder(avroSchemas.value);
  const tail = encodeOnce(
    openAvroEncoder(avroSchemas.tail, { bigLongs: true }),
    tailOf(table, nowMs()),
  );
  const slab = openValueSlab();
  return (value) => ({
    key: slab.append((buffer, at) =>
      buffer.length - at < 64 ? -1 : encodeKey(value, buffer, writeFrame(keyId, buffer, at)),
    ),
    value: slab.append((buffer, at) => {
      if (buffer.length - at < 64) return -1;
      const start = writeFrame(valueId, buffer, at);
      // The unions' branches: no `before`, and an `after`.
      buffer[start] = 0;
      buffer[start + 1] = 2;
      const end = encodeRow(value, buffer, start + 2);
      if (end < 0 || end + tail.length > buffer.length) return -1;
      return end + tail.copy(buffer, end);
    }),
  });
}

/** An envelope's fields behind `after`: by default those of a row that the initial snapshot reads. */
export function tailOf(
  table: string,
  nowMs: number,
  { op, lsn } = { op: 'r', lsn: LOAD_LSN },
): unknown {
  const ms = BigInt(nowMs);
  const times = { ts_ms: ms, ts_us: ms * 1_000n, ts_ns: ms * 1_000_000n };
  return {
    source: {
      version: '3.7.0.Final',
      connector: 'postgresql',
      name: 'app',
      ...times,
      snapshot: op === 'r' ? 'true' : 'false',
      db: 'app',
      sequence: `[null,"${lsn}"]`,
      schema: 'public',
      table,
      txId: 754n,
      lsn,
      xmin: null,
      origin: null,
      origin_lsn: null,
    },
    transaction: null,
    op,
    ...times,
  };
}

/** Tells, as Debezium does, that the initial snapshot is complete. Errors: `unavailable`. */
export async function writeCompletion(
  options: Pick<
    DimensionTopicOptions,
    'producer' | 'register' | 'notificationTopic' | 'nowMs' | 'seed'
  >,
): Promise<void> {
  const { producer, register, notificationTopic: topic, nowMs, seed } = options;
  await producer.ensureTopic(topic, 1, { 'cleanup.policy': 'delete' });
  const id = `load-${seed}`;
  const framed = async (part: 'key' | 'value', content: unknown): Promise<Buffer> => {
    const avroSchema = NOTIFICATION_SCHEMAS[part];
    const schemaId = await register(`${topic}-${part}`, JSON.stringify(avroSchema));
    const encode = openAvroEncoder(avroSchema);
    return encodeOnce(
      (notification, buffer, at) => encode(notification, buffer, writeFrame(schemaId, buffer, at)),
      content,
    );
  };
  const key = await framed('key', { id });
  const value = await framed('value', {
    id,
    type: 'COMPLETED',
    aggregate_type: 'Initial Snapshot',
    additional_data: { connector_name: 'app' },
    timestamp: nowMs(),
  });
  await producer.send(topic, [{ partition: 0, key, value, timestamp: String(nowMs()) }]);
}

function encodeOnce(encode: AvroEncoder, value: unknown): Buffer {
  return Buffer.from(openValueSlab().append((buffer, at) => encode(value, buffer, at)));
}

/** A row as the `after` of a change has it. */
export function userValue(row: UserRow): Record<string, unknown> {
  return {
    user_id: row.userId,
    name: row.name,
    country: row.country,
    tier: row.tier,
    birth_year: row.birthYear,
    signup_date: row.signupDate,
    // A load of this size carries no long texts: they would only be disk.
    bio: null,
    updated_at: timestampText(row.updatedAtMs),
  };
}

/** A row as the `after` of a change has it. */
export function deviceValue(row: DeviceRow): Record<string, unknown> {
  return {
    device_id: row.deviceId,
    user_id: row.userId,
    os: row.os,
    os_version: row.osVersion,
    model: row.model,
    form_factor: row.formFactor,
    updated_at: timestampText(row.updatedAtMs),
  };
}

/** A row as the `after` of a change has it. */
export function urlValue(row: UrlRow): Record<string, unknown> {
  return {
    url_id: row.urlId,
    url: row.url,
    domain: row.domain,
    category: row.category,
    title: row.title,
    price: row.priceHundredths === null ? null : decimalBytes(row.priceHundredths),
    updated_at: timestampText(row.updatedAtMs),
  };
}

/** Big-endian two's complement, as short as it goes, of a number from 0 below 2^31. */
function decimalBytes(unscaled: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(unscaled);
  let start = 0;
  while (start < 3 && bytes[start] === 0 && (bytes[start + 1] ?? 0) < 0x80) start += 1;
  return bytes.subarray(start);
}
