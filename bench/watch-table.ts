import type { Catalog } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import kafkajs from 'kafkajs';
import { systemClock } from '../cli/environment.ts';
import { kafkajsSecurity } from '../cli/open-lake.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { recordedState } from '../verify/recorded.ts';

const POLL_MS = 100;
/** Every n-th record of a partition is followed until it is in the table. */
const SAMPLE_EVERY = 10;

export type TableWatch = {
  /** When each commit was seen, epoch ms; the poll may be `POLL_MS` late. */
  commitsMs: readonly number[];
  /** Ms from the Kafka timestamp of a sampled click to the commit that holds it, since the last call. */
  takeFreshness: () => number[];
  /** Resolves with the time of the first commit that is seen after a moment. */
  commitAfter: (momentMs: number, waitMsMax: number) => Promise<number>;
  /** The committed position, empty before the first commit. */
  position: () => ReadonlyMap<number, bigint>;
  /** From now on clicks are sampled as they come in. */
  startSampling: () => Promise<void>;
  stop: () => Promise<void>;
};

type Sample = { offset: bigint; timestampMs: number };

/** Watches a pipeline's table from outside: what a reader of the table sees, and when. */
export function watchTable(options: { config: PipelineConfig; catalog: Catalog }): TableWatch {
  const { config, catalog } = options;
  const { namespace, name } = config.table;
  const samples = new Map<number, Sample[]>();
  const commitsMs: number[] = [];
  let freshness: number[] = [];
  let position: ReadonlyMap<number, bigint> = new Map();
  const sampler = openSampler(config, samples);
  const stopping = new AbortController();

  const look = async (): Promise<void> => {
    const loaded = await catalog.loadTable({ namespace, name });
    if (loaded?.metadata.properties[`tributary.${config.pipeline}`] === undefined) return;
    const { next } = recordedState(loaded.metadata, config.pipeline);
    if ([...next].every(([partition, offset]) => position.get(partition) === offset)) return;
    const seenMs = systemClock.nowMs();
    position = next;
    commitsMs.push(seenMs);
    for (const [partition, offset] of next) {
      const waiting = samples.get(partition) ?? [];
      while (waiting[0] !== undefined && waiting[0].offset < offset) {
        freshness.push(seenMs - (waiting.shift()?.timestampMs ?? seenMs));
      }
    }
  };
  const watching = (async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await look().catch(() => undefined);
      await systemClock.sleep(POLL_MS, stopping.signal);
    }
  })();
  return {
    commitsMs,
    takeFreshness: () => {
      const taken = freshness;
      freshness = [];
      return taken;
    },
    commitAfter: async (momentMs, waitMsMax) => {
      for (const endMs = systemClock.elapsedMs() + waitMsMax; systemClock.elapsedMs() < endMs;) {
        const found = commitsMs.find((ms) => ms > momentMs);
        if (found !== undefined) return found;
        await systemClock.sleep(POLL_MS / 2);
      }
      throw new Error(`no commit within ${waitMsMax / 1000} s`);
    },
    position: () => position,
    startSampling: () => sampler.start(),
    stop: async () => {
      stopping.abort();
      await Promise.all([watching, sampler.stop()]);
    },
  };
}

/** Reads the stream topic beside the pipeline, for the timestamps of its records. */
function openSampler(config: PipelineConfig, samples: Map<number, Sample[]>) {
  const kafka = new kafkajs.Kafka({
    ...kafkajsSecurity(config),
    brokers: [...config.kafka.brokers],
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const consumer = kafka.consumer({ groupId: `${config.kafka.groupId}-watch` });
  return {
    start: async (): Promise<void> => {
      const { promise: joined, resolve } = Promise.withResolvers<void>();
      consumer.on('consumer.group_join', () => resolve());
      await consumer.connect();
      await consumer.subscribe({ topic: config.stream.topic, fromBeginning: false });
      await consumer.run({
        eachBatch: async ({ batch }) => {
          const waiting = samples.get(batch.partition) ?? [];
          samples.set(batch.partition, waiting);
          for (const { offset, timestamp } of batch.messages) {
            const at = BigInt(offset);
            if (at % BigInt(SAMPLE_EVERY) === 0n) {
              waiting.push({ offset: at, timestampMs: Number(timestamp) });
            }
          }
        },
      });
      await joined;
    },
    stop: () => consumer.disconnect(),
  };
}
