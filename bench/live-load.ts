import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../cli/environment.ts';
import { loadConfig } from '../cli/load-config.ts';
import type { LoadedConfig } from '../cli/load-config.ts';
import { kafkajsSecurity } from '../cli/open-lake.ts';
import { DEFAULT_CLICK_SHAPE } from '../generate/clicks.ts';
import { openKafkaProducer } from '../generate/kafka-producer.ts';
import type { RecordProducer } from '../generate/kafka-producer.ts';
import { runGenerate } from '../generate/run.ts';
import { fillDimensions, registerWith, SEED } from './dimension-topics.ts';
import { writePipelineFile } from './pipeline-file.ts';

export type LiveSize = { users: number; devices: number; urls: number };

/** A pipeline file with a stream topic and tables of its own, over dimension topics that runs share. */
export type LiveLoad = LoadedConfig & {
  pipelineFile: string;
  directory: string;
  ledger: string;
  /** Sends clicks until the signal or the count, at a rate or as fast as possible. */
  clicks: (wish: { perSecond?: number; count?: number; signal?: AbortSignal }) => Promise<void>;
  close: () => Promise<void>;
};

/** Fills the dimension topics unless an earlier run did, and makes a stream topic. */
export async function prepareLiveLoad(options: {
  size: LiveSize;
  partitions: number;
  directory: string;
  runId: string;
  progress: (line: string) => void;
}): Promise<LiveLoad> {
  const { size, partitions, directory, runId, progress } = options;
  const shipped = await loadConfig({ config: 'pipeline.yaml', contracts: 'schemas' });
  const producer = await openKafkaProducer({
    brokers: shipped.config.kafka.brokers,
    security: kafkajsSecurity(shipped.config),
    clientId: 'bench',
    compression: 'zstd',
    log: progress,
  });
  const base = `bench_live_${size.users}_${size.devices}_${size.urls}`;
  const shared = join(directory, producer.clusterId, base);
  const folder = join(shared, runId);
  await mkdir(folder, { recursive: true });
  const pipelineFile = join(folder, 'pipeline.yaml');
  await writePipelineFile(pipelineFile, {
    name: `bench-${runId}`,
    streamTopic: `bench_live_${runId}-clicks`,
    dimensionBase: base,
    table: `bench.live_${runId}`,
    stateDirectory: join(folder, 'state'),
  });
  const loaded = await loadConfig({ config: pipelineFile, contracts: 'schemas' });
  const done = join(shared, 'filled');
  if (!existsSync(done)) {
    await fillDimensions({ ...loaded, size, base, producer, progress });
    await writeFile(done, '');
  }
  await producer.ensureTopic(loaded.config.stream.topic, partitions, {});
  const ledger = join(folder, 'clicks.ndjson');
  return {
    ...loaded,
    pipelineFile,
    directory: folder,
    ledger,
    clicks: (wish) => sendClicks({ ...loaded, size, producer, ledger, progress, ...wish }),
    close: () => producer.close(),
  };
}

async function sendClicks(
  options: LoadedConfig & {
    size: LiveSize;
    producer: RecordProducer;
    ledger: string;
    progress: (line: string) => void;
    perSecond?: number;
    count?: number;
    signal?: AbortSignal;
  },
): Promise<void> {
  const { config, contracts, size, producer, ledger, perSecond, count, signal } = options;
  await runGenerate({
    seed: SEED,
    producer,
    register: registerWith(config),
    clicks: {
      topic: config.stream.topic,
      avroSchema: contracts.stream.avroSchema,
      shape: { ...DEFAULT_CLICK_SHAPE, ...size },
      ledgerPath: ledger,
      ...(count === undefined ? {} : { count }),
      ...(perSecond === undefined ? {} : { perSecond }),
    },
    clock: { nowMs: systemClock.nowMs, sleep: (ms) => systemClock.sleep(ms) },
    // The rate is known; a backlog tells of itself.
    progress: perSecond === undefined ? options.progress : () => undefined,
    ...(signal === undefined ? {} : { signal }),
  });
}
