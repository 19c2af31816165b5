import type { CommitTableRequest } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import { describe, expect, it } from 'vitest';
import type { SendFault } from './faulty-ports.ts';
import { placeOf, QUIET_MS, World } from './harness.ts';
import { expectExactlyOnce } from './model.ts';

const isEvents = ({ identifier }: CommitTableRequest): boolean => identifier.name === 'clicks';

/** The faults in order, each for one sending; then all is well. */
function oneByOne(world: World, faults: SendFault[], matches = isEvents): void {
  world.faults.commit = (request) => (matches(request) ? (faults.shift() ?? 'apply') : 'apply');
}

async function flow(world: World, batches: number): Promise<void> {
  for (let batch = 0; batch < batches; batch += 1) {
    world.click(batch % 3, [{}, {}, {}]);
    world.reject(batch % 3, [null]);
    await world.run(1_500);
  }
}

// INVARIANTS.md 2, 4, 5
describe('nothing is lost or doubled', () => {
  const cases: [string, SendFault[]][] = [
    ['the request is lost', ['fail']],
    ['the request is lost again and again', ['fail', 'fail', 'fail', 'fail']],
    ['the answer is lost', ['apply-then-fail']],
    ['the request is repeated on its way', ['apply-twice']],
    ['another writer was faster', ['conflict', 'conflict', 'conflict']],
    ['the request is lost, then the answer', ['fail', 'apply-then-fail']],
    ['the answer is lost after lost races', ['conflict', 'apply-then-fail', 'conflict']],
  ];

  it.each(cases)('when %s', async (_name, faults) => {
    const { world } = await World.started();
    oneByOne(world, faults);
    await flow(world, 4);
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(12);
    expect(faults).toEqual([]);
  });

  it.each(cases)('in the dead-letter table when %s', async (_name, faults) => {
    const { world } = await World.started();
    oneByOne(world, faults, (request) => !isEvents(request));
    await flow(world, 4);
    await world.run(QUIET_MS);
    await expectExactlyOnce(world);
    expect(faults).toEqual([]);
  });

  it('when a request that was given up arrives after all', async () => {
    const { world } = await World.started();
    oneByOne(world, ['delay']);
    await flow(world, 2);
    world.catalog.deliverDelayed();
    await flow(world, 2);
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(12);
  });

  it('when a request of a dead process arrives after its successor has started', async () => {
    const { world, process } = await World.started();
    oneByOne(world, ['delay', 'delay', 'delay', 'delay', 'delay', 'delay']);
    await flow(world, 1);
    process.kill();
    await world.start();
    await world.run(900);
    world.catalog.deliverDelayed();
    world.faults.commit = () => 'apply';
    await flow(world, 2);
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(9);
  });

  it.each(['crash-before', 'crash-after'] as const)(
    'when the process dies at its commit: %s',
    async (fault) => {
      const { world, process } = await World.started();
      await flow(world, 2);
      oneByOne(world, [fault]);
      await flow(world, 1);
      expect(process.life.alive).toBe(false);
      process.kill();
      await world.start();
      await flow(world, 2);
      await world.run(QUIET_MS);
      expect(await expectExactlyOnce(world)).toHaveLength(15);
    },
  );

  it('when the successor of a dead process has lost the state', async () => {
    const { world, process } = await World.started();
    world.change('users', 1, { name: 'ann' });
    await flow(world, 2);
    world.click(0, [{}]);
    await world.run(200);
    process.kill();
    world.change('users', 1, { name: 'anna' });
    await world.start({ state: 'empty' });
    await flow(world, 2);
    await world.run(QUIET_MS);
    const rows = await expectExactlyOnce(world);
    expect(new Set(rows.map((row) => row['user_name']))).toEqual(new Set(['ann', 'anna']));
  });

  it('when catalog, store, registry, state and log are away by turns', async () => {
    const { world, process } = await World.started();
    for (const name of ['catalog', 'store', 'registry', 'state', 'log'] as const) {
      world.faults.away.add(name);
      world.change('users', 1, { name });
      await flow(world, 2);
      world.faults.away.delete(name);
      await world.run(QUIET_MS);
    }
    expect(process.ended()).toBeUndefined();
    expect(await expectExactlyOnce(world)).toHaveLength(30);
  });

  it('when a put fails in the middle of a flush', async () => {
    const { world } = await World.started();
    const { store } = world;
    const put = store.put.bind(store);
    let failures = 3;
    store.put = async (location, bytes, options) => {
      if (failures-- > 0) world.faults.away.add('store');
      await put(location, bytes, options);
    };
    await flow(world, 1);
    world.faults.away.clear();
    store.put = put;
    await world.run(QUIET_MS);
    expect(await expectExactlyOnce(world)).toHaveLength(3);
  });
});

describe('other writers of the table', () => {
  it('may commit, and expire every snapshot of ours, without any offset being lost', async () => {
    const { world, process } = await World.started();
    await flow(world, 2);
    await world.run(QUIET_MS);
    await world.commitByOthers();
    await flow(world, 1);
    await world.commitByOthers();
    await world.expireAllButHead();
    await flow(world, 1);
    process.kill();
    await world.start();
    await flow(world, 1);
    await world.run(QUIET_MS);
    const places = (await world.rows()).map(placeOf);
    expect(new Set(places).size).toBe(15);
    expect(places).toHaveLength(15);
  });
});
