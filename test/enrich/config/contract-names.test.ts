import { describe, expect, it } from 'vitest';
import { sourceColumns } from '../../../connectors/source-columns.ts';
import { withContractNames } from '../../../enrich/config/contract-names.ts';
import { contractOf, recordOf } from '../../schemas/avro-encoding.ts';

const contract = contractOf([
  { name: 'url_id', type: 'long', aliases: ['id'] },
  { name: 'title', type: ['null', 'string'], default: null, aliases: ['headline', 'heading'] },
  { name: 'price', type: 'int', aliases: ['cost'] },
  { name: 'cost', type: 'int' },
]);

function envelopeOf(...names: readonly string[]) {
  const row = {
    type: 'record',
    name: 'Value',
    fields: names.map((name) => ({ name, type: 'int' })),
  };
  return recordOf([
    { name: 'before', type: ['null', row] },
    { name: 'after', type: ['null', 'Value'] },
    {
      name: 'source',
      type: { type: 'record', name: 'Source', fields: [{ name: 'id', type: 'long' }] },
    },
    { name: 'op', type: 'string' },
  ]);
}

const columnsOf = (avroSchema: object): (string | undefined)[] | undefined =>
  sourceColumns(withContractNames(contract, avroSchema))?.map(({ name }) => name);

describe('the columns of a table', () => {
  it.each<[string, string[], string[]]>([
    ['by an alias', ['id', 'headline'], ['url_id', 'title']],
    ['by its own name before any alias', ['id', 'url_id'], ['id', 'url_id']],
    ['by the first alias that is there', ['heading', 'headline'], ['heading', 'title']],
    ['but not where another field has that name', ['cost'], ['cost']],
    ['not at all where it is none of the contract', ['other'], ['other']],
  ])('are fields of the contract %s', (_how, columns, expected) => {
    expect(columnsOf(envelopeOf(...columns))).toEqual(expected);
  });

  it('are all that gets another name', () => {
    const renamed = JSON.stringify(withContractNames(contract, envelopeOf('id', 'x')));
    expect(renamed).toBe(JSON.stringify(envelopeOf('url_id', 'x')));
  });

  it('leave the schema as it is where no alias is of use', () => {
    const envelope = envelopeOf('url_id', 'title', 'cost');
    expect(withContractNames(contract, envelope)).toBe(envelope);
  });
});

it('the columns of a key are fields of the contract by an alias too', () => {
  const key = recordOf([{ name: 'id', type: 'long' }]);
  expect(withContractNames(contract, key)).toEqual(recordOf([{ name: 'url_id', type: 'long' }]));
});
