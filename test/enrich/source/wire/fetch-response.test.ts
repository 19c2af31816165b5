import { describe, expect, it } from 'vitest';
import { parseFetchResponse } from '../../../../enrich/source/wire/fetch-response.ts';

const int16 = (value: number) => [value >> 8, value].map((byte) => byte & 0xff);
const int32 = (value: number) => [...int16(value >> 16), ...int16(value)];
const int64 = (value: number) => [...int32(Math.floor(value / 2 ** 32)), ...int32(value)];
const uuid = Array.from({ length: 16 }, (_, i) => i * 16 + i);
const noTags = [0];

type Partition = {
  index: number;
  errorCode?: number;
  aborted?: readonly [producerId: number, firstOffset: number][] | null;
  records?: readonly number[] | null;
  tags?: readonly number[];
};

function partition({
  index,
  errorCode = 0,
  aborted = null,
  records = [],
  tags = noTags,
}: Partition) {
  const transactions = (aborted ?? []).flatMap(([producerId, firstOffset]) => [
    ...int64(producerId),
    ...int64(firstOffset),
    ...noTags,
  ]);
  return [
    ...int32(index),
    ...int16(errorCode),
    ...int64(100),
    ...int64(errorCode === 0 ? 90 : -1),
    ...int64(7),
    aborted === null ? 0 : aborted.length + 1,
    ...transactions,
    ...int32(-1),
    records === null ? 0 : records.length + 1,
    ...(records ?? []),
    ...tags,
  ];
}

function response(partitions: readonly Partition[], errorCode = 0): Buffer {
  return Buffer.from([
    ...int32(0),
    ...int16(errorCode),
    ...int32(0),
    2,
    ...uuid,
    partitions.length + 1,
    ...partitions.flatMap(partition),
    ...noTags,
    ...noTags,
  ]);
}

describe('parseFetchResponse', () => {
  it('points at the records of each partition and reads none of them', () => {
    const bytes = response([
      { index: 4, records: [9, 8, 7] },
      { index: 5, records: null },
      { index: 6, records: [], aborted: [] },
    ]);
    const { partitions, errorCode } = parseFetchResponse(bytes);
    expect(errorCode).toBe(0);
    expect(partitions).toMatchObject([
      {
        topicId: '00112233-4455-6677-8899-aabbccddeeff',
        partition: 4,
        errorCode: 0,
        highWatermark: 100n,
        lastStableOffset: 90n,
        logStartOffset: 7n,
      },
      { partition: 5 },
      { partition: 6, aborted: [] },
    ]);
    const slices = partitions.map((one) => [...bytes.subarray(one.recordsStart, one.recordsEnd)]);
    expect(slices).toEqual([[9, 8, 7], [], []]);
  });

  it('reads the aborted transactions', () => {
    const aborted: [number, number][] = [
      [7, 10],
      [2 ** 40, 2 ** 35],
    ];
    const { partitions } = parseFetchResponse(response([{ index: 0, aborted }]));
    expect(partitions[0]?.aborted).toEqual([
      { producerId: 7n, firstOffset: 10n },
      { producerId: BigInt(2 ** 40), firstOffset: BigInt(2 ** 35) },
    ]);
  });

  it('reports the error of one partition beside the records of another', () => {
    const bytes = response([
      { index: 0, errorCode: 6, records: null },
      { index: 1, records: [1] },
    ]);
    const { partitions } = parseFetchResponse(bytes);
    expect(partitions.map(({ errorCode }) => errorCode)).toEqual([6, 0]);
    expect(partitions[1]?.recordsEnd).toBe((partitions[1]?.recordsStart ?? 0) + 1);
  });

  it('skips tagged fields, as a leader that moved sends them', () => {
    const currentLeader = [1, 1, 9, ...int32(2), ...int32(5), 0];
    const bytes = response([
      { index: 0, errorCode: 6, tags: currentLeader },
      { index: 1, records: [1, 2] },
    ]);
    expect(parseFetchResponse(bytes).partitions[1]).toMatchObject({ partition: 1 });
  });

  it('gives the error of the whole response', () => {
    expect(parseFetchResponse(response([], 70)).errorCode).toBe(70);
  });

  it('is unavailable for every body that ends early', () => {
    const bytes = response([{ index: 0, aborted: [[1, 2]], records: [1, 2, 3] }]);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => parseFetchResponse(bytes.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ kind: 'unavailable' }),
      );
    }
  });
});
