import { scanDataFiles } from '@iceberg-js/rest-client-shim/commit/scan.ts';
import type { ScannedFile } from '@iceberg-js/rest-client-shim/commit/scan.ts';
import type { DataFile, PartitionValue } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import { readPositionDeletes } from '@iceberg-js/rest-client-shim/read/position-deletes.ts';
import type { PositionDeletes } from '@iceberg-js/rest-client-shim/read/position-deletes.ts';
import { openDataFile } from '@iceberg-js/rest-client-shim/read/read-columns.ts';
import type { RowGroup } from '@iceberg-js/rest-client-shim/read/read-columns.ts';
import { headSnapshot } from '@iceberg-js/rest-client-shim/spec/snapshot-walk.ts';
import {
  compareValues,
  decodeSingleValue,
} from '@iceberg-js/rest-client-shim/spec/single-value.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { NestedField, TableSchema } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { topicIdColumn } from '../../schemas/table-schema.ts';
import { EnrichError } from '../error.ts';

/** A row of the dead-letter table without the record's bytes; times are µs since the epoch. */
export type DeadLetter = {
  topic: string;
  /** Undefined in tables of earlier versions. */
  topicId: string | undefined;
  partition: number;
  offset: bigint;
  timestampUs: bigint;
  ingestedAtUs: bigint;
  schemaId: number | undefined;
  kind: string;
  message: string;
};

/** The same with the record as it came. */
export type RawDeadLetter = DeadLetter & { key: Uint8Array | null; value: Uint8Array | null };

/** What to look for; an absent property allows all. Times are µs since the epoch, of the moment of the reject. */
export type DeadLetterFilter = {
  topic?: string;
  partition?: number;
  offset?: bigint;
  kind?: string;
  schemaId?: number;
  sinceUs?: bigint;
  untilUs?: bigint;
};

type Source = { store: ObjectStore; metadata: TableMetadata; filter: DeadLetterFilter };

const PLAIN = [
  '_kafka_topic',
  '_kafka_partition',
  '_kafka_offset',
  '_kafka_timestamp',
  '_ingested_at',
  'schema_id',
  'error_kind',
  'error_message',
] as const;
const BYTES = ['record_key', 'record_value'] as const;

/**
 * The dead letters that the filter allows, one row group after the other; files whose bounds rule it out are not
 * read, nor are the records' bytes. Memory: these columns of one row group, and the positions that deletes name
 * in one file.
 * Errors: `config` for equality deletes; those of the store; `corrupt`.
 */
export async function* readDeadLetters(source: Source): AsyncGenerator<DeadLetter[]> {
  for await (const { letters } of readRowGroups(source)) yield letters;
}

/** The same with the bytes; they are read of row groups alone that hold a letter which the filter allows. */
export async function* readRawDeadLetters(source: Source): AsyncGenerator<RawDeadLetter[]> {
  for await (const { group, rows, letters } of readRowGroups(source)) {
    const columns = await group.more(BYTES);
    const bytesAt = (name: string, row: number): Uint8Array | null => {
      const value = columns.get(name)?.[row];
      return value instanceof Uint8Array ? value : null;
    };
    yield letters.map((letter, index) => {
      const row = rows[index] ?? 0;
      return { ...letter, key: bytesAt('record_key', row), value: bytesAt('record_value', row) };
    });
  }
}

/** How many dead letters there are in all, by the word of the current snapshot. */
export function countDeadLetters(metadata: TableMetadata): number {
  const summary = headSnapshot(metadata)?.summary ?? {};
  return Number(summary['total-records'] ?? 0) - Number(summary['total-position-deletes'] ?? 0);
}

type GroupLetters = {
  group: RowGroup;
  /** Where each letter stands in the row group. */
  rows: number[];
  letters: DeadLetter[];
};

async function* readRowGroups({ store, metadata, filter }: Source): AsyncGenerator<GroupLetters> {
  const tableSchema = schemaOf(metadata);
  const hasTopicId = tableSchema.fields.some(({ name }) => name === topicIdColumn);
  const columnNames = hasTopicId ? [...PLAIN, topicIdColumn] : PLAIN;
  for await (const file of scanDataFiles({ store, metadata })) {
    const { dataFile } = file;
    if (!mayHold(dataFile, tableSchema, filter)) continue;
    const deleted = (await deletesOf(store, file)).get(dataFile.location);
    const opened = await openDataFile({ store, dataFile, tableSchema, columnNames });
    for await (const group of opened.rowGroups) {
      const rows: number[] = [];
      const letters: DeadLetter[] = [];
      for (let row = 0; row < group.rowCount; row++) {
        if (deleted?.has(BigInt(group.firstRow + row)) === true) continue;
        const letter = letterAt(group.columns, row);
        if (!allows(filter, letter)) continue;
        rows.push(row);
        letters.push(letter);
      }
      if (letters.length > 0) yield { group, rows, letters };
    }
  }
}

type Columns = ReadonlyMap<string, readonly PartitionValue[]>;

async function deletesOf(store: ObjectStore, { deletes }: ScannedFile): Promise<PositionDeletes> {
  if (deletes.some(({ content }) => content === 'equality-deletes')) {
    const message = 'the dead-letter table has equality deletes, which are not understood';
    throw new EnrichError('config', message);
  }
  return readPositionDeletes({ store, deleteFiles: deletes.map(({ dataFile }) => dataFile) });
}

function schemaOf({ schemas, currentSchemaId }: TableMetadata): TableSchema {
  const found = schemas.find(({ schemaId }) => schemaId === currentSchemaId);
  if (found === undefined) throw new EnrichError('config', 'the dead-letter table has no schema');
  return found;
}

function letterAt(columns: Columns, row: number): DeadLetter {
  const cell = (name: string): PartitionValue => columns.get(name)?.[row] ?? null;
  const topicId = cell(topicIdColumn);
  const schemaId = cell('schema_id');
  return {
    topic: String(cell('_kafka_topic')),
    topicId: typeof topicId === 'string' ? topicId : undefined,
    partition: Number(cell('_kafka_partition')),
    offset: cell('_kafka_offset') as bigint,
    timestampUs: cell('_kafka_timestamp') as bigint,
    ingestedAtUs: cell('_ingested_at') as bigint,
    schemaId: schemaId === null ? undefined : Number(schemaId),
    kind: String(cell('error_kind')),
    message: String(cell('error_message')),
  };
}

function allows(filter: DeadLetterFilter, letter: DeadLetter): boolean {
  const { topic, partition, offset, kind, schemaId, sinceUs, untilUs } = filter;
  return (
    (topic === undefined || letter.topic === topic) &&
    (partition === undefined || letter.partition === partition) &&
    (offset === undefined || letter.offset === offset) &&
    (kind === undefined || letter.kind === kind) &&
    (schemaId === undefined || letter.schemaId === schemaId) &&
    (sinceUs === undefined || letter.ingestedAtUs >= sinceUs) &&
    (untilUs === undefined || letter.ingestedAtUs < untilUs)
  );
}

/** Whether the file's bounds leave room for what is looked for. Source: Iceberg table spec, "Scan Planning". */
function mayHold(file: DataFile, { fields }: TableSchema, filter: DeadLetterFilter): boolean {
  const ranges: [column: string, least: PartitionValue, most: PartitionValue][] = [
    ['_kafka_topic', filter.topic ?? null, filter.topic ?? null],
    ['_kafka_partition', filter.partition ?? null, filter.partition ?? null],
    ['_kafka_offset', filter.offset ?? null, filter.offset ?? null],
    ['error_kind', filter.kind ?? null, filter.kind ?? null],
    ['schema_id', filter.schemaId ?? null, filter.schemaId ?? null],
    ['_ingested_at', filter.sinceUs ?? null, filter.untilUs ?? null],
  ];
  return ranges.every(([column, least, most]) => {
    const field = fields.find(({ name }) => name === column);
    if (field === undefined) return true;
    const [lowest, highest] = [boundOf(file.lowerBounds, field), boundOf(file.upperBounds, field)];
    const isBelow = least !== null && highest !== null && compareValues(highest, least) < 0;
    const isAbove = most !== null && lowest !== null && compareValues(lowest, most) > 0;
    return !isBelow && !isAbove;
  });
}

function boundOf(bounds: ReadonlyMap<number, Uint8Array>, { id, type }: NestedField) {
  const bytes = bounds.get(id);
  return bytes === undefined || typeof type !== 'string' ? null : decodeSingleValue(type, bytes);
}
