import {
  array,
  assert,
  asyncProperty,
  boolean,
  constantFrom,
  infiniteStream,
  scheduler,
} from 'fast-check';
import type { Arbitrary, Scheduler } from 'fast-check';
import { expect, test } from 'vitest';
import type { AppendOutcome } from '../../../catalog/commit/append.ts';
import { commitAppend } from '../../../catalog/commit/commit-append.ts';
import type { CommitFault } from '../../../catalog/memory/memory-catalog.ts';
import { createAppendBench, landedRanges, liveRows } from './append-bench.ts';
import type { AppendBench, Range } from './append-bench.ts';

const BATCH = 10;
const BATCHES = 6;
const CALLS_MAX = 60;

const FAULT: Arbitrary<CommitFault> = constantFrom(
  'apply',
  'fail',
  'apply-then-fail',
  'apply-twice',
  'conflict',
  'delay',
);

/**
 * Attacks INVARIANTS.md 2, 3 and 4. Two committers that do not know of each other write the same ranges, as a zombie and its successor
 * would. Each goes on from the table's position; their calls run at the same time and are interleaved
 * before and after every call of the catalog and before every write; late copies arrive at any turn.
 */
test('two committers under faults land each range exactly once, in order', async () => {
  await assert(
    asyncProperty(
      array(FAULT, { maxLength: 40 }),
      scheduler(),
      infiniteStream(boolean()),
      async (faults, turns, arrivals) => {
        const bench = await createAppendBench();
        const scheduled = interleaved(bench, turns, () => {
          if (arrivals.next().value) bench.catalog.deliverDelayed();
        });
        bench.faults = [...faults];
        const writers = [0, 1].map((writer) => commitAll(scheduled, bench, `w${writer}`));
        await turns.waitFor(Promise.all(writers));
        bench.catalog.deliverDelayed();

        const expected = Array.from(
          { length: BATCHES },
          (_, i) => `${i * BATCH}-${(i + 1) * BATCH}`,
        );
        const metadata = await bench.load();
        expect(landedRanges(metadata)).toEqual(expected);
        expect(metadata.snapshots).toHaveLength(BATCHES);
        expect(await liveRows(bench)).toBe(BigInt(BATCHES * BATCH));
        expect(bench.deleted).toEqual([]);
      },
    ),
    { numRuns: 150 },
  );
});

/** Commits batch after batch from the table's position until all are in; a lost race reads it anew. */
async function commitAll(
  scheduled: Pick<AppendBench, 'catalog' | 'store'>,
  bench: AppendBench,
  writer: string,
): Promise<void> {
  for (let call = 0; call < CALLS_MAX; call += 1) {
    const metadata = await bench.load();
    const start = Number(metadata.properties['t.position'] ?? '0');
    if (start >= BATCHES * BATCH) return;
    await commitRange(scheduled, bench, `${writer}-${start}`, { start, end: start + BATCH });
  }
  throw new Error(`${writer} did not finish within ${CALLS_MAX} calls`);
}

/** Calls again with the same commit id for as long as the outcome is unknown, as an owner must. */
async function commitRange(
  scheduled: Pick<AppendBench, 'catalog' | 'store'>,
  bench: AppendBench,
  commitId: string,
  range: Range,
): Promise<AppendOutcome | undefined> {
  const limits = { attemptsMax: 2, unknownWaitMsMax: 150, backoffMsMax: 100 };
  const { catalog, store } = scheduled;
  for (let call = 0; call < CALLS_MAX; call += 1) {
    try {
      return await commitAppend(bench.options(commitId, range, { catalog, store, limits }));
    } catch (error) {
      if ((error as { kind?: string }).kind === 'conflict') return undefined;
      if ((error as { kind?: string }).kind !== 'commit-unknown') throw error;
    }
  }
  throw new Error(`${commitId} was not settled within ${CALLS_MAX} calls`);
}

/** The bench's catalog and store, each call of which waits for its turn. */
function interleaved(
  bench: AppendBench,
  turns: Scheduler,
  onTurn: () => void,
): Pick<AppendBench, 'catalog' | 'store'> {
  const turn = async (): Promise<void> => {
    await turns.schedule(Promise.resolve());
    onTurn();
  };
  const { catalog, store } = bench;
  return {
    catalog: {
      ...catalog,
      loadTable: async (identifier) => {
        await turn();
        const loaded = await catalog.loadTable(identifier);
        await turn();
        return loaded;
      },
      prepareCommit: (request) => {
        const prepared = catalog.prepareCommit(request);
        return {
          send: async () => {
            await turn();
            try {
              return await prepared.send();
            } finally {
              await turn();
            }
          },
        };
      },
    },
    store: {
      ...store,
      put: async (...args) => {
        await turn();
        await store.put(...args);
      },
    },
  };
}
