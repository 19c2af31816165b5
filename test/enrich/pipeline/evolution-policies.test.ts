import { describe, expect, it } from 'vitest';
import { ContractError } from '../../../schemas/error.ts';
import { INTERVAL_MS, QUIET_MS, World } from './harness.ts';
import type { Process } from './harness.ts';
import { expectExactlyOnce } from './model.ts';
import {
  clickWith,
  columnsOf,
  field,
  producer,
  sendAtOnce,
  valuesOf,
  withPolicy,
} from './producers.ts';
import { clickSchema } from './records.ts';

async function metricOf(process: Process, name: 'schemasPaused'): Promise<number> {
  return (await process.metrics[name].get()).values[0]?.value ?? 0;
}

describe('the policy', () => {
  const wider = clickWith(field('extra', 'string'));

  it('ignore: the field is skipped', async () => {
    const { world } = await World.started(withPolicy('ignore'));
    const before = await columnsOf(world);
    const { send } = await producer(world, wider);
    send(0, { extra: 'skipped' });
    await world.run(INTERVAL_MS + 500);
    expect(await expectExactlyOnce(world)).toHaveLength(1);
    expect(await columnsOf(world)).toEqual(before);
  });

  it('pause: its partition alone waits, seen in status, log and metric, until a restart takes it', async () => {
    const { world, process } = await World.started(withPolicy('pause'));
    const { schemaId, send } = await producer(world, wider);
    send(0, { extra: 'waits' });
    for (let round = 0; round < 5; round += 1) {
      world.click(0, [{}]);
      world.click(1, [{}]);
      await world.run(2_000);
    }
    expect(await world.rows(), 'the other partition').toHaveLength(5);
    expect(process.status.notes()).toEqual([
      expect.stringMatching(
        `^paused at schema ${schemaId} of topic clicks: field extra is not in the contract`,
      ),
    ]);
    expect(await metricOf(process, 'schemasPaused')).toBe(1);
    const told = process.lines.filter(({ message }) => String(message).includes('another schema'));
    expect(told).toMatchObject([{ level: 'warn', schemaId }]);
    process.stop();
    await world.run(5_000);
    const next = await world.start(withPolicy());
    await world.run(QUIET_MS);
    const rows = await expectExactlyOnce(world);
    expect(valuesOf(rows, 'extra')).toMatchObject({ '0/0': 'waits', '0/1': null });
    expect(next.status.notes()).toEqual([]);
  });

  it('pause: is over for whoever has given the partition away', async () => {
    const { world, process } = await World.started(withPolicy('pause'));
    const { send } = await producer(world, wider);
    world.rebalance({ p1: [0, 1, 2] });
    send(0, { extra: 'waits' });
    await world.run(2_000);
    expect(await metricOf(process, 'schemasPaused')).toBe(1);
    world.rebalance({ p1: [1, 2] });
    await world.run(2_000);
    expect(await metricOf(process, 'schemasPaused')).toBe(0);
    expect(process.status.notes()).toEqual([]);
  });

  it('pause: is not told of a partition that was given away while its schema was asked for', async () => {
    const { config } = withPolicy('pause');
    const { world, process } = await World.started({ config: { ...config, workers: 2 } });
    const { send } = await producer(world, wider);
    world.rebalance({ p1: [0, 1, 2] });
    world.click(1, [{}]);
    await world.run(2_000);
    const schemaById = world.registry.schemaById.bind(world.registry);
    world.registry.schemaById = async (id) => {
      await world.time.sleep(200);
      return schemaById(id);
    };
    send(0, { extra: 'waits' });
    await world.run(50);
    world.rebalance({ p1: [1, 2] });
    world.click(1, [{}]);
    await world.run(2_000);
    expect(await metricOf(process, 'schemasPaused')).toBe(0);
    expect(process.status.notes()).toEqual([]);
  });

  it('reject: its records are dead letters of their own kind', async () => {
    const { world, process } = await World.started(withPolicy('reject'));
    const { encode } = await producer(world, wider);
    world.reject(0, [encode({ extra: 'later' })]);
    world.click(0, [{}]);
    await world.run(INTERVAL_MS + 500);
    await expectExactlyOnce(world);
    expect(await world.deadLetters()).toMatchObject([
      {
        error_kind: 'schema-change',
        error_message: 'field extra is not in the contract (add-field)',
      },
    ]);
    expect(process.ended()).toBeUndefined();
  });

  it('fail: the pipeline commits what lies before and stops, and says what to do', async () => {
    const { world, process } = await World.started(withPolicy('fail'));
    const { schemaId, send } = await producer(world, wider);
    world.click(0, [{}]);
    send(0, { extra: 'stops' });
    await world.run(INTERVAL_MS + 500);
    expect(process.ended()).toMatchObject({
      error: {
        kind: 'schema-change',
        message: expect.stringMatching(
          `schema ${schemaId} of topic clicks differs from contract click: field extra .*stream.evolution`,
        ) as string,
      },
    });
    expect(await world.rows()).toHaveLength(1);
  });

  it.each(['pause', 'reject', 'fail'] as const)(
    '%s: lets through what is allowed',
    async (policy) => {
      const { world, process } = await World.started(withPolicy(policy, new Set(['add-field'])));
      const { send } = await producer(world, wider);
      send(0, { extra: 'taken' });
      await world.run(INTERVAL_MS + 500);
      expect(valuesOf(await expectExactlyOnce(world), 'extra')).toEqual({ '0/0': 'taken' });
      expect(process.ended()).toBeUndefined();
    },
  );

  it.each(['pause', 'reject', 'fail'] as const)(
    '%s: lets through what makes no difference',
    async (policy) => {
      const { world, process } = await World.started(withPolicy(policy));
      const same = {
        ...clickSchema,
        name: 'Tap',
        doc: 'another',
        fields: clickSchema.fields?.toReversed() ?? [],
      };
      const { send } = await producer(world, same);
      send(0, {});
      await world.run(INTERVAL_MS + 500);
      expect(await expectExactlyOnce(world)).toHaveLength(1);
      expect(process.ended()).toBeUndefined();
    },
  );
});

describe('in one record batch, what lies before a record that waits or stops', () => {
  const wider = clickWith(field('extra', 'string'));

  /** A click of a schema that nobody knows yet and that makes no difference, then one that does. */
  async function sendBoth(world: World): Promise<void> {
    const same = await producer(world, { ...clickSchema, name: 'Tap' });
    const other = await producer(world, wider);
    sendAtOnce(world, 0, [same.encode({}), other.encode({ extra: 'held up' }), same.encode({})]);
  }

  it('is taken where it waits, and the rest is once it may be', async () => {
    const { world, process } = await World.started(withPolicy('pause'));
    await sendBoth(world);
    await world.run(INTERVAL_MS + 500);
    expect(await world.rows()).toHaveLength(1);
    expect(process.status.notes()).toHaveLength(1);
    process.stop();
    await world.run(5_000);
    await world.start(withPolicy());
    await world.run(QUIET_MS);
    expect(valuesOf(await expectExactlyOnce(world), 'extra')).toEqual({
      '0/0': null,
      '0/1': 'held up',
      '0/2': null,
    });
  });

  it('is committed where it stops', async () => {
    const { world, process } = await World.started(withPolicy('fail'));
    await sendBoth(world);
    await world.run(INTERVAL_MS + 500);
    expect(process.ended()).toMatchObject({ error: { kind: 'schema-change' } });
    expect(await world.rows()).toHaveLength(1);
  });

  it('is taken where the registry has no answer for a schema further on', async () => {
    const { world } = await World.started(withPolicy());
    const same = await producer(world, { ...clickSchema, name: 'Tap' });
    const other = await producer(world, wider);
    const schemaById = world.registry.schemaById.bind(world.registry);
    let isAway = true;
    world.registry.schemaById = async (id) => {
      if (isAway && id === other.schemaId) throw new ContractError('unavailable', 'no answer');
      return schemaById(id);
    };
    sendAtOnce(world, 0, [same.encode({}), other.encode({ extra: 'later' })]);
    await world.run(INTERVAL_MS + 500);
    expect(await world.rows()).toHaveLength(1);
    isAway = false;
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(2);
  });
});
