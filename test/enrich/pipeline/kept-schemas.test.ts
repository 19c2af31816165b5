import { describe, expect, it } from 'vitest';
import { openKeptSchemas } from '../../../enrich/pipeline/kept-schemas.ts';
import { openDimensionState } from '../../../enrich/state/dimension-state.ts';
import { openMemoryStore } from '../../../enrich/state/memory-store.ts';
import { EnrichError } from '../../../enrich/error.ts';
import { nextTurn } from './virtual-time.ts';

const click = { type: 'record', name: 'Click', fields: [] };
const silent = { info() {}, warn() {}, error() {} };

async function openState(store = openMemoryStore()) {
  return openDimensionState({ store, dimensions: [] });
}

const registryUrl = 'http://registry:8081/apis';
const at = { registryUrl, clusterId: 'c1', logger: silent };

describe('kept schemas', () => {
  it('are there after a restart', async () => {
    const store = openMemoryStore();
    const kept = await openKeptSchemas({ ...at, state: await openState(store) });
    expect(kept.get(7)).toBeUndefined();
    kept.put(7, click);
    await nextTurn();
    const again = await openKeptSchemas({
      ...at,
      registryUrl: `${registryUrl}/`,
      state: await openState(store),
    });
    expect(again.get(7)).toEqual(click);
  });

  it.each([
    ['registry', { registryUrl: 'http://other:8081/apis' }],
    ['registry with a longer address', { registryUrl: `${registryUrl}/v7` }],
    ['registry with a shorter address', { registryUrl: 'http://registry:8081' }],
    ['Kafka cluster', { clusterId: 'c2' }],
  ])('of another %s are dropped', async (_, other) => {
    const store = openMemoryStore();
    const kept = await openKeptSchemas({ ...at, state: await openState(store) });
    kept.put(7, click);
    await nextTurn();
    const state = await openState(store);
    expect((await openKeptSchemas({ ...at, ...other, state })).get(7)).toBeUndefined();
    expect(state.listMeta('schemas/')).toEqual([]);
  });

  it.each([
    ['no JSON', '{"type":"rec'],
    ['no schema', '{"type":"nonsense"}'],
    ['nothing', ''],
  ])('that are damaged (%s) are as good as none', async (_, text) => {
    const state = await openState();
    await state.putMeta(
      `schemas/c1/${encodeURIComponent(registryUrl)}/7`,
      new TextEncoder().encode(text),
    );
    expect((await openKeptSchemas({ ...at, state })).get(7)).toBeUndefined();
  });

  it('are bounded: the lowest ids make room (INVARIANTS.md 12)', async () => {
    const state = await openState();
    const kept = await openKeptSchemas({ ...at, state });
    for (let id = 0; id < 1_003; id++) {
      kept.put(id, click);
      await nextTurn();
    }
    expect(state.listMeta('schemas/')).toHaveLength(1_000);
    expect(kept.get(2)).toBeUndefined();
    expect(kept.get(3)).toEqual(click);
  });

  it('that cannot be stored are told of, and do no harm', async () => {
    const told: unknown[] = [];
    const state = await openState();
    const kept = await openKeptSchemas({
      ...at,
      logger: { ...silent, warn: (message: string) => void told.push(message) },
      state: {
        getMeta: (name) => state.getMeta(name),
        listMeta: (prefix) => state.listMeta(prefix),
        removeMeta: (names) => state.removeMeta(names),
        putMeta: async () => {
          throw new EnrichError('unavailable', 'the disk is full');
        },
      },
    });
    kept.put(7, click);
    await nextTurn();
    expect(told).toHaveLength(1);
  });
});
