import { openEvolvedClicks } from '../evolved-clicks.ts';
import type { EvolvedClicks, Stage } from '../evolved-clicks.ts';
import type { Action } from '../proxy.ts';
import type { Kind, Round } from '../round.ts';
import { answer } from './catalog.ts';

const stageOrder: readonly Stage[] = ['added', 'widened'];
/** Clicks of a new schema that the topic has before the fault strikes. */
const clicksMin = 200;
const waitMsMax = 120_000;

/**
 * The producer adds a field and later widens another, and each time the commits that carry it are struck. The rows' own
 * values of both columns are proved beside all else.
 */
function evolving(
  kind: Pick<Kind, 'name' | 'does' | 'promise'>,
  strike: (round: Round) => Promise<void>,
): Kind {
  const opened = new WeakMap<Round, EvolvedClicks>();
  return {
    ...kind,
    inject: async (round) => {
      const clicks = await openEvolvedClicks(round);
      opened.set(round, clicks);
      await round.startCommitting();
      for (const stage of stageOrder) {
        round.load.through(await clicks.switchTo(stage));
        await round.until(`${clicksMin} clicks ${stage}`, () => clicks.count(stage) >= clicksMin);
        await strike(round);
        await round.until(`the table has what is ${stage}`, () => clicks.isIn(stage), waitMsMax);
      }
    },
    prove: async (round) => {
      const proof = await round.prove();
      return (await opened.get(round)?.prove(proof)) ?? proof;
    },
  };
}

/** The second process is killed at its first commit, which carries what the first one could not. */
async function killTwice(round: Round): Promise<void> {
  for (let kill = 0; kill < 2; kill += 1) {
    const at = (['before', 'applied', 'answered'] as const)[round.random.below(3)] ?? 'before';
    const killing = round.strike({ match: round.requests.commit('events'), at }, async () => {
      await Promise.all(round.pipelines().map((pipeline) => pipeline.stop('SIGKILL')));
      return at === 'before' ? 'drop' : undefined;
    });
    if (round.pipelines().length === 0) await round.start();
    await killing;
  }
  await round.start();
}

const faults: readonly Action[] = [
  answer(409),
  answer(500),
  answer(503),
  { kind: 'reset' },
  { kind: 'cut' },
];

/** One sort of fault after the other, at one or two commits each, as the catalog has seen them or has not. */
async function troubleCatalog(round: Round): Promise<void> {
  for (let fault = 0; fault < 2; fault += 1) {
    const at = round.random.chance(0.5) ? 'before' : 'applied';
    const action = faults[round.random.below(faults.length)] ?? answer(500);
    const times = 1 + round.random.below(2);
    const match = round.requests.commit('events');
    await round.struck(round.arm({ match, at, action, times }), times);
  }
  await round.nextCommit(waitMsMax);
}

const once = 'the column comes with the first rows that carry it, once, and each row has its value';

const kinds: readonly Kind[] = [
  evolving(
    {
      name: 'evolve-kill',
      does: 'producers add a field, then widen another; kill -9 at the commits that bring each',
      promise: once,
    },
    killTwice,
  ),
  evolving(
    {
      name: 'evolve-catalog',
      does: 'producers add a field, then widen another; the commits that bring each meet faults of the catalog',
      promise: once,
    },
    troubleCatalog,
  ),
];

export default kinds;
