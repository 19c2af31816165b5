import type { ColumnBatch } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import type { DataFileWriter } from '@iceberg-js/rest-client-shim/parquet/data-file-writer.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { writeDataFiles } from '@iceberg-js/rest-client-shim/write/write-data-files.ts';
import type { ClickBatch } from '../core/click-batch.ts';
import { deadLetterBatch } from '../core/dead-letters.ts';
import type { OffsetRange } from '../core/position.ts';
import type { WorkerSpec, WriteWish, WrittenBatch } from './click-worker.ts';

const UPLOADS_MAX = 4;

type BatchToWrite = {
  wish: WriteWish;
  spec: WorkerSpec;
  columns: ColumnBatch;
  clicks: ClickBatch;
  ingestedAtMs: number;
  store: ObjectStore;
  writer: DataFileWriter;
};

/**
 * Writes and uploads the data files of a joined batch and the files of its rejects. Names are those of this commit,
 * worker and try: what a failed one has uploaded stays as orphans. Errors: those of the store.
 */
export async function writeBatch(options: BatchToWrite): Promise<WrittenBatch> {
  const { wish, spec, columns, store, writer } = options;
  let file = 0;
  const shared = {
    writer,
    store,
    newFileName: () => `${wish.commitId}-${spec.index}-${wish.attempt}-${file++}`,
    uploadsMax: UPLOADS_MAX,
  };
  // Taken from the batch before anything is waited for: it is not read again once the files are encoded.
  const rejected = rejectsOf(options);
  const files = await writeDataFiles({ ...shared, metadata: wish.events, batch: columns });
  if (rejected === undefined) return { files, rejects: undefined };
  const { batch, ranges } = rejected;
  const rejectFiles = await writeDataFiles({ ...shared, metadata: wish.deadLetter, batch });
  return { files, rejects: { ranges, files: rejectFiles } };
}

/** The rejects that the dead-letter table lacks, and the ranges that they were found in. */
function rejectsOf({ wish, spec, clicks, ingestedAtMs }: BatchToWrite) {
  const { settled } = wish;
  const rejects = clicks.rejects.filter(
    // It is ahead only where the events table was rolled back or dropped: what lies below stands in it.
    ({ partition, offset }) => offset >= (settled.get(partition) ?? 0n),
  );
  if (rejects.length === 0) return undefined;
  const ranges = new Map<number, OffsetRange>();
  for (const { partition } of rejects) {
    const range = clicks.ranges.get(partition);
    if (range === undefined) continue;
    const from = settled.get(partition) ?? range.start;
    ranges.set(partition, { ...range, start: from > range.start ? from : range.start });
  }
  const batch = deadLetterBatch({
    rejects,
    topicId: spec.identity.topicId,
    fieldIds: spec.deadLetterFieldIds,
    ingestedAtMs,
  });
  return { batch, ranges };
}
