import { systemClock } from '../cli/environment.ts';
import { openSchemaRegistry } from '../cli/open-lake.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { writeDimensionTopics } from '../generate/dimension-topic.ts';
import type { RecordProducer } from '../generate/kafka-producer.ts';
import type { runGenerate } from '../generate/run.ts';

/** Of all that a bench makes up. */
export const SEED = 11;
const PARTITIONS = 12;

/** Registers what a producer writes in the registry of the pipeline file. */
export function registerWith(
  config: PipelineConfig,
): Parameters<typeof runGenerate>[0]['register'] {
  const registry = openSchemaRegistry(config);
  return async (subject, avroSchema) =>
    (await registry.register(subject, JSON.parse(avroSchema))).schemaId;
}

/** Fills `<base>.users`, `<base>.devices` and `<base>.urls`, and tells that their first load is done. */
export async function fillDimensions(options: {
  config: PipelineConfig;
  size: { users: number; devices: number; urls: number };
  base: string;
  producer: RecordProducer;
  progress: (line: string) => void;
}): Promise<void> {
  const { config, size, base, producer, progress } = options;
  await writeDimensionTopics({
    producer,
    register: registerWith(config),
    seed: SEED,
    users: { topic: `${base}.users`, rows: size.users },
    devices: { topic: `${base}.devices`, rows: size.devices },
    urls: { topic: `${base}.urls`, rows: size.urls },
    notificationTopic: config.readiness.notificationTopic,
    partitions: PARTITIONS,
    nowMs: systemClock.nowMs,
    progress,
  });
}
