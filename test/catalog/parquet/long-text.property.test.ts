import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import * as fc from 'fast-check';
import { parquetMetadata } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import { createMemoryStore } from '../../../catalog/memory/memory-store.ts';
import type { ColumnBatch } from '../../../catalog/parquet/columns.ts';
import { gatherSlices } from '../../../catalog/parquet/encoding/gather-slices.ts';
import { createParquetWriter } from '../../../catalog/parquet/parquet-writer.ts';
import { readDataFile } from '../../../catalog/read/read-columns.ts';
import type { TableSchema } from '../../../catalog/spec/table-schema.ts';
import { slicesOf } from './build-batch.ts';

const MIB = 1024 ** 2;
const SMALL_DICTIONARY_BYTES_MAX = 4 * MIB;
const writer = createParquetWriter({ rowGroupRowsMax: 250_000, zstdLevel: 1 });
const tableSchema: TableSchema = {
  schemaId: 0,
  fields: [{ id: 1, name: 'title', required: false, type: 'string' }],
};

/** A column of texts, of which row i has the one that `codes[i]` names. */
function batchOf(texts: readonly string[], codes: Int32Array): ColumnBatch {
  const slices = slicesOf(texts.map((text) => new TextEncoder().encode(text)));
  const values = { kind: 'bytes' as const, slices, valid: undefined };
  const dictionary = { size: texts.length, values };
  return {
    rowCount: codes.length,
    columns: new Map([[1, { kind: 'dictionary', codes, dictionary }]]),
  };
}

function textsOf(lengths: readonly number[]): string[] {
  return lengths.map((length, index) => `${index}`.padEnd(length, 'é'.repeat(7) + index));
}

async function titlesOf(bytes: Uint8Array): Promise<readonly unknown[]> {
  const store = createMemoryStore();
  await store.put('memory://f', bytes);
  const dataFile = { location: 'memory://f', fileSizeBytes: BigInt(bytes.length) };
  const columnNames = ['title'];
  const { columns } = await readDataFile({ store, dataFile, tableSchema, columnNames });
  return columns.get('title') ?? [];
}

/** What was written before it was compressed. */
function bytesWritten(file: Uint8Array): number {
  const { row_groups: rowGroups } = parquetMetadata(Uint8Array.from(file).buffer);
  return rowGroups.reduce((sum, { total_byte_size: size }) => sum + Number(size), 0);
}

describe('long texts that many rows share', () => {
  // Six texts of 1 MiB beside short ones, so often that all together take more than 3 GB.
  const long = Array<number>(6).fill(MIB / 2);
  const texts = textsOf([...long, 40, 40, 40]);
  const codes = Int32Array.from({ length: 8_000 }, (_, row) =>
    row % 4 === 3 ? 6 + (row % 3) : row % 6,
  );

  it('are written once, in memory of their own size', () => {
    const batch = batchOf(texts, codes);
    const lengths = texts.map((text) => Buffer.byteLength(text));
    const expanded = codes.reduce((sum, code) => sum + (lengths[code] ?? 0), 0);
    expect(expanded).toBeGreaterThan(3e9);
    const before = process.memoryUsage().arrayBuffers;
    const { bytes } = writer.encode(tableSchema, batch);
    // Nothing of it is given back before the encoder has ended: it does not let go of the thread.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * MIB);
    expect(bytesWritten(bytes)).toBeLessThan(7 * MIB);
  });

  it('are written once where most of the other rows have texts of their own', async () => {
    const own = Array.from({ length: 6_000 }, (_, index) => `own ${index}`);
    const batch = batchOf(
      [...texts, ...own],
      Int32Array.from({ length: 6_200 }, (_, row) => (row < 6_000 ? texts.length + row : row % 6)),
    );
    const { bytes } = writer.encode(tableSchema, batch);
    expect(bytesWritten(bytes)).toBeLessThan(7 * MIB);
    const titles = await titlesOf(bytes);
    expect([titles[0], titles[5_999], titles[6_000], titles[6_199]]).toEqual([
      own[0],
      own[5_999],
      texts[0],
      texts[1],
    ]);
  });

  it('are read back by hyparquet', async () => {
    const some = codes.subarray(0, 100);
    const { bytes } = writer.encode(tableSchema, batchOf(texts, some));
    expect(await titlesOf(bytes)).toEqual(Array.from(some, (code) => texts[code]));
  });

  it('are the same to DuckDB, all of them', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'parquet-'));
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    try {
      const file = path.join(folder, 'long.parquet');
      await writeFile(file, writer.encode(tableSchema, batchOf(texts, codes)).bytes);
      const found = await connection.runAndReadAll(
        `select title, count(*) from read_parquet('${file}') group by all order by title`,
      );
      const counts = texts.map((text, code) => [
        text,
        BigInt(codes.filter((one) => one === code).length),
      ]);
      expect(found.getRows()).toEqual(counts);
    } finally {
      connection.closeSync();
      instance.closeSync();
      await rm(folder, { recursive: true });
    }
  });
});

it('what a file takes before it is compressed is bounded by its distinct texts, however they are shared', async () => {
  const lengths = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 60 }) },
    fc.integer({ min: 2_000, max: 400_000 }),
  );
  const shares = fc.record({
    lengths: fc.array(lengths, { minLength: 1, maxLength: 40 }),
    picks: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 60 })), {
      minLength: 1,
      maxLength: 30,
    }),
    // Rows beside them with texts of their own.
    ownCount: fc.integer({ min: 0, max: 2_000 }),
  });
  await fc.assert(
    fc.asyncProperty(shares, async ({ lengths: some, picks, ownCount }) => {
      const own = Array.from({ length: ownCount }, (_, index) => `own ${index}`);
      const texts = [...textsOf(some), ...own];
      const codes = Int32Array.from([
        ...picks.flatMap(([pick, times]) => Array<number>(times).fill(pick % some.length)),
        ...own.map((_, index) => some.length + index),
      ]);
      const { bytes } = writer.encode(tableSchema, batchOf(texts, codes));
      const used = [...new Set(codes)].map((code) => Buffer.byteLength(texts[code] ?? ''));
      const distinctBytes = used.reduce((sum, length) => sum + length, 0);
      const rowBytes = 8 * codes.length + 200;
      expect(bytesWritten(bytes)).toBeLessThanOrEqual(2 * distinctBytes + rowBytes);
      expect(await titlesOf(bytes)).toEqual(Array.from(codes, (code) => texts[code]));
    }),
    { numRuns: 25 },
  );
});

it('a dictionary that is not small is written value by value where that is no longer', async () => {
  const texts = textsOf(Array.from({ length: 900 }, () => 8_000));
  const codes = Int32Array.from({ length: 1_000 }, (_, row) => row % 900);
  const batch = batchOf(texts, codes);
  const { bytes } = writer.encode(tableSchema, batch);
  expect(900 * 8_000).toBeGreaterThan(SMALL_DICTIONARY_BYTES_MAX);
  const [rowGroup] = parquetMetadata(Uint8Array.from(bytes).buffer).row_groups;
  expect(rowGroup?.columns[0]?.meta_data?.dictionary_page_offset).toBeUndefined();
  expect(await titlesOf(bytes)).toEqual(Array.from(codes, (code) => texts[code]));
});

it('values that are too long together for 32 bits are a config error', () => {
  const slices = { bytes: new Uint8Array(16), offsets: Int32Array.of(0, 2 ** 30) };
  expect(() => gatherSlices(slices, Int32Array.of(0, 0, 0))).toThrowError(
    expect.objectContaining({ kind: 'config' }),
  );
});
