import { describe, expect, it } from 'vitest';
import { exitCodeOf } from '../../../cli/exit-code.ts';
import type { ClickWorker } from '../../../enrich/worker/click-worker.ts';
import { batchRowsMax } from '../../../enrich/worker/click-intake.ts';
import { INTERVAL_MS, PARTITIONS, QUIET_MS, ROWS_MAX, World } from './harness.ts';
import { expectExactlyOnce } from './model.ts';
import { clickSchema, encodeClick } from './records.ts';

const TWO = { config: { workers: 2 } };

function clickAll(world: World, rows: number): void {
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    world.click(
      partition,
      Array.from({ length: rows }, () => ({})),
    );
  }
}

async function addedRows(world: World): Promise<number[]> {
  const { snapshots } = await world.metadata();
  return snapshots.map(({ summary }) => Number(summary['added-records'] ?? 0));
}

describe('several click workers', () => {
  it('commit all that they hold at once', async () => {
    const { world } = await World.started(TWO);
    clickAll(world, 2);
    await world.run(INTERVAL_MS + 500);
    expect(await addedRows(world)).toEqual([2 * PARTITIONS]);
    expect(await expectExactlyOnce(world)).toHaveLength(2 * PARTITIONS);
  });

  it('may be more than there are partitions', async () => {
    const { world, process } = await World.started({ config: { workers: PARTITIONS + 2 } });
    clickAll(world, 3);
    await world.run(QUIET_MS);
    expect(process.ended()).toBeUndefined();
    expect(await expectExactlyOnce(world)).toHaveLength(3 * PARTITIONS);
  });

  // INVARIANTS.md 12
  it('hold no more than one would', async () => {
    const { world, process } = await World.started(TWO);
    world.faults.commitDelayMs = 3_000;
    let most = 0;
    for (let wave = 0; wave < 20; wave += 1) {
      clickAll(world, 10);
      await world.run(200);
      most = Math.max(most, (await process.metrics.bufferedRows.get()).values[0]?.value ?? 0);
    }
    await world.run(QUIET_MS);
    expect(most).toBeGreaterThan(ROWS_MAX / 4);
    expect(most).toBeLessThanOrEqual(batchRowsMax({ rowsMax: ROWS_MAX }));
    expect(Math.max(...(await addedRows(world)))).toBeLessThanOrEqual(2 * ROWS_MAX);
    await expectExactlyOnce(world);
  });

  it('do not wait for each other: a schema that one lacks holds up its partition alone', async () => {
    const { world } = await World.started(TWO);
    clickAll(world, 1);
    await world.run(3_000);
    const wider = {
      ...clickSchema,
      fields: [...(clickSchema.fields ?? []), { name: 'extra', type: 'string' }],
    };
    const { schemaId } = await world.registry.register('wider-value', wider);
    world.faults.away.add('registry');
    const click = encodeClick(schemaId, { userId: 1, url: 'https://a/', deviceId: 'd1' });
    const value = Buffer.concat([click, Buffer.from([2, 0x78])]);
    world.log.append('clicks', 1, [{ key: null, value }]);
    await world.run(2_000);
    for (const partition of [0, 2]) world.click(partition, [{}]);
    await world.run(3_000);
    expect(await world.rows()).toHaveLength(PARTITIONS + 2);
    world.faults.away.clear();
    await world.run(QUIET_MS);
    expect(await world.rows()).toHaveLength(PARTITIONS + 3);
    expect(await world.deadLetters()).toEqual([]);
  });

  it('put the rejects of all into the dead-letter table', async () => {
    const { world } = await World.started(TWO);
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      world.reject(partition, [null]);
      world.click(partition, [{}]);
    }
    await world.run(QUIET_MS);
    expect(await world.deadLetters()).toHaveLength(PARTITIONS);
    expect(await expectExactlyOnce(world)).toHaveLength(PARTITIONS);
  });
});

it('a click worker that answers no more makes the process look dead, by its name', async () => {
  let hangs = false;
  const { world, process } = await World.started({
    ...TWO,
    wrapWorker: (worker: ClickWorker) => {
      const take = worker.take.bind(worker);
      worker.take = (wait) => (hangs ? new Promise(() => undefined) : take(wait));
      return worker;
    },
  });
  await world.run(200_000);
  expect(process.status.failure()).toBeUndefined();
  hangs = true;
  await world.run(200_000);
  expect(process.status.failure()).toMatch(/click worker 1 has been stuck/);
});

describe('a click worker that fails', () => {
  it.each(['take', 'seal', 'join', 'write'] as const)(
    'in %s, for a reason that is no fault of the infrastructure, stops the pipeline with 70',
    async (name) => {
      let fails = false;
      const { world, process } = await World.started({
        ...TWO,
        wrapWorker: (worker: ClickWorker) => {
          const call = worker[name].bind(worker) as (...args: unknown[]) => Promise<never>;
          worker[name] = (...args: unknown[]): Promise<never> =>
            fails ? Promise.reject(new Error('click worker 2 ended')) : call(...args);
          return worker;
        },
      });
      clickAll(world, 1);
      await world.run(3_000);
      fails = true;
      clickAll(world, 1);
      await world.run(5_000);
      const ended = process.ended();
      expect(ended).toMatchObject({ error: { message: 'click worker 2 ended' } });
      expect(exitCodeOf((ended as { error: unknown }).error)).toBe(70);
      fails = false;
      await world.start(TWO);
      await world.run(QUIET_MS);
      expect(await expectExactlyOnce(world)).toHaveLength(2 * PARTITIONS);
    },
  );

  it('to give a batch up, whose memory would be used again, stops the pipeline too', async () => {
    let failures = 0;
    const { world, process } = await World.started({
      wrapWorker: (worker: ClickWorker) => {
        worker.abandon = () => {
          failures += 1;
          return Promise.reject(new Error('no memory for another batch'));
        };
        return worker;
      },
    });
    world.faults.commitDelayMs = 60_000;
    clickAll(world, 1);
    await world.run(3_000);
    world.rebalance({ [process.name]: [0] });
    await world.run(30_000);
    expect(failures).toBeGreaterThan(0);
    expect(process.ended()).toMatchObject({ error: { message: 'no memory for another batch' } });
  });
});
