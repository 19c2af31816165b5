import { readFileSync } from 'node:fs';
import avsc from 'avsc';
import type { AvroObject } from '../../../schemas/contract.ts';

export const clickSchema = JSON.parse(readFileSync('schemas/click.avsc', 'utf8')) as AvroObject;

/** The fields of a click that tests vary; the others are the same in all. */
export type Click = { userId: number; url: string; deviceId: string; eventTimeMs?: number };

export type DimensionName = 'users' | 'devices' | 'urls';

/** A row of a source table, or undefined for a deletion. */
export type SourceRow = Readonly<Record<string, unknown>> | undefined;

const clickType = avsc.Type.forSchema(clickSchema as avsc.Schema);
export const EVENT_TIME_MS = 1_700_000_000_000;

/** Confluent's frame: a zero byte, the schema id, then Avro. */
export function frame(schemaId: number, body: Uint8Array): Uint8Array {
  const head = Buffer.alloc(5);
  head.writeInt32BE(schemaId, 1);
  return Buffer.concat([head, body]);
}

export function encodeClick(
  schemaId: number,
  { userId, url, deviceId, eventTimeMs = EVENT_TIME_MS }: Click,
): Uint8Array {
  const body = clickType.toBuffer({
    event_time: eventTimeMs,
    user_id: userId,
    url,
    device_id: deviceId,
    session_id: null,
    referrer: null,
    duration_ms: null,
  });
  return frame(schemaId, body);
}

const keyColumn = { users: 'user_id', devices: 'device_id', urls: 'url_id' } as const;

export const topicOf = {
  users: 'app.public.users',
  devices: 'app.public.devices',
  urls: 'app.public.urls',
} as const;

/** A change as Debezium's JSON converter writes it, without schemas. */
export function encodeChange(change: {
  dimension: DimensionName;
  rowKey: string | number;
  row: SourceRow;
  lsn: number;
  initialSnapshot: boolean;
}): { key: Uint8Array; value: Uint8Array } {
  const { dimension, rowKey, row, lsn, initialSnapshot } = change;
  const op = row === undefined ? 'd' : initialSnapshot ? 'r' : 'u';
  const source = { connector: 'postgresql', lsn, snapshot: initialSnapshot ? 'true' : 'false' };
  const after = row === undefined ? null : { [keyColumn[dimension]]: rowKey, ...row };
  return {
    key: json({ [keyColumn[dimension]]: rowKey }),
    value: json({ before: null, after, source, op, ts_ms: EVENT_TIME_MS }),
  };
}

/** What Debezium's notification channel says of the initial snapshot, as JSON. */
export function encodeNotification(type: 'STARTED' | 'COMPLETED' | 'SKIPPED'): Uint8Array {
  return json({ id: 'n', type, aggregate_type: 'Initial Snapshot', additional_data: {} });
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
