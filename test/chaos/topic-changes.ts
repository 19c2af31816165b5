import { openAvroEncoder, writeFrame } from '../../generate/avro.ts';
import type { AvroEncoder, RegisterAvroSchema } from '../../generate/avro.ts';
import { debeziumSchemas } from '../../generate/debezium-schema.ts';
import {
  deviceRow,
  renamedUrlText,
  urlRow,
  urlText,
  userRow,
} from '../../generate/dimension-rows.ts';
import {
  deviceValue,
  LOAD_LSN,
  tailOf,
  urlValue,
  userValue,
} from '../../generate/dimension-topic.ts';
import type { ProducerRecord, RecordProducer } from '../../generate/kafka-producer.ts';
import { mix32 } from '../../generate/random.ts';
import type { Random } from '../../generate/random.ts';
import type { LoadSize } from './load.ts';

type Table = 'users' | 'devices' | 'urls';

export type TopicChangesOptions = {
  register: RegisterAvroSchema;
  topics: Readonly<Record<Table, string>>;
  partitions: number;
  size: LoadSize;
  random: Random;
};

/** One change of a dimension after the other, as Debezium would write it in its streaming phase. */
export type TopicChanges = { next: (producer: RecordProducer) => Promise<void> };

/** What to do to a row: its number decides its partition, so that one key stays in one. */
type Step = { number: number; op: 'c' | 'u' | 'd'; value: unknown };

type Encoders = { key: AvroEncoder; row: AvroEncoder; tail: AvroEncoder; ids: [number, number] };

const changedKeyBase = 3_000_000_000;
const bytesMax = 8_192;

/**
 * Writes updates, new rows, deletes with their tombstone, new primary keys, renamed urls and second rows with
 * one url straight into the change topics; log positions go up by one.
 */
export function openTopicChanges(options: TopicChangesOptions): TopicChanges {
  const { topics, partitions, random } = options;
  const encoders = new Map<Table, Promise<Encoders>>();
  let lsn = LOAD_LSN;
  const recordsOf = async (table: Table, steps: readonly Step[]): Promise<ProducerRecord[]> => {
    const opened = encoders.get(table) ?? openEncoders(options, table);
    encoders.set(table, opened);
    const encode = await opened;
    const nowMs = Date.now();
    return steps.flatMap(({ number, op, value }) => {
      lsn += 1n;
      const key = framed(encode.ids[0], (to, at) => encode.key(value, to, at));
      const place = {
        partition: mix32(number) % partitions,
        timestamp: String(nowMs),
        key,
      };
      const change = { op, lsn };
      const body = framed(encode.ids[1], (to, at) => {
        // The unions' branches: no `before`; `after` unless it is a delete.
        to[at] = 0;
        to[at + 1] = op === 'd' ? 0 : 2;
        const end = op === 'd' ? at + 2 : encode.row(value, to, at + 2);
        return encode.tail(tailOf(table, nowMs, change), to, end);
      });
      const record = { ...place, value: body };
      return op === 'd' ? [record, { ...place, value: null }] : [record];
    });
  };
  return {
    next: async (producer) => {
      const table = (['users', 'devices', 'urls'] as const)[random.below(3)] ?? 'users';
      const steps = stepsOf(table, options.size, random);
      await producer.send(topics[table], await recordsOf(table, steps));
    },
  };
}

async function openEncoders(
  { register, topics }: TopicChangesOptions,
  table: Table,
): Promise<Encoders> {
  const topic = topics[table];
  const avroSchemas = debeziumSchemas(topic, table);
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

function framed(schemaId: number, write: Write): Buffer {
  const buffer = Buffer.alloc(bytesMax);
  return buffer.subarray(0, write(buffer, writeFrame(schemaId, buffer, 0)));
}

type Write = (to: Buffer, at: number) => number;

function stepsOf(table: Table, size: LoadSize, random: Random): Step[] {
  const rows = size[table];
  // Low numbers are the frequent ones in clicks.
  const number = 1 + Math.floor(rows * random.float() ** 2);
  const fresh = rows + 1 + random.below(1_000);
  const moved = changedKeyBase + number;
  const row = rowOf(table, size, random);
  switch (random.below(8)) {
    case 0:
      return [{ number: fresh, op: 'c', value: row(fresh) }];
    case 1:
      return [{ number, op: 'd', value: row(number) }];
    case 2:
      return [
        { number, op: 'd', value: row(number) },
        { number: moved, op: 'c', value: row(moved, number) },
      ];
    case 3:
      return table === 'urls'
        ? [{ number, op: 'u', value: renamed(row(number), size.seed, number) }]
        : [{ number, op: 'u', value: row(number) }];
    default:
      return [{ number, op: 'u', value: row(number) }];
  }
}

/** A row with other values than the first load's; `of` names the row whose url a new key carries. */
function rowOf(
  table: Table,
  { seed, users }: LoadSize,
  random: Random,
): (number: number, of?: number) => Record<string, unknown> {
  const other = random.uint32();
  switch (table) {
    case 'users':
      return (number) => userValue({ ...userRow(other, number), userId: number });
    case 'devices':
      return (number) => {
        const { deviceId } = deviceRow(seed, number, users);
        return deviceValue({ ...deviceRow(other, number, users), deviceId });
      };
    case 'urls':
      return (number, of = number) =>
        urlValue({ ...urlRow(other, number), url: urlText(seed, of) });
  }
}

function renamed(
  value: Record<string, unknown>,
  seed: number,
  number: number,
): Record<string, unknown> {
  return { ...value, url: renamedUrlText(seed, number) };
}
