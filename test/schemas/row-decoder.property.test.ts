import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../schemas/row-decoder.ts';
import { avscType, contractOf, recordOf, rowOf, text } from './avro-encoding.ts';

/** A flat type with values of it as avsc writes them and as a cell shows them. */
type Typed = { type: unknown; value: fc.Arbitrary<{ written: unknown; shown: unknown }> };

const same = <T>(arbitrary: fc.Arbitrary<T>) =>
  arbitrary.map((value) => ({ written: value, shown: value }));
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

const primitives: Typed[] = [
  { type: 'int', value: same(fc.integer()) },
  { type: 'long', value: same(fc.oneof(int64, fc.integer().map(BigInt))) },
  { type: 'boolean', value: same(fc.boolean()) },
  { type: 'double', value: same(fc.double()) },
  { type: 'float', value: same(fc.float()) },
  {
    type: 'string',
    value: fc
      .oneof(fc.string({ unit: 'grapheme' }), fc.string({ maxLength: 300, size: 'max' }))
      .map((value) => ({ written: value, shown: text(value) })),
  },
  {
    type: 'bytes',
    value: fc
      .uint8Array({ maxLength: 300, size: 'max' })
      .map((value) => ({ written: Buffer.from(value), shown: value })),
  },
  {
    type: { type: 'long', logicalType: 'timestamp-millis' },
    value: fc
      .integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 })
      .map((ms) => ({ written: BigInt(ms), shown: BigInt(ms) * 1000n })),
  },
];

type Cell = { wanted: boolean; type: unknown; written: unknown; shown: unknown };

const cellArbitrary: fc.Arbitrary<Cell> = fc
  .record({
    typed: fc.constantFrom(...primitives),
    wanted: fc.boolean(),
    union: fc.constantFrom('none', 'null-first', 'null-last'),
    isNull: fc.boolean(),
  })
  .chain(({ typed, wanted, union, isNull }) =>
    typed.value.map(({ written, shown }): Cell => {
      if (union === 'none') return { wanted, type: typed.type, written, shown };
      const type = union === 'null-first' ? ['null', typed.type] : [typed.type, 'null'];
      return isNull
        ? { wanted, type, written: null, shown: null }
        : { wanted, type, written, shown };
    }),
  );

const recordArbitrary = fc
  .array(cellArbitrary, { minLength: 1, maxLength: 8 })
  .filter((cells) => cells.some((cell) => cell.wanted))
  .map((cells) => {
    const fields = cells.map((cell, index) => ({ name: `f${index}`, type: cell.type }));
    const named = cells.map((cell, index) => ({ ...cell, name: `f${index}` }));
    const wanted = named.filter((cell) => cell.wanted).toReversed();
    return {
      writer: recordOf(fields),
      contract: contractOf(wanted.map(({ name, type }) => ({ name, type }))),
      written: Object.fromEntries(named.map(({ name, written }) => [name, written])),
      shown: Object.fromEntries(wanted.map(({ name, shown }) => [name, shown])),
    };
  });

describe('any flat record', () => {
  it('that avsc wrote is read as it was written, in the contract’s order', () => {
    fc.assert(
      fc.property(recordArbitrary, fc.nat(9), ({ writer, contract, written, shown }, lead) => {
        const encoded = avscType(writer).toBuffer(written);
        const bytes = new Uint8Array(lead + encoded.length + 3).fill(0xff);
        bytes.set(encoded, lead);
        const buffer = createRowBuffer(contract, 2);
        const decoder = createRowDecoder(contract, writer);
        expect(decoder.append(bytes, lead, lead + encoded.length, buffer)).toBeUndefined();
        expect(decoder.append(bytes, lead, lead + encoded.length, buffer)).toBeUndefined();
        expect(rowOf(buffer, 0)).toEqual(shown);
        expect(rowOf(buffer, 1)).toEqual(shown);
      }),
      { numRuns: 300 },
    );
  });

  it('that was damaged neither throws nor changes a row that already counts', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(recordArbitrary, damage, fc.nat(5), (record, changes, cut) => {
        const encoded = new Uint8Array(avscType(record.writer).toBuffer(record.written));
        const buffer = createRowBuffer(record.contract, 2);
        const decoder = createRowDecoder(record.contract, record.writer);
        decoder.append(encoded, 0, encoded.length, buffer);
        const damaged = encoded.slice();
        for (const [at, byte] of changes) damaged[at % damaged.length] = byte;
        const failure = decoder.append(damaged, 0, Math.max(0, damaged.length - cut), buffer);
        expect(buffer.rowCount).toBe(failure === undefined ? 2 : 1);
        expect(rowOf(buffer, 0)).toEqual(record.shown);
      }),
      { numRuns: 500 },
    );
  });

  it('that is noise ends in a row or a failure', () => {
    fc.assert(
      fc.property(recordArbitrary, fc.uint8Array({ maxLength: 64 }), (record, noise) => {
        const buffer = createRowBuffer(record.contract, 1);
        const failure = createRowDecoder(record.contract, record.writer).append(
          noise,
          0,
          noise.length,
          buffer,
        );
        expect(buffer.rowCount).toBe(failure === undefined ? 1 : 0);
      }),
      { numRuns: 500 },
    );
  });
});
