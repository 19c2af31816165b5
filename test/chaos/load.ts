import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_CLICK_SHAPE } from '../../generate/clicks.ts';
import type { RegisterAvroSchema } from '../../generate/avro.ts';
import type { ProducerRecord, RecordProducer } from '../../generate/kafka-producer.ts';
import type { SqlConnection } from '../../generate/postgres.ts';
import { runGenerate } from '../../generate/run.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import type { TopicChanges } from './topic-changes.ts';

/** Rows of the dimensions and the seed that makes them and the clicks. */
export type LoadSize = { seed: number; users: number; devices: number; urls: number };

export type LoadOptions = {
  size: LoadSize;
  topic: () => string;
  ledger: () => string;
  journal: string;
  /** A producer for each stretch of the load, so that topics may be deleted in between. */
  openProducer: () => Promise<RecordProducer>;
  register: RegisterAvroSchema;
  avroSchema: AvroObject;
  clicksPerSecond: number;
  changesPerSecond: number;
  corrupt: number;
  changes: TopicChanges | SqlConnection;
};

/** Stands between the generator and the topic. */
export type Rewriter = {
  /** As many records, in the same partitions and the same order. */
  rewrite: (records: readonly ProducerRecord[]) => readonly ProducerRecord[];
  /** Told of them once they are acknowledged, with the offset of the first of each partition. */
  sent: (records: readonly ProducerRecord[], base: ReadonlyMap<number, bigint>) => void;
};

/** Clicks at a steady rate with a ledger, and changes of dimensions beside them. */
export type Load = {
  /** Clicks that Kafka has acknowledged. */
  clicks: () => number;
  /** Ends after the send that is under way; everything sent stands in the ledger. */
  pause: () => Promise<void>;
  /** Goes on where it does not run. */
  resume: () => void;
  /** From the next send on clicks go through this. */
  through: (rewriter: Rewriter) => void;
  /** This many clicks at once, beside what flows; only while paused. */
  send: (count: number) => Promise<void>;
  /** Throws what has ended it by itself. */
  mustFlow: () => void;
};

/** What there is to go through, by now. */
type Passage = { rewriter: Rewriter | undefined };

type Running = { stop: AbortController; done: Promise<void>; clicks: () => number };

/** Opens the load; nothing flows before `resume`. */
export function openLoad(options: LoadOptions): Load {
  let running: Running | undefined;
  let failure: unknown;
  let before = 0;
  const passage: Passage = { rewriter: undefined };
  const mustFlow = (): void => {
    if (failure !== undefined) throw new Error('the load has ended', { cause: failure });
  };
  return {
    clicks: () => before + (running?.clicks() ?? 0),
    mustFlow,
    through: (rewriter) => {
      passage.rewriter = rewriter;
    },
    pause: async () => {
      const ending = running;
      ending?.stop.abort();
      await ending?.done;
      before += ending?.clicks() ?? 0;
      running = undefined;
      mustFlow();
    },
    resume: () => {
      if (running !== undefined) return;
      const stop = new AbortController();
      const { clicksPerSecond: perSecond } = options;
      const flowing = flow(options, passage, { signal: stop.signal, perSecond });
      const done = Promise.all([flowing.done, changeTopics(options, stop.signal)]).then(
        () => undefined,
        (error: unknown) => void (failure = error),
      );
      running = { stop, done, clicks: flowing.clicks };
    },
    send: async (count) => {
      if (running !== undefined) throw new Error('pause the load before');
      const flowing = flow(options, passage, { count });
      await flowing.done;
      before += flowing.clicks();
    },
  };
}

function flow(
  options: LoadOptions,
  passage: Passage,
  wish: { signal?: AbortSignal; perSecond?: number; count?: number },
): { done: Promise<void>; clicks: () => number } {
  const { size, register, avroSchema, corrupt, changes, journal } = options;
  const { seed, users, devices, urls } = size;
  const shares = { ...DEFAULT_CLICK_SHAPE.shares, corrupt };
  let sent = 0;
  const { signal, perSecond, count } = wish;
  const generate = (producer: RecordProducer) =>
    runGenerate({
      seed,
      producer: {
        ...producer,
        send: async (topic, records) => {
          const { rewriter } = passage;
          const passed = rewriter?.rewrite(records) ?? records;
          const base = await producer.send(topic, passed);
          rewriter?.sent(passed, base);
          sent += records.length;
          return base;
        },
      },
      register,
      clicks: {
        topic: options.topic(),
        avroSchema,
        shape: { ...DEFAULT_CLICK_SHAPE, users, devices, urls, shares },
        ledgerPath: options.ledger(),
        ...(perSecond === undefined ? {} : { perSecond }),
        ...(count === undefined ? {} : { count }),
      },
      ...('query' in changes && perSecond !== undefined
        ? {
            changes: {
              pg: changes,
              namespace: 'public',
              users,
              devices,
              urls,
              perSecond: options.changesPerSecond,
              journalPath: journal,
            },
          }
        : {}),
      clock: { nowMs: Date.now, sleep: (ms) => sleep(ms) },
      progress: () => undefined,
      ...(signal === undefined ? {} : { signal }),
    });
  return { done: withProducer(options, generate), clicks: () => sent };
}

async function changeTopics(options: LoadOptions, signal: AbortSignal): Promise<void> {
  const { changes, changesPerSecond } = options;
  if ('query' in changes || changesPerSecond === 0) return;
  await withProducer(options, async (producer) => {
    while (!signal.aborted) {
      await changes.next(producer);
      await sleep(1_000 / changesPerSecond);
    }
  });
}

async function withProducer(
  { openProducer }: LoadOptions,
  act: (producer: RecordProducer) => Promise<unknown>,
): Promise<void> {
  const producer = await openProducer();
  try {
    await act(producer);
  } finally {
    await producer.close();
  }
}
