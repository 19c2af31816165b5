import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_CLICK_SHAPE } from '../generate/clicks.ts';
import { writeDimensionTopics } from '../generate/dimension-topic.ts';
import { openKafkaProducer } from '../generate/kafka-producer.ts';
import type { RecordProducer } from '../generate/kafka-producer.ts';
import { runGenerate } from '../generate/run.ts';
import { kafkajsSecurity, openSchemaRegistry } from '../cli/open-lake.ts';
import { loadConfig } from '../cli/load-config.ts';
import { systemClock } from '../cli/environment.ts';
import { writePipelineFile } from './pipeline-file.ts';

/** What a run reads: topics of these sizes, filled once and used again by later runs. */
export type BacklogSize = { clicks: number; users: number; devices: number; urls: number };

export type Backlog = { pipelineFile: string; ledger: string; stateDirectory: string };

const PARTITIONS = 24;
const DIMENSION_PARTITIONS = 12;
const SEED = 11;
const HTTP_PORT = 18_098;

/**
 * Fills the topics of a backlog, unless an earlier run into the same Kafka did, and writes a pipeline file
 * that reads them from their start into a table of its own.
 */
export async function prepareBacklog(options: {
  size: BacklogSize;
  directory: string;
  runId: string;
  progress: (line: string) => void;
}): Promise<Backlog> {
  const { size, directory, runId, progress } = options;
  const { config } = await loadConfig({ config: 'pipeline.yaml', contracts: 'schemas' });
  const producer = await openKafkaProducer({
    brokers: config.kafka.brokers,
    security: kafkajsSecurity(config),
    clientId: 'bench',
    compression: 'zstd',
    log: progress,
  });
  try {
    const base = `bench_${size.clicks}_${size.users}_${size.devices}_${size.urls}`;
    const folder = join(directory, producer.clusterId, base);
    await mkdir(folder, { recursive: true });
    const backlog = {
      pipelineFile: join(folder, 'pipeline.yaml'),
      ledger: join(folder, 'clicks.ndjson'),
      stateDirectory: join(folder, `state-${runId}`),
    };
    await writePipelineFile(backlog.pipelineFile, {
      name: `bench-${runId}`,
      streamTopic: `${base}-clicks`,
      dimensionBase: base,
      table: `bench.clicks_${runId}`,
      stateDirectory: backlog.stateDirectory,
      httpPort: HTTP_PORT,
    });
    const done = join(folder, 'filled');
    if (!existsSync(done)) {
      await fillTopics({ size, base, producer, progress, ...backlog });
      await writeFile(done, '');
    }
    return backlog;
  } finally {
    await producer.close();
  }
}

async function fillTopics(options: {
  size: BacklogSize;
  base: string;
  producer: RecordProducer;
  ledger: string;
  pipelineFile: string;
  progress: (line: string) => void;
}): Promise<void> {
  const { size, base, producer, ledger, pipelineFile, progress } = options;
  const { config, contracts } = await loadConfig({ config: pipelineFile, contracts: 'schemas' });
  const registry = openSchemaRegistry(config);
  const register = async (subject: string, avroSchema: string): Promise<number> =>
    (await registry.register(subject, JSON.parse(avroSchema))).schemaId;
  const { nowMs, sleep } = systemClock;
  await writeDimensionTopics({
    producer,
    register,
    seed: SEED,
    users: { topic: `${base}.users`, rows: size.users },
    devices: { topic: `${base}.devices`, rows: size.devices },
    urls: { topic: `${base}.urls`, rows: size.urls },
    notificationTopic: config.readiness.notificationTopic,
    partitions: DIMENSION_PARTITIONS,
    nowMs,
    progress,
  });
  await producer.ensureTopic(config.stream.topic, PARTITIONS, {});
  const { users, devices, urls } = size;
  await runGenerate({
    seed: SEED,
    producer,
    register,
    clicks: {
      topic: config.stream.topic,
      avroSchema: contracts.stream.avroSchema,
      shape: { ...DEFAULT_CLICK_SHAPE, users, devices, urls },
      count: size.clicks,
      ledgerPath: ledger,
    },
    clock: { nowMs, sleep: (ms) => sleep(ms) },
    progress,
  });
}
