import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import type { DimensionDefinition } from '../../../enrich/state/dimension-record.ts';
import type { DimensionState } from '../../../enrich/state/dimension-state.ts';
import type { JoinThreadAnswer, JoinThreadOptions, JoinThreadRequest } from './join-thread.ts';
import { openWith, remove, upsert } from './state-fixture.ts';

const KEYS = 1_000;
const BATCHES = 60;

const users: DimensionDefinition = {
  name: 'users',
  primaryKey: 'user_id',
  joinKey: 'user_id',
  joinKeyType: 'long',
  normaliser: 'none',
  columns: [
    { name: 'name', type: 'string' },
    { name: 'note', type: 'string' },
  ],
};

let workers: Worker[] = [];
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.terminate()));
  workers = [];
});

function startThread(options: JoinThreadOptions): Worker {
  const worker = new Worker(new URL('./join-thread.ts', import.meta.url), { workerData: options });
  workers.push(worker);
  return worker;
}

async function join(worker: Worker, state: DimensionState): Promise<JoinThreadAnswer> {
  const answered = once(worker, 'message') as Promise<[JoinThreadAnswer]>;
  worker.postMessage({ memory: state.projectionMemory('users') } satisfies JoinThreadRequest);
  const [answer] = await answered;
  return answer;
}

/**
 * Replaces, adds and removes rows, and truncates at a version; after each batch all rows that there are have its
 * version.
 */
async function change(
  take: Awaited<ReturnType<typeof openWith>>['take'],
  goesOn: (version: number) => boolean,
  truncatedAt?: number,
): Promise<void> {
  for (let version = 1; goesOn(version); version++) {
    const rows = Math.min(KEYS, 100 + version * 20);
    const changes = Array.from({ length: rows }, (_, key) =>
      (key + version) % 5 === 0
        ? remove(version * KEYS + key, { user_id: BigInt(key) })
        : upsert(version * KEYS + key, {
            user_id: BigInt(key),
            name: `${key} ${version}`,
            note: `${version}`,
          }),
    );
    const sourcePosition = BigInt(version * KEYS - 1);
    const truncation =
      version === truncatedAt ? [{ kind: 'truncate' as const, sourcePosition }] : [];
    await take(...truncation, ...changes);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

// INVARIANTS.md 7
describe('threads that join while the state takes changes', () => {
  it('see one state in each join while projections are held, also once it was built anew', async () => {
    const { state, take } = await openWith(users);
    const threads = [1, 2].map(() => startThread({ keys: KEYS, forEver: false, sequence: 'read' }));
    const progress = { version: 0 };
    const changed = change(
      take,
      (next) => {
        progress.version = next;
        return next <= BATCHES;
      },
      BATCHES / 2,
    );
    let joins = 0;
    const memories = new Set<SharedArrayBuffer>();
    const positions = new Set<bigint | undefined>();
    while (progress.version <= BATCHES) {
      const answers = await state.holdProjections(async () => {
        const before = state.position('users')?.next.get(0);
        const { rowCount } = state.projection('users');
        const joined = await Promise.all(threads.map((thread) => join(thread, state)));
        expect(joined.map(({ hits }) => hits)).toEqual([rowCount, rowCount]);
        expect(state.position('users')?.next.get(0)).toBe(before);
        positions.add(before);
        memories.add(state.projectionMemory('users').header);
        return joined;
      });
      expect(answers.map(({ torn }) => torn)).toEqual([undefined, undefined]);
      joins += 1;
    }
    await changed;
    expect(memories.size).toBe(2);
    // Neither has kept the other out.
    expect(joins).toBeGreaterThan(20);
    expect(positions.size).toBeGreaterThan(20);
  }, 60_000);

  it.each([
    { sequence: 'read', noticed: /^TypeError: assert: dimension users must not change/ },
    // Where nothing guards it, a join may give or throw whatever half a row leads to.
    { sequence: 'ignored', noticed: /^(?!TypeError: assert: dimension users must not change)/ },
  ] as const)(
    'notice that nobody holds the projections, the sequence $sequence',
    async ({ sequence, noticed }) => {
      const { state, take } = await openWith(users);
      // So many rows that what is changed is the memory that the thread has attached to.
      await change(take, (version) => version <= 20);
      const thread = startThread({ keys: KEYS, forEver: true, sequence });
      let torn: string | undefined;
      const joining = join(thread, state).then((answer) => {
        torn = answer.torn;
        return torn;
      });
      await change(take, () => torn === undefined);
      expect(await joining).toMatch(noticed);
    },
    60_000,
  );
});
