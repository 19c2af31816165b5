import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AvroObject, Contract } from '../../schemas/contract.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import type { RowBuffer } from '../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../schemas/row-decoder.ts';
import { avscType, rowOf } from './avro-encoding.ts';
import { recordPair } from './nested-arbitrary.ts';

/** A contract and a writer's schema of nested types, and a few records: as avsc wrote them and as rows show them. */
type Case = { contract: Contract; writer: AvroObject; records: Uint8Array[]; shown: unknown[] };

const cases: fc.Arbitrary<Case> = recordPair('', 3).chain(({ writer, reader, value }) =>
  fc.array(value, { minLength: 1, maxLength: 5 }).map((values) => ({
    contract: { name: 'test', avroSchema: reader as Contract['avroSchema'] },
    writer: writer as AvroObject,
    records: values.map(({ written }) => new Uint8Array(avscType(writer).toBuffer(written))),
    shown: values.map(({ shown }) => shown),
  })),
);

function rowsOf(buffer: RowBuffer): unknown[] {
  return Array.from({ length: buffer.rowCount }, (_, row) => rowOf(buffer, row));
}

describe('any nested record', () => {
  it('that avsc wrote is read as it was written, resolved to the contract at each level', () => {
    fc.assert(
      fc.property(cases, ({ contract, writer, records, shown }) => {
        const buffer = createRowBuffer(contract, records.length);
        const decoder = createRowDecoder(contract, writer);
        for (const bytes of records) {
          expect(decoder.append(bytes, 0, bytes.length, buffer)).toBeUndefined();
        }
        expect(rowsOf(buffer)).toEqual(shown);
      }),
      { numRuns: 400 },
    );
  });

  it('that is damaged leaves nothing behind: the rows before and after it are as they were written', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(cases, damage, fc.nat(4), (one, changes, cut) => {
        const { contract, writer, records, shown } = one;
        const buffer = createRowBuffer(contract, records.length * 2);
        const decoder = createRowDecoder(contract, writer);
        const expected: unknown[] = [];
        for (const [index, bytes] of records.entries()) {
          const damaged = bytes.slice();
          for (const [at, byte] of changes) damaged[at % damaged.length] = byte;
          const failure = decoder.append(damaged, 0, Math.max(0, damaged.length - cut), buffer);
          if (failure === undefined) expected.push(rowOf(buffer, buffer.rowCount - 1));
          expect(decoder.append(bytes, 0, bytes.length, buffer)).toBeUndefined();
          expected.push(shown[index]);
        }
        expect(rowsOf(buffer)).toEqual(expected);
      }),
      { numRuns: 400 },
    );
  });
});
