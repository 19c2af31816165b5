import { beforeEach, describe, expect, it } from 'vitest';
import { SnapshotCompletion } from '../../../enrich/pipeline/snapshot-completion.ts';
import { openDimensionState } from '../../../enrich/state/dimension-state.ts';
import type { DimensionState } from '../../../enrich/state/dimension-state.ts';
import { openMemoryStore } from '../../../enrich/state/memory-store.ts';

const topicOf = (table: string, topicId: string) => ({
  topic: `app.public.${table}`,
  topicId,
  clusterId: 'cluster',
  partitionCount: 1,
});
const topics = new Map([
  ['users', topicOf('users', 'u1')],
  ['urls', topicOf('urls', 'l1')],
]);
const complete = { kind: 'initial-snapshot-complete' } as const;
const scanned = (collection: string) => ({ kind: 'table-scanned', collection }) as const;

let state: DimensionState;

beforeEach(async () => {
  state = await openDimensionState({ store: openMemoryStore(), dimensions: [] });
});

// INVARIANTS.md 6
describe('a dimension counts as loaded', () => {
  it('when the initial snapshot is complete and has scanned its table, not before', () => {
    const completion = new SnapshotCompletion(state, topics);
    completion.take(scanned('public.users'));
    completion.take(scanned('public.urls'));
    expect(completion.missing()).toEqual(['users', 'urls']);
    completion.take(complete);
    expect(completion.missing()).toEqual([]);
  });

  it('not when its table was added after the initial snapshot, until an incremental one has read it', () => {
    const completion = new SnapshotCompletion(state, topics);
    completion.take(scanned('public.users'));
    completion.take(complete);
    completion.takeStreamed();
    expect(completion.missing()).toEqual(['urls']);
    expect(completion.isLeftOut('urls')).toBe(true);
    completion.take({ kind: 'table-complete', collection: 'public.urls' });
    expect(completion.missing()).toEqual([]);
  });

  it('with the initial snapshot, or any streamed change, where no scan was ever told of', () => {
    const told = new SnapshotCompletion(state, topics);
    told.take(complete);
    expect(told.missing()).toEqual([]);
    const streamed = new SnapshotCompletion(state, topics);
    streamed.takeStreamed();
    expect(streamed.missing()).toEqual([]);
  });

  it('after a restart too, but not once its topic was recreated', async () => {
    const completion = new SnapshotCompletion(state, topics);
    completion.take(complete);
    await completion.remember();
    expect(new SnapshotCompletion(state, topics).missing()).toEqual([]);
    const recreated = new Map([...topics, ['urls', topicOf('urls', 'l2')] as const]);
    expect(new SnapshotCompletion(state, recreated).missing()).toEqual(['urls']);
  });
});
