import type { PipelineConfig } from '../../enrich/config/pipeline-config.ts';
import { loadCrc32c } from '../../enrich/source/wire/crc32c.ts';
import { openAvroEncoder, writeFrame, type AvroEncoder } from '../../generate/avro.ts';
import { debeziumSchemas } from '../../generate/debezium-schema.ts';
import { deviceId, deviceRow, urlRow, urlText, userRow } from '../../generate/dimension-rows.ts';
import { deviceValue, tailOf, urlValue, userValue } from '../../generate/dimension-topic.ts';
import { mix32 } from '../../generate/random.ts';
import { registerWith } from '../dimension-topics.ts';
import { openBatchProducer } from '../kafka/batch-producer.ts';
import { openRecordBatch } from '../kafka/record-batch.ts';
import { brokerOf, DIMENSION_PARTITIONS, type DataSet } from './data-set.ts';
import { columnsOf, firstLoadRow, numberOfKey, TABLES } from './expected-join.ts';
import type { ExpectedRow, TableName } from './expected-join.ts';

/**
 * A row gets the values of a version; 0 are those of the first load, so that the change is one for the pipeline and
 * none for whoever uses the topics next.
 */
export type RowChange = { table: TableName; number: number; version: number };

export type RowChanges = {
  /** Writes them as Debezium's streaming phase does. One call at a time. */
  send(changes: readonly RowChange[], nowMs: number): Promise<void>;
  /** The row of a join key once the changes below `next` were applied; urls in normal form. */
  rowAt(table: TableName, key: string, next: ReadonlyMap<number, bigint>): ExpectedRow;
  close(): Promise<void>;
};

type Sent = { offset: bigint; version: number };

type Encoders = { key: AvroEncoder; row: AvroEncoder; tail: AvroEncoder; ids: [number, number] };

const RECORD_BYTES_MAX = 8_192;
const BATCH_BYTES = 16_384;

/** Memory: an object for each change that was sent. Errors: those of registry and broker. */
export async function openRowChanges(
  config: PipelineConfig,
  dataSet: DataSet,
): Promise<RowChanges> {
  const { base, seed } = dataSet;
  const encoders = {
    users: await openEncoders(config, base, 'users'),
    devices: await openEncoders(config, base, 'devices'),
    urls: await openEncoders(config, base, 'urls'),
  };
  const producer = await openBatchProducer(brokerOf(config));
  const crc32c = loadCrc32c().sum;
  const history = new Map<string, Sent[]>();
  let lsn = 0n;
  return {
    async send(changes, nowMs) {
      // Above all that earlier runs wrote into the same topics.
      lsn = lsn > BigInt(nowMs) * 1_000n ? lsn : BigInt(nowMs) * 1_000n;
      const groups = Map.groupBy(changes, ({ table, number }) => `${table} ${partitionOf(number)}`);
      const batches = [...groups.values()].map((group) => {
        const [{ table, number }] = group as [RowChange];
        const batch = openRecordBatch({ bytesExpected: BATCH_BYTES, crc32c });
        for (const change of group) {
          lsn += 1n;
          const op = change.number > dataSet.size[table] ? 'c' : 'u';
          const { key, value } = encodeChange(encoders[table], change, { seed, nowMs, op, lsn });
          batch.append(key, value);
        }
        return {
          group,
          topic: `${base}.${table}`,
          partition: partitionOf(number),
          batch: batch.take(nowMs),
        };
      });
      const offsets = await producer.send(batches);
      for (const [b, { group }] of batches.entries()) {
        for (const [i, { table, number, version }] of group.entries()) {
          const sent = history.get(`${table} ${number}`) ?? [];
          history.set(`${table} ${number}`, sent);
          sent.push({ offset: (offsets[b] ?? 0n) + BigInt(i), version });
        }
      }
    },
    rowAt(table, key, next) {
      const number = numberOfKey(table, key, seed);
      const end = next.get(partitionOf(number)) ?? 0n;
      const last = history.get(`${table} ${number}`)?.findLast(({ offset }) => offset < end);
      if (last === undefined) return firstLoadRow(table, key, dataSet);
      return columnsOf(table, seedOf(seed, last.version), number);
    },
    close: () => producer.close(),
  };
}

/** That of the first load. */
function partitionOf(number: number): number {
  return mix32(number) % DIMENSION_PARTITIONS;
}

function seedOf(seed: number, version: number): number {
  return version === 0 ? seed : mix32(seed ^ mix32(version));
}

async function openEncoders(
  config: PipelineConfig,
  base: string,
  table: TableName,
): Promise<Encoders> {
  const topic = `${base}.${table}`;
  const avroSchemas = debeziumSchemas(topic, table);
  const register = registerWith(config);
  return {
    key: openAvroEncoder(avroSchemas.key),
    row: openAvroEncoder(avroSchemas.value),
    tail: openAvroEncoder(avroSchemas.tail, { bigLongs: true }),
    ids: [
      await register(`${topic}-key`, JSON.stringify(avroSchemas.key)),
      await register(`${topic}-value`, JSON.stringify(avroSchemas.envelope)),
    ],
  };
}

function encodeChange(
  encode: Encoders,
  { table, number, version }: RowChange,
  { seed, nowMs, op, lsn }: { seed: number; nowMs: number; op: string; lsn: bigint },
): { key: Buffer; value: Buffer } {
  const row = valueOf(table, number, { seed, other: seedOf(seed, version) });
  return {
    key: framed(encode.ids[0], (to, at) => encode.key(row, to, at)),
    value: framed(encode.ids[1], (to, at) => {
      // The unions' branches: no `before`, and an `after`.
      to[at] = 0;
      to[at + 1] = 2;
      return encode.tail(tailOf(table, nowMs, { op, lsn }), to, encode.row(row, to, at + 2));
    }),
  };
}

/** Keys of one seed, all else of another. */
function valueOf(
  table: TableName,
  number: number,
  { seed, other }: { seed: number; other: number },
): Record<string, unknown> {
  switch (table) {
    case 'users':
      return userValue(userRow(other, number));
    case 'devices':
      return deviceValue({ ...deviceRow(other, number, 1), deviceId: deviceId(seed, number) });
    case 'urls':
      return urlValue({ ...urlRow(other, number), url: urlText(seed, number) });
  }
}

function framed(schemaId: number, write: (to: Buffer, at: number) => number): Buffer {
  const buffer = Buffer.alloc(RECORD_BYTES_MAX);
  return buffer.subarray(0, write(buffer, writeFrame(schemaId, buffer, 0)));
}

/** Tables in turn, frequent rows more often, one in ten a row that was not there; `turn` counts on from 0. */
export function nextChange(
  turn: number,
  { size, random }: { size: DataSet['size']; random: () => number },
): RowChange {
  const table = TABLES[turn % TABLES.length] ?? 'users';
  const rows = size[table];
  const isNew = random() < 0.1;
  const number = isNew
    ? rows + 1 + Math.floor(random() * 5_000)
    : 1 + Math.floor(rows * random() ** 2);
  return { table, number, version: turn + 1 };
}
