import { commitAppend } from '@iceberg-js/rest-client-shim/commit/commit-append.ts';
import { createMemoryCatalog } from '@iceberg-js/rest-client-shim/memory/memory-catalog.ts';
import { createMemoryStore } from '@iceberg-js/rest-client-shim/memory/memory-store.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { beforeEach, describe, expect, it } from 'vitest';
import { judgeAppend } from '../../../enrich/core/acceptance.ts';
import type { BatchClaim } from '../../../enrich/core/acceptance.ts';
import { propertyName, readCommitted } from '../../../enrich/core/position.ts';
import { EnrichError } from '../../../enrich/error.ts';

const identity = { clusterId: 'cluster', topic: 'clicks', topicId: 'topic-1' };
const identifier = { namespace: ['lake'], name: 'clicks' };

let nowMs: number;
let catalog: ReturnType<typeof createMemoryCatalog>;
let store: ReturnType<typeof createMemoryStore>;
let tableUuid: string;

beforeEach(async () => {
  nowMs = 1_000_000;
  catalog = createMemoryCatalog({ clock: { nowMs: () => nowMs }, uuid: () => 'uuid-1' });
  store = createMemoryStore();
  await catalog.ensureNamespace(['lake']);
  const created = await catalog.createTable({
    identifier,
    schema: { schemaId: 0, fields: [{ id: 1, name: 'x', type: 'int', required: false }] },
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  });
  tableUuid = created.metadata.tableUuid;
});

function claim(
  commitId: string,
  ranges: Record<number, [bigint, bigint]>,
  more: Partial<BatchClaim> = {},
): BatchClaim {
  return {
    pipeline: 'clicks',
    commitId,
    identity,
    ranges: new Map(
      Object.entries(ranges).map(([key, [start, end]]) => [Number(key), { start, end }]),
    ),
    rows: 0,
    rejects: new Map(),
    filtered: new Map(),
    dimensions: new Map(),
    pending: undefined,
    settled: new Set(),
    forgottenCommitId: undefined,
    ...more,
  };
}

async function load(): Promise<TableMetadata> {
  const loaded = await catalog.loadTable(identifier);
  if (loaded === undefined) throw new Error('the table is gone');
  return loaded.metadata;
}

function commit(wish: BatchClaim) {
  return commitAppend({
    catalog,
    store,
    identifier,
    tableUuid,
    commitId: wish.commitId,
    dataFiles: [],
    decide: (metadata) => judgeAppend(metadata, wish),
    clock: {
      nowMs: () => (nowMs += 1000),
      elapsedMs: () => nowMs,
      sleep: async () => undefined,
      random: () => 0.5,
    },
    limits: { attemptsMax: 3, unknownWaitMsMax: 1000, backoffMsMax: 10 },
  });
}

/** A commit by someone else, for example a maintenance job: no key of ours in its summary. */
function commitByOthers() {
  return commitAppend({
    catalog,
    store,
    identifier,
    tableUuid,
    commitId: `other-${nowMs}`,
    dataFiles: [],
    decide: () => ({ kind: 'append', summary: {}, properties: {} }),
    clock: {
      nowMs: () => (nowMs += 1000),
      elapsedMs: () => nowMs,
      sleep: async () => undefined,
      random: () => 0.7,
    },
    limits: { attemptsMax: 3, unknownWaitMsMax: 1000, backoffMsMax: 10 },
  });
}

function nextOf(metadata: TableMetadata): Record<string, bigint> {
  return Object.fromEntries(readCommitted(metadata, 'clicks')?.next ?? []);
}

async function moveMain(snapshotId: bigint): Promise<void> {
  await catalog
    .prepareCommit({
      identifier,
      requirements: [],
      updates: [
        { action: 'set-snapshot-ref', refName: 'main', ref: { type: 'branch', snapshotId } },
      ],
    })
    .send();
}

async function expire(snapshotIds: readonly bigint[]): Promise<void> {
  await catalog
    .prepareCommit({
      identifier,
      requirements: [],
      updates: [{ action: 'remove-snapshots', snapshotIds }],
    })
    .send();
}

// INVARIANTS.md 2 and 3
describe('a batch is accepted', () => {
  it('when each partition starts where the table is, and moves it in the same commit', async () => {
    expect((await commit(claim('a', { 0: [0n, 10n], 1: [5n, 7n] }))).kind).toBe('committed');
    expect((await commit(claim('b', { 0: [10n, 12n] }))).kind).toBe('committed');
    expect(nextOf(await load())).toEqual({ 0: 12n, 1: 7n });
  });

  it('and remembers the first offset ever taken, and what was filtered and rejected since', async () => {
    await commit(claim('a', { 0: [3n, 10n] }, { filtered: new Map([[0, 2n]]) }));
    await commit(
      claim('b', { 0: [10n, 12n] }, { rejects: new Map([[0, 1n]]), filtered: new Map([[0, 1n]]) }),
    );
    const committed = readCommitted(await load(), 'clicks');
    expect(committed?.start).toEqual(new Map([[0, 3n]]));
    expect(committed?.filtered).toEqual(new Map([[0, 3n]]));
    expect(committed?.rejects).toEqual(new Map([[0, 1n]]));
  });

  it('when another pipeline has written to the same table in between', async () => {
    await commit(claim('a', { 0: [0n, 10n] }));
    await commit(claim('z', { 0: [0n, 99n] }, { pipeline: 'other' }));
    expect((await commit(claim('b', { 0: [10n, 12n] }))).kind).toBe('committed');
    expect(nextOf(await load())).toEqual({ 0: 12n });
  });
});

describe('a batch is dropped', () => {
  it('when any of its partitions was committed already: a duplicate or a zombie', async () => {
    await commit(claim('a', { 0: [0n, 10n], 1: [0n, 10n] }));
    const outcome = await commit(claim('b', { 0: [10n, 20n], 1: [5n, 20n] }));
    expect(outcome).toMatchObject({
      kind: 'dropped',
      reason: expect.stringContaining('partition 1'),
    });
    expect(nextOf(await load())).toEqual({ 0: 10n, 1: 10n });
  });

  it('when a gap lies before it', async () => {
    await commit(claim('a', { 0: [0n, 10n] }));
    expect((await commit(claim('b', { 0: [11n, 20n] }))).kind).toBe('dropped');
  });
});

describe('a commit is recognised as landed', () => {
  it('when it is sent again, also after others have committed on top', async () => {
    await commit(claim('a', { 0: [0n, 10n] }));
    await commitByOthers();
    await commit(claim('b', { 0: [10n, 20n] }));
    expect(judgeAppend(await load(), claim('a', { 0: [0n, 10n] }))).toEqual({ kind: 'landed' });
  });
});

describe('the position survives', () => {
  it('commits of others on top of ours', async () => {
    await commit(claim('a', { 0: [0n, 10n] }));
    await commitByOthers();
    expect(nextOf(await load())).toEqual({ 0: 10n });
  });

  it('the expiry of every snapshot of ours', async () => {
    const ours = await commit(claim('a', { 0: [0n, 10n] }));
    await commitByOthers();
    if (ours.kind !== 'committed') throw new Error(ours.kind);
    await expire([ours.snapshotId]);
    expect(nextOf(await load())).toEqual({ 0: 10n });
    expect((await commit(claim('b', { 0: [10n, 20n] }))).kind).toBe('committed');
  });
});

// INVARIANTS.md 9
describe('the pipeline stops', () => {
  const fenced = expect.objectContaining({ kind: 'fenced' });

  it('when the table was rolled back to an older commit of ours', async () => {
    const first = await commit(claim('a', { 0: [0n, 10n] }));
    await commit(claim('b', { 0: [10n, 20n] }));
    if (first.kind !== 'committed') throw new Error(first.kind);
    await moveMain(first.snapshotId);
    const metadata = await load();
    expect(() => readCommitted(metadata, 'clicks')).toThrow(fenced);
    expect(() => readCommitted(metadata, 'clicks')).toThrow(/rolled back.*--accept-rollback/s);
  });

  it('also when others have committed on top of the roll-back', async () => {
    const first = await commit(claim('a', { 0: [0n, 10n] }));
    await commit(claim('b', { 0: [10n, 20n] }));
    if (first.kind !== 'committed') throw new Error(first.kind);
    await moveMain(first.snapshotId);
    await commitByOthers();
    const metadata = await load();
    expect(() => readCommitted(metadata, 'clicks')).toThrow(fenced);
  });

  it('when the table was rolled back to before anything of ours', async () => {
    const before = await commitByOthers();
    await commit(claim('a', { 0: [0n, 10n] }));
    if (before.kind !== 'committed') throw new Error(before.kind);
    await moveMain(before.snapshotId);
    const metadata = await load();
    expect(() => readCommitted(metadata, 'clicks')).toThrow(fenced);
  });

  it('also when it was to a snapshot whose own ancestors are expired, and others have committed on top', async () => {
    const [first, other] = [await commit(claim('a', { 0: [0n, 10n] })), await commitByOthers()];
    await commit(claim('b', { 0: [10n, 20n] }));
    if (first.kind !== 'committed' || other.kind !== 'committed') throw new Error('not committed');
    await moveMain(other.snapshotId);
    await commitByOthers();
    await expire([first.snapshotId]);
    const metadata = await load();
    expect(() => readCommitted(metadata, 'clicks')).toThrow(fenced);
    expect(readCommitted(metadata, 'clicks', 'b')?.next).toEqual(new Map([[0, 10n]]));
  });

  it('until the user accepts the roll-back: then it reads on from the current snapshot', async () => {
    const first = await commit(claim('a', { 0: [0n, 10n] }));
    await commit(claim('b', { 0: [10n, 20n] }));
    if (first.kind !== 'committed') throw new Error(first.kind);
    await moveMain(first.snapshotId);
    expect(readCommitted(await load(), 'clicks', 'b')?.next).toEqual(new Map([[0, 10n]]));
    const again = await commit(claim('c', { 0: [10n, 15n] }, { forgottenCommitId: 'b' }));
    expect(again.kind).toBe('committed');
    expect(nextOf(await load())).toEqual({ 0: 15n });
  });

  it.each([
    ['another topic id', { topicId: 'topic-2' }, /recreated/],
    ['another cluster', { clusterId: 'elsewhere' }, /cluster elsewhere/],
    ['another topic', { topic: 'taps' }, /topic taps/],
  ])('at %s', async (_name, difference, message) => {
    await commit(claim('a', { 0: [0n, 10n] }));
    const metadata = await load();
    const other = claim('b', { 0: [10n, 20n] }, { identity: { ...identity, ...difference } });
    expect(() => judgeAppend(metadata, other)).toThrow(EnrichError);
    expect(() => judgeAppend(metadata, other)).toThrow(message);
  });

  it('at a property that is damaged', async () => {
    await commit(claim('a', { 0: [0n, 10n] }));
    await catalog
      .prepareCommit({
        identifier,
        requirements: [],
        updates: [{ action: 'set-properties', updates: { [propertyName('clicks')]: '{"half' } }],
      })
      .send();
    const metadata = await load();
    expect(() => readCommitted(metadata, 'clicks')).toThrow(fenced);
  });
});

function pending(commitId: string) {
  return { commitId, ranges: new Map([[0, { start: 0n, end: 10n }]]), files: [] };
}

describe('pending rejects', () => {
  it('stay in the table until a later commit knows them settled', async () => {
    await commit(claim('a', { 0: [0n, 10n] }, { pending: pending('a') }));
    await commit(claim('b', { 0: [10n, 20n] }));
    expect(readCommitted(await load(), 'clicks')?.pending.map((p) => p.commitId)).toEqual(['a']);
    await commit(claim('c', { 0: [20n, 30n] }, { settled: new Set(['a']) }));
    expect(readCommitted(await load(), 'clicks')?.pending).toEqual([]);
  });
});
