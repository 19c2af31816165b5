import type { RecordColumns } from '../../../enrich/source/log.ts';

/** Records at the given offsets, as the source hands them over. */
export function recordColumns(
  entries: readonly (readonly [offset: number, value: Uint8Array | null])[],
): RecordColumns {
  const base = entries[0]?.[0] ?? 0;
  const bytes = Buffer.concat(entries.map(([, value]) => value ?? new Uint8Array(0)));
  const columns: RecordColumns = {
    bytes,
    count: entries.length,
    baseOffset: BigInt(base),
    baseTimestampMs: 5_000,
    offsetDelta: new Int32Array(entries.length),
    timestampDeltaMs: new Float64Array(entries.length),
    keyStart: new Int32Array(entries.length),
    keyLength: new Int32Array(entries.length).fill(-1),
    valueStart: new Int32Array(entries.length),
    valueLength: new Int32Array(entries.length),
  };
  let at = 0;
  for (const [index, [offset, value]] of entries.entries()) {
    columns.offsetDelta[index] = offset - base;
    columns.valueStart[index] = at;
    columns.valueLength[index] = value === null ? -1 : value.length;
    at += value?.length ?? 0;
  }
  return columns;
}
