import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Change } from '../../connectors/change.ts';
import { incrementalRead } from '../../connectors/source-position.ts';
import { openDimensionState } from '../../enrich/state/dimension-state.ts';
import { openMemoryStore } from '../../enrich/state/memory-store.ts';
import { openDimensionHistory } from '../../verify/dimension-history.ts';
import { UNAVAILABLE, type Canonical, type ReplayedChange } from '../../verify/envelope.ts';
import {
  inPartitions,
  interleaved,
  joinKeys,
  logOf,
  replayValue,
  stepsValue,
  users,
  withReplays,
} from '../enrich/state/change-logs.ts';
import { answersOf, applyAll, source } from '../enrich/state/state-model.ts';

const text = (value: unknown): Canonical =>
  value === null || value === undefined ? null : `${value as string | number | bigint}`;

/** The change as the replay decodes it. */
function replayed(change: Exclude<Change, { kind: 'truncate' | 'reject' }>): ReplayedChange {
  const rowKey = String(change.rowKey['id']);
  if (change.kind === 'tombstone') return { rowKey, lsn: null, row: null, startsRow: false };
  const lsn = change.sourcePosition === incrementalRead ? null : change.sourcePosition;
  if (change.kind === 'delete') return { rowKey, lsn, row: null, startsRow: false };
  const cells = Object.entries(change.after).map(([name, value]) => [name, text(value)] as const);
  const unavailable = change.unavailable.map((name) => [name, UNAVAILABLE] as const);
  return { rowKey, lsn, row: new Map([...cells, ...unavailable]), startsRow: false };
}

// INVARIANTS.md 7: the verifier and the state are written apart, and must mean the same by every log.
it('a replay finds at every position the row that the state had there', async () => {
  await fc.assert(
    fc.asyncProperty(
      stepsValue(30, 'read'),
      fc.array(replayValue, { maxLength: 3 }),
      async (steps, replays) => {
        const told = withReplays(logOf(users, steps).log, replays, { reads: false });
        const columns = users.columns.map(({ name }) => name);
        const history = openDimensionHistory({ joinKey: 'id', columns, normalise: (key) => key });
        for (const { change, offset } of told) {
          if (change.kind === 'truncate' || change.kind === 'reject') continue;
          history.take(replayed(change), { partition: 0, offset, timestampMs: 0 });
        }
        const state = await openDimensionState({ store: openMemoryStore(), dimensions: [users] });
        for (const entry of told) {
          await applyAll(state, 'users', [entry]);
          const next = new Map([[0, entry.offset + 1n]]);
          const answers = answersOf(state, users, joinKeys.users);
          for (const key of joinKeys.users) {
            const held = answers.get(key);
            const wanted = held && columns.map((name) => text(held[name]));
            expect(history.at(String(key), next)?.slice(0, columns.length)).toEqual(wanted);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

it('a replay finds at every position what the state had there, after keys have moved among partitions', async () => {
  const orders = fc.array(fc.nat(), { minLength: 120, maxLength: 120 });
  const moves = fc.array(fc.nat({ max: 30 }), { maxLength: 3 });
  const columns = users.columns.map(({ name }) => name);
  await fc.assert(
    fc.asyncProperty(
      stepsValue(30, 'read'),
      moves,
      fc.tuple(orders, orders),
      async (steps, movedAt, [read, replayedIn]) => {
        const whole = { unavailable: false, urlUnavailable: false };
        const { log } = logOf(
          users,
          steps.map((step) => ({ ...step, ...whole })),
        );
        const told = inPartitions(log, movedAt);
        const history = openDimensionHistory({ joinKey: 'id', columns, normalise: (key) => key });
        for (const { change, ...place } of interleaved(told, replayedIn)) {
          if (change.kind === 'truncate' || change.kind === 'reject') continue;
          history.take(replayed(change), place);
        }
        const state = await openDimensionState({ store: openMemoryStore(), dimensions: [users] });
        const next = new Map<number, bigint>();
        for (const { partition, ...entry } of interleaved(told, read)) {
          next.set(partition, entry.offset + 1n);
          const nextOffset = entry.offset + 1n;
          await state.apply('users', { ...source, partition, nextOffset }, [entry]);
          const answers = answersOf(state, users, joinKeys.users);
          for (const key of joinKeys.users) {
            const held = answers.get(key);
            const wanted = held && columns.map((name) => text(held[name]));
            expect(history.at(String(key), next)?.slice(0, columns.length)).toEqual(wanted);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});
