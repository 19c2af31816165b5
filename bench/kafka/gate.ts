import kafkajs from 'kafkajs';
import { whenHosted } from '../../connectors/fresh-topic.ts';

/**
 * Hides what comes into a topic from readers of committed records: one record of an open transaction lies first in
 * every partition, and nobody reads past it. Open for 15 minutes at most, which is the broker's bound.
 */
export type Gate = {
  /** Shows all at once, within moments: the transaction is given up, its records count for nobody. */
  open(): Promise<void>;
};

const TRANSACTION_MS_MAX = 900_000;

/** Into a topic that is empty: its own records begin at offset 1. */
export async function closeGate(options: {
  broker: string;
  topic: string;
  partitions: number;
}): Promise<Gate> {
  const { broker, topic, partitions } = options;
  const kafka = new kafkajs.Kafka({
    brokers: [broker],
    clientId: 'bench',
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const producer = kafka.producer({
    transactionalId: topic,
    transactionTimeout: TRANSACTION_MS_MAX,
    idempotent: true,
    maxInFlightRequests: 1,
  });
  await producer.connect();
  const transaction = await producer.transaction();
  const messages = Array.from({ length: partitions }, (_, partition) => ({
    partition,
    value: 'gate',
  }));
  await whenHosted(() => transaction.send({ topic, messages }));
  return {
    async open() {
      await transaction.abort();
      await producer.disconnect();
    },
  };
}
