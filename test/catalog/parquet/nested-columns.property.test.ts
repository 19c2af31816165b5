import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  DuckDBInstance,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  type DuckDBValue,
} from '@duckdb/node-api';
import { type Data, DataType, tableFromIPC, Vector } from 'apache-arrow';
import * as fc from 'fast-check';
import { readParquet } from 'parquet-wasm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createMemoryStore } from '../../../catalog/memory/memory-store.ts';
import type { EncodedFile } from '../../../catalog/parquet/data-file-writer.ts';
import { createParquetWriter } from '../../../catalog/parquet/parquet-writer.ts';
import { readDataFile } from '../../../catalog/read/read-columns.ts';
import { childFields } from '../../../catalog/spec/field-ids.ts';
import { compareValues, decodeSingleValue } from '../../../catalog/spec/single-value.ts';
import type { PrimitiveValue } from '../../../catalog/spec/single-value.ts';
import type { IcebergType, NestedField } from '../../../catalog/spec/table-schema.ts';
import {
  leafCounts,
  type NestedModel,
  nestedModels,
  type NestedStruct,
  type NestedValue,
} from './build-nested.ts';

const RUNS = 60;

type Case = { model: NestedModel; rows: Int32Array; rowGroupRowsMax: number; pageBytesMax: number };

/** A batch, some of its rows in some order, and bounds that make several row groups and pages of it. */
const cases: fc.Arbitrary<Case> = nestedModels(30).chain((model) =>
  fc.record({
    model: fc.constant(model),
    rows: fc
      .shuffledSubarray(
        model.rows.map((_, row) => row),
        { minLength: 1 },
      )
      .map((rows) => Int32Array.from(rows)),
    rowGroupRowsMax: fc.integer({ min: 1, max: 40 }),
    pageBytesMax: fc.integer({ min: 8, max: 200 }),
  }),
);

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nested-'));
});
afterAll(() => rm(folder, { recursive: true }));

function encode({ model, rows, rowGroupRowsMax, pageBytesMax }: Case): EncodedFile {
  const writer = createParquetWriter({ rowGroupRowsMax, zstdLevel: 1, pageBytesMax });
  return writer.encode(model.tableSchema, model.batch, rows);
}

function expectedRows({ model, rows }: Case): NestedStruct[] {
  return Array.from(rows, (row) => model.rows[row] ?? {});
}

it('DuckDB reads back the same values, and nulls at each level', async () => {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  let files = 0;
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      // DuckDB keeps what it has read of a name.
      const file = path.join(folder, `${(files += 1)}.parquet`);
      await writeFile(file, encode(one).bytes);
      const result = await connection.runAndReadAll(`select * from read_parquet('${file}')`);
      const names = result.columnNames();
      const rows = result
        .getRows()
        .map((row) => Object.fromEntries(row.map((value, at) => [names[at], fromDuckDb(value)])));
      expect(rows).toEqual(expectedRows(one));
      const elements = await connection.runAndReadAll(
        `select name, field_id, repetition_type from parquet_schema('${file}')`,
      );
      expect(elements.getRows().slice(1)).toEqual(elementsOf(one.model.tableSchema.fields));
    }),
    { numRuns: RUNS },
  );
  connection.closeSync();
  instance.closeSync();
});

function fromDuckDb(value: DuckDBValue): NestedValue {
  if (value instanceof DuckDBListValue) return value.items.map(fromDuckDb);
  if (value instanceof DuckDBStructValue) {
    return Object.fromEntries(
      Object.entries(value.entries).map(([name, one]) => [name, fromDuckDb(one)]),
    );
  }
  if (value instanceof DuckDBMapValue) {
    return value.entries.map((entry) => [fromDuckDb(entry.key), fromDuckDb(entry.value)]);
  }
  return value as NestedValue;
}

/** The elements of the file's schema: three levels for a list and a map, a field id on all but the middle one. */
function elementsOf(fields: readonly NestedField[]): unknown[] {
  return fields.flatMap(({ id, name, required, type }) => [
    [name, BigInt(id), required ? 'REQUIRED' : 'OPTIONAL'],
    ...middleOf(type),
    ...elementsOf(childFields(type)),
  ]);
}

function middleOf(type: IcebergType): unknown[] {
  if (typeof type === 'string' || type.type === 'struct') return [];
  return [[type.type === 'list' ? 'list' : 'key_value', null, 'REPEATED']];
}

it('parquet-rs reads back the same values, and nulls at each level', () => {
  fc.assert(
    fc.property(cases, (one) => {
      const table = tableFromIPC(readParquet(encode(one).bytes).intoIPCStream());
      const rows = Array.from({ length: table.numRows }, (_, row) =>
        Object.fromEntries(
          table.schema.fields.map(({ name }) => [name, fromArrow(table.getChild(name), row)]),
        ),
      );
      expect(rows).toEqual(expectedRows(one));
    }),
    { numRuns: RUNS },
  );
});

function fromArrow(vector: Vector | null, row: number): NestedValue {
  if (vector === null || !vector.isValid(row)) return null;
  if (DataType.isStruct(vector.type)) {
    return Object.fromEntries(
      vector.type.children.map(({ name }, at) => [name, fromArrow(vector.getChildAt(at), row)]),
    );
  }
  const value: unknown = vector.get(row);
  if (DataType.isList(vector.type)) return itemsOf(value as Vector);
  if (!DataType.isMap(vector.type)) return value as NestedValue;
  const { data, offset } = entriesOf(vector, row);
  const [key, entry] = [data.getChildAt(0), data.getChildAt(1)];
  return Array.from({ length: offset.end - offset.start }, (_, at) => [
    fromArrow(key, offset.start + at),
    fromArrow(entry, offset.start + at),
  ]);
}

function itemsOf(items: Vector): NestedValue[] {
  return Array.from({ length: items.length }, (_, at) => fromArrow(items, at));
}

/** The key-value structs of a map's chunk, and which of them are the row's. */
function entriesOf(vector: Vector, row: number) {
  let at = row;
  for (const chunk of vector.data) {
    if (at < chunk.length) {
      const offsets = chunk.valueOffsets as Int32Array;
      const data = new Vector([chunk.children[0] as Data]);
      return { data, offset: { start: offsets[at] ?? 0, end: offsets[at + 1] ?? 0 } };
    }
    at -= chunk.length;
  }
  throw new RangeError(`no row ${row}`);
}

it('counts are those of the entries of each leaf; only those outside lists and maps have bounds', () => {
  fc.assert(
    fc.property(cases, (one) => {
      const file = encode(one);
      for (const leaf of leafCounts(one.model, expectedRows(one))) {
        const { id, type, entries, values, isRepeated } = leaf;
        expect(file.valueCounts.get(id)).toBe(BigInt(entries));
        expect(file.nullValueCounts.get(id)).toBe(BigInt(entries - values.length));
        const [lower, upper] = [file.lowerBounds.get(id), file.upperBounds.get(id)];
        expect([lower === undefined, upper === undefined]).toEqual(
          isRepeated || values.length === 0 ? [true, true] : [false, false],
        );
        if (lower === undefined || upper === undefined) continue;
        const [low, high] = [decodeSingleValue(type, lower), decodeSingleValue(type, upper)];
        const outside = (values as PrimitiveValue[]).filter(
          (value) => compareValues(value, low) < 0 || compareValues(value, high) > 0,
        );
        expect(outside).toEqual([]);
      }
    }),
    { numRuns: RUNS * 2 },
  );
});

it('our own reader reads the flat column beside nested ones', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      const { bytes } = encode(one);
      const store = createMemoryStore();
      await store.put('memory://f', bytes);
      const { columns } = await readDataFile({
        store,
        dataFile: { location: 'memory://f', fileSizeBytes: BigInt(bytes.length) },
        tableSchema: one.model.tableSchema,
        columnNames: ['c0'],
      });
      expect(columns.get('c0')).toEqual(expectedRows(one).map((row) => row['c0'] ?? null));
    }),
    { numRuns: RUNS },
  );
});
