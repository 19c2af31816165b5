import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadCrc32c } from '../../../../enrich/source/wire/crc32c.ts';
import { createRecordColumns, walkBatches } from '../../../../enrich/source/wire/walk-batches.ts';
import { encodeBatch, encodeMarker, type EncodedRecord } from '../encode-batch.ts';
import { rowsOf, type Row } from '../rows.ts';

const bytesArbitrary = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null });

const recordArbitrary = fc.record({
  gap: fc.integer({ min: 0, max: 3 }),
  timestampDeltaMs: fc.integer({ min: -(2 ** 50), max: 2 ** 50 }),
  key: bytesArbitrary,
  value: bytesArbitrary,
  headers: fc.array(fc.tuple(fc.string({ maxLength: 5 }), bytesArbitrary), { maxLength: 2 }),
});

const stepArbitrary = fc.oneof(
  { weight: 4, arbitrary: fc.constant('plain' as const) },
  { weight: 3, arbitrary: fc.constant('transactional' as const) },
  { weight: 1, arbitrary: fc.constant('commit' as const) },
  { weight: 1, arbitrary: fc.constant('abort' as const) },
);

const logArbitrary = fc.array(
  fc.record({
    step: stepArbitrary,
    producer: fc.integer({ min: 1, max: 3 }),
    records: fc.array(recordArbitrary, { minLength: 0, maxLength: 8 }),
    tailGap: fc.integer({ min: 0, max: 4 }),
    codec: fc.constantFrom('none', 'gzip', 'snappy', 'snappy-xerial', 'lz4', 'zstd' as const),
  }),
  { minLength: 1, maxLength: 25 },
);

type Transaction = { producerId: bigint; firstOffset: bigint; lastOffset: bigint };
type WrittenLog = {
  batches: { bytes: Buffer; baseOffset: bigint; lastOffset: bigint }[];
  visible: Row[];
  aborted: Transaction[];
};

/** Writes a log step by step and keeps what a read-committed reader must see, as a broker would judge. */
function writeLog(
  steps: typeof logArbitrary extends fc.Arbitrary<infer T> ? T : never,
): WrittenLog {
  const log: WrittenLog = { batches: [], visible: [], aborted: [] };
  const open = new Map<number, { firstOffset: bigint; rows: Row[] }>();
  const undecided = () =>
    [...open.keys()].map((producer) => ({ step: 'commit' as const, producer }));
  let offset = 0n;
  const append = (bytes: Buffer, lastOffset: bigint) => {
    log.batches.push({ bytes, baseOffset: offset, lastOffset });
    offset = lastOffset + 1n;
  };
  const end = (producer: number, step: 'commit' | 'abort') => {
    const transaction = open.get(producer);
    const producerId = BigInt(producer);
    if (step === 'commit') log.visible.push(...(transaction?.rows ?? []));
    else if (transaction !== undefined) {
      log.aborted.push({ producerId, firstOffset: transaction.firstOffset, lastOffset: offset });
    }
    open.delete(producer);
    append(encodeMarker(offset, producerId, step), offset);
  };
  for (const { step, producer, records, tailGap, codec } of steps) {
    if (step === 'commit' || step === 'abort') {
      end(producer, step);
      continue;
    }
    let delta = -1;
    const encoded = records.map((record): EncodedRecord => {
      delta += 1 + record.gap;
      return { ...record, offsetDelta: delta };
    });
    const lastOffsetDelta = Math.max(0, delta) + tailGap;
    const rows = encoded.map((record) => rowOf(record, offset));
    const transactional = step === 'transactional';
    const baseOffset = offset;
    const producerId = BigInt(producer);
    append(
      encodeBatch({
        baseOffset,
        records: encoded,
        lastOffsetDelta,
        codec,
        transactional,
        producerId,
        baseTimestampMs: 1_700_000_000_000n,
      }),
      baseOffset + BigInt(lastOffsetDelta),
    );
    if (!transactional) log.visible.push(...rows);
    else {
      const transaction = open.get(producer) ?? { firstOffset: baseOffset, rows: [] };
      transaction.rows.push(...rows);
      open.set(producer, transaction);
    }
  }
  for (const { producer, step } of undecided()) end(producer, step);
  log.visible.sort((a, b) => Number(a.offset - b.offset));
  return log;
}

function text(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('latin1');
}

function rowOf(record: EncodedRecord, baseOffset: bigint): Row {
  return {
    offset: baseOffset + BigInt(record.offsetDelta),
    timestampMs: 1_700_000_000_000 + (record.timestampDeltaMs ?? 0),
    key: text(record.key),
    value: text(record.value),
  };
}

/** Answers as a broker does: from the batch that holds the offset, with the transactions that overlap. */
function answer(log: WrittenLog, nextOffset: bigint, bytesMax: number) {
  const from = log.batches.findIndex(({ lastOffset }) => lastOffset >= nextOffset);
  const rest = log.batches.slice(from);
  const blob = Buffer.concat(rest.map(({ bytes }) => bytes));
  const first = rest[0]?.bytes.length ?? 0;
  const bytes = blob.subarray(0, Math.max(first, bytesMax));
  const upper = log.batches.at(-1)?.lastOffset ?? 0n;
  const aborted = log.aborted.filter(
    ({ firstOffset, lastOffset }) => lastOffset >= nextOffset && firstOffset <= upper,
  );
  return { bytes, aborted };
}

describe('walkBatches', () => {
  it('gives exactly the visible records of any log, whatever the cuts and resume offsets', () => {
    const crc32c = loadCrc32c().sum;
    const columns = createRecordColumns(1);
    const property = fc.property(
      logArbitrary,
      fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 10 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (steps, cuts, resumeAt) => {
        const log = writeLog(steps);
        const end = (log.batches.at(-1)?.lastOffset ?? 0n) + 1n;
        const start = BigInt(Math.floor(Number(end) * resumeAt));
        const rows: Row[] = [];
        let nextOffset = start;
        for (let turn = 0; nextOffset < end; turn += 1) {
          const { bytes, aborted } = answer(log, nextOffset, cuts[turn % cuts.length] ?? 1);
          const range = { topic: 't', partition: 0, start: 0, end: bytes.length };
          const asked = nextOffset;
          nextOffset = walkBatches(
            { ...range, bytes, aborted, nextOffset },
            { crc32c, columns, decompressedBytesMax: 2 ** 20 },
            (records) => rows.push(...rowsOf(records)),
          );
          expect(nextOffset).toBeGreaterThan(asked);
        }
        expect(nextOffset).toBe(end);
        expect(rows).toEqual(log.visible.filter(({ offset }) => offset >= start));
      },
    );
    fc.assert(property, { numRuns: 300 });
  });
});
