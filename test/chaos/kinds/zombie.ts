import type { Kind, Round } from '../round.ts';

/** Of the group: partitions of a silent member go to another one after this. */
const sessionMsMax = 45_000;

/**
 * Stops the first process with everything uploaded and its commit not yet sent, lets a successor commit the
 * same records, wakes the first one and leaves both at work.
 */
async function wakeAfterSuccessor(
  round: Round,
  startSuccessor: () => Promise<unknown>,
): Promise<void> {
  const zombie = await round.startCommitting();
  const point = { match: round.requests.manifestList('events'), at: 'applied' as const };
  await round.strike({ ...point, from: 1 + round.random.below(2) }, () => {
    process.kill(zombie.pid, 'SIGSTOP');
  });
  const before = await round.position();
  try {
    await startSuccessor();
    round.say('waits until the successor has every partition');
    await round.until(
      'the successor commits to every partition',
      async () => {
        const now = await round.position();
        return [...before].every(([partition, next]) => (now.get(partition) ?? 0n) > next);
      },
      sessionMsMax + 30_000,
    );
  } finally {
    process.kill(zombie.pid, 'SIGCONT');
  }
  await round.nextCommit();
}

const promise =
  'the batch of the one that comes late is dropped: it does not start at the position';

const kinds: readonly Kind[] = [
  {
    name: 'zombie-same-group',
    does: 'SIGSTOP with everything uploaded, a successor of the same group commits, SIGCONT',
    promise,
    inject: (round) =>
      wakeAfterSuccessor(round, async () => {
        await round.start({ state: 'state-2', proxy: await round.openProxy() });
      }),
  },
  {
    name: 'zombie-other-group',
    does: 'SIGSTOP with everything uploaded, a successor under another group id commits, SIGCONT',
    promise,
    inject: (round) =>
      wakeAfterSuccessor(round, async () => {
        const config = await round.variant((edited) => {
          edited.kafka.group += '-2';
        });
        await round.start({ config, state: 'state-2', proxy: await round.openProxy() });
      }),
  },
  {
    name: 'zombie-request',
    does: 'kill -9 with the commit under way in the network; it arrives after a successor has committed',
    promise: 'the catalog refuses it: its parent is no longer the head',
    inject: async (round) => {
      const dead = await round.startCommitting();
      await round.strike({ match: round.requests.commit('events'), at: 'before' }, async () => {
        await dead.stop('SIGKILL');
        const before = await round.committed();
        await round.start({ proxy: await round.openProxy() });
        await round.until(
          'the successor has committed',
          async () => (await round.committed()) > before,
        );
      });
    },
  },
  {
    name: 'zombie-request-meanwhile',
    does: 'kill -9 with the commit under way in the network; it arrives while a successor starts or commits',
    promise: 'either copy lands, not both',
    inject: async (round) => {
      const dead = await round.startCommitting();
      const waitMs = round.random.below(5_000);
      await round.strike({ match: round.requests.commit('events'), at: 'before' }, async () => {
        await dead.stop('SIGKILL');
        await round.start({ proxy: await round.openProxy() });
        await round.sleep(waitMs);
      });
    },
  },
  {
    name: 'two-same-group',
    does: 'two pipelines are started together in one group',
    promise: 'they share the partitions; each offset is committed by one of them',
    inject: async (round) => {
      const pair = await Promise.all([round.start(), round.start({ state: 'state-2' })]);
      await Promise.all(pair.map((pipeline) => pipeline.ready()));
      await round.nextCommit();
      await round.sleep(3_000 + round.random.below(3_000));
    },
  },
  {
    name: 'two-other-groups',
    does: 'two pipelines of one name are started together under different group ids',
    promise: 'both read everything; of two commits of one range the second is dropped',
    inject: async (round) => {
      const config = await round.variant((edited) => {
        edited.kafka.group += '-2';
      });
      const pair = await Promise.all([round.start(), round.start({ config, state: 'state-2' })]);
      await Promise.all(pair.map((pipeline) => pipeline.ready()));
      await round.nextCommit();
      await round.sleep(5_000 + round.random.below(3_000));
    },
  },
];

export default kinds;
