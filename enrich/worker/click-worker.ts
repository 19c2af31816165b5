import type { DataFile } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import type { TableLayout } from '@iceberg-js/rest-client-shim/write/write-data-files.ts';
import type { AvroObject, Contract } from '../../schemas/contract.ts';
import type { DecodeFailure } from '../../schemas/row-buffer.ts';
import type { TableColumn } from '../core/join.ts';
import type { LogIdentity, OffsetRange } from '../core/position.ts';
import type { NormaliserName } from '../config/pipeline-config.ts';
import type { Position } from '../source/log.ts';
import type { ProjectionMemory } from '../state/hash-projection.ts';

/*
  The way of a click from the log into a sealed batch, stop by stop:

    LogReader.poll    source/log-reader.ts          what the brokers have sent ahead, partition by partition
    walkBatches       source/wire/walk-batches.ts   a record batch at a time: checked, expanded, without control
                                                    records and aborted ones; columns over bytes that are used again
    ClickIntake.poll  worker/click-intake.ts        where each partition is; takes the record batch unless the click
                                                    batch is full or the partition waits for a schema
    takeRecords       core/take-records.ts          each offset becomes a row, a reject or a count of `filtered`
    RowDecoder        schemas/row-decoder.ts        the Avro of one record, appended to the columns of the RowBuffer
    ClickIntake.poll  once the poll has ended       counts offsets without a record; seeks back to what was not taken
    take              worker/open-click-worker.ts   polls until there is news, and tells it as `Fill`
    ClickCrew         pipeline/click-crew.ts        every worker's news; loads schemas for them, tells when one is due
    ClickLoop         pipeline/click-loop.ts        decides that it is time for a commit
    seal              worker/open-click-worker.ts   the two batches change places; the account of the full one leaves

  In a thread, calls go through click-worker-thread.ts and serve-click-worker.ts; nothing else is different there.
*/

/** First retained and next offset of each partition. */
export type LogBounds = ReadonlyMap<number, { startOffset: bigint; endOffset: bigint }>;

/** How full a batch may become, and how old. */
export type BatchLimits = { rowsMax: number; bytesMax: number; intervalMs: number };

/** All that a worker must know for its life. */
export type WorkerSpec = {
  /** From 0; part of the names of its files. */
  index: number;
  identity: LogIdentity;
  /** What records are read by, until a lesson has another. */
  contract: Contract;
  /** Its share of what a commit may hold. */
  limits: BatchLimits;
  /** Bytes of distinct dimension values that one batch of it may carry. */
  carriedBytesMax: number;
  dimensions: readonly WorkerDimension[];
  deadLetterFieldIds: ReadonlyMap<string, number>;
  /** Where the files of its tables go: what the store is opened for. */
  location: string;
};

/** A dimension, with the names of its columns in the table: those carried in the order of the projection's. */
type WorkerDimension = {
  name: string;
  streamField: string;
  normaliser: NormaliserName;
  columns: readonly string[];
  matchColumn: string;
};

/** What a worker is told of schemas that it has met. */
export type Lesson = {
  /** What records are read by from now on: the contract, as far as it has grown. */
  contract: Contract;
  /** Schemas by registry id; `unknown` where the registry has none, which counts for a while. */
  avroSchemas: ReadonlyMap<number, AvroObject | 'unknown'>;
  /** Ids of those whose records are dead letters, and why. */
  refused: ReadonlyMap<number, DecodeFailure>;
};

/** How far the batch is that fills. */
export type Fill = {
  rows: number;
  bytes: number;
  isFull: boolean;
  /** Milliseconds until it is due; 0 when it is, undefined while it is empty. */
  dueInMs: number | undefined;
  /** Offsets between what was taken and the end of the log, by partition. */
  lag: ReadonlyMap<number, number>;
  /** Schema ids that records name and `learn` has not told yet: their partitions wait. */
  missing: readonly number[];
  /** Likewise of records further on, for which no partition waits so far. */
  ahead: readonly number[];
};

/** The account of a batch that is closed: each offset of its ranges is one row, one reject or one filtered. */
export type SealedBatch = {
  /** Names the batch in the calls that follow. */
  id: number;
  ranges: ReadonlyMap<number, OffsetRange>;
  rows: number;
  /** What the rows were written with. */
  schemaIds: ReadonlySet<number>;
  /** Counts by partition. */
  rejects: ReadonlyMap<number, bigint>;
  filtered: ReadonlyMap<number, bigint>;
  /** Rejects by kind, and the message of the first. */
  rejectKinds: ReadonlyMap<string, number>;
  rejectExample: string | undefined;
  /** Epoch ms of the oldest record. */
  oldestTimestampMs: number | undefined;
};

export type JoinWish = {
  /** Of the sealed batch. */
  id: number;
  /** What its rows and rejects say, epoch ms. */
  ingestedAtMs: number;
  /** The table's columns by name; what the batch has beside them is left out. */
  columns: ReadonlyMap<string, TableColumn>;
  /** By dimension. */
  projections: ReadonlyMap<string, ProjectionMemory>;
};

export type WriteWish = {
  /** Of the sealed batch. */
  id: number;
  commitId: string;
  /** Tells the files of this try from those of the tries before it. */
  attempt: number;
  events: TableLayout;
  deadLetter: TableLayout;
  /** Below these offsets the dead-letter table has the rejects already. */
  settled: Position;
};

export type WrittenBatch = {
  files: readonly DataFile[];
  /** Where the batch has rejects that the dead-letter table lacks. */
  rejects: { ranges: ReadonlyMap<number, OffsetRange>; files: readonly DataFile[] } | undefined;
};

/**
 * Takes the clicks of some partitions, joins them and writes their files; whoever drives it commits them. It has
 * two batches, which take turns: one fills while the other is joined and written. Calls that take wait for each
 * other, and a take ends when another call waits.
 *
 * All that goes in and out can be copied between threads. Errors keep their kinds. One without a kind is a bug of
 * ours: it fails its own call and no other, and whoever drives the worker must not take it for one that passes. After
 * the end of the thread every call fails.
 */
export interface ClickWorker {
  /** Starts over at these offsets with nothing taken, and reads no other partitions. */
  assign(position: Position, bounds: LogBounds): Promise<void>;
  /**
   * Takes records until there is news (the batch was opened, is full or due, a schema is missing), for `waitMsMax` at
   * most. Errors: those of the log by kind; what was taken before them stays taken.
   */
  take(waitMsMax: number): Promise<Fill>;
  /** Goes on with what waits for these schemas. The batch that fills goes on too, with columns for what is new. */
  learn(lesson: Lesson): Promise<void>;
  /** Closes the batch that fills and opens the other, which must be done with or given up. */
  seal(): Promise<SealedBatch>;
  /**
   * Joins the sealed batch to the projections, which nobody may change meanwhile; resolves to its hits by dimension.
   * It may be joined again, for other columns. Errors: `config`.
   */
  join(wish: JoinWish): Promise<ReadonlyMap<string, number>>;
  /** Writes and uploads the files of the joined batch, once. Errors: those of the store; the call may be repeated. */
  write(wish: WriteWish): Promise<WrittenBatch>;
  /** Gives the sealed batch up. What is under way for it goes on, so its memory is not used again. */
  abandon(): Promise<void>;
  close(): Promise<void>;
}
