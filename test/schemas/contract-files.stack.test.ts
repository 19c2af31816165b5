import fc from 'fast-check';
import { expect, it } from 'vitest';
import { endpoints } from '../stack/endpoints.ts';
import { contractFile } from './contract-file-arbitrary.ts';
import { invalidContracts, validContracts } from './corpus/contract-files.ts';
import { isTakenAsContract } from './take-contract.ts';

const prefix = `contract_files_${process.pid}_${Date.now()}`;
let subjects = 0;

/** Whether a running registry takes a schema, as the first one of its subject. */
async function isRegistered(avroSchema: unknown): Promise<boolean> {
  const path = `/subjects/${prefix}_${++subjects}-value/versions`;
  const response = await fetch(`${endpoints.registryUrl}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(avroSchema) }),
  });
  const text = await response.text();
  if (response.status !== 200 && response.status !== 422) {
    throw new Error(`the registry answered ${response.status}: ${text}`);
  }
  return response.status === 200;
}

it('a running registry refuses what is refused as a contract, or takes it for the reason that stands beside it', async () => {
  for (const { name, avroSchema, registryTakes } of invalidContracts) {
    const isTaken = await isRegistered(avroSchema);
    expect({ name, isTaken }).toEqual({ name, isTaken: registryTakes !== undefined });
  }
});

it.each(validContracts)('a running registry takes $name', async ({ avroSchema }) => {
  expect(await isRegistered(avroSchema)).toBe(true);
});

it('a running registry takes whatever is taken as a contract', async () => {
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(contractFile, async (avroSchema) => {
      if (!(await isTakenAsContract(avroSchema))) return;
      taken++;
      expect(await isRegistered(avroSchema)).toBe(true);
    }),
    { numRuns: 500 },
  );
  expect(taken).toBeGreaterThan(100);
});
