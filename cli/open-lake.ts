import type { SASLOptions } from 'kafkajs';
import { openRestCatalog } from '@iceberg-js/rest-client-shim/rest/rest-catalog.ts';
import type { Catalog } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { RestCredentials } from '@iceberg-js/rest-client-shim/rest/token.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { openStore } from '@iceberg-js/rest-client-shim/store/open-store.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { openRegistry } from '../schemas/registry.ts';
import type { Registry } from '../schemas/registry.ts';
import { LOOK_MS_MAX } from './look.ts';

/** Opens the catalog; with `look`, for a command that only looks and must not wait long for it. */
export function openCatalog(
  { catalog }: PipelineConfig,
  { look = false }: { look?: boolean } = {},
): Promise<Catalog> {
  const { uri, warehouse } = catalog;
  return openRestCatalog({
    uri,
    ...(look ? { limits: { requestTimeoutMsMax: LOOK_MS_MAX, readAttemptsMax: 2 } } : {}),
    credentials: credentialsOf(catalog),
    ...(warehouse === undefined ? {} : { warehouse }),
  });
}

/** The store for tables at this location (a warehouse or table location). */
export function openTableStore(
  config: PipelineConfig,
  location: string,
): { store: ObjectStore; close: () => void } {
  return openStore(location, storeOptions(config));
}

/** How stores are reached, secrets revealed. */
export function storeOptions({ storage }: PipelineConfig) {
  const { endpoint, region, pathStyle, accessKeyId, secretAccessKey } = storage;
  return {
    s3: {
      region,
      pathStyle,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(accessKeyId === undefined ? {} : { accessKeyId: accessKeyId.reveal() }),
      ...(secretAccessKey === undefined ? {} : { secretAccessKey: secretAccessKey.reveal() }),
    },
  };
}

/** Connection options of the pipeline's Kafka client. */
export function kafkaOptions({ kafka }: PipelineConfig) {
  const { brokers, clientId, tls, sasl, batchBytesMax } = kafka;
  return {
    brokers,
    clientId,
    decompressedBytesMax: batchBytesMax,
    ...(tls ? { tls: {} } : {}),
    ...(sasl === undefined ? {} : { sasl: saslOptions(sasl) }),
  };
}

/** The same connection for the commands that use kafkajs. */
export function kafkajsSecurity({ kafka: { tls, sasl } }: PipelineConfig) {
  return {
    ...(tls ? { ssl: true } : {}),
    ...(sasl === undefined ? {} : { sasl: kafkajsSasl(sasl) }),
  };
}

function kafkajsSasl(sasl: NonNullable<PipelineConfig['kafka']['sasl']>) {
  const mechanism = sasl.mechanism.toLowerCase() as 'plain' | 'scram-sha-256' | 'scram-sha-512';
  return { mechanism, username: sasl.username, password: sasl.password.reveal() } as SASLOptions;
}

function saslOptions(sasl: NonNullable<PipelineConfig['kafka']['sasl']>) {
  const mechanism = sasl.mechanism as 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
  return { mechanism, username: sasl.username, password: sasl.password.reveal() };
}

/** Opens the schema registry; once the signal is aborted nothing more is asked of it. */
export function openSchemaRegistry({ registry }: PipelineConfig, signal?: AbortSignal): Registry {
  const { url, username, password } = registry;
  return openRegistry({
    url,
    ...(username === undefined || password === undefined ? {} : { username, password }),
    ...(signal === undefined ? {} : { signal }),
  });
}

function credentialsOf({ token, oauth2 }: PipelineConfig['catalog']): RestCredentials {
  if (token !== undefined) return { kind: 'bearer', token: token.reveal() };
  if (oauth2 === undefined) return { kind: 'none' };
  const { clientId, clientSecret, scope, tokenUri } = oauth2;
  return {
    kind: 'oauth2',
    clientId,
    clientSecret: clientSecret.reveal(),
    ...(scope === undefined ? {} : { scope }),
    ...(tokenUri === undefined ? {} : { tokenUri }),
  };
}
