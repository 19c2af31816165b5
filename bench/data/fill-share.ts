import { openAvroEncoder, writeFrame } from '../../generate/avro.ts';
import {
  deviceValue,
  openChangeEncoder,
  urlValue,
  userValue,
} from '../../generate/dimension-topic.ts';
import { deviceRow, urlRow, userRow } from '../../generate/dimension-rows.ts';
import { mix32 } from '../../generate/random.ts';
import { openValueSlab } from '../../generate/value-slab.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import type { AddressedBatch } from '../kafka/batch-producer.ts';
import { openRecordBatch } from '../kafka/record-batch.ts';
import { openClickModel } from './click-model.ts';
import type { DataSize, Skew } from './data-set.ts';
import type { TableName } from './expected-join.ts';

/** What a topic is filled with; plain data, for it goes to threads. */
export type Fill = {
  topic: string;
  partitions: number;
  /** Records `first` to `first + count`; of clicks, a multiple of the partitions. */
  first: number;
  count: number;
  seed: number;
  /** Of all records, epoch ms. */
  timestampMs: number;
  /** Of each subject that the content needs. */
  schemaIds: Readonly<Record<string, number>>;
  content:
    | { kind: 'rows'; table: TableName; users: number }
    | { kind: 'clicks'; size: DataSize; skew: Skew; avroSchema: AvroObject };
};

/** The part of one thread among `shares`. */
export type Share = { share: number; shares: number };

type Encoded = { partition: number; key: Uint8Array; value: Uint8Array };

/** Before compression: what a producer with `batch.size` 131072 and `linger.ms` makes. */
const BATCH_BYTES = 256 * 1024;
const REQUEST_BYTES = 1024 * 1024;
/** Requests whose answers are not awaited yet; one connection keeps their order. */
const REQUESTS_UNDER_WAY_MAX = 3;

/**
 * Makes a share of a topic's records and hands them over in batches, in order for each partition. Rows are split by
 * their numbers, clicks by partition: the place of a click in the topic says which one it is.
 */
export async function fillShare(
  fill: Fill,
  share: Share,
  ports: {
    send: (batches: readonly AddressedBatch[]) => Promise<unknown>;
    crc32c: (bytes: Uint8Array) => number;
    onSent: (records: number, bytes: number) => void;
  },
): Promise<void> {
  const { topic, partitions, timestampMs } = fill;
  const batches = Array.from({ length: partitions }, () =>
    openRecordBatch({ bytesExpected: BATCH_BYTES, crc32c: ports.crc32c }),
  );
  let request = new Map<number, AddressedBatch>();
  let records = 0;
  let bytes = 0;
  const underWay: Promise<unknown>[] = [];
  const sendRequest = async (): Promise<void> => {
    const sent = ports.send([...request.values()]);
    // Thrown where it is awaited; until then it must not count as unhandled.
    sent.catch(() => undefined);
    underWay.push(sent);
    ports.onSent(records, bytes);
    [request, records, bytes] = [new Map(), 0, 0];
    if (underWay.length >= REQUESTS_UNDER_WAY_MAX) await underWay.shift();
  };
  const takeBatch = async (partition: number): Promise<void> => {
    const own = batches[partition];
    if (own === undefined || own.count === 0) return;
    // A request takes one batch of a partition.
    if (request.has(partition)) await sendRequest();
    records += own.count;
    const batch = own.take(timestampMs);
    bytes += batch.length;
    request.set(partition, { topic, partition, batch });
    if (bytes >= REQUEST_BYTES) await sendRequest();
  };
  for await (const chunk of encodedChunks(fill, share)) {
    for (const { partition, key, value } of chunk) {
      const own = batches[partition];
      own?.append(key, value);
      if ((own?.bytes ?? 0) >= BATCH_BYTES) await takeBatch(partition);
    }
  }
  for (let partition = 0; partition < partitions; partition += 1) await takeBatch(partition);
  await sendRequest();
  await Promise.all(underWay);
}

const CHUNK_RECORDS = 1_000;

async function* encodedChunks(fill: Fill, share: Share): AsyncGenerator<Encoded[]> {
  const encode =
    fill.content.kind === 'rows'
      ? await rowEncoder(fill, fill.content)
      : clickEncoder(fill, fill.content);
  let chunk: Encoded[] = [];
  for (const index of indexesOf(fill, share)) {
    chunk.push(encode(index));
    if (chunk.length < CHUNK_RECORDS) continue;
    yield chunk;
    chunk = [];
  }
  yield chunk;
}

/** Rows are split by number, clicks by partition. */
function* indexesOf({ first, count, partitions, content }: Fill, { share, shares }: Share) {
  const group = content.kind === 'rows' ? shares : partitions;
  for (let start = first; start < first + count; start += group) {
    for (let i = share; i < Math.min(group, first + count - start); i += shares) yield start + i;
  }
}

async function rowEncoder(
  { topic, seed, partitions, timestampMs, schemaIds }: Fill,
  { table, users }: { table: TableName; users: number },
): Promise<(index: number) => Encoded> {
  const register = async (subject: string): Promise<number> => schemaIds[subject] ?? 0;
  const encode = await openChangeEncoder({ register, nowMs: () => timestampMs }, table, topic);
  const valueOf = {
    users: (number: number) => userValue(userRow(seed, number)),
    devices: (number: number) => deviceValue(deviceRow(seed, number, users)),
    urls: (number: number) => urlValue(urlRow(seed, number)),
  }[table];
  return (index) => ({
    partition: mix32(index + 1) % partitions,
    ...encode(valueOf(index + 1)),
  });
}

function clickEncoder(
  { topic, seed, partitions, schemaIds }: Fill,
  { size, skew, avroSchema }: { size: DataSize; skew: Skew; avroSchema: AvroObject },
): (index: number) => Encoded {
  const model = openClickModel({ seed, size, skew });
  const encode = openAvroEncoder(avroSchema);
  const schemaId = schemaIds[`${topic}-value`] ?? 0;
  const slab = openValueSlab();
  return (index) => {
    const click = model.at(index);
    return {
      partition: index % partitions,
      key: Buffer.from(String(click.user_id)),
      value: slab.append((buffer, at) =>
        buffer.length - at < 64 ? -1 : encode(click, buffer, writeFrame(schemaId, buffer, at)),
      ),
    };
  };
}
