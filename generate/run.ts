import type { AvroObject } from '../schemas/contract.ts';
import { openAvroEncoder, type RegisterAvroSchema } from './avro.ts';
import { openAppendFile } from './append-file.ts';
import { CLICK_FIELDS, openClickSource, type ClickBatch, type ClickShape } from './clicks.ts';
import { VIOLATING_AVRO_SCHEMA } from './corrupt.ts';
import { openDimensionChanges, type DimensionChangesOptions } from './dimension-changes.ts';
import { GenerateError } from './error.ts';
import { openExtraFields } from './extra-fields.ts';
import type { ProducerRecord, RecordProducer } from './kafka-producer.ts';
import { openLedgerWriter, type LedgerWriter } from './ledger.ts';

type GenerateClock = { nowMs: () => number; sleep: (ms: number) => Promise<void> };

export type GenerateOptions = {
  seed: number;
  producer: RecordProducer;
  register: RegisterAvroSchema;
  clicks: {
    topic: string;
    /** The click contract's Avro schema. */
    avroSchema: AvroObject;
    shape: ClickShape;
    /** Clicks to send; undefined goes on until the signal. */
    count?: number;
    /** Clicks a second; undefined is as fast as possible. */
    perSecond?: number;
    ledgerPath: string;
  };
  /** Changes of the source tables while clicks flow. */
  changes?: Omit<DimensionChangesOptions, 'nowMs' | 'seed'> & {
    perSecond: number;
    /** Each change as one JSON object a line; a file of an earlier run is continued. */
    journalPath: string;
  };
  clock: GenerateClock;
  /** Told about once a second. */
  progress: (line: string) => void;
  /** Ends the run after the send that is under way; everything sent stands in the ledger. */
  signal?: AbortSignal;
};

export type GenerateSummary = {
  clicks: number;
  corrupt: Record<string, number>;
  changes: Record<string, number>;
  seconds: number;
  clicksPerSecond: number;
};

/**
 * kafkajs copies the list of a partition for each record that it adds, so large sends are slow sends;
 * this many spread over the partitions are fast.
 */
const CLICKS_PER_SEND_MAX = 2_000;
const TICK_MS = 50;
const PROGRESS_EVERY_MS = 1_000;

/**
 * Sends clicks, and changes the source tables meanwhile, until the count or the signal is reached.
 * Each send is in the ledger before it goes out and acknowledged there afterwards.
 * Errors: `config`; `unavailable` when Kafka, the registry or PostgreSQL gave up: the ledger is then
 * still right, the last send without an ack.
 */
export async function runGenerate(options: GenerateOptions): Promise<GenerateSummary> {
  const { clicks, producer, seed, clock } = options;
  const partitions = await producer.partitionCount(clicks.topic);
  const source = openClickSource({
    seed,
    shape: clicks.shape,
    partitions,
    encoding: await encodingOf(options),
    extraFields: openExtraFields(clicks.avroSchema, CLICK_FIELDS),
  });
  const { clusterId } = producer;
  const ledger = await openLedgerWriter(clicks.ledgerPath, {
    topic: clicks.topic,
    clusterId,
    seed,
  });
  const summary = { clicks: 0, corrupt: {}, changes: {}, seconds: 0, clicksPerSecond: 0 };
  const startMs = clock.nowMs();
  // Whichever of the two loops ends or fails first ends the other.
  const ended = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, ended.signal]) : ended.signal;
  const clickLoop = sendClicks({ ...options, signal }, source, ledger, summary).finally(() =>
    ended.abort(),
  );
  const changeLoop = changeRows({ ...options, signal }, summary).catch((error: unknown) => {
    ended.abort();
    throw error;
  });
  const outcomes = await Promise.allSettled([clickLoop, changeLoop]);
  await ledger.close();
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  summary.seconds = (clock.nowMs() - startMs) / 1000;
  summary.clicksPerSecond = Math.round(summary.clicks / Math.max(summary.seconds, 0.001));
  return summary;
}

async function encodingOf({ clicks, register }: GenerateOptions) {
  const violating = JSON.stringify(VIOLATING_AVRO_SCHEMA);
  return {
    schemaId: await register(`${clicks.topic}-value`, JSON.stringify(clicks.avroSchema)),
    encode: openAvroEncoder(clicks.avroSchema),
    violation: {
      schemaId: await register(`${clicks.topic}-violating-value`, violating),
      encode: openAvroEncoder(VIOLATING_AVRO_SCHEMA),
    },
  };
}

type ClickLoopOptions = GenerateOptions & { signal: AbortSignal };

async function sendClicks(
  options: ClickLoopOptions,
  source: { next(count: number, nowMs: number): ClickBatch },
  ledger: LedgerWriter,
  summary: GenerateSummary,
): Promise<void> {
  const { clicks, clock, producer, signal } = options;
  const count = clicks.count ?? Infinity;
  const startMs = clock.nowMs();
  let made = 0;
  let toldMs = startMs;
  let underWay: Promise<void> = Promise.resolve();
  while (made < count && !signal.aborted) {
    const nowMs = clock.nowMs();
    const due = Math.min(dueClicks(clicks.perSecond, nowMs - startMs, made), count - made);
    if (due < 1) {
      await clock.sleep(TICK_MS);
      continue;
    }
    // The next batch is made while Kafka works on the last one, which is then waited for.
    const batch = source.next(Math.min(due, CLICKS_PER_SEND_MAX), nowMs);
    made += batch.count;
    await underWay;
    const send = await ledger.send(batch);
    underWay = producer
      .send(clicks.topic, recordsOf(batch, nowMs))
      .then((base) => ledger.ack(send, base))
      .then(() => countClicks(summary, batch));
    // Its failure is thrown by the await of the next turn; until then it must not count as unhandled.
    underWay.catch(() => undefined);
    if (nowMs - toldMs >= PROGRESS_EVERY_MS) {
      toldMs = nowMs;
      const perSecond = Math.round((summary.clicks * 1000) / (nowMs - startMs));
      options.progress(`${summary.clicks} clicks, ${perSecond} a second`);
    }
  }
  await underWay;
}

function dueClicks(perSecond: number | undefined, elapsedMs: number, made: number): number {
  if (perSecond === undefined) return Infinity;
  return Math.floor((elapsedMs * perSecond) / 1000) - made;
}

function recordsOf(batch: ClickBatch, nowMs: number): ProducerRecord[] {
  const timestamp = String(nowMs);
  return batch.value.map((value, i) => {
    const partition = batch.partition[i];
    if (partition === undefined) throw new GenerateError('config', 'a click without a partition');
    return { partition, key: String(batch.userId[i]), value, timestamp };
  });
}

function countClicks(summary: GenerateSummary, batch: ClickBatch): void {
  summary.clicks += batch.count;
  for (const kind of batch.kind) {
    if (kind !== 'good') summary.corrupt[kind] = (summary.corrupt[kind] ?? 0) + 1;
  }
}

async function changeRows(options: ClickLoopOptions, summary: GenerateSummary): Promise<void> {
  const { changes, clock, signal } = options;
  if (changes === undefined) return;
  const source = openDimensionChanges({ ...changes, seed: options.seed, nowMs: clock.nowMs });
  const journal = await openAppendFile(changes.journalPath);
  const startMs = clock.nowMs();
  try {
    for (let made = 0; !signal.aborted;) {
      if (((clock.nowMs() - startMs) * changes.perSecond) / 1000 < made + 1) {
        await clock.sleep(TICK_MS);
        continue;
      }
      const change = await source.next();
      await journal.line(JSON.stringify(change));
      made += 1;
      summary.changes[change.op] = (summary.changes[change.op] ?? 0) + 1;
    }
  } finally {
    await journal.close();
  }
}
