import { expect, it } from 'vitest';
import { openExtraFields } from '../../generate/extra-fields.ts';
import { CLICK_FIELDS } from '../../generate/clicks.ts';
import { openRandom } from '../../generate/random.ts';
import { recordOf } from '../schemas/avro-encoding.ts';
import { clickContract } from './click-contract.ts';

it('there is nothing extra about the contract as it is shipped', () => {
  expect(clickContract.avroSchema.fields.map(({ name }) => name)).toEqual(CLICK_FIELDS);
  expect(openExtraFields(clickContract.avroSchema, CLICK_FIELDS)).toBeUndefined();
});

it('fields of plain types that a contract adds get values, now and then null where that is allowed', () => {
  const schema = recordOf([
    { name: 'url', type: 'string' },
    { name: 'campaign', type: ['null', 'string'], default: null },
    { name: 'rank', type: 'int' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
  ]);
  const extra = openExtraFields(schema, ['url']);
  const random = openRandom(1, 'test');
  const drawn = Array.from({ length: 100 }, () => extra?.(random));
  expect(Object.keys(drawn[0] ?? {})).toEqual(['campaign', 'rank']);
  const campaigns = new Set(drawn.map((each) => each?.['campaign']));
  expect(campaigns).toContain(null);
  expect(campaigns).toContain('campaign-3');
  expect(drawn.every((each) => Number.isInteger(each?.['rank']))).toBe(true);
});
