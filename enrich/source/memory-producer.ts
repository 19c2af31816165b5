import { EnrichError } from '../error.ts';
import type { MemoryLog } from './memory-log.ts';
import { recordBytes } from './transactional-producer.ts';
import type { OutgoingRecord, TransactionalProducer } from './transactional-producer.ts';

/** What all producers of a cluster share. */
export type MemoryTransactions = {
  log: MemoryLog;
  /** How often each transactional id was taken. */
  epochs: Map<string, number>;
  batchBytesMax: (topic: string) => number;
  /** Called before a send takes effect, and after it; an error of it is the outcome of the send. */
  onSend?: (moment: 'before' | 'after', records: readonly OutgoingRecord[]) => void;
};

/** The in-memory twin of the transactional producer, under the same contract suite. */
export function openMemoryProducer(
  cluster: MemoryTransactions,
  transactionalId: string,
): TransactionalProducer {
  const { log, epochs, batchBytesMax } = cluster;
  const epoch = (epochs.get(transactionalId) ?? 0) + 1;
  epochs.set(transactionalId, epoch);
  let failure: unknown;
  const sendAll = async (records: readonly OutgoingRecord[]): Promise<void> => {
    if (failure !== undefined) throw failure;
    if (epochs.get(transactionalId) !== epoch) {
      throw new EnrichError('fenced', 'the transactional id was taken over');
    }
    const batches = Map.groupBy(records, ({ topic, partition }) => `${topic}/${partition}`);
    for (const batch of batches.values()) await judge(cluster, batch);
    cluster.onSend?.('before', records);
    for (const batch of batches.values()) {
      const [{ topic, partition: wanted } = { topic: '', partition: 0 }] = batch;
      const partition = wanted % ((await log.describeTopic(topic))?.partitionCount ?? 1);
      log.append(topic, partition, batch);
      // The marker that ends the transaction.
      log.appendInvisible(topic, partition, 1);
    }
    cluster.onSend?.('after', records);
  };
  return {
    async ensureCompactedTopic(topic) {
      if ((await log.describeTopic(topic)) === undefined) log.createTopic(topic, 1);
    },
    batchBytesMax: async (topic) => batchBytesMax(topic),
    async send(records) {
      try {
        await sendAll(records);
      } catch (error) {
        failure = error;
        throw error;
      }
    },
    close: async () => undefined,
  };
}

async function judge(
  { log, batchBytesMax }: MemoryTransactions,
  batch: readonly OutgoingRecord[],
): Promise<void> {
  const topic = batch[0]?.topic ?? '';
  if ((await log.describeTopic(topic)) === undefined) {
    throw new EnrichError('unavailable', `topic ${topic} does not exist`);
  }
  const bytes = batch.reduce((sum, record) => sum + recordBytes(record), 0);
  if (bytes <= batchBytesMax(topic)) return;
  throw new EnrichError('config', `${topic} takes no batch of ${bytes} bytes`);
}
