import type { ClickBatch } from '../core/click-batch.ts';
import type { SealedBatch } from './click-worker.ts';

/** What a commit must know of a batch, without its rows; the batch may go on changing. */
export function sealedAccount(id: number, batch: ClickBatch): SealedBatch {
  const rejects = new Map<number, bigint>();
  const rejectKinds = new Map<string, number>();
  for (const { partition, kind } of batch.rejects) {
    rejects.set(partition, (rejects.get(partition) ?? 0n) + 1n);
    rejectKinds.set(kind, (rejectKinds.get(kind) ?? 0) + 1);
  }
  return {
    id,
    ranges: new Map([...batch.ranges].map(([partition, range]) => [partition, { ...range }])),
    rows: batch.rows.rowCount,
    schemaIds: new Set(batch.schemaIds),
    rejects,
    filtered: new Map(batch.filtered),
    rejectKinds,
    rejectExample: batch.rejects[0]?.message,
    oldestTimestampMs: batch.oldestTimestampMs,
  };
}

/** Several batches, of different partitions, as one. */
export function accountOfAll(parts: readonly SealedBatch[]): Omit<SealedBatch, 'id'> {
  const rejectKinds = new Map<string, number>();
  for (const [kind, count] of parts.flatMap((part) => [...part.rejectKinds])) {
    rejectKinds.set(kind, (rejectKinds.get(kind) ?? 0) + count);
  }
  const oldest = parts.flatMap(({ oldestTimestampMs: ms }) => (ms === undefined ? [] : [ms]));
  return {
    ranges: new Map(parts.flatMap(({ ranges }) => [...ranges])),
    rows: parts.reduce((sum, { rows }) => sum + rows, 0),
    schemaIds: new Set(parts.flatMap(({ schemaIds }) => [...schemaIds])),
    rejects: new Map(parts.flatMap(({ rejects }) => [...rejects])),
    filtered: new Map(parts.flatMap(({ filtered }) => [...filtered])),
    rejectKinds,
    rejectExample: parts.find(({ rejectExample }) => rejectExample !== undefined)?.rejectExample,
    oldestTimestampMs: oldest.length === 0 ? undefined : Math.min(...oldest),
  };
}
