import type { Change, RowChange } from '../../../connectors/change.ts';
import type { DimensionDefinition } from '../../../enrich/state/dimension-record.ts';
import { openDimensionState } from '../../../enrich/state/dimension-state.ts';
import type { KeyValueStore } from '../../../enrich/state/key-value-store.ts';
import { openMemoryStore } from '../../../enrich/state/memory-store.ts';
import { answersOf, applyAll, positioned } from './state-model.ts';
import type { Values } from './state-model.ts';

export const users: DimensionDefinition = {
  name: 'users',
  primaryKey: 'user_id',
  joinKey: 'user_id',
  joinKeyType: 'long',
  normaliser: 'none',
  columns: [
    { name: 'name', type: 'string' },
    { name: 'score', type: 'decimal(6, 2)' },
  ],
};
export const urls: DimensionDefinition = {
  name: 'urls',
  primaryKey: 'url_id',
  joinKey: 'url',
  joinKeyType: 'string',
  normaliser: 'url',
  columns: [{ name: 'title', type: 'string' }],
};

export function upsert(
  sourcePosition: number,
  row: Values,
  options: { unavailable?: string[]; key?: string } = {},
): RowChange & { kind: 'upsert' } {
  const key = options.key ?? (row['url_id'] === undefined ? 'user_id' : 'url_id');
  return {
    kind: 'upsert',
    sourcePosition: BigInt(sourcePosition),
    initialSnapshot: false,
    rowKey: { [key]: row[key] },
    after: row,
    unavailable: options.unavailable ?? [],
  };
}

export function remove(sourcePosition: number, rowKey: Values): RowChange {
  return { kind: 'delete', sourcePosition: BigInt(sourcePosition), rowKey };
}

/** The state of one dimension, to be given changes and asked by join key. */
export async function openWith(
  definition: DimensionDefinition,
  store: KeyValueStore = openMemoryStore(),
) {
  const state = await openDimensionState({ store, dimensions: [definition] });
  return {
    state,
    store,
    take: (...changes: Change[]) => applyAll(state, definition.name, positioned(changes)),
    answer: (key: unknown) => answersOf(state, definition, [key]).get(key),
  };
}
