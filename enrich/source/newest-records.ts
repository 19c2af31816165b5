import { EnrichError } from '../error.ts';
import type { Log, PartitionProgress, RecordColumns } from './log.ts';

export type LogRecord = {
  partition: number;
  offset: bigint;
  /** A copy; null for a tombstone. */
  value: Uint8Array | null;
};

const POLL = { waitMsMax: 1_000, bytesMax: 8 * 1024 ** 2 };
/** Polls in a row that bring nothing. */
const IDLE_POLLS_MAX = 30;

type Range = { from: bigint; to: bigint };

/**
 * Hands over the newest records of a topic, up to `recordsMax` of them taken evenly from the ends of its partitions, some
 * at a time and each partition in order. What comes while they are read is left out, and so are records of aborted
 * transactions, so that there may be fewer. Errors: those of the log; `unavailable` where no more come.
 */
export async function readNewestRecords(
  log: Log,
  of: { topic: string; recordsMax: number },
  take: (records: readonly LogRecord[]) => Promise<void>,
): Promise<void> {
  const left = newestRanges(await log.bounds(of.topic), of.recordsMax);
  const reader = await log.openReader();
  try {
    reader.assign(
      [...left].map(([partition, { from }]) => ({ topic: of.topic, partition, nextOffset: from })),
    );
    for (let idle = 0; left.size > 0;) {
      const records: LogRecord[] = [];
      const sink = (_topic: string, partition: number, columns: RecordColumns): void => {
        records.push(...recordsBelow(columns, partition, left.get(partition)?.to ?? 0n));
      };
      const moved = advance(left, await reader.poll(sink, POLL));
      idle = moved ? 0 : idle + 1;
      if (records.length > 0) await take(records);
      if (idle === IDLE_POLLS_MAX) {
        throw new EnrichError('unavailable', `${of.topic} cannot be read to its end`);
      }
    }
  } finally {
    await reader.close();
  }
}

/** Notes how far the reader is; false where that is as far as before. */
function advance(left: Map<number, Range>, progress: readonly PartitionProgress[]): boolean {
  let moved = false;
  for (const { partition, nextOffset } of progress) {
    const range = left.get(partition);
    if (range === undefined || nextOffset <= range.from) continue;
    moved = true;
    if (nextOffset >= range.to) left.delete(partition);
    else left.set(partition, { ...range, from: nextOffset });
  }
  return moved;
}

/** The shortest partitions first: what they do not fill of their share goes to the others. */
function newestRanges(
  bounds: ReadonlyMap<number, { startOffset: bigint; endOffset: bigint }>,
  recordsMax: number,
): Map<number, Range> {
  const partitions = [...bounds]
    .map(([partition, { startOffset, endOffset: to }]) => {
      return { partition, to, length: Number(to - startOffset) };
    })
    .toSorted((a, b) => a.length - b.length);
  const ranges = new Map<number, Range>();
  let remaining = recordsMax;
  for (const [index, { partition, to, length }] of partitions.entries()) {
    const share = Math.ceil(remaining / (partitions.length - index));
    const count = Math.min(share, length);
    if (count > 0) ranges.set(partition, { from: to - BigInt(count), to });
    remaining -= count;
  }
  return ranges;
}

function recordsBelow(columns: RecordColumns, partition: number, end: bigint): LogRecord[] {
  const { bytes, count, baseOffset, offsetDelta, valueStart, valueLength } = columns;
  const records: LogRecord[] = [];
  for (let row = 0; row < count; row++) {
    const offset = baseOffset + BigInt(offsetDelta[row] ?? 0);
    if (offset >= end) break;
    const start = valueStart[row] ?? 0;
    const length = valueLength[row] ?? -1;
    records.push({
      partition,
      offset,
      value: length < 0 ? null : bytes.slice(start, start + length),
    });
  }
  return records;
}
