import { isDeepStrictEqual } from 'node:util';
import avsc from 'avsc';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { contractFields } from '../../schemas/contract-field.ts';
import type { AvroObject, Contract } from '../../schemas/contract.ts';
import { extendRows } from '../../schemas/extend-rows.ts';
import { pinnedSchema } from '../../schemas/pinned-schema.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import type { RowBuffer } from '../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../schemas/row-decoder.ts';
import { evolveContract, schemaChanges } from '../../schemas/schema-change.ts';
import { rowOf } from './avro-encoding.ts';
import { fieldPair, schemasOf, valueOf } from './schema-pair-arbitrary.ts';

const ROWS_MAX = 9;

type Event = Contract['avroSchema'];

/** Two schemas that have grown from one, a third that has not, and records of each. */
const cases = fc
  .tuple(
    fc.array(fieldPair, { minLength: 1, maxLength: 4 }),
    fc.array(fieldPair, { minLength: 1, maxLength: 4 }),
  )
  .map((both) => both.map((fields) => schemasOf({ kind: 'record', fields, name: 'same' })))
  .map(([one, other]) => [one?.older, one?.newer, other?.newer] as unknown as Event[])
  .filter((schemas) => schemas.every(isContract))
  .chain((schemas) => fc.tuple(...schemas.map(written)));

type Written = { schema: Event; records: Buffer[] };

function written(schema: Event): fc.Arbitrary<Written> {
  const type = avsc.Type.forSchema(schema as avsc.Schema);
  return fc
    .array(valueOf(schema as avsc.Schema), { minLength: 1, maxLength: 3 })
    .map((records) => ({ schema, records: records.map((record) => type.toBuffer(record)) }));
}

function isContract(avroSchema: Event): boolean {
  try {
    return contractFields({ name: 'event', avroSchema }).length > 0;
  } catch {
    return false;
  }
}

/** The contract after each of the writers, each of which it follows as far as it can, and their schemas as they are told. */
function grow(writers: readonly Written[]): { contracts: Contract[]; told: AvroObject[] } {
  const contracts: Contract[] = [];
  const told: AvroObject[] = [];
  let contract: Contract = { name: 'event', avroSchema: writers[0]?.schema as Event };
  for (const { schema } of writers) {
    contract = evolveContract(contract, schemaChanges(contract, schema));
    contracts.push(contract);
    told.push(pinnedSchema(contract, schema));
  }
  return { contracts, told };
}

function rowsOf(buffer: RowBuffer): unknown[] {
  return Array.from({ length: buffer.rowCount }, (_, row) => rowOf(buffer, row));
}

it('rows that are read before their contract grows, however deep, are those that are read after', () => {
  const seen = { grown: 0, rows: 0 };
  fc.assert(
    fc.property(cases, (writers) => {
      const { contracts, told } = grow(writers);
      const [first, last] = [contracts[0] as Contract, contracts.at(-1) as Contract];
      const growing = createRowBuffer(first, ROWS_MAX);
      const whole = createRowBuffer(last, ROWS_MAX);
      for (const [index, { records }] of writers.entries()) {
        const contract = contracts[index] as Contract;
        extendRows(growing, contract, ROWS_MAX);
        const [now, later] = [contract, last].map((reader) =>
          createRowDecoder(reader, told[index] as AvroObject),
        );
        for (const bytes of records) {
          if (now?.append(bytes, 0, bytes.length, growing) !== undefined) continue;
          expect(later?.append(bytes, 0, bytes.length, whole)).toBeUndefined();
        }
      }
      expect(rowsOf(growing)).toEqual(rowsOf(whole));
      seen.rows += growing.rowCount;
      if (!isDeepStrictEqual(last.avroSchema, first.avroSchema)) seen.grown += 1;
    }),
    { numRuns: 400 },
  );
  expect(seen.rows).toBeGreaterThan(1_000);
  expect(seen.grown).toBeGreaterThan(100);
}, 60_000);
