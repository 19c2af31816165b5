import {
  Connection,
  createAPI,
  createTopicsV7,
  deleteTopicsV6,
  findErrorBy,
  metadataV12,
  produceV10,
  Writer,
} from '@platformatic/kafka';
import { setTimeout as sleep } from 'node:timers/promises';

/** A batch as `openRecordBatch` makes it, and where it goes. */
export type AddressedBatch = { topic: string; partition: number; batch: Buffer };

/**
 * Sends whole record batches, with nothing between them and the broker: no objects for records, no retries. For
 * loads that are begun anew when a send fails. One broker, plain text: that of the stack.
 */
export type BatchProducer = {
  /** Acknowledged, to the offset of each batch's first record, in the order given. */
  send(batches: readonly AddressedBatch[]): Promise<bigint[]>;
  /** Makes the topic anew: what it held is gone. */
  recreateTopic(
    topic: string,
    partitions: number,
    settings: Readonly<Record<string, string>>,
  ): Promise<void>;
  /** A topic that is not there is no error. */
  deleteTopic(topic: string): Promise<void>;
  close(): Promise<void>;
};

type ProduceResponse = ReturnType<typeof produceV10.parseResponse>;

const PRODUCE_API_KEY = 0;
const PRODUCE_API_VERSION = 10;
const ALL_REPLICAS = -1;
const TIMEOUT_MS = 30_000;
const TRIES_MAX = 100;
const TRY_WAIT_MS = 100;
const UNKNOWN_TOPIC = 3;
const TOPIC_EXISTS = 36;
/** A broker names itself as leader a moment before it takes the first records. */
const LEADER_WAIT_MS = 300;

/** Source: https://kafka.apache.org/protocol.html#The_Messages_Produce, version 10. */
const produce = createAPI<[readonly AddressedBatch[]], ProduceResponse>(
  PRODUCE_API_KEY,
  PRODUCE_API_VERSION,
  (batches: readonly AddressedBatch[]) =>
    Writer.create()
      .appendString(null)
      .appendInt16(ALL_REPLICAS)
      .appendInt32(TIMEOUT_MS)
      .appendArray([...Map.groupBy(batches, ({ topic }) => topic)], (topics, [topic, own]) => {
        topics.appendString(topic).appendArray(own, (partitions, { partition, batch }) => {
          partitions.appendInt32(partition).appendBytes(batch);
        });
      })
      .appendTaggedFields(),
  produceV10.parseResponse,
);

/** Errors, of all calls: the client's own. */
export async function openBatchProducer(broker: string): Promise<BatchProducer> {
  const connection = new Connection('bench', { connectTimeout: 5_000, requestTimeout: TIMEOUT_MS });
  const colon = broker.lastIndexOf(':');
  await connection.connect(broker.slice(0, colon), Number(broker.slice(colon + 1)));
  const deleteTopic = async (topic: string): Promise<void> => {
    try {
      await deleteTopicsV6.api.async(connection, [{ name: topic }], TIMEOUT_MS);
    } catch (error) {
      if (!isAnswer(error, UNKNOWN_TOPIC)) throw error;
    }
  };
  return {
    async send(batches) {
      const { responses } = await produce.async(connection, batches);
      const offsets = new Map(
        responses.flatMap(({ name, partitionResponses }) =>
          partitionResponses.map(({ index, baseOffset }) => [`${name}/${index}`, baseOffset]),
        ),
      );
      return batches.map(({ topic, partition }) => offsets.get(`${topic}/${partition}`) ?? -1n);
    },
    async recreateTopic(topic, partitions, settings) {
      await deleteTopic(topic);
      await createTopic(connection, topic, partitions, settings);
      await retrying(UNKNOWN_TOPIC, () => metadataV12.api.async(connection, [topic], false, false));
      await sleep(LEADER_WAIT_MS);
    },
    deleteTopic,
    close: () => connection.close(),
  };
}

function createTopic(
  connection: Connection,
  topic: string,
  partitions: number,
  settings: Readonly<Record<string, string>>,
): Promise<unknown> {
  const wish = {
    name: topic,
    numPartitions: partitions,
    replicationFactor: -1,
    assignments: [],
    configs: Object.entries(settings).map(([name, value]) => ({ name, value })),
  };
  // A topic that is being deleted still holds its name for a moment.
  return retrying(TOPIC_EXISTS, () =>
    createTopicsV7.api.async(connection, [wish], TIMEOUT_MS, false),
  );
}

async function retrying<T>(code: number, request: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await request();
    } catch (error) {
      if (!isAnswer(error, code) || tries === TRIES_MAX) throw error;
      await sleep(TRY_WAIT_MS);
    }
  }
}

function isAnswer(error: unknown, code: number): boolean {
  return error instanceof Error && findErrorBy(error, 'apiCode', code) !== null;
}
