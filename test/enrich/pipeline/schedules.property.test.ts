import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SendFault } from './faulty-ports.ts';
import { PARTITIONS, QUIET_MS, World } from './harness.ts';
import type { Process } from './harness.ts';
import { expectExactlyOnce } from './model.ts';
import type { DimensionName, SourceRow } from './records.ts';

/** Few keys, so that clicks hit, rows change and urls collide often. */
const KEYS = 4;
const SLOTS = 2;

const key = fc.integer({ min: 1, max: KEYS });
const partition = fc.integer({ min: 0, max: PARTITIONS - 1 });
const away = fc.constantFrom('log', 'dimension topics', 'registry', 'catalog', 'store', 'state');
const fault = fc.constantFrom<SendFault>(
  'apply',
  'fail',
  'apply-then-fail',
  'apply-twice',
  'conflict',
  'delay',
  'crash-before',
  'crash-after',
  'freeze-before',
);

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('clicks' as const),
      partition,
      keys: fc.array(key, { minLength: 1, maxLength: 60 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('rejects' as const),
      partition,
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('invisible' as const),
      partition,
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      dimension: fc.constantFrom<DimensionName>('users', 'devices', 'urls'),
      key,
      value: fc.option(fc.integer({ min: 0, max: 99 })),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.integer({ min: 10, max: 3_000 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('fault' as const),
      fault,
      table: fc.constantFrom('clicks', 'clicks_dead_letter'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deliver' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('replace' as const),
      slot: fc.integer({ min: 0, max: SLOTS - 1 }),
      gently: fc.boolean(),
      keepsState: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('pause' as const),
      slot: fc.integer({ min: 0, max: SLOTS - 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('rebalance' as const),
      owners: fc.array(fc.integer({ min: 0, max: SLOTS - 1 }), {
        minLength: PARTITIONS,
        maxLength: PARTITIONS,
      }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('away' as const),
      what: away,
      ms: fc.integer({ min: 100, max: 20_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('slow' as const),
      commitDelayMs: fc.constantFrom(0, 300, 4_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('others' as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A world with two processes that come, go, freeze and thaw. */
class Play {
  readonly world: World;
  readonly #running: Process[] = [];
  readonly #old: Process[] = [];
  #states = 0;
  readonly #stateOf: string[] = [];
  #names = 0;

  private constructor(world: World) {
    this.world = world;
  }

  static async open(): Promise<Play> {
    const play = new Play(await World.open());
    for (let slot = 0; slot < SLOTS; slot += 1) await play.#fill(slot, false);
    return play;
  }

  async #fill(slot: number, keepsState: boolean): Promise<void> {
    const kept = keepsState ? this.#stateOf[slot] : undefined;
    const state = kept ?? `state-${this.#states++}`;
    this.#stateOf[slot] = state;
    this.#running[slot] = await this.world.start({ name: `process-${this.#names++}`, state });
  }

  async #replace(slot: number, options: { gently: boolean; keepsState: boolean }): Promise<void> {
    const old = this.#running[slot];
    if (old === undefined) return;
    // A state belongs to one process: a stopped one lets go of it only when it has ended.
    const mayKeep = options.keepsState && !options.gently;
    if (options.gently && old.life.alive) old.stop();
    else old.kill();
    this.#old.push(old);
    await this.#fill(slot, mayKeep);
  }

  /** Starts anew what has died by itself at a commit. */
  async #revive(): Promise<void> {
    for (const [slot, process] of this.#running.entries()) {
      if (!process.life.alive) await this.#replace(slot, { gently: false, keepsState: slot === 0 });
    }
  }

  async play(step_: Step): Promise<void> {
    const { world } = this;
    switch (step_.kind) {
      case 'clicks':
        return world.click(step_.partition, step_.keys.map(clickOf));
      case 'rejects':
        return world.reject(
          step_.partition,
          Array.from({ length: step_.count }, () => null),
        );
      case 'invisible':
        return world.log.appendInvisible('clicks', step_.partition, step_.count);
      case 'change':
        return changeRow(world, step_);
      case 'wait':
        await world.run(step_.ms);
        return this.#revive();
      case 'fault':
        return injectOnce(world, step_);
      case 'deliver':
        world.catalog.deliverDelayed();
        return;
      case 'replace':
        return this.#replace(step_.slot, step_);
      case 'pause': {
        const { life } = this.#running[step_.slot] ?? {};
        life?.freeze();
        return;
      }
      case 'rebalance':
        return this.#rebalance(step_.owners);
      case 'away':
        world.faults.away.add(step_.what);
        await world.run(step_.ms);
        world.faults.away.delete(step_.what);
        return;
      case 'slow':
        world.faults.commitDelayMs = step_.commitDelayMs;
        return;
      case 'others':
        if ((await world.metadataIfAny()) !== undefined) await world.commitByOthers();
    }
  }

  #rebalance(owners: readonly number[]): void {
    const assignment: Record<string, number[]> = {};
    for (const [slot, { name }] of this.#running.entries()) {
      assignment[name] = owners.flatMap((owner, of) => (owner === slot ? [of] : []));
    }
    this.world.rebalance(assignment);
  }

  /** All thaws, what was delayed arrives, and one process owns everything until all is committed. */
  async end(): Promise<void> {
    const { world } = this;
    world.faults.commit = () => 'apply';
    world.faults.commitDelayMs = 0;
    for (const { life } of [...this.#running, ...this.#old]) life.thaw();
    await world.run(QUIET_MS);
    world.catalog.deliverDelayed();
    await this.#revive();
    await world.run(QUIET_MS);
    this.#rebalance([0, 0, 0]);
    await world.run(QUIET_MS);
    const failure = this.#running.map(({ ended }) => ended()).find((end) => end !== undefined);
    if (failure !== undefined) throw new Error('a process ended', { cause: failure });
  }
}

function clickOf(n: number) {
  const urls = ['https://a/', 'HTTPS://A/#x', 'https://b/', 'https://nowhere/'];
  return { userId: n, deviceId: `d${n}`, url: urls[n - 1] ?? 'https://a/' };
}

function changeRow(
  world: World,
  { dimension, key: n, value }: { dimension: DimensionName; key: number; value: number | null },
): void {
  const rowKey = dimension === 'devices' ? `d${n}` : n;
  const rows: Record<DimensionName, SourceRow> = {
    users: { name: `user ${value}`, birth_year: value },
    devices: { os: `os ${value}` },
    urls: { url: n < 3 ? 'https://a/' : 'https://b/', title: `title ${value}` },
  };
  world.change(dimension, rowKey, value === null ? undefined : rows[dimension]);
}

/** The next commit to the table meets the fault; the one before it, if it has not yet, does not. */
function injectOnce(world: World, wish: { fault: SendFault; table: string }): void {
  let met = false;
  world.faults.commit = ({ identifier }) => {
    if (met || identifier.name !== wish.table) return 'apply';
    met = true;
    return wish.fault;
  };
}

// INVARIANTS.md 2, 3, 4, 5, 7
describe('whatever happens', () => {
  it('every offset is one row or one dead letter, and every row right for its commit', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }),
        async (steps) => {
          const play = await Play.open();
          for (const one of steps) await play.play(one);
          await play.end();
          const rows = await expectExactlyOnce(play.world);
          expect(rows.length).toBeLessThanOrEqual(play.world.stream.length);
        },
      ),
      { numRuns: 25 },
    );
  }, 120_000);
});
