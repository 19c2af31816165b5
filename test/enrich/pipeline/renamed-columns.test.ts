import avsc from 'avsc';
import { describe, expect, it } from 'vitest';
import type { ContractSet } from '../../../enrich/config/check-contracts.ts';
import { evolvableKinds } from '../../../schemas/schema-change-kind.ts';
import type { SchemaChangeKind } from '../../../schemas/schema-change-kind.ts';
import { evolving, INTERVAL_MS, placeOf, shippedContracts, World } from './harness.ts';
import { expectExactlyOnce } from './model.ts';
import { clickSchema, EVENT_TIME_MS, frame } from './records.ts';

/** The click contract with `referrer` under another name, which it can still be read from. */
function renamed(): ContractSet {
  const { stream, dimensions } = shippedContracts;
  const fields = stream.avroSchema.fields.map((field) =>
    field.name === 'referrer' ? { ...field, name: 'source', aliases: ['referrer'] } : field,
  );
  return { stream: { ...stream, avroSchema: { ...stream.avroSchema, fields } }, dimensions };
}

const allow = (...kinds: readonly SchemaChangeKind[]) =>
  evolving({ policy: 'evolve', allow: new Set(kinds) });

/** A click as producers send it whose schema does not change. */
async function send(world: World, referrer: string): Promise<void> {
  const { schemaId } = await world.registry.register('clicks-value', clickSchema);
  const click = { userId: 1, url: 'https://a/', deviceId: 'd1' };
  const value = avsc.Type.forSchema(clickSchema as avsc.Schema).toBuffer({
    event_time: EVENT_TIME_MS,
    user_id: click.userId,
    url: click.url,
    device_id: click.deviceId,
    session_id: null,
    referrer,
    duration_ms: null,
  });
  const record = { key: null, value: frame(schemaId, value), timestampMs: world.time.nowMs() };
  world.stream.push({ partition: 0, offset: world.log.append('clicks', 0, [record]), click });
}

/** A click before the contract changes, and one after it. */
async function restarted(options: ReturnType<typeof allow>): Promise<World> {
  const { world, process } = await World.started(options);
  await send(world, 'https://before/');
  await world.run(INTERVAL_MS + 500);
  process.stop();
  await world.run(5_000);
  await world.start({ ...options, contracts: renamed() });
  await send(world, 'https://after/');
  await world.run(INTERVAL_MS + 5_000);
  return world;
}

async function columnIds(world: World): Promise<Record<string, number>> {
  const { schemas, currentSchemaId } = await world.metadata();
  const current = schemas.find(({ schemaId }) => schemaId === currentSchemaId);
  return Object.fromEntries((current?.fields ?? []).map(({ id, name }) => [name, id]));
}

describe('a field of the contract that has a former name', () => {
  it('is the column of that name under its new one, where rename-field is allowed', async () => {
    const world = await restarted(allow(...evolvableKinds));
    const ids = await columnIds(world);
    expect(ids).toMatchObject({ source: 6 });
    expect(ids).not.toHaveProperty('referrer');
    const rows = await expectExactlyOnce(world);
    expect(rows).toHaveLength(2);
  });

  it('is a column of its own beside the old one, where it is not', async () => {
    const world = await restarted(allow('add-field'));
    expect(await columnIds(world)).toMatchObject({ referrer: 6, source: 27 });
    const rows = await expectExactlyOnce(world);
    const values = rows.map((row) => [placeOf(row), [row['referrer'], row['source']]]);
    expect(Object.fromEntries(values)).toEqual({
      '0/0': ['https://before/', null],
      '0/1': [null, 'https://after/'],
    });
  });
});
