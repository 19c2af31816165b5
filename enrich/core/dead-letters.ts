import type { Column, ColumnBatch } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import { topicIdColumn } from '../../schemas/table-schema.ts';
import { joinBytes } from '../byte-slices.ts';

/** A record that cannot become a row, with all that is needed to repair and replay it. */
export type Reject = {
  topic: string;
  partition: number;
  offset: bigint;
  /** Kafka's record timestamp, epoch ms. */
  timestampMs: number;
  schemaId: number | undefined;
  kind: string;
  message: string;
  key: Uint8Array | undefined;
  value: Uint8Array | undefined;
};

/** A message may quote what it complains of. */
const MESSAGE_CHARS_MAX = 1_000;

/**
 * Rejects of one topic as columns of the dead-letter table; `fieldIds` maps its column names to the table's
 * field ids, columns that it lacks are left out.
 */
export function deadLetterBatch(options: {
  rejects: readonly Reject[];
  topicId: string;
  fieldIds: ReadonlyMap<string, number>;
  ingestedAtMs: number;
}): ColumnBatch {
  const { rejects, topicId, fieldIds, ingestedAtMs } = options;
  const ingestedAtUs = BigInt(Math.trunc(ingestedAtMs)) * 1000n;
  const columns: [string, Column][] = [
    ['_kafka_topic', text(rejects.map((reject) => reject.topic))],
    ['_kafka_partition', int32(rejects.map((reject) => reject.partition))],
    ['_kafka_offset', int64(rejects.map((reject) => reject.offset))],
    ['_kafka_timestamp', int64(rejects.map(({ timestampMs }) => toMicros(timestampMs)))],
    ['_ingested_at', int64(rejects.map(() => ingestedAtUs))],
    ['schema_id', int32(rejects.map((reject) => reject.schemaId))],
    ['error_kind', text(rejects.map((reject) => reject.kind))],
    ['error_message', text(rejects.map(({ message }) => message.slice(0, MESSAGE_CHARS_MAX)))],
    ['record_key', bytes(rejects.map((reject) => reject.key))],
    ['record_value', bytes(rejects.map((reject) => reject.value))],
    [topicIdColumn, text(rejects.map(() => topicId))],
  ];
  return {
    rowCount: rejects.length,
    columns: new Map(
      columns.flatMap(([name, column]) => {
        const id = fieldIds.get(name);
        return id === undefined ? [] : [[id, column] as const];
      }),
    ),
  };
}

function toMicros(ms: number): bigint {
  return Number.isFinite(ms) ? BigInt(Math.trunc(ms)) * 1000n : 0n;
}

function int32(values: readonly (number | undefined)[]): Column {
  const column = new Int32Array(values.length);
  const valid = new Uint8Array(values.length);
  for (const [index, value] of values.entries()) {
    if (value === undefined) continue;
    column[index] = value;
    valid[index] = 1;
  }
  return { kind: 'int32', values: column, valid };
}

function int64(values: readonly bigint[]): Column {
  return { kind: 'int64', values: BigInt64Array.from(values), valid: undefined };
}

function text(values: readonly string[]): Column {
  const encoder = new TextEncoder();
  return {
    kind: 'bytes',
    slices: joinBytes(values.map((value) => encoder.encode(value))),
    valid: undefined,
  };
}

function bytes(values: readonly (Uint8Array | undefined)[]): Column {
  const valid = Uint8Array.from(values, (value) => (value === undefined ? 0 : 1));
  return {
    kind: 'bytes',
    slices: joinBytes(values.map((value) => value ?? new Uint8Array(0))),
    valid,
  };
}
