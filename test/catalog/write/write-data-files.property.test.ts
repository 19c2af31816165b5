import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PartitionValue } from '../../../catalog/manifest/data-file.ts';
import { createMemoryStore } from '../../../catalog/memory/memory-store.ts';
import { createParquetWriter } from '../../../catalog/parquet/parquet-writer.ts';
import { readDataFile } from '../../../catalog/read/read-columns.ts';
import { compareValues } from '../../../catalog/spec/single-value.ts';
import type { SortField, TableMetadata } from '../../../catalog/spec/table-metadata.ts';
import type { PrimitiveType } from '../../../catalog/spec/table-schema.ts';
import { applyTransform, transformResultType } from '../../../catalog/spec/transform.ts';
import { writeDataFiles } from '../../../catalog/write/write-data-files.ts';
import { type Model, models } from '../parquet/build-batch.ts';
import { tableMetadata } from './table-metadata.ts';

const writer = createParquetWriter({ rowGroupRowsMax: 1000, zstdLevel: 1 });
const TRANSFORMS = ['identity', 'bucket[3]', 'truncate[2]', 'year', 'month', 'day', 'hour', 'void'];

type Field = { sourceId: number; name: string; type: PrimitiveType; transform: string };

function transformsOf(model: Model): Field[] {
  return model.tableSchema.fields.flatMap(({ id, name, type }) =>
    TRANSFORMS.flatMap((transform) => {
      try {
        transformResultType(transform, type as PrimitiveType);
      } catch {
        return [];
      }
      return [{ sourceId: id, name, type: type as PrimitiveType, transform }];
    }),
  );
}

const direction = fc.constantFrom('asc' as const, 'desc' as const);
const nullOrder = fc.constantFrom('nulls-first' as const, 'nulls-last' as const);

const cases = models({ rowsMax: 40 }).chain((model) =>
  fc.record({
    model: fc.constant(model),
    partition: fc.subarray(transformsOf(model), { maxLength: 2 }),
    sort: fc.array(
      fc.record({ field: fc.constantFrom(...transformsOf(model)), direction, nullOrder }),
      { maxLength: 2 },
    ),
  }),
);

type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

function metadataOf({ model, partition, sort }: Case): TableMetadata {
  return tableMetadata({
    tableSchema: model.tableSchema,
    partitionFields: partition.map(({ sourceId, transform }, index) => ({
      sourceId,
      fieldId: 1000 + index,
      name: `p${index}`,
      transform,
    })),
    sortFields: sort.map(({ field: { sourceId, transform }, ...order }) => ({
      sourceId,
      transform,
      ...order,
    })),
  });
}

/** The files' rows, each as one string of all its values, with the file's tuple. */
async function writeAndRead(one: Case) {
  const { model } = one;
  const store = createMemoryStore();
  let files = 0;
  const dataFiles = await writeDataFiles({
    metadata: metadataOf(one),
    batch: model.batch,
    writer,
    store,
    newFileName: () => `file-${(files += 1)}`,
    uploadsMax: 2,
  });
  const names = [...model.values.keys()];
  return Promise.all(
    dataFiles.map(async (dataFile) => {
      const read = await readDataFile({
        store,
        dataFile,
        tableSchema: model.tableSchema,
        columnNames: names,
      });
      const rows = Array.from({ length: read.rowCount }, (_, row) =>
        names.map((name) => read.columns.get(name)?.[row] ?? null),
      );
      return { dataFile, rows };
    }),
  );
}

const text = (row: readonly PartitionValue[]): string =>
  row
    .map((value) => {
      if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
      return Object.is(value, -0) ? '-0' : `${typeof value}:${value}`;
    })
    .join('|');

describe('writeDataFiles', () => {
  it('the files together hold exactly the rows, one file for each tuple, every row in its own', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (one) => {
        const { model, partition } = one;
        const names = [...model.values.keys()];
        const files = await writeAndRead(one);
        const input = Array.from({ length: model.rowCount }, (_, row) =>
          text(names.map((name) => model.values.get(name)?.[row] ?? null)),
        );
        expect(files.flatMap(({ rows }) => rows.map(text)).toSorted()).toEqual(input.toSorted());
        const tuples = files.map(({ dataFile }) => text(dataFile.partitionTuple));
        expect(new Set(tuples).size).toBe(tuples.length);
        for (const { dataFile, rows } of files) {
          expect(dataFile.recordCount).toBe(BigInt(rows.length));
          for (const row of rows) {
            const tuple = partition.map(({ name, type, transform }) =>
              applyTransform(transform, type, row[names.indexOf(name)] ?? null),
            );
            expect(normalised(tuple)).toEqual(normalised([...dataFile.partitionTuple]));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('the rows of each file are in the sort order', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (one) => {
        const names = [...one.model.values.keys()];
        for (const { dataFile, rows } of await writeAndRead(one)) {
          expect(dataFile.sortOrderId).toBe(one.sort.length === 0 ? 0 : 1);
          for (let index = 1; index < rows.length; index += 1) {
            const order = compareRows(one, names, rows[index - 1] ?? [], rows[index] ?? []);
            expect(order).toBeLessThanOrEqual(0);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});

/** Zero has one partition: -0 and 0 are equal values. */
function normalised(tuple: PartitionValue[]): PartitionValue[] {
  return tuple.map((value) => (value === 0 ? 0 : value));
}

function compareRows(
  { sort }: Case,
  names: readonly string[],
  left: readonly PartitionValue[],
  right: readonly PartitionValue[],
): number {
  for (const { field, ...order } of sort) {
    const index = names.indexOf(field.name);
    const [a, b] = [left, right].map((row) =>
      applyTransform(field.transform, field.type, row[index] ?? null),
    );
    const difference = compareNullable(a ?? null, b ?? null, order);
    if (difference !== 0) return difference;
  }
  return 0;
}

function compareNullable(
  left: PartitionValue,
  right: PartitionValue,
  order: Pick<SortField, 'direction' | 'nullOrder'>,
): number {
  if (left === null || right === null) {
    const nullsFirst = Number(right === null) - Number(left === null);
    return order.nullOrder === 'nulls-first' ? nullsFirst : -nullsFirst;
  }
  // A dictionary ranks -0 and 0 alike.
  if (left === 0 && right === 0) return 0;
  return order.direction === 'asc' ? compareValues(left, right) : compareValues(right, left);
}
