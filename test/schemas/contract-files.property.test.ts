import avsc from 'avsc';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { contractFile } from './contract-file-arbitrary.ts';
import { isTakenAsContract } from './take-contract.ts';

/** Without the defaults of fields: avsc wants those of the first branch, and of no more than 53 bits. */
function withoutDefaults(avroSchema: unknown): avsc.Schema {
  const text = JSON.stringify(avroSchema, function (this: object, key, value: unknown) {
    return key === 'default' && !('symbols' in this) ? undefined : value;
  });
  return JSON.parse(text) as avsc.Schema;
}

it('whatever is taken as a contract is Avro to avsc too', async () => {
  let taken = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(contractFile, async (avroSchema) => {
      if (!(await isTakenAsContract(avroSchema))) return void refused++;
      taken++;
      avsc.Type.forSchema(withoutDefaults(avroSchema));
    }),
    { numRuns: 300 },
  );
  // A check that takes everything, or nothing, would pass unseen.
  expect(taken).toBeGreaterThan(50);
  expect(refused).toBeGreaterThan(50);
});
