import { describe, expect, it } from 'vitest';
import { clickIndexOf, openClickModel } from '../../../bench/data/click-model.ts';
import { fillShare, type Fill } from '../../../bench/data/fill-share.ts';
import { firstLoadRow, type TableName } from '../../../bench/data/expected-join.ts';
import { openAvroEncoder, writeFrame } from '../../../generate/avro.ts';
import { deviceId, deviceRow, urlText, userRow } from '../../../generate/dimension-rows.ts';
import { loadCrc32c } from '../../../enrich/source/wire/crc32c.ts';
import { createRecordColumns, walkBatches } from '../../../enrich/source/wire/walk-batches.ts';
import { clickContract } from '../../generate/click-contract.ts';

const SEED = 7;
const SIZE = { users: 5_000, devices: 5_000, urls: 100 };
const crc32c = loadCrc32c().sum;

/** Values by partition, in the order of the topic, of all shares one after the other. */
async function filled(fill: Fill, shares: number): Promise<string[][]> {
  const values = Array.from({ length: fill.partitions }, (): string[] => []);
  for (let share = 0; share < shares; share += 1) {
    await fillShare(
      fill,
      { share, shares },
      {
        crc32c,
        onSent: () => undefined,
        send: async (batches) => {
          expect(new Set(batches.map(({ partition }) => partition)).size).toBe(batches.length);
          for (const { partition, batch } of batches) {
            const range = { topic: fill.topic, partition, bytes: batch, start: 0 };
            walkBatches(
              { ...range, end: batch.length, nextOffset: 0n, aborted: [] },
              { crc32c, decompressedBytesMax: 2 ** 26, columns: createRecordColumns() },
              (records) => {
                for (let i = 0; i < records.count; i += 1) {
                  const start = records.valueStart[i] ?? 0;
                  const end = start + (records.valueLength[i] ?? 0);
                  values[partition]?.push(
                    Buffer.from(records.bytes.slice(start, end)).toString('hex'),
                  );
                }
              },
            );
          }
        },
      },
    );
  }
  return values;
}

const clicks: Fill = {
  topic: 'clicks',
  partitions: 5,
  first: 0,
  count: 6_003,
  seed: SEED,
  timestampMs: 1,
  schemaIds: { 'clicks-value': 42 },
  content: { kind: 'clicks', size: SIZE, skew: 'zipf', avroSchema: clickContract.avroSchema },
};

describe('a topic that is filled in shares', () => {
  it('has each click at the place that names it', async () => {
    const found = await filled(clicks, 2);
    const model = openClickModel({ seed: SEED, size: SIZE, skew: 'zipf' });
    const encode = openAvroEncoder(clickContract.avroSchema);
    const buffer = Buffer.alloc(1_000);
    const wrong: string[] = [];
    for (const [partition, values] of found.entries()) {
      for (const [offset, value] of values.entries()) {
        const place = { partition, offset: BigInt(offset) };
        const index = clickIndexOf(place, { partitions: 5, firstOffset: 0n });
        const end = encode(model.at(index), buffer, writeFrame(42, buffer, 0));
        if (buffer.toString('hex', 0, end) !== value) wrong.push(`${partition}/${offset}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(found.flat().length).toBe(6_003);
  });

  it('goes on behind what is there', async () => {
    const [whole, before] = [await filled(clicks, 2), await filled({ ...clicks, count: 2_500 }, 2)];
    const behind = await filled({ ...clicks, first: 2_500, count: 3_503 }, 2);
    expect(before.map((values, p) => [...values, ...(behind[p] ?? [])])).toEqual(whole);
  });

  it('has each row once, however many shares there are', async () => {
    const rows: Fill = {
      ...clicks,
      count: 3_001,
      schemaIds: { 'clicks-key': 1, 'clicks-value': 2 },
      content: { kind: 'rows', table: 'devices', users: 100 },
    };
    const [one, three] = [await filled(rows, 1), await filled(rows, 3)];
    expect(new Set(one.flat()).size).toBe(3_001);
    expect(three.map((values) => values.toSorted())).toEqual(one.map((v) => v.toSorted()));
  });
});

/** How much of 5 000 clicks is of the first 50 users. */
function shareOfFirst(skew: 'zipf' | 'uniform'): number {
  const model = openClickModel({ seed: SEED, size: SIZE, skew });
  const drawn = Array.from({ length: 5_000 }, (_, i) => model.at(i).user_id);
  return drawn.filter((user) => user <= 50).length / drawn.length;
}

describe('the click model', () => {
  it('gives the same click for an index in whatever order it is asked', () => {
    const forth = openClickModel({ seed: SEED, size: SIZE, skew: 'zipf' });
    const back = openClickModel({ seed: SEED, size: SIZE, skew: 'zipf' });
    const indexes = Array.from({ length: 500 }, (_, i) => i);
    const backwards = indexes.toReversed().map((i) => back.at(i));
    expect(indexes.map((i) => forth.at(i))).toEqual(backwards.toReversed());
  });

  it('draws all users alike, or frequent ones most of the time', () => {
    expect(shareOfFirst('uniform')).toBeLessThan(0.02);
    expect(shareOfFirst('zipf')).toBeGreaterThan(0.3);
  });
});

function row(table: TableName, key: string) {
  return firstLoadRow(table, key, { seed: SEED, size: SIZE });
}

describe('the expected join', () => {
  it('finds each row by its key, and none beside them', () => {
    for (const number of [1, 2, 17, 4_999, 5_000]) {
      const { name, tier } = userRow(SEED, number);
      expect(row('users', String(number))).toMatchObject({ name, tier });
      const { os } = deviceRow(SEED, number, 1);
      expect(row('devices', deviceId(SEED, number))).toMatchObject({ os });
    }
    expect(row('urls', urlText(SEED, 100))).toBeDefined();
    expect(row('users', '5001')).toBeUndefined();
    expect(row('users', '0')).toBeUndefined();
    expect(row('devices', deviceId(SEED, 5_001))).toBeUndefined();
    expect(row('devices', 'd-zzzz')).toBeUndefined();
    expect(row('urls', urlText(SEED, 101))).toBeUndefined();
    expect(row('urls', `${urlText(SEED, 7)}?v=2`)).toBeUndefined();
    expect(row('urls', urlText(SEED, 7).replace('-7', '-8'))).toBeUndefined();
  });
});
