import { EnrichError } from '../error.ts';
import { Dimension } from './dimension.ts';
import type { ApplyResult, ChangeSource } from './dimension.ts';
import type { DimensionDefinition, SourcePosition } from './dimension-record.ts';
import type { PositionedChange, RefusedChange } from './fold-changes.ts';
import type { KeyValueStore, StoreWrite } from './key-value-store.ts';
import type { ProjectionMemory } from './hash-projection.ts';
import type { Projection } from './projection.ts';
import { ProjectionGate } from './projection-gate.ts';
import { metaKey, metaName, metaRange } from './store-key.ts';

/** An entry beside the rows; without a value it is removed. */
export type MetaWrite = { name: string; value: Uint8Array | undefined };

/** An entry beside the rows as it is stored. */
type MetaEntry = { name: string; value: Uint8Array };

/** The durable state of all dimensions and their projections. */
export interface DimensionState {
  /**
   * Where to go on reading: every change below is applied and visible in the projection (INVARIANTS.md 7).
   * A partition that is absent is read from its start. Undefined before the first batch.
   */
  position(dimension: string): SourcePosition | undefined;
  /** The same object for the life of the state, always up to date. */
  projection(dimension: string): Projection;
  /** For another thread to attach to. Another object once the projection was built anew: then attach anew. */
  projectionMemory(dimension: string): ProjectionMemory;
  /**
   * Runs the work while no projection and no position changes, so that joins in other threads see one state and
   * `position` tells which. Changes enter the store meanwhile and are shown after it. Calls run side by side; one
   * inside another could wait for ever.
   */
  holdProjections<T>(work: () => Promise<T>): Promise<T>;
  /**
   * Applies changes in order; rows, position and the entries that `extra` makes of the refused changes are
   * durable in one batch before the projection shows them (INVARIANTS.md 1). Idempotent by source position
   * (INVARIANTS.md 8). Calls for one dimension wait for each other. A truncation reads the whole dimension
   * again.
   * Errors: `fenced` for another topic or cluster than before, `unavailable` (nothing is visible; call
   * again with the same changes), `reopen`, `rebuild`.
   */
  apply(
    dimension: string,
    source: ChangeSource,
    changes: readonly PositionedChange[],
    extra?: (refused: readonly RefusedChange[]) => readonly MetaWrite[],
  ): Promise<ApplyResult>;
  /** Reads the projection from the store again; opening does so already. */
  rebuildProjection(dimension: string): Promise<void>;
  getMeta(name: string): Uint8Array | undefined;
  /** Entries whose names start with the prefix, in no order. */
  listMeta(prefix: string): MetaEntry[];
  putMeta(name: string, value: Uint8Array | undefined): Promise<void>;
  /** Removes entries in one batch. */
  removeMeta(names: readonly string[]): Promise<void>;
}

/**
 * Opens the state over a store that its caller closes, and rebuilds every projection by a scan.
 * Errors: `config` where keys differ from those that the state was built with, `rebuild`, `reopen`, `unavailable`.
 */
export async function openDimensionState(options: {
  store: KeyValueStore;
  dimensions: readonly DimensionDefinition[];
}): Promise<DimensionState> {
  const { store, dimensions } = options;
  const meta = new Map<string, Uint8Array>();
  for await (const { key, value } of store.scan(metaRange)) meta.set(metaName(key), value);
  const gate = new ProjectionGate();
  const opened = await Promise.all(
    dimensions.map(async (definition) => {
      return [definition.name, await Dimension.open({ store, gate }, definition)] as const;
    }),
  );
  return new StoredDimensionState({ store, gate, meta }, new Map(opened));
}

type StateParts = { store: KeyValueStore; gate: ProjectionGate; meta: Map<string, Uint8Array> };

class StoredDimensionState implements DimensionState {
  readonly #store: KeyValueStore;
  readonly #gate: ProjectionGate;
  readonly #dimensions: ReadonlyMap<string, Dimension>;
  readonly #meta: Map<string, Uint8Array>;
  /** The last call of each dimension, settled or not. */
  readonly #last = new Map<string, Promise<unknown>>();

  constructor({ store, gate, meta }: StateParts, dimensions: ReadonlyMap<string, Dimension>) {
    this.#store = store;
    this.#gate = gate;
    this.#dimensions = dimensions;
    this.#meta = meta;
  }

  position(dimension: string): SourcePosition | undefined {
    return this.#dimension(dimension).position;
  }

  projection(dimension: string): Projection {
    return this.#dimension(dimension).projection;
  }

  projectionMemory(dimension: string): ProjectionMemory {
    return this.#dimension(dimension).projection.memory();
  }

  holdProjections<T>(work: () => Promise<T>): Promise<T> {
    return this.#gate.hold(work);
  }

  async apply(
    dimension: string,
    source: ChangeSource,
    changes: readonly PositionedChange[],
    extra: (refused: readonly RefusedChange[]) => readonly MetaWrite[] = () => [],
  ): Promise<ApplyResult> {
    let entries: readonly MetaWrite[] = [];
    const result = await this.#inTurn(dimension, (target) =>
      target.apply(source, changes, (refused) => {
        entries = extra(refused);
        return entries.map(metaWrite);
      }),
    );
    for (const write of entries) this.#remember(write);
    return result;
  }

  async rebuildProjection(dimension: string): Promise<void> {
    await this.#inTurn(dimension, (target) => target.rebuildProjection());
  }

  getMeta(name: string): Uint8Array | undefined {
    return this.#meta.get(name);
  }

  listMeta(prefix: string): MetaEntry[] {
    const entries: MetaEntry[] = [];
    for (const [name, value] of this.#meta) {
      if (name.startsWith(prefix)) entries.push({ name, value });
    }
    return entries;
  }

  async putMeta(name: string, value: Uint8Array | undefined): Promise<void> {
    await this.#write([{ name, value }]);
  }

  async removeMeta(names: readonly string[]): Promise<void> {
    await this.#write(names.map((name) => ({ name, value: undefined })));
  }

  async #write(writes: readonly MetaWrite[]): Promise<void> {
    await this.#store.applyBatch(writes.map(metaWrite));
    for (const write of writes) this.#remember(write);
  }

  #remember({ name, value }: MetaWrite): void {
    if (value === undefined) this.#meta.delete(name);
    else this.#meta.set(name, value);
  }

  #inTurn<T>(name: string, work: (dimension: Dimension) => Promise<T>): Promise<T> {
    const dimension = this.#dimension(name);
    const before = this.#last.get(name) ?? Promise.resolve();
    const result = before.then(
      () => work(dimension),
      () => work(dimension),
    );
    this.#last.set(name, result);
    return result;
  }

  #dimension(name: string): Dimension {
    const dimension = this.#dimensions.get(name);
    if (dimension !== undefined) return dimension;
    const names = [...this.#dimensions.keys()].join(', ');
    throw new EnrichError('config', `no dimension "${name}" in the state; it has: ${names}`);
  }
}

function metaWrite({ name, value }: MetaWrite): StoreWrite {
  return { key: metaKey(name), value };
}
