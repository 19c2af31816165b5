import fc from 'fast-check';
import { assert, describe, expect, it } from 'vitest';
import type { Change } from '../../../connectors/change.ts';
import type { DimensionDefinition } from '../../../enrich/state/dimension-record.ts';
import { openDimensionState } from '../../../enrich/state/dimension-state.ts';
import type { DimensionState } from '../../../enrich/state/dimension-state.ts';
import type { KeyValueStore } from '../../../enrich/state/key-value-store.ts';
import { openMemoryStore } from '../../../enrich/state/memory-store.ts';
import type { ProjectionFiles } from '../../../enrich/state/projection-files.ts';
import { Crash, crashingAfter, openMemoryFiles } from './crashing-state.ts';
import { remove, upsert, urls, users } from './state-fixture.ts';
import { TableModel, answersOf, source } from './state-model.ts';

const KEYS = 12;
const keys = Array.from({ length: KEYS }, (_, key) => key);

/** A state that is killed and opened again, over what it has left behind. */
class Lives {
  readonly store = openMemoryStore();
  readonly files = openMemoryFiles();
  readonly #definition: DimensionDefinition;
  readonly #log: readonly Change[];
  #ids = 0;
  /** Whether the last opening took the projection from an image. */
  fromImage = false;

  constructor(definition: DimensionDefinition, log: readonly Change[]) {
    this.#definition = definition;
    this.#log = log;
  }

  open(on: { store: KeyValueStore; files: ProjectionFiles } = this): Promise<DimensionState> {
    this.fromImage = false;
    return openDimensionState({
      store: on.store,
      dimensions: [this.#definition],
      images: {
        files: on.files,
        clock: { elapsedMs: () => 0, newId: () => `image-${this.#ids++}` },
        logger: {
          info: (message) => {
            if (message === 'projection read from its file') this.fromImage = true;
          },
          warn: () => {},
          error: () => {},
        },
      },
    });
  }

  position(state: DimensionState): number {
    return Number(state.position(this.#definition.name)?.next.get(0) ?? 0n);
  }

  /** Gives the state changes from a place in the log on, as the feed does after a seek. */
  async apply(state: DimensionState, from: number, count: number): Promise<void> {
    const to = Math.min(this.#log.length, from + count);
    const changes = this.#log
      .slice(from, to)
      .map((change, index) => ({ offset: BigInt(from + index), timestampMs: 0, change }));
    const place = { ...source, nextOffset: BigInt(to) };
    await state.apply(this.#definition.name, place, changes);
  }

  /** What the state answers, and what the table had at its position. */
  compare(state: DimensionState) {
    const model = new TableModel(this.#definition);
    for (const change of this.#log.slice(0, this.position(state))) model.take(change);
    const expected = model.answers();
    const { rowCount } = state.projection(this.#definition.name);
    const found = answersOf(state, this.#definition, joinKeysOf(this.#definition));
    return {
      found: { answers: found, rowCount },
      expected: { answers: expected, rowCount: expected.size },
    };
  }
}

function joinKeysOf({ joinKey }: DimensionDefinition): unknown[] {
  return keys.map((key) => (joinKey === 'url' ? `https://${key}/` : BigInt(key)));
}

function changeOf(
  definition: DimensionDefinition,
  at: number,
  { key, other, kind }: { key: number; other: number; kind: 'upsert' | 'remove' | 'truncate' },
): Change {
  const isUrl = definition.joinKey === 'url';
  if (kind === 'truncate') return { kind, sourcePosition: BigInt(at) };
  if (kind === 'remove')
    return remove(at, isUrl ? { url_id: BigInt(key) } : { user_id: BigInt(key) });
  if (isUrl) return upsert(at, { url_id: BigInt(key), url: `https://${other}/`, title: `t${at}` });
  return upsert(at, { user_id: BigInt(key), name: `n${other}`, score: null });
}

const changes = fc.array(
  fc.record({
    key: fc.nat({ max: KEYS - 1 }),
    other: fc.nat({ max: KEYS / 3 }),
    kind: fc.oneof(
      { weight: 30, arbitrary: fc.constant('upsert' as const) },
      { weight: 15, arbitrary: fc.constant('remove' as const) },
      { weight: 1, arbitrary: fc.constant('truncate' as const) },
    ),
  }),
  { minLength: 20, maxLength: 80 },
);

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('apply' as const),
        count: fc.integer({ min: 1, max: 9 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('rewind' as const),
        count: fc.integer({ min: 1, max: 20 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constantFrom('ready' as const, 'stop' as const),
        count: fc.constant(0),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('reopen' as const), count: fc.constant(0) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('crash' as const), count: fc.nat({ max: 8 }) }),
    },
  ),
  { minLength: 12, maxLength: 40 },
);

const unhurried = {
  clock: {
    elapsedMs: () => 0,
    sleep: async () => {},
    nowMs: () => 0,
    random: () => 0,
    newId: () => '',
  },
  logger: { info: () => {}, warn: () => {}, error: () => {} },
  signal: new AbortController().signal,
};

function check({ found, expected }: ReturnType<Lives['compare']>): void {
  assert.deepEqual(found, expected);
}

// INVARIANTS.md 1, 7
describe.each([users, urls])('the projection of $name, saved and opened again', (definition) => {
  it('is what a scan of its rows gives, wherever the process stopped or was killed', async () => {
    let images = 0;
    await fc.assert(
      fc.asyncProperty(changes, steps, async (drawn, plan) => {
        const log = drawn.map((change, index) => changeOf(definition, index + 1, change));
        const lives = new Lives(definition, log);
        let on: { store: KeyValueStore; files: ProjectionFiles } = lives;
        let state = await lives.open();
        const reopen = async () => {
          on = lives;
          state = await lives.open();
          check(lives.compare(state));
          await state.checkContent(unhurried);
          if (lives.fromImage) images += 1;
        };
        for (const step of plan) {
          const at = lives.position(state);
          try {
            if (step.do === 'apply') await lives.apply(state, at, step.count);
            if (step.do === 'rewind')
              await lives.apply(state, Math.max(0, at - step.count), step.count);
            if (step.do === 'ready' || step.do === 'stop') await state.saveProjections(step.do);
            if (step.do === 'reopen') await reopen();
            if (step.do === 'crash') {
              on = crashingAfter(step.count, lives);
              state = await lives.open(on);
            }
          } catch (error) {
            if (!(error instanceof Crash)) throw error;
            await reopen();
          }
          if (step.do !== 'crash') check(lives.compare(state));
        }
        await reopen();
        expect(lives.files.files.size).toBeLessThanOrEqual(1);
        expect(on).toBe(lives);
      }),
      { numRuns: 150 },
    );
    expect(images).toBeGreaterThan(50);
  }, 60_000);
});
