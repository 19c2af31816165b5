import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DuckDBInstance, type DuckDBValue } from '@duckdb/node-api';
import * as fc from 'fast-check';
import { parquetMetadata } from 'hyparquet';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PartitionValue } from '../../../catalog/manifest/data-file.ts';
import { createMemoryStore } from '../../../catalog/memory/memory-store.ts';
import type { EncodedFile } from '../../../catalog/parquet/data-file-writer.ts';
import { createParquetWriter } from '../../../catalog/parquet/parquet-writer.ts';
import { readDataFile } from '../../../catalog/read/read-columns.ts';
import { compareValues, decodeSingleValue } from '../../../catalog/spec/single-value.ts';
import type { PrimitiveType } from '../../../catalog/spec/table-schema.ts';
import { type Model, models } from './build-batch.ts';
import { readWithParquetWasm } from './parquet-wasm-reader.ts';

const RUNS = 40;
/** A batch, its rows in some order, and bounds that make several row groups and pages of it. */
type Case = { model: Model; rows: Int32Array; rowGroupRowsMax: number; pageBytesMax: number };

const cases: fc.Arbitrary<Case> = models({ rowsMax: 50 }).chain((model) =>
  fc.record({
    model: fc.constant(model),
    rows: fc
      .shuffledSubarray(
        Array.from({ length: model.rowCount }, (_, row) => row),
        { minLength: 1 },
      )
      .map((rows) => Int32Array.from(rows)),
    rowGroupRowsMax: fc.integer({ min: 1, max: 60 }),
    pageBytesMax: fc.integer({ min: 40, max: 400 }),
  }),
);

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'parquet-'));
});
afterAll(() => rm(folder, { recursive: true }));

function encode({ model, rows, rowGroupRowsMax, pageBytesMax }: Case): EncodedFile {
  const writer = createParquetWriter({ rowGroupRowsMax, zstdLevel: 1, pageBytesMax });
  return writer.encode(model.tableSchema, model.batch, rows);
}

/** The values of a column as they stand in the file. */
function valuesOf({ model, rows }: Case, name: string): PartitionValue[] {
  const values = model.values.get(name) ?? [];
  return Array.from(rows, (row) => values[row] ?? null);
}

it('hyparquet reads back the same values and nulls, by field id', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      const { model } = one;
      const { bytes } = encode(one);
      const store = createMemoryStore();
      await store.put('memory://f', bytes);
      const read = await readDataFile({
        store,
        dataFile: { location: 'memory://f', fileSizeBytes: BigInt(bytes.length) },
        tableSchema: model.tableSchema,
        columnNames: [...model.values.keys()],
      });
      expect(read.rowCount).toBe(one.rows.length);
      for (const [name, values] of read.columns) expect(values).toEqual(valuesOf(one, name));
    }),
    { numRuns: RUNS },
  );
});

it('DuckDB reads back the same values, nulls and field ids', async () => {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const file = path.join(folder, 'duckdb.parquet');
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      const { model } = one;
      await writeFile(file, encode(one).bytes);
      const result = await connection.runAndReadAll(`select * from read_parquet('${file}')`);
      const present = model.tableSchema.fields.filter(({ id }) => model.batch.columns.has(id));
      expect(result.columnNames()).toEqual(present.map(({ name }) => name));
      const columns = result.getColumns();
      present.forEach(({ name }, index) => {
        expect(columns[index]?.map(fromDuckDb)).toEqual(valuesOf(one, name));
      });
      const ids = await connection.runAndReadAll(
        `select field_id from parquet_schema('${file}') where type is not null`,
      );
      expect(ids.getRows()).toEqual(present.map(({ id }) => [BigInt(id)]));
    }),
    { numRuns: RUNS },
  );
  connection.closeSync();
  instance.closeSync();
});

function fromDuckDb(value: DuckDBValue): PartitionValue {
  if (value === null || typeof value !== 'object') return value;
  if ('micros' in value) return value.micros;
  if ('days' in value) return value.days;
  if ('bytes' in value) return Uint8Array.from(value.bytes);
  if ('scale' in value) return value.value;
  if ('hugeint' in value)
    return Uint8Array.from(Buffer.from(value.toString().replaceAll('-', ''), 'hex'));
  throw new TypeError(`unexpected ${value.constructor.name}`);
}

it('parquet-rs reads back the same values and nulls', () => {
  fc.assert(
    fc.property(cases, (one) => {
      const read = readWithParquetWasm(encode(one).bytes);
      expect(read.size).toBe(one.model.batch.columns.size);
      for (const [name, values] of read) expect(values).toEqual(valuesOf(one, name));
    }),
    { numRuns: RUNS },
  );
});

it('counts are exact and every value lies within the bounds', () => {
  fc.assert(
    fc.property(cases, (one) => {
      const { model } = one;
      const file = encode(one);
      expect(file.recordCount).toBe(BigInt(one.rows.length));
      for (const { id, name, type } of model.tableSchema.fields) {
        const values = valuesOf(one, name);
        const numbers = values.filter((value) => value !== null);
        const comparable = numbers.filter((value) => !Number.isNaN(value));
        expect(file.valueCounts.get(id)).toBe(BigInt(values.length));
        expect(file.nullValueCounts.get(id)).toBe(BigInt(values.length - numbers.length));
        const isFloat = type === 'float' || type === 'double';
        const nanCount =
          isFloat && model.batch.columns.has(id) ? numbers.length - comparable.length : undefined;
        expect(file.nanValueCounts.get(id)).toEqual(
          nanCount === undefined ? undefined : BigInt(nanCount),
        );
        expect(file.lowerBounds.has(id)).toBe(comparable.length > 0);
        expect(outOfBounds(file, id, type as PrimitiveType, comparable)).toEqual([]);
      }
    }),
    { numRuns: RUNS * 2 },
  );
});

function outOfBounds(
  file: EncodedFile,
  id: number,
  type: PrimitiveType,
  values: readonly Exclude<PartitionValue, null>[],
): readonly PartitionValue[] {
  const lower = file.lowerBounds.get(id);
  const upper = file.upperBounds.get(id);
  const [low, high] = [lower, upper].map((bound) =>
    bound === undefined ? undefined : decodeSingleValue(type, bound),
  );
  return values.filter(
    (value) =>
      (low !== undefined && compareValues(value, low) < 0) ||
      (high !== undefined && compareValues(value, high) > 0),
  );
}

it('every column of every row group has statistics, zstd, its field id and its repetition', () => {
  fc.assert(
    fc.property(cases, (one) => {
      const { model, rowGroupRowsMax } = one;
      const file = encode(one);
      const metadata = parquetMetadata(Uint8Array.from(file.bytes).buffer);
      const present = model.tableSchema.fields.filter(({ id }) => model.batch.columns.has(id));
      expect(
        metadata.schema
          .slice(1)
          .map((field) => [field.name, field.field_id, field.repetition_type]),
      ).toEqual(
        present.map(({ name, id, required }) => [name, id, required ? 'REQUIRED' : 'OPTIONAL']),
      );
      const rowGroups = Math.ceil(one.rows.length / rowGroupRowsMax);
      expect(metadata.row_groups.length).toBe(rowGroups);
      expect(file.splitOffsets.length).toBe(rowGroups);
      expect(file.splitOffsets[0]).toBe(4n);
      const isRising = file.splitOffsets.every(
        (offset, index) => index === 0 || offset > (file.splitOffsets[index - 1] ?? 0n),
      );
      expect(isRising).toBe(true);
      for (const { columns } of metadata.row_groups) {
        for (const { meta_data: chunk } of columns) {
          expect(chunk?.codec).toBe('ZSTD');
          expect(chunk?.statistics?.null_count).toBeDefined();
        }
      }
    }),
    { numRuns: RUNS },
  );
});
