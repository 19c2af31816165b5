import { expect, it } from 'vitest';
import { registerContract } from '../../schemas/register-contracts.ts';
import type { Registry } from '../../schemas/registry.ts';
import { contractOf } from './avro-encoding.ts';

/** What every registry does. Subjects begin with the given prefix, which nobody used before. */
export function registryContract(open: () => Registry, prefix: string): void {
  const long = { type: 'long', logicalType: 'timestamp-millis' };
  const first = contractOf([{ name: 'at', type: long }]);
  const second = contractOf([
    { name: 'at', type: long },
    { name: 'note', type: ['null', 'string'], default: null },
  ]);

  it('gives back by id what was registered, logical types included', async () => {
    const registry = open();
    const { schemaId, version } = await registry.register(`${prefix}.a-value`, first.avroSchema);
    expect(version).toBe(1);
    expect(await registry.schemaById(schemaId)).toEqual(first.avroSchema);
  });

  it('gives the same id and version for the same schema', async () => {
    const registry = open();
    const once = await registry.register(`${prefix}.b-value`, first.avroSchema);
    const again = await registry.register(`${prefix}.b-value`, first.avroSchema);
    expect([again.schemaId, again.version]).toEqual([once.schemaId, once.version]);
  });

  it('knows the newest version of a subject', async () => {
    const registry = open();
    const subject = `${prefix}.c-value`;
    expect(await registry.latest(subject)).toBeUndefined();
    await registry.register(subject, first.avroSchema);
    const newer = await registry.register(subject, second.avroSchema);
    expect(newer.version).toBe(2);
    expect(await registry.latest(subject)).toMatchObject({
      schemaId: newer.schemaId,
      version: 2,
      avroSchema: second.avroSchema,
    });
  });

  it('knows every version of a subject, the oldest first', async () => {
    const registry = open();
    const subject = `${prefix}.e-value`;
    expect(await registry.versions(subject)).toEqual([]);
    await registry.register(subject, first.avroSchema);
    await registry.register(subject, second.avroSchema);
    expect(await registry.versions(subject)).toMatchObject([
      { version: 1, avroSchema: first.avroSchema },
      { version: 2, avroSchema: second.avroSchema },
    ]);
  });

  it('says unknown for an id that nobody registered', async () => {
    expect(await open().schemaById(2_000_000_001)).toBe('unknown');
  });

  it('keeps the compatibility level of a subject, and registers under it', async () => {
    const registry = open();
    const subject = `${prefix}.d-value`;
    await registry.register(subject, first.avroSchema);
    await registry.setCompatibility(subject, 'FULL_TRANSITIVE');
    expect(await registry.compatibility(subject)).toBe('FULL_TRANSITIVE');
    expect((await registry.register(subject, second.avroSchema)).version).toBe(2);
  });

  it('finds the version that has a schema, not the newest alone', async () => {
    const registry = open();
    const subject = `${prefix}.f-value`;
    expect(await registry.find(subject, first.avroSchema)).toBeUndefined();
    const { schemaId } = await registry.register(subject, first.avroSchema);
    expect(await registry.find(subject, second.avroSchema)).toBeUndefined();
    await registry.register(subject, second.avroSchema);
    expect(await registry.find(subject, first.avroSchema)).toMatchObject({ schemaId, version: 1 });
  });

  it('registers a contract once and says what changed', async () => {
    const registry = open();
    const topic = `${prefix}.clicks`;
    const register = (contract: typeof first) => registerContract(registry, { topic, contract });
    const subject = `${topic}-value`;
    const registered = await register(first);
    expect(registered).toMatchObject({ subject, version: 1, outcome: 'registered' });
    expect(await register(first)).toEqual({ ...registered, outcome: 'unchanged' });
    expect(await register(second)).toMatchObject({ version: 2, outcome: 'registered' });
    expect(await register(first)).toEqual({ ...registered, outcome: 'unchanged' });
  });
}
