import { openAvroEncoder, writeFrame } from '../../generate/avro.ts';
import type { ClickBatch } from '../../generate/clicks.ts';
import { openKafkaProducer } from '../../generate/kafka-producer.ts';
import { openLedgerWriter } from '../../generate/ledger.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { endpoints } from '../stack/endpoints.ts';
import { streamPartitions } from './lake.ts';
import type { Lake } from './lake.ts';

export type Click = { userId: number; deviceId: string; url: string };

const valueBytesMax = 4_096;

/** Sends these clicks, spread over the partitions, and writes them to the lake's ledger. */
export async function sendByHand(lake: Lake, clicks: readonly Click[]): Promise<void> {
  const contract = await loadContract('schemas', 'click');
  const registry = openRegistry({ url: endpoints.registryUrl });
  const { schemaId } = await registry.register(`${lake.topic}-value`, contract.avroSchema);
  const encode = openAvroEncoder(contract.avroSchema);
  const nowMs = Date.now();
  const valueOf = ({ userId, deviceId, url }: Click): Buffer => {
    const value = Buffer.alloc(valueBytesMax);
    const click = {
      event_time: nowMs,
      user_id: userId,
      url,
      device_id: deviceId,
      session_id: null,
      referrer: null,
      duration_ms: null,
    };
    return Buffer.from(value.subarray(0, encode(click, value, writeFrame(schemaId, value, 0))));
  };
  const batch: ClickBatch = {
    count: clicks.length,
    partition: clicks.map((_, i) => i % streamPartitions),
    eventTimeMs: clicks.map(() => nowMs),
    userId: clicks.map(({ userId }) => userId),
    url: clicks.map(({ url }) => url),
    deviceId: clicks.map(({ deviceId }) => deviceId),
    sessionId: clicks.map(() => null),
    kind: clicks.map(() => 'good'),
    value: clicks.map(valueOf),
  };
  const producer = await openKafkaProducer({
    brokers: endpoints.kafkaBrokers,
    clientId: lake.name,
    compression: 'none',
    log: () => undefined,
  });
  const { clusterId } = producer;
  const ledger = await openLedgerWriter(lake.ledger, { topic: lake.topic, clusterId, seed: 0 });
  const send = await ledger.send(batch);
  const records = batch.value.map((value, i) => ({
    partition: i % streamPartitions,
    key: String(batch.userId[i]),
    value,
    timestamp: String(nowMs),
  }));
  await ledger.ack(send, await producer.send(lake.topic, records));
  await ledger.close();
  await producer.close();
}
