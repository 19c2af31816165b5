import type { Action, RequestMatch } from '../proxy.ts';
import type { Kind } from '../round.ts';

const anything: RequestMatch = { peer: 'registry' };

/** A process that starts while the registry fails: it must wait, say so, and go on by itself. */
function registryFails(name: string, does: string, action: Action): Kind {
  return {
    name,
    does,
    promise: 'the pipeline lives, is not ready, says what it waits for, and goes on by itself',
    inject: async (round) => {
      const rule = round.arm({ match: anything, at: 'before', action, times: Infinity });
      const pipeline = await round.start();
      await round.struck(rule);
      await round.sleep(3_000);
      const [alive, ready] = await Promise.all([
        fetch(`${pipeline.url}/livez`),
        fetch(`${pipeline.url}/readyz`),
      ]);
      if (!alive.ok || ready.ok) throw new Error(`livez ${alive.status}, readyz ${ready.status}`);
      if ((await round.committed()) > 0) throw new Error('it has committed without the registry');
      rule.remove();
      await pipeline.ready();
    },
  };
}

/** Faults of the connections to Kafka while the pipeline runs on. */
function kafkaFails(
  { name, does }: Pick<Kind, 'name' | 'does'>,
  match: RequestMatch,
  action: Action,
  fromMax = 10,
): Kind {
  return {
    name,
    does,
    promise: 'what was not delivered is read again, what was is not',
    inject: async (round) => {
      await round.startCommitting();
      for (let turn = 0; turn < 4; turn += 1) {
        const from = 1 + round.random.below(fromMax);
        await round.struck(round.arm({ match, at: 'applied', action, from }));
      }
      await round.nextCommit(90_000);
    },
  };
}

const fetches: RequestMatch = { peer: 'kafka', method: 'Fetch' };

const kinds: readonly Kind[] = [
  registryFails('registry-500', 'a pipeline starts while the registry answers with 500', {
    kind: 'answer',
    status: 500,
    body: '{"error_code":50001,"message":"made up"}',
  }),
  registryFails('registry-hang', 'a pipeline starts while the registry never answers', {
    kind: 'hang',
  }),
  {
    name: 'registry-away',
    does: 'the registry is away while the pipeline runs and is killed once',
    promise:
      'clicks of known schemas keep flowing; the killed one goes on when the registry is back',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      round.proxy.refuse('registry');
      await round.nextCommit();
      await round.nextCommit();
      await pipeline.stop('SIGKILL');
      await round.start();
      await round.sleep(3_000);
      round.proxy.admit('registry');
    },
  },
  kafkaFails(
    { name: 'kafka-reset-fetch', does: 'answers of fetches are lost with their connection' },
    fetches,
    {
      kind: 'reset',
    },
  ),
  kafkaFails(
    { name: 'kafka-slow-fetch', does: 'answers of fetches are two seconds late' },
    fetches,
    {
      kind: 'delay',
      ms: 2_000,
    },
  ),
  {
    name: 'kafka-reset-all',
    does: 'every connection to Kafka is reset, again and again',
    promise: 'what was not delivered is read again, what was is not',
    inject: async (round) => {
      await round.startCommitting();
      for (let turn = 0; turn < 8; turn += 1) {
        round.proxy.drop('kafka');
        await round.sleep(200 + round.random.below(800));
      }
      await round.nextCommit(90_000);
    },
  },
  kafkaFails(
    {
      name: 'kafka-reset-group-offsets',
      does: 'the connection is reset when group offsets have been stored',
    },
    { peer: 'kafka', method: 'OffsetCommit' },
    { kind: 'reset' },
    2,
  ),
];

export default kinds;
