import { systemClock } from '../../cli/environment.ts';
import { openToolLog } from '../../cli/lag.ts';
import { loadConfig } from '../../cli/load-config.ts';
import { kafkajsSecurity } from '../../cli/open-lake.ts';
import type { PipelineConfig } from '../../enrich/config/pipeline-config.ts';
import type { Log } from '../../enrich/source/log.ts';
import { debeziumSchemas } from '../../generate/debezium-schema.ts';
import { writeCompletion } from '../../generate/dimension-topic.ts';
import { openKafkaProducer } from '../../generate/kafka-producer.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import { registerWith } from '../dimension-topics.ts';
import { openBatchProducer } from '../kafka/batch-producer.ts';
import type { TableName } from './expected-join.ts';
import type { Fill } from './fill-share.ts';
import { fillTopic } from './fill-topic.ts';

export type DataSize = { users: number; devices: number; urls: number };

export type Skew = 'uniform' | 'zipf';

/** A backlog of `count` clicks on keys that are drawn alike or by Zipf's law. */
export type ClickSet = { count: number; skew: Skew };

/** Topics of a size, filled once in a Kafka and used by all later runs. */
export type DataSet = {
  seed: number;
  size: DataSize;
  /** Dimension topics are `<base>.<dimension>`, notifications `<base>-notifications`. */
  base: string;
  clusterId: string;
};

const SEED = 11;
export const CLICK_PARTITIONS = 24;
export const DIMENSION_PARTITIONS = 12;
const TEN_YEARS_MS = String(10 * 365 * 86_400_000);

/**
 * Keys are unique, so compaction would find nothing: it never begins. That a state is old is no reason to load it
 * again: no tombstone is ever dropped.
 */
const DIMENSION_SETTINGS = {
  'cleanup.policy': 'compact',
  'min.compaction.lag.ms': TEN_YEARS_MS,
  'delete.retention.ms': TEN_YEARS_MS,
};
const CLICK_SETTINGS = { 'cleanup.policy': 'delete', 'retention.ms': '-1' };

/** A size with `rows` users and devices together, and a url for each 100 of them. */
export function sizeOf(rows: number): DataSize {
  const half = Math.max(1, Math.floor(rows / 2));
  return { users: half, devices: half, urls: Math.max(1, Math.floor(rows / 100)) };
}

/** Fills the change topics of a size unless they are full. `kind` names those that a run goes on changing. */
export async function prepareDimensions(options: {
  size: DataSize;
  kind?: string;
  progress: (line: string) => void;
}): Promise<DataSet> {
  const { size, kind, progress } = options;
  const base = ['bench', kind, SEED, size.users, size.devices, size.urls]
    .filter((part) => part !== undefined)
    .join('_');
  const notificationTopic = notificationTopicOf(base);
  const { config } = await loadConfig({ config: 'pipeline.yaml', contracts: 'schemas' });
  const log = await openToolLog(config);
  try {
    // It is written last: where it has a record, all is there.
    if ((await recordCount(log, notificationTopic)) === 0) {
      for (const table of ['users', 'devices', 'urls'] as const) {
        await fillTable({ config, base, table, size, progress });
      }
      await tellComplete(config, notificationTopic, progress);
    }
    const clusterId = (await log.describeTopic(notificationTopic))?.clusterId ?? '';
    return { seed: SEED, size, base, clusterId };
  } finally {
    await log.close();
  }
}

/** Makes the stream topic of a backlog and fills it, unless it is full; gives its name. */
export async function prepareClicks(options: {
  dataSet: DataSet;
  clicks: ClickSet;
  progress: (line: string) => void;
}): Promise<string> {
  const { dataSet, clicks } = options;
  const { config } = await loadConfig({ config: 'pipeline.yaml', contracts: 'schemas' });
  const topic = `${dataSet.base}-clicks_${clicks.skew}_${clicks.count}`;
  const log = await openToolLog(config);
  const filled = await recordCount(log, topic);
  await log.close();
  if (filled === clicks.count) return topic;
  await makeStreamTopic(topic);
  await fillClicks({ ...options, topic });
  return topic;
}

/** Makes a stream topic anew. */
export async function makeStreamTopic(topic: string): Promise<void> {
  const { config } = await loadConfig({ config: 'pipeline.yaml', contracts: 'schemas' });
  const producer = await openBatchProducer(brokerOf(config));
  await producer.recreateTopic(topic, CLICK_PARTITIONS, CLICK_SETTINGS);
  await producer.close();
}

export async function removeTopic(topic: string): Promise<void> {
  await removeTopics([topic]);
}

/** Removes the change topics of a data set. */
export async function removeDimensions({ base }: DataSet): Promise<void> {
  const tables = ['users', 'devices', 'urls'].map((table) => `${base}.${table}`);
  await removeTopics([...tables, notificationTopicOf(base)]);
}

async function removeTopics(topics: readonly string[]): Promise<void> {
  const { config } = await loadConfig({ config: 'pipeline.yaml', contracts: 'schemas' });
  const producer = await openBatchProducer(brokerOf(config));
  for (const topic of topics) await producer.deleteTopic(topic);
  await producer.close();
}

function notificationTopicOf(base: string): string {
  return `${base}-notifications`;
}

/** Sends a backlog to a stream topic, behind the `first` clicks that it holds, a multiple of its partitions. */
export async function fillClicks(options: {
  dataSet: DataSet;
  clicks: ClickSet;
  topic: string;
  first?: number;
  progress: (line: string) => void;
}): Promise<void> {
  const { dataSet, clicks, topic, first = 0, progress } = options;
  const { config, contracts } = await loadConfig({ config: 'pipeline.yaml', contracts: 'schemas' });
  const { avroSchema } = contracts.stream;
  await fill({
    config,
    progress,
    subjects: { [`${topic}-value`]: avroSchema },
    topic,
    partitions: CLICK_PARTITIONS,
    first,
    count: clicks.count,
    seed: dataSet.seed,
    content: { kind: 'clicks', size: dataSet.size, skew: clicks.skew, avroSchema },
  });
}

async function fillTable(options: {
  config: PipelineConfig;
  base: string;
  table: TableName;
  size: DataSize;
  progress: (line: string) => void;
}): Promise<void> {
  const { config, base, table, size, progress } = options;
  const topic = `${base}.${table}`;
  const avroSchemas = debeziumSchemas(topic, table);
  const producer = await openBatchProducer(brokerOf(config));
  await producer.recreateTopic(topic, DIMENSION_PARTITIONS, DIMENSION_SETTINGS);
  await producer.close();
  await fill({
    config,
    progress,
    subjects: { [`${topic}-key`]: avroSchemas.key, [`${topic}-value`]: avroSchemas.envelope },
    topic,
    partitions: DIMENSION_PARTITIONS,
    first: 0,
    count: size[table],
    seed: SEED,
    content: { kind: 'rows', table, users: size.users },
  });
}

async function fill({
  config,
  progress,
  subjects,
  ...rest
}: Omit<Fill, 'schemaIds' | 'timestampMs'> & {
  config: PipelineConfig;
  progress: (line: string) => void;
  subjects: Readonly<Record<string, AvroObject>>;
}): Promise<void> {
  const register = registerWith(config);
  const schemaIds: Record<string, number> = {};
  for (const [subject, avroSchema] of Object.entries(subjects)) {
    schemaIds[subject] = await register(subject, JSON.stringify(avroSchema));
  }
  const { records, seconds, cpuSeconds, bytes } = await fillTopic({
    broker: brokerOf(config),
    fill: { ...rest, schemaIds, timestampMs: systemClock.nowMs() },
    progress,
  });
  progress(
    `${rest.topic}: ${records} records in ${seconds.toFixed(1)} s, ` +
      `${Math.round(records / seconds)} a second, ${cpuSeconds.toFixed(1)} s of CPU, ` +
      `${(bytes / records).toFixed(1)} bytes each`,
  );
}

async function tellComplete(
  config: PipelineConfig,
  notificationTopic: string,
  progress: (line: string) => void,
): Promise<void> {
  const { brokers } = config.kafka;
  const security = kafkajsSecurity(config);
  const producer = await openKafkaProducer({
    brokers,
    security,
    clientId: 'bench',
    compression: 'none',
    log: progress,
  });
  const { nowMs } = systemClock;
  const register = registerWith(config);
  await writeCompletion({ producer, register, notificationTopic, nowMs, seed: SEED });
  await producer.close();
}

/** 0 where there is no such topic. */
async function recordCount(log: Log, topic: string): Promise<number> {
  if ((await log.describeTopic(topic)) === undefined) return 0;
  const bounds = [...(await log.bounds(topic)).values()];
  return bounds.reduce(
    (sum, { startOffset, endOffset }) => sum + Number(endOffset - startOffset),
    0,
  );
}

/** The one broker of the stack. */
export function brokerOf({ kafka }: PipelineConfig): string {
  const [broker, ...others] = kafka.brokers;
  if (broker === undefined || others.length > 0) {
    throw new RangeError('benches fill topics of one broker only');
  }
  return broker;
}
