import { mkdir } from 'node:fs/promises';
import { openAvroEncoder, writeFrame } from '../../generate/avro.ts';
import type { ClickBatch } from '../../generate/clicks.ts';
import { openKafkaProducer } from '../../generate/kafka-producer.ts';
import { openLedgerWriter } from '../../generate/ledger.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { endpoints } from '../stack/endpoints.ts';
import { streamPartitions } from './lake.ts';
import type { Lake } from './lake.ts';

export type Click = {
  userId: number;
  deviceId: string;
  url: string;
  sessionId?: string;
  /** Fields beyond these, as its schema has them. */
  more?: Readonly<Record<string, unknown>>;
};

const valueBytesMax = 4_096;

/** Sends clicks with any schema, spread over the partitions, and writes them to the lake's ledger. */
export async function openHandProducer(lake: Lake) {
  const registry = openRegistry({ url: endpoints.registryUrl });
  // Schemas that the field's rules would refuse are sent all the same by somebody.
  await registry.setCompatibility(`${lake.topic}-value`, 'NONE');
  const encoders = new Map<AvroObject, (click: object) => Buffer>();
  const encoderOf = async (avroSchema: AvroObject) => {
    const known = encoders.get(avroSchema);
    if (known !== undefined) return known;
    const { schemaId } = await registry.register(`${lake.topic}-value`, avroSchema);
    const encode = openAvroEncoder(avroSchema);
    const made = (click: object): Buffer => {
      const value = Buffer.alloc(valueBytesMax);
      return Buffer.from(value.subarray(0, encode(click, value, writeFrame(schemaId, value, 0))));
    };
    encoders.set(avroSchema, made);
    return made;
  };
  const producer = await openKafkaProducer({
    brokers: endpoints.kafkaBrokers,
    clientId: lake.name,
    compression: 'none',
    log: () => undefined,
  });
  const { clusterId } = producer;
  await mkdir(lake.ledgerDirectory, { recursive: true });
  const ledger = await openLedgerWriter(lake.ledger, { topic: lake.topic, clusterId, seed: 0 });
  return {
    send: async (avroSchema: AvroObject, clicks: readonly Click[]): Promise<void> => {
      const nowMs = Date.now();
      const encode = await encoderOf(avroSchema);
      const batch = batchOf(clicks, nowMs, encode);
      const send = await ledger.send(batch);
      const records = batch.value.map((value, i) => ({
        partition: i % streamPartitions,
        key: String(batch.userId[i]),
        value,
        timestamp: String(nowMs),
      }));
      await ledger.ack(send, await producer.send(lake.topic, records));
    },
    close: async (): Promise<void> => {
      await ledger.close();
      await producer.close();
    },
  };
}

function batchOf(
  clicks: readonly Click[],
  nowMs: number,
  encode: (click: object) => Buffer,
): ClickBatch {
  return {
    count: clicks.length,
    partition: clicks.map((_, i) => i % streamPartitions),
    eventTimeMs: clicks.map(() => nowMs),
    userId: clicks.map(({ userId }) => userId),
    url: clicks.map(({ url }) => url),
    deviceId: clicks.map(({ deviceId }) => deviceId),
    sessionId: clicks.map(({ sessionId }) => sessionId ?? null),
    kind: clicks.map(() => 'good'),
    value: clicks.map(({ userId, deviceId, url, sessionId, more }) =>
      encode({
        event_time: nowMs,
        user_id: userId,
        url,
        device_id: deviceId,
        session_id: sessionId ?? null,
        referrer: null,
        duration_ms: null,
        ...more,
      }),
    ),
  };
}

/** Sends these clicks by the contract and writes them to the lake's ledger. */
export async function sendByHand(lake: Lake, clicks: readonly Click[]): Promise<void> {
  const { avroSchema } = await loadContract('schemas', 'click');
  const producer = await openHandProducer(lake);
  await producer.send(avroSchema, clicks);
  await producer.close();
}
