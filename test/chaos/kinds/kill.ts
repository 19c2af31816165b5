import type { Stage } from '../proxy.ts';
import type { Kind, Requests } from '../round.ts';

const promise = 'the next process goes on from what the table says';

/** kill -9 while one named request of the commit path is held at a stage. */
function killAt(
  name: string,
  does: string,
  at: Stage,
  request: (requests: Requests) => Requests['fetch'],
): Kind {
  return {
    name,
    does,
    promise,
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      const from = 1 + round.random.below(3);
      round.say(`kills at request ${from}`);
      await round.strike({ match: request(round.requests), at, from }, () =>
        pipeline.stop('SIGKILL'),
      );
    },
  };
}

const kinds: readonly Kind[] = [
  killAt(
    'kill-commit-before',
    'kill -9 when the commit of the events table is ready to go out',
    'before',
    (requests) => requests.commit('events'),
  ),
  killAt(
    'kill-commit-applied',
    'kill -9 when the catalog has applied the commit and before its answer',
    'applied',
    (requests) => requests.commit('events'),
  ),
];

export default kinds;
