import { EnrichError } from '../error.ts';
import { recordBytes } from '../source/transactional-producer.ts';
import type { OutgoingRecord, TransactionalProducer } from '../source/transactional-producer.ts';
import type { RawDeadLetter } from './read-dead-letters.ts';
import { markOf, marksTopic } from './replay-marks.ts';

/** Sends dead letters back to their topics, each batch with its marks or not at all. */
export type ReplayProducer = {
  /** Bytes of letters, counted by `letterBytes`, that the stream's topic takes in one batch. */
  batchBytesMax: number;
  /**
   * Errors: `unavailable` where Kafka does not answer, and where another replay has begun since; a batch may
   * then be there or not, and its marks say which. `config` where a topic takes no batch of this size.
   */
  send(batch: readonly RawDeadLetter[]): Promise<void>;
  close(): Promise<void>;
};

/** Header that says where a record stood before. */
const ORIGIN_HEADER = 'tributary-replay-of';

/**
 * Opens the one producer of a pipeline's replays, and makes the topic of marks unless it is there. From then
 * on an older one fails, and what it had begun has ended: marks that are read now are all there are.
 * Errors: `unavailable`.
 */
export async function openReplayProducer(options: {
  open: (transactionalId: string) => Promise<TransactionalProducer>;
  pipeline: string;
  streamTopic: string;
  nowMs: () => number;
}): Promise<ReplayProducer> {
  const { open, pipeline, streamTopic, nowMs } = options;
  const marks = marksTopic(pipeline);
  const producer = await open(`tributary-replay-${pipeline}`);
  try {
    await producer.ensureCompactedTopic(marks);
    return {
      batchBytesMax: await producer.batchBytesMax(streamTopic),
      async send(batch) {
        const value = Buffer.from(JSON.stringify({ replayed_at_ms: nowMs() }));
        const done = batch.map((letter) => {
          return { topic: marks, partition: 0, key: Buffer.from(markOf(letter)), value };
        });
        await producer.send([...batch.map(recordOf), ...done]).catch(explain);
      },
      close: () => producer.close(),
    };
  } catch (error) {
    await producer.close();
    throw error;
  }
}

/** The most bytes that a letter takes in a batch. */
export function letterBytes(letter: RawDeadLetter): number {
  return recordBytes(recordOf(letter));
}

function recordOf(letter: RawDeadLetter): OutgoingRecord {
  const { topic, partition, offset, timestampUs, key, value } = letter;
  const headers = { [ORIGIN_HEADER]: `${topic}/${partition}/${offset}` };
  return { topic, partition, key, value, timestampMs: Number(timestampUs / 1000n), headers };
}

function explain(cause: unknown): never {
  const { kind, message } = cause as EnrichError;
  if (kind === 'fenced') {
    // How Kafka says that the producer was replaced tells nobody anything.
    const reason =
      'another replay of this pipeline has begun and takes care of the rest: nothing needs to be done. Where that ' +
      'one was given other filters, run this one again once it has ended; what was sent is marked, and not sent again';
    throw new EnrichError('unavailable', reason);
  }
  const remedy = kind === 'config' ? "raise the topic's max.message.bytes, then" : '';
  const next = `what was sent is marked: ${remedy} run the replay again`.replace(/ {2}/, ' ');
  throw new EnrichError(kind ?? 'unavailable', `${message}; ${next}`, { cause });
}
