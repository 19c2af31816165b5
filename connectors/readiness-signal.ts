import { createStructCodec } from './avro-codec.ts';
import type { Struct } from './avro-codec.ts';
import type { Change } from './change.ts';
import { keepBySchema } from './decode-change.ts';
import type { ChangeRecord, ResolveSchema } from './decode-change.ts';
import { framingOf } from './framing.ts';
import { readJsonStruct } from './json-codec.ts';

/** Both mean that every row of the initial snapshot stands in the topics before this record's arrival. */
export type ReadinessSignal = 'initial-snapshot-complete' | 'streaming';

const structCodec = keepBySchema(createStructCodec);

/**
 * What a record of Debezium's notification topic tells of the initial snapshot: complete, when it says
 * COMPLETED, or SKIPPED because an earlier run completed it. Nothing for all other notifications and for
 * records that cannot be read. Heartbeats carry a time only and tell nothing of the phase.
 * Source: Debezium 3 reference, "Receiving Debezium notifications".
 */
export function readinessSignal(
  record: ChangeRecord,
  resolve: ResolveSchema,
): ReadinessSignal | undefined {
  const notification = readNotification(record.value, resolve);
  const isInitial = notification?.['aggregate_type'] === 'Initial Snapshot';
  const type = notification?.['type'];
  return isInitial && (type === 'COMPLETED' || type === 'SKIPPED')
    ? 'initial-snapshot-complete'
    : undefined;
}

/** What a change tells: any change that was streamed comes after the whole initial snapshot. */
export function readinessOfChange(change: Change): ReadinessSignal | undefined {
  switch (change.kind) {
    case 'upsert':
      return change.initialSnapshot ? undefined : 'streaming';
    case 'delete':
    case 'truncate':
      return 'streaming';
    case 'tombstone':
    case 'reject':
      return undefined;
  }
}

function readNotification(value: Uint8Array | null, resolve: ResolveSchema): Struct | undefined {
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
