import { expect, it } from 'vitest';
import { PipelineStatus } from '../../../enrich/pipeline/pipeline-status.ts';
import { World } from './harness.ts';

const clock = {
  nowMs: () => 0,
  elapsedMs: () => 0,
  random: () => 0,
  newId: () => 'id',
  sleep: async (): Promise<void> => undefined,
};

it('names what is away, before, during and after the wait for readiness', () => {
  const status = new PipelineStatus(clock);
  expect(status.waitingFor()).toBe('starting');
  status.trouble('the catalog', 'no answer');
  expect(status.waitingFor()).toBe('the catalog: no answer');
  status.ready();
  expect(status.waitingFor()).toBe('the catalog: no answer');
  status.overcome('the catalog');
  expect(status.waitingFor()).toBeUndefined();
});

it('fails once a loop has not turned for minutes, unless what it waits for is at work', () => {
  let elapsedMs = 0;
  const status = new PipelineStatus({ ...clock, elapsedMs: () => elapsedMs });
  const after = (ms: number) => (elapsedMs += ms);
  // A loop that does not turn yet cannot be stuck.
  status.atWork('feed');
  after(1_000_000);
  expect(status.failure()).toBeUndefined();
  status.turned('feed');
  status.turned('clicks');
  after(170_000);
  status.atWork('feed');
  status.turned('clicks');
  after(170_000);
  expect(status.failure()).toBeUndefined();
  after(20_000);
  expect(status.failure()).toBe('feed has been stuck for 190 s');
  status.stopping();
  expect([status.failure(), status.waitingFor()]).toEqual([undefined, 'stopping']);
});

it('is not ready, and says why, while the catalog is away at the start', async () => {
  const world = await World.open();
  world.faults.away.add('catalog');
  const process = await world.start();
  await world.run(5_000);
  expect(process.status.waitingFor()).toMatch(/^opening topics and tables: .*catalog/);
  world.faults.away.clear();
  await world.run(60_000);
  expect(process.status.waitingFor()).toBeUndefined();
});

it('is not ready, and says why, while the group cannot be joined', async () => {
  const world = await World.open();
  const joinGroup = world.log.joinGroup.bind(world.log);
  world.log.joinGroup = async () => {
    throw Object.assign(new Error('the coordinator is loading'), { kind: 'unavailable' });
  };
  const process = await world.start();
  await world.run(60_000);
  expect(process.status.waitingFor()).toBe(
    'joining the consumer group: the coordinator is loading',
  );
  world.log.joinGroup = joinGroup;
  await world.run(60_000);
  expect(process.status.waitingFor()).toBeUndefined();
});
