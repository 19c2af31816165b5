import type { ChangeLog, TakeRecord } from '../connectors/vanished-rows.ts';
import { EnrichError } from '../enrich/error.ts';
import type { Log, RecordColumns } from '../enrich/source/log.ts';

const POLL = { waitMsMax: 1_000, bytesMax: 8 * 1024 ** 2 };
/** Polls in a row that bring nothing. */
const IDLE_POLLS_MAX = 60;

/** The log as `connectors resnapshot` reads it. Errors: `unavailable` where a partition stays out of reach. */
export function openChangeLog(log: Log, signal: AbortSignal): ChangeLog {
  return {
    bounds: (topic) => log.bounds(topic),
    async read({ topic, partition, from, to }, take) {
      const { startOffset = from } = (await log.bounds(topic)).get(partition) ?? {};
      let nextOffset = from > startOffset ? from : startOffset;
      const reader = await log.openReader();
      try {
        reader.assign([{ topic, partition, nextOffset }]);
        for (let idle = 0; nextOffset < to;) {
          const sink = (_t: string, _p: number, records: RecordColumns): void =>
            takeBelow(records, to, take);
          const progress = (await reader.poll(sink, POLL)).at(-1);
          idle = progress === undefined || progress.nextOffset === nextOffset ? idle + 1 : 0;
          nextOffset = progress?.nextOffset ?? nextOffset;
          if (signal.aborted) throw new EnrichError('unavailable', 'stopped by a signal');
          if (idle === IDLE_POLLS_MAX) {
            throw new EnrichError('unavailable', `${topic}-${partition} cannot be read to its end`);
          }
        }
      } finally {
        await reader.close();
      }
    },
  };
}

function takeBelow(records: RecordColumns, to: bigint, take: TakeRecord): void {
  const { bytes, baseOffset, offsetDelta, keyStart, keyLength, valueLength } = records;
  for (let row = 0; row < records.count; row++) {
    const offset = baseOffset + BigInt(offsetDelta[row] ?? 0);
    if (offset >= to) return;
    const start = keyStart[row] ?? 0;
    const length = keyLength[row] ?? -1;
    const key = length < 0 ? null : bytes.subarray(start, start + length);
    take({ key, isTombstone: (valueLength[row] ?? -1) < 0, offset });
  }
}
