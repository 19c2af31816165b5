import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DimensionDefinition } from '../../../enrich/state/dimension-record.ts';
import { openDimensionState } from '../../../enrich/state/dimension-state.ts';
import type { DimensionState } from '../../../enrich/state/dimension-state.ts';
import type { PositionedChange } from '../../../enrich/state/fold-changes.ts';
import type { KeyValueStore } from '../../../enrich/state/key-value-store.ts';
import { openMemoryStore } from '../../../enrich/state/memory-store.ts';
import {
  compacted,
  devices,
  folded,
  inPartitions,
  interleaved,
  joinKeys,
  logOf,
  replayValue,
  stepsValue,
  urls,
  users,
  withReplays,
} from './change-logs.ts';
import { answersOf, applyAll, at, source } from './state-model.ts';
import type { TableModel } from './state-model.ts';

type Delivery = { sizes: readonly number[]; reread: readonly number[]; reopen: number };

const deliveryValue = fc.record({
  sizes: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }),
  reread: fc.array(fc.nat({ max: 20 }), { maxLength: 6 }),
  reopen: fc.nat({ max: 10 }),
});

const open = (store: KeyValueStore, definition: DimensionDefinition) =>
  openDimensionState({ store, dimensions: [definition] });

/** Batches of any size; after each, the log may be read again from an earlier place, or the state opened anew. */
async function deliver(
  definition: DimensionDefinition,
  log: readonly PositionedChange[],
  { sizes, reread, reopen }: Delivery,
): Promise<{ state: DimensionState; store: KeyValueStore }> {
  const store = openMemoryStore();
  let state = await open(store, definition);
  let done = 0;
  for (let turn = 0; done < log.length; turn++) {
    const back = reread[turn] ?? 0;
    const from = Math.max(0, done - back);
    const to = Math.min(log.length, done + (sizes[turn % sizes.length] ?? 1));
    await applyAll(state, definition.name, log.slice(from, to));
    done = to;
    if (turn === reopen) state = await open(store, definition);
  }
  return { state, store };
}

/** What can be seen of the state: answers, the index of join keys, and both after opening it again. */
async function observe(
  definition: DimensionDefinition,
  { state, store }: { state: DimensionState; store: KeyValueStore },
) {
  const keys = joinKeys[definition.name as keyof typeof joinKeys];
  const reopened = await open(store, definition);
  return {
    answers: answersOf(state, definition, keys),
    rowCount: state.projection(definition.name).rowCount,
    index: await indexEntries(store, definition),
    answersReopened: answersOf(reopened, definition, keys),
    position: reopened.position(definition.name),
  };
}

function expected(definition: DimensionDefinition, model: TableModel, changes: number) {
  const keys = joinKeys[definition.name as keyof typeof joinKeys];
  const all = model.answers();
  const answers = new Map(keys.filter((key) => all.has(key)).map((key) => [key, all.get(key)]));
  const indexed = definition === urls || definition === folded;
  const { clusterId, topicId } = source;
  return {
    answers,
    rowCount: all.size,
    index: indexed ? model.indexedRows() : [],
    answersReopened: answers,
    position:
      changes === 0 ? undefined : { clusterId, topicId, next: new Map([[0, BigInt(changes)]]) },
  };
}

async function indexEntries(store: KeyValueStore, { name }: DimensionDefinition) {
  const found: string[] = [];
  const head = 2 + name.length;
  for await (const { key } of store.scan({ from: Buffer.from('i'), to: Buffer.from('j') })) {
    const length = Buffer.from(key).readUInt32BE(head);
    const joinKey = Buffer.from(key).toString('utf8', head + 4, head + 4 + length);
    const rest = Buffer.from(key.subarray(head + 4 + length));
    const integer = rest[0] === 1;
    const primaryKey = integer ? rest.readBigUInt64BE(1) - 2n ** 63n : rest.toString('utf8', 1);
    found.push(`${joinKey} ${primaryKey}`);
  }
  return found.toSorted();
}

describe.each([users, devices, folded, urls])('the state of $name', (definition) => {
  it('equals the table, in any batches, read again from any place and opened again', async () => {
    await fc.assert(
      fc.asyncProperty(
        stepsValue(60, 'read', 'truncate'),
        deliveryValue,
        async (steps, delivery) => {
          const { model, log } = logOf(definition, steps);
          const found = await observe(definition, await deliver(definition, log, delivery));
          expect(found).toEqual(expected(definition, model, log.length));
        },
      ),
      { numRuns: 300 },
    );
  });

  // INVARIANTS.md 8
  it('equals the table at every point when Debezium tells again what it has told', async () => {
    await fc.assert(
      fc.asyncProperty(
        stepsValue(50, 'read'),
        deliveryValue,
        fc.array(replayValue, { maxLength: 4 }),
        async (steps, delivery, replays) => {
          const { model, log } = logOf(definition, steps);
          const all = [...replays, { at: log.length - 1, back: 30 }];
          const told = withReplays(log, all, { reads: false });
          const found = await observe(definition, await deliver(definition, told, delivery));
          expect(found).toEqual(expected(definition, model, told.length));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('equals the table when compaction has passed while nobody read', async () => {
    const placeValue = fc.nat({ max: 80 });
    await fc.assert(
      fc.asyncProperty(
        stepsValue(50, 'read'),
        fc.array(replayValue, { maxLength: 3 }),
        fc.record({ appliedTo: placeValue, cleanedTo: placeValue }),
        async (steps, replays, { appliedTo, cleanedTo }) => {
          // The value that an unchanged one stands for went with the record that compaction removed.
          const whole = { unavailable: false, urlUnavailable: false };
          const { model, log } = logOf(
            definition,
            steps.map((step) => ({ ...step, ...whole })),
          );
          const told = withReplays(log, replays, { reads: true });
          const store = openMemoryStore();
          const state = await open(store, definition);
          await applyAll(state, definition.name, told.slice(0, appliedTo));
          const rest = compacted(told, cleanedTo).filter(({ offset }) => offset >= appliedTo);
          await applyAll(state, definition.name, rest);
          const found = await observe(definition, { state, store });
          const { answers, rowCount, index } = expected(definition, model, told.length);
          expect(found).toMatchObject({ answers, rowCount, index, answersReopened: answers });
        },
      ),
      { numRuns: 300 },
    );
  });

  // INVARIANTS.md 8
  it('equals the table in whatever order its partitions are read, after keys have moved among them', async () => {
    const orders = fc.array(fc.nat(), { minLength: 120, maxLength: 120 });
    const moves = fc.array(fc.nat({ max: 40 }), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(stepsValue(40, 'read'), moves, orders, async (steps, movedAt, order) => {
        // An unchanged value may stand in a partition that is read later.
        const whole = { unavailable: false, urlUnavailable: false };
        const told = steps.map((step) => ({ ...step, ...whole }));
        const { model, log } = logOf(definition, told);
        const store = openMemoryStore();
        const state = await open(store, definition);
        for (const { partition, ...entry } of interleaved(inPartitions(log, movedAt), order)) {
          const nextOffset = entry.offset + 1n;
          await state.apply(definition.name, { ...source, partition, nextOffset }, [entry]);
        }
        const found = await observe(definition, { state, store });
        const { answers, rowCount, index } = expected(definition, model, log.length);
        expect(found).toMatchObject({ answers, rowCount, index, answersReopened: answers });
      }),
      { numRuns: 300 },
    );
  });

  it('equals the table when changes of different rows arrive in another order', async () => {
    const orders = fc.array(fc.nat(), { minLength: 120, maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(
        stepsValue(60, 'read', 'truncate'),
        deliveryValue,
        orders,
        async (steps, delivery, order) => {
          const { model, log } = logOf(definition, steps);
          const shuffled = mergeRows(log, order);
          const found = await observe(definition, await deliver(definition, shuffled, delivery));
          expect(found).toEqual(expected(definition, model, log.length));
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Any interleaving of the rows' own logs, in each of which the order stays; truncations go anywhere. */
function mergeRows(log: readonly PositionedChange[], order: readonly number[]): PositionedChange[] {
  const queues = new Map<string, PositionedChange[]>();
  for (const entry of log) {
    const row = 'rowKey' in entry.change ? String(entry.change.rowKey['id']) : 'truncate';
    queues.set(row, [...(queues.get(row) ?? []), entry]);
  }
  const merged: PositionedChange[] = [];
  for (let turn = 0; merged.length < log.length; turn++) {
    const waiting = [...queues.values()].filter((queue) => queue.length > 0);
    const next = waiting[(order[turn] ?? 0) % waiting.length]?.shift();
    if (next !== undefined) merged.push(at(merged.length, next.change));
  }
  return merged;
}
