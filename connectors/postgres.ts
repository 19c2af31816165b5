import type { ConnectorsConfig } from './connectors-config.ts';
import { changelogSettings, heartbeatTopic, notificationTopic, signalTopic } from './topics.ts';

export type ConnectorConfig = Readonly<Record<string, string>>;

/** The variable of Connect's worker that holds the password of Debezium's role. */
export const passwordVariable = 'DATABASE_PASSWORD';

/**
 * The configuration of Debezium's PostgreSQL connector, as Connect's REST interface takes it.
 * Source: Debezium 3 reference, PostgreSQL connector, "Connector properties".
 */
export function debeziumPostgresConfig(config: ConnectorsConfig): ConnectorConfig {
  return {
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'tasks.max': '1',
    ...databaseSettings(config),
    ...valueSettings(),
    ...deliverySettings(config),
    ...converterSettings('key', config.converter),
    ...converterSettings('value', config.converter),
    ...topicCreationSettings(config),
  };
}

function databaseSettings({ database, tables, topics }: ConnectorsConfig): ConnectorConfig {
  const { heartbeatTable } = database;
  return {
    'database.hostname': database.host,
    'database.port': String(database.port),
    'database.dbname': database.name,
    'database.user': database.user,
    // Connect shows a configuration to all who reach its port, so that it holds the variable's name only.
    'database.password': `\${env:${passwordVariable}}`,
    'topic.prefix': topics.prefix,
    'table.include.list': tables.map(escapeRegex).join(','),
    'plugin.name': 'pgoutput',
    'slot.name': database.slot,
    // A slot that is ahead of what was read, since someone made it anew, has lost changes: that must fail, not pass.
    'offset.mismatch.strategy': 'trust_offset',
    'publication.name': database.publication,
    // The role that reads needs neither the tables nor the right to create.
    'publication.autocreate.mode': 'disabled',
    'snapshot.mode': 'initial',
    'heartbeat.interval.ms': '5000',
    ...(heartbeatTable === undefined
      ? {}
      : { 'heartbeat.action.query': heartbeatQuery(heartbeatTable) }),
  };
}

/** The server keeps its log until the slot confirms; a quiet table confirms nothing by itself. */
function heartbeatQuery(table: string): string {
  return (
    `insert into ${table} (id, beat_at) values (1, now()) ` +
    'on conflict (id) do update set beat_at = excluded.beat_at'
  );
}

/** Values without loss: exact decimals, times to the microsecond, names that Avro allows. */
function valueSettings(): ConnectorConfig {
  return {
    'decimal.handling.mode': 'precise',
    'time.precision.mode': 'adaptive_time_microseconds',
    'schema.name.adjustment.mode': 'avro',
    'field.name.adjustment.mode': 'avro',
  };
}

function deliverySettings(config: ConnectorsConfig): ConnectorConfig {
  return {
    'tombstones.on.delete': 'true',
    // A truncate has no key, and a compacted topic refuses it: the task would fail for good.
    'skipped.operations': 't',
    // The default of 500 ms is the floor of the latency.
    'poll.interval.ms': '20',
    'errors.max.retries': '-1',
    'notification.enabled.channels': 'sink',
    'notification.sink.topic.name': notificationTopic(config),
    ...signalSettings(config),
  };
}

/**
 * Orders come by Kafka, and an incremental snapshot takes its watermarks from pg_current_snapshot():
 * the source needs no table for signals, and Debezium's role no further right.
 */
function signalSettings(config: ConnectorsConfig): ConnectorConfig {
  return {
    'read.only': 'true',
    'signal.enabled.channels': 'kafka',
    'signal.kafka.topic': signalTopic(config),
    'signal.kafka.bootstrap.servers': config.kafkaBrokers.join(','),
    'signal.poll.interval.ms': '1000',
    'incremental.snapshot.chunk.size': String(chunkRows),
  };
}

/** Rows that an incremental snapshot reads and holds at once; one notification tells of each chunk. */
const chunkRows = 8192;

/** Names of the settings in which two configurations differ; Connect adds `name` itself. */
export function changedSettings(present: ConnectorConfig, wanted: ConnectorConfig): string[] {
  const names = new Set([...Object.keys(present), ...Object.keys(wanted)]);
  names.delete('name');
  return [...names].filter((name) => present[name] !== wanted[name]).toSorted();
}

/** The tables, `schema.table`, that a connector's configuration captures. */
export function capturedTables(present: ConnectorConfig): ReadonlySet<string> {
  const list = present['table.include.list'] ?? '';
  return new Set(list.split(',').map((name) => name.replaceAll('\\', '')));
}

function converterSettings(
  part: 'key' | 'value',
  converter: ConnectorsConfig['converter'],
): ConnectorConfig {
  const settings =
    converter.kind === 'tributary'
      ? {
          '': 'tributary.connect.AvroConverter',
          '.schema.registry.url': converter.registryUrl,
        }
      : {
          '': 'io.apicurio.registry.utils.converter.AvroConverter',
          '.apicurio.registry.url': converter.registryUrl,
          '.apicurio.registry.auto-register': 'true',
          // Confluent's frame with the ids that the ccompat interface answers to.
          '.apicurio.registry.as-confluent': 'true',
          '.apicurio.registry.use-id': 'contentId',
          '.apicurio.registry.headers.enabled': 'false',
        };
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [`${part}.converter${name}`, value]),
  );
}

/** For topics that `apply` has not made: the same settings, made by Connect. */
function topicCreationSettings(config: ConnectorsConfig): ConnectorConfig {
  const { partitions, replicationFactor } = config.topics;
  const replication = String(replicationFactor);
  return {
    'topic.creation.default.partitions': String(partitions),
    'topic.creation.default.replication.factor': replication,
    ...Object.fromEntries(
      Object.entries(changelogSettings).map(([name, value]) => [
        `topic.creation.default.${name}`,
        value,
      ]),
    ),
    'topic.creation.groups': 'heartbeat,notification',
    'topic.creation.heartbeat.include': escapeRegex(heartbeatTopic(config)),
    'topic.creation.heartbeat.partitions': '1',
    'topic.creation.heartbeat.replication.factor': replication,
    'topic.creation.heartbeat.cleanup.policy': 'compact',
    'topic.creation.notification.include': escapeRegex(notificationTopic(config)),
    'topic.creation.notification.partitions': '1',
    'topic.creation.notification.replication.factor': replication,
    'topic.creation.notification.retention.ms': '-1',
  };
}

/** Connect takes names as regular expressions. */
function escapeRegex(name: string): string {
  return name.replace(/[.$*+?()[\]{}|^\\-]/g, '\\$&');
}
