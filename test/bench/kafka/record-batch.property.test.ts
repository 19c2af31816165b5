import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openRecordBatch } from '../../../bench/kafka/record-batch.ts';
import { loadCrc32c } from '../../../enrich/source/wire/crc32c.ts';
import { createRecordColumns, walkBatches } from '../../../enrich/source/wire/walk-batches.ts';

const crc32c = loadCrc32c().sum;

type Pair = { key: Uint8Array; value: Uint8Array | null };

/** The records of one batch as the pipeline's walker reads them. */
function walked(bytes: Uint8Array): { pairs: Pair[]; timestampsMs: number[]; offsets: number[] } {
  const pairs: Pair[] = [];
  const timestampsMs: number[] = [];
  const offsets: number[] = [];
  const range = { topic: 't', partition: 0, bytes, start: 0, end: bytes.length };
  walkBatches(
    { ...range, nextOffset: 0n, aborted: [] },
    { crc32c, decompressedBytesMax: 2 ** 26, columns: createRecordColumns() },
    (records) => {
      const part = (start: number, length: number): Uint8Array =>
        new Uint8Array(records.bytes.slice(start, start + length));
      for (let i = 0; i < records.count; i += 1) {
        const valueLength = records.valueLength[i] ?? 0;
        pairs.push({
          key: part(records.keyStart[i] ?? 0, records.keyLength[i] ?? 0),
          value: valueLength < 0 ? null : part(records.valueStart[i] ?? 0, valueLength),
        });
        timestampsMs.push(records.baseTimestampMs + (records.timestampDeltaMs[i] ?? 0));
        offsets.push(Number(records.baseOffset) + (records.offsetDelta[i] ?? 0));
      }
    },
  );
  return { pairs, timestampsMs, offsets };
}

const record = fc.record({
  key: fc.uint8Array({ maxLength: 200 }),
  value: fc.option(fc.uint8Array({ maxLength: 2_000 })),
});

describe('a record batch', () => {
  it('is read back by the walker as it was written, also where the buffer had to grow', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 60 }), fc.nat(), (pairs, ms) => {
        const batch = openRecordBatch({ bytesExpected: 64, crc32c });
        for (const { key, value } of pairs) batch.append(key, value);
        const found = walked(batch.take(ms));
        expect(found.pairs).toEqual(pairs);
        expect(new Set(found.timestampsMs)).toEqual(new Set([ms]));
        expect(found.offsets).toEqual(pairs.map((_, i) => i));
      }),
      { numRuns: 50 },
    );
  });

  it('is empty after it was taken', () => {
    const batch = openRecordBatch({ bytesExpected: 64, crc32c });
    batch.append(Buffer.from('a'), Buffer.from('1'));
    batch.take(1);
    batch.append(Buffer.from('b'), null);
    expect(batch.count).toBe(1);
    expect(walked(batch.take(2)).pairs).toEqual([
      { key: new Uint8Array(Buffer.from('b')), value: null },
    ]);
  });
});
