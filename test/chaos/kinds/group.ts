import { openPlatformaticLog } from '../../../enrich/source/platformatic-log.ts';
import type { Pipeline } from '../../pipeline/command.ts';
import { stopCleanly } from '../../pipeline/command.ts';
import type { Kind, Round } from '../round.ts';

const rebalanceEveryMs = 2_000;
/** Processes start one after the other, and each must be seen to commit. */
const roundMsMax = 600_000;
const stateOf = (n: number): { state?: string } => (n === 1 ? {} : { state: `state-${n}` });

/** Starts so many processes one after the other, each with a state directory of its own. */
async function grow(round: Round, to: number): Promise<Pipeline[]> {
  const pipelines: Pipeline[] = [];
  for (let n = 1; n <= to; n += 1) {
    pipelines.push(await round.startCommitting(stateOf(n)));
    await sharesIn(round, pipelines.at(-1));
  }
  return pipelines;
}

/** Waits until a pipeline commits rows of its own. */
async function sharesIn(round: Round, pipeline: Pipeline | undefined): Promise<void> {
  const committed = (): Promise<number> =>
    pipeline?.metric('tributary_events_total{outcome="row"}') ?? Promise.resolve(0);
  const before = await committed();
  await round.until('it commits a share', async () => (await committed()) > before);
}

/** Makes the group assign its partitions anew by a member that comes, reads nothing, and goes. */
async function rebalance(round: Round, times: number): Promise<void> {
  const log = await openPlatformaticLog({
    brokers: round.endpoints.kafkaBrokers,
    clientId: 'intruder',
    random: () => round.random.float(),
    onFault: () => undefined,
  });
  const { group: groupId, topic } = round.names;
  try {
    const startMs = performance.now();
    const untilDue = (done: number): Promise<void> =>
      round.sleep(Math.max(0, startMs + done * rebalanceEveryMs - performance.now()));
    for (let done = 0; done < times; done += 2) {
      await untilDue(done);
      const member = await log.joinGroup({ groupId, topic, clientId: 'intruder' });
      await untilDue(done + 1);
      await member.leave();
      round.mustBeAlive();
    }
  } finally {
    await log.close();
  }
}

const kinds: Kind[] = [
  {
    name: 'group-grow-and-shrink',
    does: 'one process becomes four, one after the other, and one again, under load',
    roundMsMax,
    promise: 'each commits its share, and hands it over',
    inject: async (round) => {
      const [first, ...others] = await grow(round, 4);
      for (const pipeline of others) {
        await stopCleanly(pipeline);
        await sharesIn(round, first);
      }
    },
  },
  {
    name: 'group-kill-one-of-three',
    does: 'kill -9 of one of three processes, which comes back later',
    roundMsMax,
    promise: 'the others go on meanwhile; it takes its share again',
    inject: async (round) => {
      const [first, second, third] = await grow(round, 3);
      await second?.stop('SIGKILL');
      await sharesIn(round, first);
      await sharesIn(round, third);
      await sharesIn(round, await round.startCommitting(stateOf(2)));
    },
  },
  {
    name: 'group-kill-for-good',
    does: 'kill -9 of one of two processes, which does not come back',
    promise: 'the other takes over when its session ends',
    inject: async (round) => {
      const [first, second] = await grow(round, 2);
      await second?.stop('SIGKILL');
      await round.load.pause();
      await round.caughtUp(120_000);
      round.load.resume();
      await sharesIn(round, first);
    },
  },
  {
    name: 'group-rebalances',
    does: 'ten rebalances two seconds apart, with two processes',
    promise: 'commits go on in between',
    inject: async (round) => {
      await grow(round, 2);
      await rebalance(round, 10);
    },
  },
  {
    name: 'group-hundred-rebalances',
    does: 'a hundred rebalances two seconds apart',
    roundMsMax,
    promise: 'commits go on in between',
    inject: async (round) => {
      await round.startCommitting();
      await rebalance(round, 100);
    },
  },
];

export default kinds;
