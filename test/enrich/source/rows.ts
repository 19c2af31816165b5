import type { RecordColumns } from '../../../enrich/source/log.ts';

export type Row = { offset: bigint; timestampMs: number; key: string | null; value: string | null };

/** The records of columns as plain rows, for comparison. */
export function rowsOf(records: RecordColumns): Row[] {
  return Array.from({ length: records.count }, (_, row) => ({
    offset: records.baseOffset + BigInt(records.offsetDelta[row] ?? Number.NaN),
    timestampMs: records.baseTimestampMs + (records.timestampDeltaMs[row] ?? Number.NaN),
    key: field(records.bytes, records.keyStart[row], records.keyLength[row]),
    value: field(records.bytes, records.valueStart[row], records.valueLength[row]),
  }));
}

function field(bytes: Uint8Array, start = 0, length = 0): string | null {
  return length < 0 ? null : Buffer.from(bytes.subarray(start, start + length)).toString('latin1');
}
