import type { ComponentName } from '../../../stack/components.ts';
import { compareWithSource } from '../compare-with-source.ts';
import type { Kind, Round } from '../round.ts';

const minuteMs = 60_000;

type Gone = { component: ComponentName; what: string; promise: string };

const gone: readonly Gone[] = [
  { component: 'catalog', what: 'the catalog', promise: 'commits wait and go on' },
  { component: 's3', what: 'the object store', promise: 'uploads wait and go on' },
  { component: 'kafka', what: 'the broker', promise: 'reading goes on where it was' },
  { component: 'registry', what: 'the registry', promise: 'known schemas keep flowing without it' },
];

/** The load cannot be sent while the broker is away. */
async function without(round: Round, component: ComponentName, ms: number): Promise<void> {
  if (component === 'kafka') await round.load.pause();
  if (ms === 0) return round.stack.restart(component);
  await round.stack.kill(component);
  try {
    round.say(`${component} is gone for ${ms / 1000} s`);
    if (component === 'registry') await round.nextCommit();
    await round.sleep(ms);
    round.mustBeAlive();
  } finally {
    await round.stack.start(component);
  }
}

const stackKinds = gone.flatMap(({ component, what, promise }): Kind[] => [
  {
    name: `${component}-restarted`,
    does: `${what} is stopped and started again under load, twice`,
    promise,
    inject: async (round) => {
      await round.startCommitting();
      await without(round, component, 0);
      round.load.resume();
      await round.nextCommit();
      await without(round, component, 0);
    },
  },
  {
    name: `${component}-gone-for-a-minute`,
    does: `kill -9 of ${what}, which comes back after a minute`,
    promise,
    inject: async (round) => {
      await round.startCommitting();
      await without(round, component, minuteMs);
    },
  },
]);

/** What Connect tells a second time, from its last stored place on, must change nothing. */
const connectPromise = 'the dimensions catch up: clicks join what the source holds';

const kinds: readonly Kind[] = [
  ...stackKinds,
  {
    name: 'connect-restarted',
    does: 'Kafka Connect is stopped and started again amid changes, and then killed',
    promise: connectPromise,
    needs: ['postgres', 'connect', 'trino'],
    dimensions: 'debezium',
    inject: async (round) => {
      await round.startCommitting();
      await round.stack.restart('connect');
      await round.nextCommit();
      await round.stack.kill('connect');
      await round.stack.start('connect');
      await compareWithSource(round);
    },
  },
  {
    name: 'connect-gone-for-a-minute',
    does: 'kill -9 of Kafka Connect, which comes back after a minute of changes',
    promise: connectPromise,
    needs: ['postgres', 'connect', 'trino'],
    dimensions: 'debezium',
    load: { changesPerSecond: 50 },
    inject: async (round) => {
      await round.startCommitting();
      await without(round, 'connect', minuteMs);
      await compareWithSource(round);
    },
  },
];

export default kinds;
