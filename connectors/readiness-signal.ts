import { createStructCodec } from './avro-codec.ts';
import type { Struct } from './avro-codec.ts';
import type { Change } from './change.ts';
import { keepBySchema } from './decode-change.ts';
import type { ChangeRecord, ResolveSchema } from './decode-change.ts';
import { framingOf } from './framing.ts';
import { readJsonStruct } from './json-codec.ts';

/** What is known of first loads; `collection` is `schema.table`. */
export type ReadinessSignal =
  /** The initial snapshot is over: every row of the tables that it has scanned stands in the topics. */
  | { kind: 'initial-snapshot-complete' }
  /** The initial snapshot has scanned this table, and may be scanning others. */
  | { kind: 'table-scanned'; collection: string }
  /** An incremental snapshot has read this table, which was added later, to its end. */
  | { kind: 'table-complete'; collection: string };

const structCodec = keepBySchema(createStructCodec);

/**
 * What a record of Debezium's notification topic tells of first loads; undefined for all other
 * notifications and for records that cannot be read. SKIPPED means that an earlier run completed it.
 * Heartbeats carry a time only and tell nothing of the phase.
 * Source: Debezium 3 reference, "Receiving Debezium notifications".
 */
export function readinessSignal(
  record: ChangeRecord,
  resolve: ResolveSchema,
): ReadinessSignal | undefined {
  const notification = readNotification(record.value, resolve);
  const type = notification?.['type'];
  switch (notification?.['aggregate_type']) {
    case 'Initial Snapshot': {
      if (type === 'COMPLETED' || type === 'SKIPPED') return { kind: 'initial-snapshot-complete' };
      const collection = scannedCollection(notification);
      return collection === undefined ? undefined : { kind: 'table-scanned', collection };
    }
    case 'Incremental Snapshot': {
      const collection = scannedCollection(notification);
      return collection === undefined ? undefined : { kind: 'table-complete', collection };
    }
    default:
      return undefined;
  }
}

/** A change that was streamed comes after the initial snapshot, if the table was part of it. */
export function isStreamed(change: Change): boolean {
  switch (change.kind) {
    case 'upsert':
      return !change.initialSnapshot;
    case 'delete':
    case 'truncate':
      return true;
    case 'tombstone':
    case 'reject':
      return false;
  }
}

function scannedCollection(notification: Struct): string | undefined {
  const details = notification['additional_data'];
  if (notification['type'] !== 'TABLE_SCAN_COMPLETED' || !isStringMap(details)) return undefined;
  const { status, scanned_collection: collection } = details;
  return status === 'SUCCEEDED' || status === 'EMPTY' ? collection : undefined;
}

function isStringMap(value: unknown): value is Readonly<Record<string, string | undefined>> {
  return typeof value === 'object' && value !== null;
}

/** The struct in the value of a notification; undefined where it cannot be read. */
export function readNotification(
  value: Uint8Array | null,
  resolve: ResolveSchema,
): Struct | undefined {
  if (value === null) return undefined;
  const framing = framingOf(value);
  try {
    if (framing.kind === 'json') return readJsonStruct(value).struct;
    const schema = framing.kind === 'avro' ? resolve(framing.schemaId) : undefined;
    return schema === undefined ? undefined : structCodec(schema)?.read(value);
  } catch {
    return undefined;
  }
}
