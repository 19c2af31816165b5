import { describe, expect, it } from 'vitest';
import type { AvroObject } from '../../../schemas/contract.ts';
import { QUIET_MS, World } from './harness.ts';
import type { Process } from './harness.ts';
import { expectExactlyOnce } from './model.ts';
import { clickSchema, encodeClick, frame, topicOf } from './records.ts';

const click = { userId: 1, url: 'https://a/', deviceId: 'd1' };
const wider: AvroObject = {
  ...clickSchema,
  fields: [...(clickSchema.fields ?? []), { name: 'extra', type: 'string' }],
};

/** A click of a writer that sends one field more. */
function widerClick(schemaId: number): Uint8Array {
  return Buffer.concat([encodeClick(schemaId, click), Buffer.from([2, 0x78])]);
}

async function metric(process: Process): Promise<number> {
  return (await process.metrics.schemasAwaited.get()).values[0]?.value ?? 0;
}

/** Lag of a partition of the stream, and of the users, as `/metrics` has it. */
async function lags(process: Process, partition: string): Promise<(number | undefined)[]> {
  const { lag, dimensionLag } = process.metrics;
  const [clicks, changes] = [await lag.get(), await dimensionLag.get()];
  return [
    clicks.values.find(({ labels }) => labels.partition === partition)?.value,
    changes.values.find(({ labels }) => labels.dimension === 'users')?.value,
  ];
}

describe('while the registry is away', () => {
  it('an id that was met flows, one that was not waits and is told of, and no reject is made', async () => {
    const { world, process } = await World.started();
    world.click(0, [{}]);
    await world.run(3_000);
    const { schemaId } = await world.registry.register('wider-value', wider);
    world.faults.away.add('registry');
    world.log.append('clicks', 1, [{ key: null, value: widerClick(schemaId) }]);
    for (let round = 0; round < 10; round++) {
      world.click(0, [{}]);
      world.click(2, [{}]);
      await world.run(2_000);
    }
    expect(await world.rows(), 'the other partitions, to the last click').toHaveLength(21);
    expect(process.status.waitingFor()).toContain(`loading schema ${schemaId} from the registry`);
    expect(await metric(process)).toBe(1);
    const told = process.lines.filter(({ message }) => String(message).includes('loading schema'));
    expect(told.length).toBeGreaterThan(0);
    world.faults.away.clear();
    await world.run(5_000);
    expect(await world.rows()).toHaveLength(22);
    expect(await world.deadLetters()).toEqual([]);
    expect(process.status.waitingFor()).toBeUndefined();
    expect(await metric(process)).toBe(0);
  });

  it('the lag of what waits grows with what arrives', async () => {
    const { world, process } = await World.started();
    await world.run(3_000);
    const { schemaId } = await world.registry.register('wider-value', wider);
    world.faults.away.add('registry');
    const waiting = { key: null, value: widerClick(schemaId) };
    const tombstone = { key: frame(schemaId, Buffer.from([2])), value: null };
    world.log.append('clicks', 1, [waiting]);
    world.log.append(topicOf.users, 0, [tombstone]);
    await world.run(3_000);
    const [clicks = 0, changes = 0] = await lags(process, '1');
    expect(clicks).toBe(1);
    for (let round = 0; round < 10; round++) world.log.append('clicks', 1, [waiting]);
    for (let round = 0; round < 20; round++) world.log.append(topicOf.users, 0, [tombstone]);
    await world.run(10_000);
    expect(await lags(process, '1')).toEqual([clicks + 10, changes + 20]);
  });

  it('a process that starts needs it for no id that was met before', async () => {
    const { world, process } = await World.started();
    const { schemaId } = await world.registry.register('users-key', {
      type: 'record',
      name: 'Key',
      fields: [{ name: 'user_id', type: 'long' }],
    });
    const tombstone = { key: frame(schemaId, Buffer.from([2])), value: null };
    world.log.append(topicOf.users, 0, [tombstone]);
    world.click(0, [{}]);
    await world.run(5_000);
    process.kill();
    world.faults.away.add('registry');
    world.log.append(topicOf.users, 0, [tombstone]);
    world.click(1, [{}]);
    await world.start();
    await world.run(20_000);
    expect(await expectExactlyOnce(world)).toHaveLength(2);
  });

  it('what another registry gave out counts for nothing: its ids mean other schemas', async () => {
    const { world, process } = await World.started();
    world.click(0, [{}]);
    await world.run(3_000);
    process.kill();
    world.faults.away.add('registry');
    world.click(0, [{}]);
    await world.start({ config: { registry: { url: 'http://another/' } } });
    await world.run(20_000);
    expect(await world.rows(), 'it waits').toHaveLength(1);
    world.faults.away.clear();
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(2);
  });
});

/** A process that reads clicks by the schema that the one before it has kept. */
async function onKept(): Promise<{ world: World; process: Process }> {
  const { world, process } = await World.started();
  world.click(0, [{}]);
  await world.run(3_000);
  process.kill();
  world.faults.away.add('registry');
  world.click(0, [{}]);
  const next = await world.start();
  await world.run(20_000);
  expect(await world.rows()).toHaveLength(2);
  return { world, process: next };
}

describe('a registry that was recreated while it was away', () => {
  it('stops the pipeline once it answers with another schema for an id in use', async () => {
    const { world, process } = await onKept();
    world.registry.schemaById = async () => wider;
    world.faults.away.clear();
    await world.run(30_000);
    expect(process.ended()).toMatchObject({
      error: { kind: 'config', message: expect.stringMatching(/another schema for id/) as string },
    });
    world.click(0, [{}]);
    const again = await world.start();
    await world.run(20_000);
    expect(again.ended(), 'and so does the next').toMatchObject({ error: { kind: 'config' } });
    expect(await world.rows()).toHaveLength(2);
  });

  it('is no news where it has the same', async () => {
    const { world, process } = await onKept();
    let asked = 0;
    world.registry.schemaById = async () => {
      asked++;
      return clickSchema;
    };
    world.faults.away.clear();
    world.click(0, [{}]);
    await world.run(60_000);
    expect(process.ended()).toBeUndefined();
    expect(asked, 'once for each id').toBe(1);
    expect(await expectExactlyOnce(world)).toHaveLength(3);
  });
});

describe('an id that the registry does not have', () => {
  const late = { type: 'record', name: 'Late', fields: [] } as AvroObject;

  it('makes rejects for half a minute, then rows once its schema is registered', async () => {
    const { world } = await World.started();
    // The next id that the registry will give out.
    const { schemaId } = await world.registry.register('late-value', late);
    const next = schemaId + 1;
    world.reject(0, [widerClick(next)]);
    await world.run(2_000);
    await world.registry.register('wider-value', wider);
    world.reject(0, [widerClick(next)]);
    await world.run(2_000);
    expect(await world.deadLetters(), 'its word holds for a while').toMatchObject([
      { error_kind: 'unknown-schema-id', schema_id: next },
      { error_kind: 'unknown-schema-id', schema_id: next },
    ]);
    await world.run(30_000);
    world.log.append('clicks', 0, [{ key: null, value: widerClick(next) }]);
    await world.run(5_000);
    expect(await world.rows()).toHaveLength(1);
    expect(await world.deadLetters()).toHaveLength(2);
  });

  it('makes rejects of changes for no longer either', async () => {
    const { world } = await World.started();
    const { schemaId } = await world.registry.register('late-value', late);
    const next = schemaId + 1;
    const tombstone = { key: frame(next, Buffer.from([2])), value: null };
    world.log.append(topicOf.users, 0, [tombstone]);
    await world.run(10_000);
    const key = { type: 'record', name: 'Key', fields: [{ name: 'user_id', type: 'long' }] };
    await world.registry.register('users-key', key);
    await world.run(30_000);
    world.log.append(topicOf.users, 0, [tombstone]);
    await world.run(10_000);
    expect(await world.deadLetters()).toMatchObject([
      { error_kind: 'unknown-schema-id', schema_id: next, _kafka_offset: 0n },
    ]);
  });
});
