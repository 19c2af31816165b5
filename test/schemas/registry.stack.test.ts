import { describe, expect, it } from 'vitest';
import { openRegistry } from '../../schemas/registry.ts';
import { endpoints } from '../stack/endpoints.ts';
import { contractOf } from './avro-encoding.ts';
import { registryContract } from './registry-contract.ts';

const prefix = `schemas_${process.pid}_${Date.now()}`;
const open = (): ReturnType<typeof openRegistry> => openRegistry({ url: endpoints.registryUrl });

describe('a running registry', () => {
  registryContract(open, prefix);

  it('refuses an incompatible schema as the schema owner’s mistake, at once', async () => {
    const registry = open();
    const subject = `${prefix}.strict-value`;
    await registry.register(subject, contractOf([{ name: 'a', type: 'int' }]).avroSchema);
    await registry.setCompatibility(subject, 'BACKWARD');
    const next = contractOf([
      { name: 'a', type: 'int' },
      { name: 'b', type: 'int' },
    ]);
    await expect(registry.register(subject, next.avroSchema)).rejects.toMatchObject({
      kind: 'config',
      context: { status: 409 },
    });
  });
});
