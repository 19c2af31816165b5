import type { Clock } from '../clock.ts';
import { EnrichError } from '../error.ts';
import type { Logger } from '../log.ts';
import type { ChangeBatch, ReadChange } from './change-batch.ts';
import { Dimension } from './dimension.ts';
import type { ApplyResult, ChangeSource } from './dimension.ts';
import type { ProjectionImages } from './dimension-image.ts';
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
   * An empty batch for changes of one partition of a dimension; `readChange` reads one that was added as a plain change.
   */
  newBatch(dimension: string, partition: number, readChange: ReadChange): ChangeBatch;
  /**
   * Applies changes in order; rows, position and the entries that `extra` makes of the refused changes are
   * durable in one batch before the projection shows them (INVARIANTS.md 1). Idempotent by source position
   * (INVARIANTS.md 8). Calls for one dimension wait for each other. A truncation reads the whole dimension
   * again.
   * Errors: `fenced` for another topic or cluster than before, `unavailable` (nothing is visible; call
   * again with the same changes), `reopen` (also after a call that failed once the store had the batch), `rebuild`.
   */
  apply(
    dimension: string,
    source: ChangeSource,
    changes: ChangeBatch | readonly PositionedChange[],
    extra?: (refused: readonly RefusedChange[]) => readonly MetaWrite[],
  ): Promise<ApplyResult>;
  /**
   * Saves the projections, each to a file that the next start opens it from. `ready`: those that have none, or
   * one that is too old; from then on `apply` renews them. `stop`: where that is quicker than the next start would
   * be without it. While a dimension is saved, here or in `apply`, its calls of `apply` wait, and a caller that waits
   * for all dimensions, as the pipeline does, waits for it. That a file cannot be written is told and no error.
   */
  saveProjections(when: 'ready' | 'stop'): Promise<void>;
  /**
   * Compares the rows of dimensions whose projections came from files with what they must add up to, which
   * opening does for all others; at a quarter of a core at most. Errors: `rebuild` where rows are missing.
   */
  checkContent(options: { clock: Clock; logger: Logger; signal: AbortSignal }): Promise<void>;
  getMeta(name: string): Uint8Array | undefined;
  /** Entries whose names start with the prefix, in no order. */
  listMeta(prefix: string): MetaEntry[];
  putMeta(name: string, value: Uint8Array | undefined): Promise<void>;
  /** Removes entries in one batch. */
  removeMeta(names: readonly string[]): Promise<void>;
}

/**
 * Opens the state over a store that its caller closes, and every projection: from the image that was saved last
 * and what has changed since, or by a scan of the rows.
 * Errors: `config` where keys differ from those that the state was built with, `rebuild`, `reopen`, `unavailable`.
 */
export async function openDimensionState(options: {
  store: KeyValueStore;
  dimensions: readonly DimensionDefinition[];
  images?: ProjectionImages;
  /** Called at each piece of an image that is written, and each thousand rows of a scan: the state is at work. */
  onProgress?: () => void;
}): Promise<DimensionState> {
  const { store, dimensions, images, onProgress = () => undefined } = options;
  const meta = new Map<string, Uint8Array>();
  for await (const { key, value } of store.scan(metaRange)) meta.set(metaName(key), value);
  const gate = new ProjectionGate();
  const opened = await Promise.all(
    dimensions.map(async (definition) => {
      const context = { store, gate, images, onProgress };
      return [definition.name, await Dimension.open(context, definition)] as const;
    }),
  );
  if (images !== undefined)
    await removeUnused(
      images,
      opened.map(([, dimension]) => dimension),
    );
  return new StoredDimensionState({ store, gate, meta }, new Map(opened));
}

/** What a crash has left behind, and images that turned out to be of no use. */
async function removeUnused(
  { files }: ProjectionImages,
  dimensions: readonly Dimension[],
): Promise<void> {
  const used = new Set(dimensions.map(({ imageId }) => imageId));
  try {
    for (const name of await files.list()) if (!used.has(name)) await files.remove(name);
  } catch {
    // They take room and harm nothing; the next start tries again.
  }
}

/** How long a check of the rows pauses for each stretch of work: that much longer. */
const CHECK_PAUSE_FACTOR = 3;

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

  newBatch(dimension: string, partition: number, readChange: ReadChange): ChangeBatch {
    return this.#dimension(dimension).newBatch(partition, readChange);
  }

  async apply(
    dimension: string,
    source: ChangeSource,
    changes: ChangeBatch | readonly PositionedChange[],
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

  async saveProjections(when: 'ready' | 'stop'): Promise<void> {
    for (const name of this.#dimensions.keys()) {
      await this.#inTurn(name, (target) =>
        when === 'ready' ? target.saveWhenReady() : target.saveAtStop(),
      );
    }
  }

  async checkContent(options: {
    clock: Clock;
    logger: Logger;
    signal: AbortSignal;
  }): Promise<void> {
    const { clock, logger, signal } = options;
    for (const name of this.#dimensions.keys()) {
      const check = signal.aborted
        ? undefined
        : await this.#inTurn(name, (target) => target.beginCheck());
      if (check === undefined) continue;
      const startedMs = clock.elapsedMs();
      let resumedMs = startedMs;
      await check(async () => {
        await clock.sleep(CHECK_PAUSE_FACTOR * (clock.elapsedMs() - resumedMs), signal);
        resumedMs = clock.elapsedMs();
        return !signal.aborted;
      });
      if (signal.aborted) return;
      const seconds = (clock.elapsedMs() - startedMs) / 1000;
      logger.info('the rows of the state are complete', { dimension: name, seconds });
    }
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
