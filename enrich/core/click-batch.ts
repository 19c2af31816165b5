import { clearRows } from '../../schemas/row-buffer.ts';
import type { BufferColumn, RowBuffer } from '../../schemas/row-buffer.ts';
import type { OffsetRange } from './position.ts';
import type { Reject } from './dead-letters.ts';

/**
 * Clicks that wait, unjoined, for the next flush, with the exact account of every offset they came from:
 * each offset of `ranges` is one row, one reject or one count of `filtered` (INVARIANTS.md 5).
 */
export type ClickBatch = {
  rows: RowBuffer;
  /** Kafka partition of row i. */
  partitions: Int32Array;
  /** Kafka offset of row i as (low, high) words, the memory layout of a BigInt64Array. */
  offsetWords: Int32Array;
  ranges: Map<number, OffsetRange>;
  rejects: Reject[];
  rejectBytes: number;
  /** The schema ids that its rows were written with. */
  schemaIds: Set<number>;
  /** Offsets by partition that are no records: control batches, aborted transactions, compacted away. */
  filtered: Map<number, bigint>;
  /** When the first record came in, by `Clock.elapsedMs`; undefined while the batch is empty. */
  openedAtMs: number | undefined;
  /** It holds what the log held when its partitions were assigned, which has waited long enough. */
  dueNow: boolean;
  /** A record has found no room beside what it holds, and goes into the next one. */
  isClosed: boolean;
  /** The oldest Kafka timestamp of a record in it, epoch ms. */
  oldestTimestampMs: number | undefined;
};

/** An empty batch over a row buffer of the same capacity; the buffers are reused from flush to flush. */
export function createClickBatch(rows: RowBuffer, rowsMax: number): ClickBatch {
  return {
    rows,
    partitions: new Int32Array(rowsMax),
    offsetWords: new Int32Array(2 * rowsMax),
    ranges: new Map(),
    rejects: [],
    rejectBytes: 0,
    schemaIds: new Set(),
    filtered: new Map(),
    openedAtMs: undefined,
    dueNow: false,
    isClosed: false,
    oldestTimestampMs: undefined,
  };
}

/** Forgets everything the batch holds and keeps its memory, as far as `clearRows` does. */
export function clearClickBatch(batch: ClickBatch): void {
  clearRows(batch.rows);
  batch.ranges.clear();
  batch.rejects = [];
  batch.rejectBytes = 0;
  batch.schemaIds.clear();
  batch.filtered.clear();
  batch.openedAtMs = undefined;
  batch.dueNow = false;
  batch.isClosed = false;
  batch.oldestTimestampMs = undefined;
}

/** True when there is nothing to commit: no offset was taken. */
export function isEmpty(batch: ClickBatch): boolean {
  return batch.ranges.size === 0;
}

/** Records held, as rows or as rejects: both are bounded by the size of a commit. */
export function recordCount(batch: ClickBatch): number {
  return batch.rows.rowCount + batch.rejects.length;
}

/** Bytes of row and reject data held, for the bound on a batch's size. */
export function batchBytes(batch: ClickBatch): number {
  const { columns, rowCount } = batch.rows;
  return columns.reduce(
    (bytes, column) => bytes + columnBytes(column, rowCount),
    batch.rejectBytes,
  );
}

/** Whether there are lists or maps among the columns, or within them. */
export function hasItems(columns: readonly BufferColumn[]): boolean {
  return columns.some(
    (column) =>
      column.kind === 'list' ||
      column.kind === 'map' ||
      (column.kind === 'struct' && hasItems(column.fields)),
  );
}

/** What a column and all that it is made of hold in so many rows. */
function columnBytes(column: BufferColumn, rowCount: number): number {
  switch (column.kind) {
    case 'bytes':
      return column.offsets[rowCount] ?? 0;
    case 'struct':
      return column.fields.reduce((bytes, field) => bytes + columnBytes(field, rowCount), 0);
    case 'list':
      return rowCount * 8 + innerBytes(column.element, column.offsets[rowCount] ?? 0);
    case 'map': {
      const rows = column.offsets[rowCount] ?? 0;
      return rowCount * 8 + innerBytes(column.key, rows) + innerBytes(column.value, rows);
    }
    case 'int32':
    case 'int64':
    case 'float32':
    case 'float64':
    case 'boolean':
      return rowCount * 8;
  }
}

/** Each row costs something, whatever it holds: there may be far more of them than rows of the batch. */
function innerBytes(column: BufferColumn, rowCount: number): number {
  return rowCount + columnBytes(column, rowCount);
}
