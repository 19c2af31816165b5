import { systemClock } from '../cli/environment.ts';
import { openToolLog } from '../cli/lag.ts';
import type { openCatalog } from '../cli/open-lake.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import type { RecordColumns } from '../enrich/source/log.ts';
import { recordedState } from '../verify/recorded.ts';

const POLL_MS = 100;
/** Every n-th record of a partition is followed until it is in the table. */
const SAMPLE_EVERY = 10;
const READ_LIMITS = { waitMsMax: 250, bytesMax: 4 * 1024 ** 2 };

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
export function watchTable(options: {
  config: PipelineConfig;
  catalog: Awaited<ReturnType<typeof openCatalog>>;
}): TableWatch {
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

/** Reads the stream topic beside the pipeline, from its end on, for the timestamps of its records. */
function openSampler(config: PipelineConfig, samples: Map<number, Sample[]>) {
  const stopping = new AbortController();
  let reading: Promise<void> | undefined;
  const { topic } = config.stream;
  const take = (_topic: string, partition: number, records: RecordColumns): void => {
    const waiting = samples.get(partition) ?? [];
    samples.set(partition, waiting);
    for (let index = 0; index < records.count; index += 1) {
      const offset = records.baseOffset + BigInt(records.offsetDelta[index] ?? 0);
      if (offset % BigInt(SAMPLE_EVERY) !== 0n) continue;
      const timestampMs = records.baseTimestampMs + (records.timestampDeltaMs[index] ?? 0);
      waiting.push({ offset, timestampMs });
    }
  };
  return {
    start: async (): Promise<void> => {
      const log = await openToolLog(config);
      const bounds = await log.bounds(topic);
      const reader = await log.openReader();
      reader.assign(
        [...bounds].map(([partition, { endOffset }]) => ({
          topic,
          partition,
          nextOffset: endOffset,
        })),
      );
      reading = (async (): Promise<void> => {
        while (!stopping.signal.aborted) await reader.poll(take, READ_LIMITS);
        await log.close();
      })();
    },
    stop: async (): Promise<void> => {
      stopping.abort();
      await reading;
    },
  };
}
