import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_CLICK_SHAPE } from '../generate/clicks.ts';
import { openKafkaProducer } from '../generate/kafka-producer.ts';
import type { RecordProducer } from '../generate/kafka-producer.ts';
import { runGenerate } from '../generate/run.ts';
import { kafkajsSecurity } from '../cli/open-lake.ts';
import { loadConfig } from '../cli/load-config.ts';
import type { LoadedConfig } from '../cli/load-config.ts';
import { systemClock } from '../cli/environment.ts';
import { fillDimensions, registerWith, SEED } from './dimension-topics.ts';
import { writePipelineFile } from './pipeline-file.ts';

/** What a run reads: topics of these sizes, filled once and used again by later runs. */
export type BacklogSize = { clicks: number; users: number; devices: number; urls: number };

export type Backlog = {
  config: LoadedConfig['config'];
  pipelineFile: string;
  ledger: string;
  stateDirectory: string;
};

const PARTITIONS = 24;

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
    const files = {
      pipelineFile: join(folder, 'pipeline.yaml'),
      ledger: join(folder, 'clicks.ndjson'),
      stateDirectory: join(folder, `state-${runId}`),
    };
    await writePipelineFile(files.pipelineFile, {
      name: `bench-${runId}`,
      streamTopic: `${base}-clicks`,
      dimensionBase: base,
      table: `bench.clicks_${runId}`,
      stateDirectory: files.stateDirectory,
    });
    const loaded = await loadConfig({ config: files.pipelineFile, contracts: 'schemas' });
    const done = join(folder, 'filled');
    if (!existsSync(done)) {
      await fillTopics({ ...loaded, ledger: files.ledger, size, base, producer, progress });
      await writeFile(done, '');
    }
    return { ...files, config: loaded.config };
  } finally {
    await producer.close();
  }
}

async function fillTopics(
  options: LoadedConfig & {
    size: BacklogSize;
    base: string;
    producer: RecordProducer;
    ledger: string;
    progress: (line: string) => void;
  },
): Promise<void> {
  const { config, contracts, size, base, producer, ledger, progress } = options;
  const { nowMs, sleep } = systemClock;
  await fillDimensions({ config, size, base, producer, progress });
  await producer.ensureTopic(config.stream.topic, PARTITIONS, {});
  const { users, devices, urls } = size;
  await runGenerate({
    seed: SEED,
    producer,
    register: registerWith(config),
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
