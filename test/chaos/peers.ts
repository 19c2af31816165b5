import { openRestCatalog } from '@iceberg-js/rest-client-shim/rest/rest-catalog.ts';
import type { Catalog } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import kafkajs from 'kafkajs';
import type { Admin } from 'kafkajs';
import type { RegisterAvroSchema } from '../../generate/avro.ts';
import { openKafkaProducer } from '../../generate/kafka-producer.ts';
import type { RecordProducer } from '../../generate/kafka-producer.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { openTrino } from '../../verify/trino.ts';
import type { Trino } from '../../verify/trino.ts';
import type { Endpoints } from '../stack/endpoints.ts';

/**
 * Clients of the stack itself, past every proxy; all rounds share them. Those of Kafka are opened by each round for
 * itself: once a topic is deleted, a client of kafkajs that knew it fails for good.
 */
export type Peers = {
  endpoints: Endpoints;
  openAdmin: () => Promise<Admin>;
  openProducer: () => Promise<RecordProducer>;
  register: RegisterAvroSchema;
  catalog: Catalog;
  trino: Trino;
};

export async function openPeers(endpoints: Endpoints): Promise<Peers> {
  const brokers = [...endpoints.kafkaBrokers];
  const { logLevel } = kafkajs;
  const registry = openRegistry({ url: endpoints.registryUrl });
  const ids = new Map<string, Promise<number>>();
  const register: RegisterAvroSchema = (subject, avroSchema) => {
    const registering = async (): Promise<number> =>
      (await registry.register(subject, JSON.parse(avroSchema))).schemaId;
    const place = `${subject} ${avroSchema}`;
    const id = ids.get(place) ?? registering();
    ids.set(place, id);
    return id;
  };
  return {
    endpoints,
    openAdmin: async () => {
      const admin = new kafkajs.Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
      await admin.connect();
      return admin;
    },
    openProducer: () =>
      openKafkaProducer({ brokers, clientId: 'chaos', compression: 'none', log: () => undefined }),
    register,
    catalog: await openRestCatalog({ uri: endpoints.catalogUri, credentials: { kind: 'none' } }),
    trino: openTrino({ url: endpoints.trinoUrl, user: 'chaos', catalog: 'lake', schema: 'lake' }),
  };
}
