import type { Change, RowChange, Tombstone } from '../../../connectors/change.ts';
import type { DimensionDefinition } from '../../../enrich/state/dimension-record.ts';
import type { DimensionState } from '../../../enrich/state/dimension-state.ts';
import type { PositionedChange } from '../../../enrich/state/fold-changes.ts';
import { normaliseKey } from '../../../enrich/state/normalise.ts';

export type Values = Record<string, unknown>;

/** The source table itself: changes in the order in which they were made. */
export class TableModel {
  readonly #definition: DimensionDefinition;
  readonly #rows = new Map<unknown, Values>();

  constructor(definition: DimensionDefinition) {
    this.#definition = definition;
  }

  isLive(primaryKey: unknown): boolean {
    return this.#rows.has(primaryKey);
  }

  take(change: Change): void {
    if (change.kind === 'truncate') this.#rows.clear();
    else if (change.kind === 'upsert') this.#upsert(change);
    else if (change.kind !== 'reject') this.#rows.delete(this.#keyOf(change));
  }

  /** By join key, the carried columns of the row with the lowest primary key. */
  answers(): Map<unknown, Values> {
    const { joinKey, columns } = this.#definition;
    const answers = new Map<unknown, Values>();
    const lowestFirst = [...this.#rows].toSorted(([a], [b]) => compareKeys(a, b));
    for (const [, row] of lowestFirst) {
      const key = this.#normalised(row[joinKey]);
      if (key === null || answers.has(key)) continue;
      answers.set(key, Object.fromEntries(columns.map(({ name }) => [name, row[name] ?? null])));
    }
    return answers;
  }

  /** Rows with a join key, live ones only. */
  indexedRows(): string[] {
    const { joinKey } = this.#definition;
    return [...this.#rows]
      .map(([primaryKey, row]) => [this.#normalised(row[joinKey]), primaryKey] as const)
      .filter(([key]) => key !== null)
      .map(([key, primaryKey]) => `${String(key)} ${String(primaryKey)}`)
      .toSorted();
  }

  #upsert(change: RowChange & { kind: 'upsert' }): void {
    const key = this.#keyOf(change);
    const before = this.#rows.get(key);
    const row: Values = { ...change.after };
    for (const name of change.unavailable) row[name] = before?.[name] ?? null;
    this.#rows.set(key, row);
  }

  #keyOf(change: RowChange | Tombstone): unknown {
    return change.rowKey[this.#definition.primaryKey];
  }

  #normalised(value: unknown): unknown {
    if (value === null || value === undefined) return null;
    if (typeof value !== 'string') return value;
    const key = normaliseKey(this.#definition.normaliser, new TextEncoder().encode(value));
    return new TextDecoder().decode(key);
  }
}

function compareKeys(a: unknown, b: unknown): number {
  if (typeof a === 'bigint' && typeof b === 'bigint') return a < b ? -1 : 1;
  return Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)));
}

/** What the projection answers for these join keys; a key without an answer is absent. */
export function answersOf(
  state: DimensionState,
  definition: DimensionDefinition,
  joinKeys: readonly unknown[],
): Map<unknown, Values> {
  const projection = state.projection(definition.name);
  const out = new Int32Array(joinKeys.length);
  const valid = new Uint8Array(joinKeys.length).fill(1);
  const count = joinKeys.length;
  if (definition.joinKeyType === 'long') {
    const words = new Int32Array(BigInt64Array.from(joinKeys as bigint[]).buffer);
    projection.probeInt64({ words, valid, count }, out);
  } else {
    const encoded = joinKeys.map((key) => new TextEncoder().encode(String(key)));
    const offsets = new Int32Array(count + 1);
    for (const [i, key] of encoded.entries()) offsets[i + 1] = (offsets[i] ?? 0) + key.length;
    projection.probeBytes({ bytes: Buffer.concat(encoded), offsets, valid, count }, out);
  }
  const codes = definition.columns.map(() => new Int32Array(count));
  projection.gatherCodes(out, codes);
  const answers = new Map<unknown, Values>();
  for (const [i, key] of joinKeys.entries()) {
    const slot = out[i] ?? -1;
    if (slot < 0) continue;
    const values = definition.columns.map(({ name }, column) => {
      const code = Math.max(codes[column]?.[i] ?? 0, 0);
      return [name, projection.dictionary(column).value(code)] as const;
    });
    answers.set(key, Object.fromEntries(values));
  }
  return answers;
}

export const source = { clusterId: 'cluster', topicId: 'topic', partition: 0 };

/** Gives the changes, numbered by offset, to the state in one call. */
export async function applyAll(
  state: DimensionState,
  dimension: string,
  changes: readonly PositionedChange[],
) {
  const last = changes.at(-1)?.offset ?? -1n;
  return state.apply(dimension, { ...source, nextOffset: last + 1n }, changes);
}

export const positioned = (changes: readonly Change[]): PositionedChange[] =>
  changes.map((change, index) => at(index, change));

/** A change of which only the place in its partition counts. */
export const at = (offset: number, change: Change): PositionedChange => ({
  offset: BigInt(offset),
  timestampMs: 0,
  change,
});
