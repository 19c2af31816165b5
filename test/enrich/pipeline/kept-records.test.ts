import { describe, expect, it } from 'vitest';
import { KeptRecords } from '../../../enrich/pipeline/kept-records.ts';
import { recordColumns } from '../core/record-columns.ts';

const BATCHES = [[3], [5, 6, 9], [20, 22], [23]];

function valueOf(offset: number): Buffer {
  return Buffer.from(`the value at ${offset}`);
}

function keptBatches(batches: readonly (readonly number[])[]): KeptRecords {
  const kept = new KeptRecords();
  for (const offsets of batches) {
    kept.keep(recordColumns(offsets.map((offset) => [offset, valueOf(offset)] as const)));
  }
  return kept;
}

describe('records that are kept', () => {
  it('are found by their offsets, in batches with gaps in and between them', () => {
    const kept = keptBatches(BATCHES);
    for (const offset of BATCHES.flat()) {
      expect(kept.at(BigInt(offset)).value).toEqual(valueOf(offset));
    }
  });

  it.each([0, 4, 7, 8, 10, 21, 24])('are not taken for the one at %d, which is not', (offset) => {
    expect(() => keptBatches(BATCHES).at(BigInt(offset))).toThrow(/assert: a record that is kept/);
    expect(() => new KeptRecords().at(BigInt(offset))).toThrow(/assert/);
  });

  it('outlive the memory that they came in, and tell what they take themselves', () => {
    const kept = new KeptRecords();
    const records = recordColumns([
      [1, Buffer.alloc(10, 'a')],
      [2, Buffer.alloc(1_000, 'b')],
    ]);
    kept.keep(records);
    records.bytes.fill(0);
    records.offsetDelta.fill(0);
    expect(kept.at(2n).value).toEqual(Buffer.alloc(1_000, 'b'));
    expect(kept.byteLength).toBeGreaterThanOrEqual(1_010);
    expect(kept.byteLength).toBeLessThan(1_100);
  });

  it('of many batches cost no search through all of them', () => {
    const count = 20_000;
    const kept = keptBatches(Array.from({ length: count }, (_, offset) => [offset]));
    const before = process.cpuUsage();
    for (let offset = 0; offset < count; offset += 1) kept.at(BigInt(offset));
    const { user, system } = process.cpuUsage(before);
    // One by one these are 200 million comparisons: ten seconds.
    expect(user + system).toBeLessThan(2_000_000);
  });
});
