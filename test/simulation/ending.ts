import type { Random } from '../../generate/random.ts';
import { checkChangeRejects, checkComplete } from './commit-checks.ts';
import { LOOK_EVERY_MS, PATIENCE_MS } from './supervisor.ts';
import type { Supervisor } from './supervisor.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

/** What a schedule hands over to its ending. */
export type Ending = {
  world: World;
  random: Random;
  supervisor: Supervisor;
  /** The stream that is written to. */
  stream: string;
  /** Writes a click to every partition of a stream. */
  clickAll: (stream: string) => void;
  /** Writes a change of some row. */
  change: () => void;
};

/**
 * All heals. What the pipeline must not survive has stopped it, and the remedy that its error names works. Then
 * everything comes to rest: every offset one row or one dead letter, every state what the source is.
 */
export async function endSchedule(ending: Ending): Promise<void> {
  const { world, supervisor } = ending;
  world.tell('all heals');
  world.weather.clear();
  // The change that told of it may have been read by a process that died before it could remember.
  world.notify('COMPLETED');
  supervisor.thaw();
  await deliverAll(world);
  await world.run(LOOK_EVERY_MS);
  supervisor.revive();
  const stream = await catastrophe(ending);
  supervisor.giveAllToFirst();
  await comeToRest({ ...ending, stream });
  checkStates(ending);
}

/** Lets every commit arrive that is on its way. */
export async function deliverAll(world: World): Promise<void> {
  for (const { send } of world.delayed.splice(0)) {
    world.tell('a delayed commit arrives');
    await send().catch(() => undefined);
  }
}

/** At most one thing that stops the pipeline; returns the stream to be read after it. */
async function catastrophe(ending: Ending): Promise<string> {
  const { world, random, supervisor, stream } = ending;
  if (supervisor.mustStop !== undefined) return acceptRollBack(ending);
  const hasCommitted = world.surroundings?.events.states.has(supervisor.pipeline) === true;
  switch (hasCommitted ? random.below(20) : -1) {
    case 0:
      return recreateTopic(ending);
    case 1:
      return changeCluster(ending);
    case 2:
      return recreateTable(ending);
    default:
      return stream;
  }
}

async function acceptRollBack({ world, supervisor, stream, clickAll }: Ending): Promise<string> {
  clickAll(stream);
  supervisor.giveAllToFirst();
  await supervisor.expectStop();
  world.tell('the roll-back is accepted');
  supervisor.acceptRollback = true;
  world.rolledBack = false;
  startAll(supervisor);
  return stream;
}

/** Fewer, as many or more records than before: another topic all the same (INVARIANTS.md 9). */
async function recreateTopic({ world, random, supervisor, clickAll }: Ending): Promise<string> {
  world.tell('the topic is recreated');
  supervisor.mustStop = { message: /recreated|deleted/, invariant: 9 };
  const stream = await world.recreateStream();
  for (let n = random.below(6); n >= 0; n -= 1) clickAll(stream);
  await supervisor.expectStop();
  supervisor.pipeline = 'clicks-2';
  startAll(supervisor);
  return stream;
}

async function changeCluster(ending: Ending): Promise<string> {
  const { world, random, supervisor, clickAll, change } = ending;
  world.tell('another cluster answers');
  supervisor.killAll();
  supervisor.mustStop = {
    message: /is not the cluster|was built from another/,
    invariant: 9,
  };
  const stream = await world.changeCluster();
  for (let n = random.below(6); n >= 0; n -= 1) clickAll(stream);
  for (let n = random.below(3); n > 0; n -= 1) change();
  const keepsState = random.chance(0.3);
  for (const [slot, { state }] of supervisor.slots.entries()) {
    supervisor.restart(slot, keepsState ? state : undefined);
  }
  supervisor.giveAllToFirst();
  await supervisor.expectStop();
  supervisor.pipeline = 'clicks-2';
  for (const slot of supervisor.slots.keys()) supervisor.restart(slot, undefined);
  return stream;
}

async function recreateTable({ world, supervisor, stream, clickAll }: Ending): Promise<string> {
  // Only who has opened the old one can notice.
  const last = world.surroundings?.events.states.get(supervisor.pipeline)?.commitId ?? '';
  const isOpen = supervisor.slots.some(({ name }) => last.startsWith(`${name}-`));
  if (!isOpen || !(await world.recreateTable())) return stream;
  world.tell('the table is recreated');
  supervisor.mustStop = { message: /recreated|is gone/, invariant: 9 };
  clickAll(stream);
  supervisor.giveAllToFirst();
  await supervisor.expectOneEnd();
  startAll(supervisor);
  return stream;
}

function startAll(supervisor: Supervisor): void {
  for (const [slot, { state }] of supervisor.slots.entries()) supervisor.restart(slot, state);
}

async function comeToRest(ending: Ending): Promise<void> {
  const { world, supervisor } = ending;
  const untilMs = world.time.nowMs() + PATIENCE_MS;
  for (let calm = 0; calm < 2;) {
    await deliverAll(world);
    // Also what met its freeze only when it went on.
    supervisor.thaw();
    await world.run(LOOK_EVERY_MS);
    supervisor.revive();
    const left = whatIsLeft(ending);
    calm = left === undefined ? calm + 1 : 0;
    if (left !== undefined && world.time.nowMs() > untilMs) throw left;
  }
}

/** Why the world is not at rest yet; undefined once it is. */
function whatIsLeft({ world, supervisor, stream }: Ending): Violation | undefined {
  const { surroundings, truth } = world;
  const next = surroundings?.events.states.get(supervisor.pipeline)?.next;
  for (const [partition, entries] of (truth.streams.get(stream) ?? []).entries()) {
    if ((next?.get(partition) ?? 0) >= entries.length) continue;
    const where = `partition ${partition} stands at ${next?.get(partition)} of ${entries.length}`;
    return new Violation(0, where);
  }
  for (const { state } of supervisor.slots) {
    const { model } = world.state(state);
    for (const dimension of world.size.dimensions) {
      for (const [partition, entries] of (truth.changes.get(dimension) ?? []).entries()) {
        if (model.next(dimension, partition) >= entries.length) continue;
        return new Violation(0, `${state} has not read ${dimension}-${partition}`);
      }
    }
  }
  if (surroundings === undefined) return undefined;
  try {
    // Dead letters of another cluster's topics bear the same names.
    if (world.clusterId === 'cluster-1') checkChangeRejects(surroundings);
    checkComplete(surroundings, supervisor.pipeline);
    return undefined;
  } catch (error) {
    if (error instanceof Violation) return error;
    throw error;
  }
}

function checkStates({ world, supervisor }: Ending): void {
  for (const { state } of supervisor.slots) {
    const { model } = world.state(state);
    for (const dimension of world.size.dimensions) {
      const live = model.liveRows(dimension);
      for (const [rowKey, { row }] of world.truth.rows(dimension)) {
        if (live.get(rowKey)?.value === row?.value) continue;
        throw new Violation(
          8,
          `${state} has ${live.get(rowKey)?.value ?? 'no row'} for ${dimension} ${rowKey}, the source has ` +
            (row?.value ?? 'none'),
        );
      }
    }
  }
}
