import type { CodecCache } from '../../schemas/codec-cache.ts';
import type { ClickBatch } from '../core/click-batch.ts';
import { batchBytes, isEmpty, recordCount } from '../core/click-batch.ts';
import { skipTo, takeRecords } from '../core/take-records.ts';
import type { TakeResult } from '../core/take-records.ts';
import type { Clock } from '../clock.ts';
import { AwaitedPartitions } from '../source/awaited-partitions.ts';
import type { SchemaSource } from '../source/awaited-partitions.ts';
import type {
  Log,
  LogReader,
  PartitionProgress,
  RecordColumns,
  RecordSink,
} from '../source/log.ts';
import type { BatchLimits, LogBounds } from './click-worker.ts';

/** Rows that one poll may add beyond the flush bound, where that is larger than this. */
const POLL_ROWS_MAX = 200_000;
const POLL_BYTES_MAX = 8 * 1024 ** 2;

/** Rows that a batch has room for: the flush bound and one poll, which at most doubles it. */
export function batchRowsMax({ rowsMax }: Pick<BatchLimits, 'rowsMax'>): number {
  return rowsMax + Math.min(rowsMax, POLL_ROWS_MAX);
}

/**
 * Takes records of the assigned partitions into a batch. It alone knows where each partition is: what a
 * poll delivered but the batch could not take (full, or a schema not yet loaded) is read again.
 */
export class ClickIntake {
  readonly #reader: LogReader;
  readonly #codecs: CodecCache;
  readonly #schemas: SchemaSource;
  readonly #topic: string;
  readonly #limits: BatchLimits;
  readonly #next = new Map<number, bigint>();
  readonly #logStart = new Map<number, bigint>();
  /** Ends of the log at the assignment, by partition, that are still to be reached. */
  readonly #overdue = new Map<number, bigint>();
  readonly #awaited: AwaitedPartitions;
  readonly #endOffsets = new Map<number, bigint>();

  constructor(options: {
    log: Pick<Log, 'bounds'>;
    reader: LogReader;
    codecs: CodecCache;
    schemas: SchemaSource;
    clock: Pick<Clock, 'elapsedMs'>;
    topic: string;
    limits: BatchLimits;
  }) {
    this.#reader = options.reader;
    this.#codecs = options.codecs;
    this.#schemas = options.schemas;
    this.#topic = options.topic;
    this.#limits = options.limits;
    this.#awaited = new AwaitedPartitions(options);
  }

  /**
   * Starts over at these offsets; nothing that was taken before counts any more. Where the log starts
   * later than the position, reading starts there and what lies between is counted as filtered. What the
   * log holds by now has waited long enough: once it is read, the batch is due, whatever its age.
   */
  assign(position: ReadonlyMap<number, bigint>, bounds: LogBounds): void {
    this.#next.clear();
    this.#logStart.clear();
    this.#overdue.clear();
    this.#awaited.clear();
    this.#endOffsets.clear();
    for (const [partition, nextOffset] of position) this.#next.set(partition, nextOffset);
    for (const [partition, { startOffset, endOffset }] of bounds) {
      this.#logStart.set(partition, startOffset);
      if ((position.get(partition) ?? endOffset) < endOffset) {
        this.#overdue.set(partition, endOffset);
      }
    }
    this.#seek();
  }

  /** Offsets to the end of the log, by partition: as of the last poll, or a few seconds old where schemas are awaited. */
  lag(): Map<number, number> {
    return new Map(
      Array.from(this.#endOffsets, ([partition, endOffset]) => {
        const next = this.#next.get(partition) ?? endOffset;
        return [partition, Number(endOffset - next)];
      }),
    );
  }

  /** Ids of the schemas that partitions wait for. */
  awaited(): ReadonlySet<number> {
    return this.#awaited.schemaIds();
  }

  isFull(batch: ClickBatch): boolean {
    const { rowsMax, bytesMax } = this.#limits;
    return batch.isClosed || recordCount(batch) >= rowsMax || batchBytes(batch) >= bytesMax;
  }

  /** Milliseconds until the batch is due; 0 when it is due, undefined while it is empty. */
  dueInMs(batch: ClickBatch, elapsedMs: number): number | undefined {
    if (isEmpty(batch) || batch.openedAtMs === undefined) return undefined;
    if (batch.dueNow || this.isFull(batch)) return 0;
    return Math.max(0, batch.openedAtMs + this.#limits.intervalMs - elapsedMs);
  }

  /**
   * Polls once and takes what comes. Loads schemas of ids met for the first time; where the registry is
   * away, their partitions wait and the others are read on.
   * Errors: those of the log by kind, `config` of the registry; what was taken before them stays taken.
   */
  async poll(batch: ClickBatch, options: { waitMsMax: number; elapsedMs: number }): Promise<void> {
    if (this.#awaited.hasLoaded()) this.#seek();
    for (const { partition, endOffset } of await this.#awaited.ends()) {
      this.#endOffsets.set(partition, endOffset);
    }
    const stopped = new Map<number, NonNullable<TakeResult['stopped']>>();
    const sink = (_topic: string, partition: number, records: RecordColumns): void => {
      if (!stopped.has(partition)) this.#take(batch, partition, records, stopped);
    };
    try {
      const progress = await this.#read(sink, options.waitMsMax);
      for (const entry of progress) this.#advance(batch, entry, stopped);
    } finally {
      // Also after an error: a batch that fills without an age would never be due.
      if (!isEmpty(batch)) batch.openedAtMs ??= options.elapsedMs;
    }
    if (this.#hasCaughtUp() && !isEmpty(batch)) batch.dueNow = true;
    if (stopped.size > 0) await this.#resume(stopped);
  }

  /** Whether the poll has reached the ends that the log had when its partitions were assigned. */
  #hasCaughtUp(): boolean {
    if (this.#overdue.size === 0) return false;
    for (const [partition, endOffset] of this.#overdue) {
      if ((this.#next.get(partition) ?? endOffset) >= endOffset) this.#overdue.delete(partition);
    }
    return this.#overdue.size === 0;
  }

  /** After an error the reader may be past what was handed over and not taken: that is read again. */
  async #read(sink: RecordSink, waitMsMax: number): Promise<readonly PartitionProgress[]> {
    try {
      return await this.#reader.poll(sink, { waitMsMax, bytesMax: POLL_BYTES_MAX });
    } catch (error) {
      this.#seek();
      throw error;
    }
  }

  #take(
    batch: ClickBatch,
    partition: number,
    records: RecordColumns,
    stopped: Map<number, NonNullable<TakeResult['stopped']>>,
  ): void {
    const nextOffset = this.#next.get(partition);
    if (nextOffset === undefined) return;
    if (this.isFull(batch)) {
      stopped.set(partition, 'full');
      return;
    }
    const result = takeRecords({
      topic: this.#topic,
      partition,
      records,
      nextOffset,
      batch,
      codecs: this.#codecs,
      rowsMax: batchRowsMax(this.#limits),
      bytesMax: this.#limits.bytesMax,
    });
    this.#next.set(partition, result.nextOffset);
    if (result.stopped !== undefined) stopped.set(partition, result.stopped);
  }

  /** Offsets that the poll passed without a record (control batches, aborted) are counted as filtered. */
  #advance(batch: ClickBatch, entry: PartitionProgress, stopped: ReadonlyMap<number, unknown>) {
    this.#endOffsets.set(entry.partition, entry.endOffset);
    const from = this.#next.get(entry.partition);
    if (from === undefined || stopped.has(entry.partition) || entry.nextOffset <= from) return;
    skipTo(batch, entry.partition, from, entry.nextOffset);
    this.#next.set(entry.partition, entry.nextOffset);
  }

  async #resume(stopped: ReadonlyMap<number, NonNullable<TakeResult['stopped']>>): Promise<void> {
    const missing = new Set<number>();
    for (const [partition, reason] of stopped) {
      if (reason === 'full') continue;
      for (const schemaId of reason.schemaIds) missing.add(schemaId);
      // What the others are needed for comes later: records before it do not wait for them.
      this.#awaited.add(this.#topic, partition, reason.schemaIds.slice(0, 1));
    }
    try {
      if (missing.size > 0) await this.#schemas.load(missing);
    } finally {
      this.#seek();
    }
  }

  #seek(): void {
    const places = Array.from(this.#next, ([partition, next]) => {
      const start = this.#logStart.get(partition) ?? 0n;
      return { topic: this.#topic, partition, nextOffset: next > start ? next : start };
    });
    this.#reader.assign(this.#awaited.readable(places));
  }
}
