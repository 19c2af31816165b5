import type { PipelineConfig } from '../../enrich/config/pipeline-config.ts';

/** The columns that the statements fill, in their order, as the pipeline's table names them. */
export const PEER_COLUMNS = (
  'event_time user_id url device_id session_id referrer duration_ms ' +
  'user_name user_country user_tier user_birth_year user_signup_date ' +
  'device_os device_os_version device_model device_form_factor ' +
  'url_domain url_category url_title url_price _kafka_partition _kafka_offset'
).split(' ');

/**
 * The pipeline's job as Flink SQL: regular left joins of the stream with three change streams, into an Iceberg table
 * that is there. Flink has no join with the newest row known that never corrects itself; this one gives the same rows
 * where every change is there before the first click, and none comes after.
 */
export function joinStatements(options: {
  config: PipelineConfig;
  groupId: string;
  table: string;
}): string {
  const { config, groupId, table } = options;
  const changesOf = (name: string): string => {
    const topic = config.dimensions.find((dimension) => dimension.name === name)?.topic ?? name;
    return source({ config, groupId, topic, format: 'debezium-avro-confluent' });
  };
  const { topic } = config.stream;
  return `CREATE TABLE clicks (
  event_time BIGINT NOT NULL,
  user_id BIGINT NOT NULL,
  url STRING NOT NULL,
  device_id STRING NOT NULL,
  session_id STRING,
  referrer STRING,
  duration_ms INT,
  kafka_partition INT METADATA FROM 'partition' VIRTUAL,
  kafka_offset BIGINT METADATA FROM 'offset' VIRTUAL
) WITH (${source({ config, groupId, topic, format: 'avro-confluent' })});
CREATE TABLE users (
  user_id BIGINT NOT NULL, name STRING, country STRING, tier STRING NOT NULL, birth_year INT, signup_date INT,
  PRIMARY KEY (user_id) NOT ENFORCED
) WITH (${changesOf('users')});
CREATE TABLE devices (
  device_id STRING NOT NULL, os STRING, os_version STRING, \`model\` STRING, form_factor STRING NOT NULL,
  PRIMARY KEY (device_id) NOT ENFORCED
) WITH (${changesOf('devices')});
CREATE TABLE urls (
  url_id BIGINT NOT NULL, url STRING NOT NULL, domain STRING, category STRING, title STRING, price DECIMAL(12, 2),
  PRIMARY KEY (url_id) NOT ENFORCED
) WITH (${changesOf('urls')});
${catalog(config)}
CREATE TEMPORARY VIEW normal_clicks AS
SELECT *, CONCAT(
  LOWER(REGEXP_EXTRACT(url, '^([^/]*//[^/?#]*)', 1)),
  REGEXP_EXTRACT(url, '^[^/]*//[^/?#]*([^#]*)', 1)) AS normal_url
FROM clicks;
INSERT INTO lake.\`${config.table.namespace.join('.')}\`.\`${table}\`
SELECT TO_TIMESTAMP_LTZ(c.event_time, 3), c.user_id, c.url, c.device_id, c.session_id, c.referrer, c.duration_ms,
  u.name, u.country, u.tier, u.birth_year, TIMESTAMPADD(DAY, u.signup_date, DATE '1970-01-01'),
  d.os, d.os_version, d.\`model\`, d.form_factor,
  w.domain, w.category, w.title, w.price,
  c.kafka_partition, c.kafka_offset
FROM normal_clicks AS c
LEFT JOIN users AS u ON c.user_id = u.user_id
LEFT JOIN devices AS d ON c.device_id = d.device_id
LEFT JOIN urls AS w ON c.normal_url = w.url;
`;
}

function source(options: {
  config: PipelineConfig;
  groupId: string;
  topic: string;
  format: string;
}): string {
  const { config, groupId, topic, format } = options;
  return `
  'connector' = 'kafka',
  'topic' = '${topic}',
  'properties.bootstrap.servers' = '${config.kafka.brokers.join(',')}',
  'properties.group.id' = '${groupId}',
  'properties.isolation.level' = 'read_committed',
  'scan.startup.mode' = 'earliest-offset',
  'format' = '${format}',
  '${format}.url' = '${config.registry.url}'`;
}

function catalog(config: PipelineConfig): string {
  const { endpoint, region, accessKeyId, secretAccessKey } = config.storage;
  return `CREATE CATALOG lake WITH (
  'type' = 'iceberg',
  'catalog-type' = 'rest',
  'uri' = '${config.catalog.uri}',
  'io-impl' = 'org.apache.iceberg.aws.s3.S3FileIO',
  's3.endpoint' = '${endpoint ?? ''}',
  's3.path-style-access' = 'true',
  's3.access-key-id' = '${accessKeyId?.reveal() ?? ''}',
  's3.secret-access-key' = '${secretAccessKey?.reveal() ?? ''}',
  'client.region' = '${region}');`;
}
