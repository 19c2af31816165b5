import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { DuckDBConnection } from '@duckdb/node-api';
import { createParquetWriter } from '@iceberg-js/rest-client-shim/parquet/parquet-writer.ts';
import type { NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { splitBatch } from '@iceberg-js/rest-client-shim/write/write-data-files.ts';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { batchBytes, clearClickBatch, createClickBatch } from '../../../enrich/core/click-batch.ts';
import { joinBatch } from '../../../enrich/core/join.ts';
import type { Contract } from '../../../schemas/contract.ts';
import { createRowBuffer } from '../../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../../schemas/row-decoder.ts';
import { deriveTableSchema } from '../../../schemas/table-schema.ts';
import { avscType } from '../../schemas/avro-encoding.ts';

const day = 86_400_000;
const line = {
  type: 'record',
  name: 'Line',
  fields: [
    { name: 'sku', type: 'string' },
    { name: 'tags', type: { type: 'map', values: ['null', 'long'] } },
  ],
};
const schemaOf = (floor: 'int' | 'long') => ({
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'lines', type: { type: 'array', items: line } },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    {
      name: 'address',
      type: [
        'null',
        {
          type: 'record',
          name: 'Address',
          fields: [
            { name: 'city', type: ['null', 'string'] },
            { name: 'floors', type: { type: 'array', items: floor } },
          ],
        },
      ],
    },
  ],
});
const contractOf = (floor: 'int' | 'long') =>
  ({ name: 'order', avroSchema: schemaOf(floor) }) as Contract;
const avroSchema = schemaOf('int');
const contract = contractOf('int');
const orders = avscType(avroSchema);

type Order = {
  at: bigint;
  lines: { sku: string; tags: Record<string, bigint | null> }[];
  address: { city: string | null; floors: number[] } | null;
};

const order: fc.Arbitrary<Order> = fc.record({
  at: fc.integer({ min: 0, max: 3 * day }).map(BigInt),
  lines: fc.array(
    fc.record({
      sku: fc.string({ unit: 'grapheme', maxLength: 6 }),
      tags: fc.dictionary(
        fc.constantFrom('a', 'b', 'c'),
        fc.option(fc.bigInt({ min: -9n, max: 9n })),
      ),
    }),
    { maxLength: 3 },
  ),
  address: fc.option(
    fc.record({
      city: fc.option(fc.string({ maxLength: 5 })),
      floors: fc.array(fc.integer(), { maxLength: 3 }),
    }),
  ),
});

/** An order, or one whose bytes end too early: a reject. */
const sent = fc.record({ order, isCut: fc.boolean() });

const derived = deriveTableSchema({
  streamContract: contractOf('long'),
  eventTimeField: 'at',
  dimensions: [],
});
/** A table that has the columns in another order, under other ids, and items of one wider than they are written. */
const fields: NestedField[] = derived.toReversed();
const tableSchema = { schemaId: 0, fields };
const columns = new Map(fields.map(({ id, name, type }) => [name, { id, type }]));
const at = fields.find(({ name }) => name === 'at')?.id ?? 0;
const target = {
  tableSchema,
  spec: { specId: 0, fields: [{ sourceId: at, fieldId: 1000, name: 'day', transform: 'day' }] },
  sortOrder: {
    orderId: 1,
    fields: [
      { sourceId: at, transform: 'identity', direction: 'desc', nullOrder: 'nulls-last' } as const,
    ],
  },
  dataPath: 'memory://t/data',
};

let folder = '';
let connection: DuckDBConnection;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nested-clicks-'));
  connection = await (await DuckDBInstance.create(':memory:')).connect();
});
afterAll(async () => {
  connection.closeSync();
  await rm(folder, { recursive: true });
});

describe('nested clicks', () => {
  it('go from their bytes into sorted files by day, with their own lines and addresses, past rejects and batches before', async () => {
    const rowsMax = 40;
    const rows = createRowBuffer(contract, rowsMax);
    const clicks = createClickBatch(rows, rowsMax);
    const decoder = createRowDecoder(contract, avroSchema);
    const writer = createParquetWriter({ rowGroupRowsMax: 7, zstdLevel: 1, pageBytesMax: 60 });
    let files = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(sent, { minLength: 1, maxLength: rowsMax }), async (all) => {
        // The batch before has left its memory behind.
        clearClickBatch(clicks);
        for (const { order: one, isCut } of all) {
          const bytes = new Uint8Array(orders.toBuffer(one));
          const failure = decoder.append(bytes, 0, bytes.length - (isCut ? 1 : 0), rows);
          expect(failure === undefined).toBe(!isCut);
        }
        const taken = all.filter(({ isCut }) => !isCut).map(({ order: one }) => one);
        const { batch } = joinBatch(clicks, { columns, dimensions: [] }, 0);
        const found: string[][] = [];
        for (const { partitionTuple, rows: part } of splitBatch(target, batch)) {
          // DuckDB keeps what it has read of a name.
          const file = path.join(folder, `${(files += 1)}.parquet`);
          await writeFile(file, writer.encode(tableSchema, batch, part).bytes);
          found.push([String(partitionTuple[0]), ...(await readOrders(file))]);
        }
        expect(found.toSorted(byFirst)).toEqual(byDay(taken).toSorted(byFirst));
      }),
      { numRuns: 60 },
    );
  });

  it('count in the size of their batch by what they hold', () => {
    const clicks = createClickBatch(createRowBuffer(contract, 2), 2);
    const decoder = createRowDecoder(contract, avroSchema);
    const sizeOf = (one: Order): number => {
      clearClickBatch(clicks);
      const bytes = new Uint8Array(orders.toBuffer(one));
      decoder.append(bytes, 0, bytes.length, clicks.rows);
      return batchBytes(clicks);
    };
    const empty: Order = { at: 0n, lines: [], address: null };
    const floors = Array.from({ length: 1000 }, () => 1);
    const lines = Array.from({ length: 1000 }, () => ({ sku: 'sku', tags: { a: 1n } }));
    expect(sizeOf({ ...empty, address: { city: null, floors } }) - sizeOf(empty)).toBeGreaterThan(
      8_000,
    );
    expect(sizeOf({ ...empty, lines }) - sizeOf(empty)).toBeGreaterThan(12_000);
    expect(sizeOf(empty)).toBeLessThan(200);
  });
});

const byFirst = (left: string[], right: string[]): number => Number(left[0]) - Number(right[0]);

/** The orders of each day, the latest first, as texts. */
function byDay(taken: readonly Order[]): string[][] {
  const days = Map.groupBy(taken, (one) => Math.floor(Number(one.at) / day));
  return [...days].map(([number, ofDay]) => [
    String(number),
    ...ofDay.toSorted((left, right) => Number(right.at - left.at)).map(textOf),
  ]);
}

function textOf({ at: ms, lines, address }: Order): string {
  return JSON.stringify([
    Number(ms),
    lines.map(({ sku, tags }) => [
      sku,
      Object.entries(tags).map(([key, value]) => [key, value === null ? null : Number(value)]),
    ]),
    address === null ? null : [address.city, address.floors],
  ]);
}

async function readOrders(file: string): Promise<string[]> {
  const result = await connection.runAndReadAll(
    `select epoch_ms("at") as ms, lines, address from read_parquet('${file}')`,
  );
  type Struct<T> = { entries: T };
  type Row = [
    bigint,
    {
      items: Struct<{ sku: string; tags: { entries: { key: string; value: bigint | null }[] } }>[];
    },
    Struct<{ city: string | null; floors: { items: bigint[] } }> | null,
  ];
  return (result.getRows() as unknown as Row[]).map(([ms, lines, address]) =>
    textOf({
      at: ms,
      lines: lines.items.map(({ entries: { sku, tags } }) => ({
        sku,
        tags: Object.fromEntries(tags.entries.map(({ key, value }) => [key, value])),
      })),
      address:
        address === null
          ? null
          : { city: address.entries.city, floors: address.entries.floors.items.map(Number) },
    }),
  );
}
