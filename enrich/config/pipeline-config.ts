import type { SecretString } from '../../configuration/secret-string.ts';
import type { SchemaChangeKind } from '../../schemas/schema-change-kind.ts';

/** What becomes of a writer's schema that differs from the contract in a way that `allow` does not name. */
export const evolutionPolicies = ['evolve', 'ignore', 'pause', 'reject', 'fail'] as const;

export type EvolutionConfig = {
  policy: (typeof evolutionPolicies)[number];
  /** Kinds of change that change the table, whatever the policy. */
  allow: ReadonlySet<SchemaChangeKind>;
};

export type NormaliserName = 'none' | 'url' | 'lower-case' | 'trim';

export type DimensionConfig = {
  name: string;
  topic: string;
  /** Name of the contract in `schemas/`, without `.avsc`. */
  contract: string;
  /** Column of the source table that identifies a row. */
  primaryKey: string;
  /** Column that clicks join on; the primary key unless said otherwise. */
  joinKey: string;
  /** Field of the stream that is looked up. */
  streamField: string;
  normaliser: NormaliserName;
  /** Columns carried into the table, as `prefix + column`. */
  columns: readonly string[];
  prefix: string;
  evolution: EvolutionConfig;
};

/** pipeline.yaml after validation: every default filled in, every `${VAR}` resolved. */
export type PipelineConfig = {
  pipeline: string;
  kafka: {
    brokers: readonly string[];
    groupId: string;
    clientId: string;
    tls: boolean;
    /** Most bytes that one compressed record batch may expand to. */
    batchBytesMax: number;
    sasl?: { mechanism: string; username: string; password: SecretString };
  };
  registry: { url: string; username?: string; password?: SecretString };
  stream: { topic: string; contract: string; eventTime: string; evolution: EvolutionConfig };
  dimensions: readonly DimensionConfig[];
  readiness: { notificationTopic: string };
  catalog: {
    uri: string;
    warehouse?: string;
    token?: SecretString;
    oauth2?: { tokenUri?: string; clientId: string; clientSecret: SecretString; scope?: string };
  };
  storage: {
    endpoint?: string;
    region: string;
    pathStyle: boolean;
    accessKeyId?: SecretString;
    secretAccessKey?: SecretString;
  };
  table: {
    namespace: readonly string[];
    name: string;
    deadLetterName: string;
    location?: string;
    partition: readonly string[];
    sort: readonly string[];
    properties: Readonly<Record<string, string>>;
  };
  /** Threads that take, join and write clicks; they share what a commit may hold. */
  workers: number;
  commit: { intervalMs: number; rowsMax: number; bytesMax: number };
  state: { directory: string };
  http: { host: string; port: number };
};
