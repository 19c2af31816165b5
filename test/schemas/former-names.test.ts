import { expect, it } from 'vitest';
import { formerColumnNames } from '../../schemas/former-names.ts';
import { contractOf } from './avro-encoding.ts';

const text = ['null', 'string'];

it('takes aliases of the stream as they are, and those of carried columns with their prefix', () => {
  const stream = contractOf([
    { name: 'id', type: 'long' },
    { name: 'remark', type: text, aliases: ['note', 'hint'] },
  ]);
  const dimension = contractOf([
    { name: 'id', type: 'long', aliases: ['key'] },
    { name: 'country', type: text, aliases: ['land'] },
  ]);
  const names = formerColumnNames({
    streamContract: stream,
    dimensions: [{ name: 'users', prefix: 'user_', contract: dimension, columns: ['country'] }],
  });
  expect([...names]).toEqual([
    ['remark', ['note', 'hint']],
    ['user_country', ['user_land']],
  ]);
});
