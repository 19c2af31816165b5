import { describe, expect, it } from 'vitest';
import type { AvroField, AvroObject, AvroType, Contract } from '../../schemas/contract.ts';
import { pinnedSchema } from '../../schemas/pinned-schema.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../schemas/row-decoder.ts';
import { avscType, contractOf, rowOf, text } from './avro-encoding.ts';

const field = (name: string, type: AvroType): AvroField => ({ name, type });
const optional = (name: string, type: AvroType): AvroField => ({
  name,
  type: ['null', type],
  default: null,
});
const record = (name: string, ...fields: AvroField[]): AvroObject => {
  return { type: 'record', name, fields };
};

const at = (city: string, zip: number, near: unknown = null): unknown => ({ city, zip, near });

function read(contract: Contract, schema: AvroObject, bytes: Uint8Array): unknown {
  const rows = createRowBuffer(contract, 1);
  const failure = createRowDecoder(contract, schema).append(bytes, 0, bytes.length, rows);
  return failure ?? rowOf(rows, 0);
}

describe('a schema that is pinned to a contract', () => {
  const place = record('Place', field('city', 'string'), field('zip', 'int'), {
    name: 'near',
    type: ['null', 'Place'],
  });
  const writer: AvroObject = {
    ...record(
      'Event',
      field('home', place),
      field('work', ['null', 'Place']),
      field('all', { type: 'array', items: 'Place' }),
      field('by', { type: 'map', values: { ...record('other.Place', field('zip', 'long')) } }),
    ),
    namespace: 'some',
  };
  const bytes = avscType(writer).toBuffer({
    home: at('a', 1, at('b', 2, at('c', 3))),
    work: at('d', 4),
    all: [at('e', 5, at('f', 6)), at('g', 7)],
    by: { x: { zip: 8 } },
  });
  const before = contractOf([
    field('home', record('H', field('city', 'string'))),
    optional('work', record('W', field('zip', 'int'))),
    field('all', {
      type: 'array',
      items: record('A', field('near', ['null', record('N', field('zip', 'int'))])),
    }),
  ]);
  const after = contractOf([
    field('home', record('H', field('city', 'string'), optional('zip', 'int'))),
    optional('work', record('W', field('zip', 'int'), optional('city', 'string'))),
    field('all', {
      type: 'array',
      items: record(
        'A',
        field('near', ['null', record('N', field('zip', 'int'), optional('city', 'string'))]),
      ),
    }),
    optional('by', { type: 'map', values: record('B', optional('zip', 'long')) }),
  ]);

  it('is read as it was, where a type stands in several places, holds itself or has the name of another', () => {
    const row = {
      home: { city: text('a') },
      work: { zip: 4 },
      all: [{ near: { zip: 6 } }, { near: null }],
    };
    expect(read(before, writer, bytes)).toEqual(row);
    expect(read(before, pinnedSchema(before, writer), bytes)).toEqual(row);
  });

  it('gives a contract that has grown nothing that it did not give before, at any depth', () => {
    expect(read(after, pinnedSchema(before, writer), bytes)).toEqual({
      home: { city: text('a'), zip: null },
      work: { zip: 4, city: null },
      all: [{ near: { zip: 6, city: null } }, { near: null }],
      by: null,
    });
    expect(read(after, pinnedSchema(after, writer), bytes)).toEqual({
      home: { city: text('a'), zip: 1 },
      work: { zip: 4, city: text('d') },
      all: [{ near: { zip: 6, city: text('f') } }, { near: null }],
      by: { x: { zip: 8n } },
    });
  });
});
