import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Change } from '../../../connectors/change.ts';
import type { DimensionDefinition } from '../../../enrich/state/dimension-record.ts';
import { openDimensionState } from '../../../enrich/state/dimension-state.ts';
import type { DimensionState } from '../../../enrich/state/dimension-state.ts';
import type { PositionedChange } from '../../../enrich/state/fold-changes.ts';
import type { KeyValueStore } from '../../../enrich/state/key-value-store.ts';
import { openMemoryStore } from '../../../enrich/state/memory-store.ts';
import { plainOf } from '../../connectors/plain-change.ts';
import { devices, folded, joinKeys, logOf, stepsValue, urls, users } from './change-logs.ts';
import { answersOf, positioned, source } from './state-model.ts';

type Delivery = {
  sizes: readonly number[];
  /** Changes that go as objects though they are plain. */
  asObjects: readonly boolean[];
  again: readonly number[];
  reopen: number;
};

const deliveryValue: fc.Arbitrary<Delivery> = fc.record({
  sizes: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 }),
  asObjects: fc.array(
    fc.nat(3).map((n) => n === 0),
    { minLength: 1, maxLength: 9 },
  ),
  again: fc.array(fc.nat({ max: 12 }), { maxLength: 4 }),
  reopen: fc.nat({ max: 6 }),
});

const open = (store: KeyValueStore, definition: DimensionDefinition) =>
  openDimensionState({ store, dimensions: [definition] });

/** Applies a batch whose plain changes go in as columns, but for those that are told to be objects. */
async function applyAsImages(
  state: DimensionState,
  dimension: string,
  changes: readonly PositionedChange[],
  isObject: (index: number) => boolean,
) {
  const byOffset = new Map(changes.map((change) => [change.offset, change]));
  const batch = state.newBatch(dimension, source.partition, (offset) => {
    const change = byOffset.get(offset);
    if (change === undefined) throw new Error(`no change at ${offset}`);
    return change;
  });
  let taken = 0;
  for (const [index, change] of changes.entries()) {
    const { offset, timestampMs } = change;
    const plain = isObject(index) ? undefined : plainOf(change.change);
    const isTaken =
      plain !== undefined && batch.addPlain(plain, { offset: Number(offset), timestampMs });
    if (isTaken) taken++;
    else batch.add(change);
  }
  const nextOffset = (changes.at(-1)?.offset ?? -1n) + 1n;
  return { taken, result: await state.apply(dimension, { ...source, nextOffset }, batch) };
}

/** All that can be told of a state. */
async function contentOf(
  store: KeyValueStore,
  state: DimensionState,
  definition: DimensionDefinition,
) {
  const entries: string[] = [];
  for await (const { key, value } of store.scan({ from: Buffer.of(0), to: Buffer.of(255) })) {
    entries.push(`${Buffer.from(key).toString('latin1')} ${Buffer.from(value).toString('hex')}`);
  }
  const keys = joinKeys[definition.name as keyof typeof joinKeys];
  return { entries, answers: answersOf(state, definition, keys) };
}

/** Throws where the two ways differ; how many plain changes went in as columns. */
async function compare(
  definition: DimensionDefinition,
  log: readonly PositionedChange[],
  { sizes, asObjects, again, reopen }: Delivery,
) {
  const stores = [openMemoryStore(), openMemoryStore()] as const;
  let folding = await open(stores[0], definition);
  let imaging = await open(stores[1], definition);
  let done = 0;
  let count = 0;
  for (let turn = 0; done < log.length; turn++) {
    const from = Math.max(0, done - (again[turn] ?? 0));
    const to = Math.min(log.length, done + (sizes[turn % sizes.length] ?? 1));
    const changes = log.slice(from, to);
    const nextOffset = (changes.at(-1)?.offset ?? -1n) + 1n;
    const expected = await folding.apply(definition.name, { ...source, nextOffset }, changes);
    const { taken, result } = await applyAsImages(
      imaging,
      definition.name,
      changes,
      (index) => asObjects[index % asObjects.length] ?? false,
    );
    expect(result).toEqual(expected);
    count += taken;
    done = to;
    expect(await contentOf(stores[1], imaging, definition)).toEqual(
      await contentOf(stores[0], folding, definition),
    );
    // The sums are compared with the rows when it is opened.
    if (turn !== reopen) continue;
    folding = await open(stores[0], definition);
    imaging = await open(stores[1], definition);
  }
  await open(stores[1], definition);
  return count;
}

describe.each([users, devices, folded, urls])(
  'changes of $name that come as columns',
  (definition) => {
    it(
      'leave the same rows, index, sums, answers and counts as objects do, in any batches',
      { timeout: 60_000 },
      async () => {
        let count = 0;
        await fc.assert(
          fc.asyncProperty(
            stepsValue(60, 'read', 'truncate'),
            deliveryValue,
            fc.array(fc.nat({ max: 59 }), { maxLength: 4 }),
            async (steps, delivery, swaps) => {
              const changes = logOf(definition, steps).log.map(({ change }) => change);
              // Older changes may follow newer ones, and rows may lack what the contract wants.
              for (const at of swaps) changes.splice(at, 0, ...changes.splice(at + 1, 1));
              count += await compare(definition, positioned(changes.map(withRefusals)), delivery);
            },
          ),
          { numRuns: 150 },
        );
        expect(count).toBeGreaterThan(100);
      },
    );
  },
);

/** Some changes get a value or a key that the state refuses. */
function withRefusals(change: Change, index: number): Change {
  if (change.kind !== 'upsert' || index % 7 !== 5) return change;
  if (index % 2 === 0) return { ...change, after: { ...change.after, size: 2 ** 40 } };
  return { ...change, rowKey: { id: index % 3 === 0 ? null : true } };
}
