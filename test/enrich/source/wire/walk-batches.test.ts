import { describe, expect, it } from 'vitest';
import { EnrichError } from '../../../../enrich/error.ts';
import type { AbortedTransaction } from '../../../../enrich/source/wire/walk-batches.ts';
import { createRecordColumns, walkBatches } from '../../../../enrich/source/wire/walk-batches.ts';
import { crc32c, encodeBatch, encodeMarker, type EncodedBatch } from '../encode-batch.ts';
import { rowsOf, type Row } from '../rows.ts';

const columns = createRecordColumns(1);

function walk(
  bytes: Uint8Array,
  options: { nextOffset?: bigint; aborted?: readonly AbortedTransaction[]; bytesMax?: number } = {},
): { rows: Row[]; next: bigint } {
  const rows: Row[] = [];
  const next = walkBatches(
    {
      topic: 'clicks',
      partition: 3,
      bytes,
      start: 0,
      end: bytes.length,
      nextOffset: options.nextOffset ?? 0n,
      aborted: options.aborted ?? [],
    },
    { crc32c, decompressedBytesMax: options.bytesMax ?? 2 ** 20, columns },
    (records) => rows.push(...rowsOf(records)),
  );
  return { rows, next };
}

function batch(baseOffset: bigint, values: readonly string[], rest: Partial<EncodedBatch> = {}) {
  const records = values.map((value, offsetDelta) => ({
    offsetDelta,
    timestampDeltaMs: offsetDelta * 5,
    key: Buffer.from(`k${offsetDelta}`),
    value: Buffer.from(value),
  }));
  return encodeBatch({ baseOffset, records, ...rest });
}

const values = ({ rows }: { rows: Row[] }) => rows.map(({ value }) => value);

describe('walkBatches', () => {
  it.each(['none', 'gzip', 'snappy', 'snappy-xerial', 'lz4', 'zstd'] as const)(
    'reads a batch compressed with %s',
    (codec) => {
      const long = 'click '.repeat(60);
      const { rows, next } = walk(batch(10n, ['a', long, 'c'], { codec, baseTimestampMs: 1000n }));
      expect(rows).toEqual([
        { offset: 10n, timestampMs: 1000, key: 'k0', value: 'a' },
        { offset: 11n, timestampMs: 1005, key: 'k1', value: long },
        { offset: 12n, timestampMs: 1010, key: 'k2', value: 'c' },
      ]);
      expect(next).toBe(13n);
    },
  );

  it('tells null from empty in keys and values', () => {
    const bytes = encodeBatch({
      baseOffset: 0n,
      records: [
        { offsetDelta: 0, key: null, value: Buffer.alloc(0) },
        { offsetDelta: 1, key: Buffer.alloc(0), value: null },
      ],
    });
    expect(walk(bytes).rows).toMatchObject([
      { key: null, value: '' },
      { key: '', value: null },
    ]);
  });

  it('skips headers, null header values too', () => {
    const headers: [string, Buffer | null][] = [
      ['__debezium.newkey', Buffer.from('{"id":2}')],
      ['empty', null],
    ];
    const records = [0, 1].map((offsetDelta) => ({
      offsetDelta,
      key: Buffer.from('k'),
      value: Buffer.from(`v${offsetDelta}`),
      headers,
    }));
    expect(values(walk(encodeBatch({ baseOffset: 0n, records })))).toEqual(['v0', 'v1']);
  });

  it('starts inside a batch at the asked offset', () => {
    const bytes = Buffer.concat([batch(0n, ['a', 'b']), batch(2n, ['c', 'd', 'e'])]);
    expect(walk(bytes, { nextOffset: 3n })).toMatchObject({
      rows: [{ offset: 3n, value: 'd' }, { offset: 4n }],
      next: 5n,
    });
  });

  it('ignores a batch that is cut off at the end', () => {
    const bytes = Buffer.concat([batch(0n, ['a']), batch(1n, ['b'])]);
    for (const cut of [1, 20, 60]) {
      expect(walk(bytes.subarray(0, bytes.length - cut))).toMatchObject({
        rows: [{ value: 'a' }],
        next: 1n,
      });
    }
  });

  it('keeps offsets over the gaps that compaction leaves, and passes emptied batches', () => {
    const gappy = encodeBatch({
      baseOffset: 5n,
      lastOffsetDelta: 9,
      records: [
        { offsetDelta: 2, key: null, value: Buffer.from('a') },
        { offsetDelta: 7, key: null, value: Buffer.from('b') },
      ],
    });
    const emptied = encodeBatch({ baseOffset: 15n, lastOffsetDelta: 4, records: [], codec: 'lz4' });
    const { rows, next } = walk(Buffer.concat([gappy, emptied]));
    expect(rows.map(({ offset }) => offset)).toEqual([7n, 12n]);
    expect(next).toBe(20n);
  });

  it('takes the broker time where the topic says log-append time', () => {
    const bytes = batch(0n, ['a', 'b'], {
      baseTimestampMs: 1n,
      maxTimestampMs: 1_700_000_000_000n,
      logAppendTime: true,
    });
    expect(walk(bytes).rows.map(({ timestampMs }) => timestampMs)).toEqual([
      1_700_000_000_000, 1_700_000_000_000,
    ]);
  });

  it('reads timestamps that lie far before and after the base of their batch', () => {
    const deltas = [-1, -(2 ** 40), 2 ** 31, 2 ** 45, -64, 63, 2 ** 27, -(2 ** 27)];
    const records = deltas.map((timestampDeltaMs, offsetDelta) => ({
      offsetDelta,
      timestampDeltaMs,
      key: null,
      value: null,
    }));
    const bytes = encodeBatch({ baseOffset: 0n, baseTimestampMs: 7n, records });
    expect(walk(bytes).rows.map(({ timestampMs }) => timestampMs)).toEqual(
      deltas.map((d) => d + 7),
    );
  });
});

describe('walkBatches on transactions', () => {
  const open = { producerId: 7n, transactional: true } as const;

  it('passes control batches without a record', () => {
    const bytes = Buffer.concat([batch(0n, ['a'], open), encodeMarker(1n, 7n, 'commit')]);
    expect(walk(bytes)).toMatchObject({ rows: [{ value: 'a' }], next: 2n });
  });

  it('hides each of many aborted transactions of one producer, and none of its committed ones', () => {
    const parts: Buffer[] = [];
    const aborted: AbortedTransaction[] = [];
    for (let i = 0; i < 40; i += 1) {
      const at = BigInt(i * 3);
      const kind = i % 2 === 0 ? 'commit' : 'abort';
      parts.push(batch(at, [kind, kind], open), encodeMarker(at + 2n, 7n, kind));
      if (kind === 'abort') aborted.push({ producerId: 7n, firstOffset: at });
    }
    const walked = walk(Buffer.concat(parts), { aborted: aborted.toReversed() });
    expect(values(walked)).toEqual(Array(40).fill('commit'));
    expect(walked.next).toBe(120n);
  });

  it('hides an aborted transaction whose marker lies in a later response', () => {
    const aborted = [{ producerId: 7n, firstOffset: 0n }];
    expect(walk(batch(0n, ['x', 'y'], open), { aborted })).toEqual({ rows: [], next: 2n });
    const later = Buffer.concat([
      batch(2n, ['z'], open),
      encodeMarker(3n, 7n, 'abort'),
      batch(4n, ['good'], open),
    ]);
    expect(values(walk(later, { aborted, nextOffset: 2n }))).toEqual(['good']);
  });

  it('does not hide what the producer committed before the transaction that it aborted', () => {
    const bytes = Buffer.concat([
      batch(0n, ['good'], open),
      encodeMarker(1n, 7n, 'commit'),
      batch(2n, ['bad'], open),
      encodeMarker(3n, 7n, 'abort'),
    ]);
    const aborted = [{ producerId: 7n, firstOffset: 2n }];
    expect(values(walk(bytes, { aborted }))).toEqual(['good']);
  });

  it('hides by producer: interleaved batches of others stay', () => {
    const bytes = Buffer.concat([
      batch(0n, ['bad'], open),
      batch(1n, ['other'], { producerId: 8n, transactional: true }),
      batch(2n, ['plain'], { producerId: 7n }),
      encodeMarker(3n, 8n, 'commit'),
      encodeMarker(4n, 7n, 'abort'),
    ]);
    const aborted = [{ producerId: 7n, firstOffset: 0n }];
    expect(values(walk(bytes, { aborted }))).toEqual(['other', 'plain']);
  });
});

function failure(run: () => unknown): EnrichError {
  try {
    run();
  } catch (error) {
    if (error instanceof EnrichError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('walkBatches on damage', () => {
  it('finds any flipped byte that the CRC covers, and names the batch', () => {
    const good = batch(0n, ['a']);
    const bytes = Buffer.concat([good, batch(1n, ['hello', 'world'])]);
    for (let at = good.length + 17; at < bytes.length; at += 1) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      const error = failure(() => walk(flipped));
      expect(error.kind).toBe('corrupt');
      expect(error.context).toEqual({ topic: 'clicks', partition: 3, offset: 1n });
    }
  });

  it('has handed over the batches before the damaged one', () => {
    const bytes = Buffer.concat([batch(0n, ['a']), batch(1n, ['b'])]);
    bytes[bytes.length - 2] = 0xff;
    const rows: Row[] = [];
    const range = { topic: 't', partition: 0, bytes, start: 0, end: bytes.length, nextOffset: 0n };
    const settings = { crc32c, decompressedBytesMax: 1000, columns };
    failure(() =>
      walkBatches({ ...range, aborted: [] }, settings, (records) => rows.push(...rowsOf(records))),
    );
    expect(rows.map(({ value }) => value)).toEqual(['a']);
  });

  it('refuses a batch that expands above the limit', () => {
    const bytes = batch(4n, ['x'.repeat(5000)], { codec: 'zstd' });
    const error = failure(() => walk(bytes, { bytesMax: 4000 }));
    expect(error.kind).toBe('config');
    expect(error.message).toContain('above the limit of 4000 bytes');
    expect(error.message).toContain('raise kafka.batch_size_max');
    expect(error.context['offset']).toBe(4n);
  });

  it.each([
    ['claims more records than its bytes can hold', 57, 1000],
    ['claims a negative number of records', 57, -1],
    ['has fewer records than it claims', 57, 2],
  ])('refuses a batch that %s, with a valid CRC', (_name, at, count) => {
    const bytes = batch(0n, ['some value that is long enough for two records']);
    bytes.writeInt32BE(count, at);
    bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
    expect(failure(() => walk(bytes)).kind).toBe('corrupt');
  });

  it('refuses the message formats before Kafka 0.11', () => {
    const bytes = batch(0n, ['a']);
    bytes[16] = 1;
    expect(failure(() => walk(bytes)).message).toContain('its format is 1');
  });
});
