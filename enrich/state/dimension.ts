import { EnrichError } from '../error.ts';
import { ContentSum } from './content-sum.ts';
import { decodeRecord, encodeRecord, recordFor } from './dimension-record.ts';
import type { DimensionDefinition, DimensionRecord, SourcePosition } from './dimension-record.ts';
import { DimensionShape } from './dimension-shape.ts';
import { ChangeFold, rowsOf } from './fold-changes.ts';
import type { FoldCounts, PendingRow, PositionedChange, RefusedChange } from './fold-changes.ts';
import { createProjection } from './hash-projection.ts';
import type { MutableProjection } from './hash-projection.ts';
import { JoinKeyOwners } from './join-key-owners.ts';
import type { KeyValueStore, StoreWrite } from './key-value-store.ts';
import type { ProjectionGate } from './projection-gate.ts';
import { BytesKeys } from './row-keys.ts';
import { SharedMemory } from './shared-memory.ts';
import { RowView } from './state-row.ts';
import { dimensionKey, joinKeyEntry, joinKeyRange, placesInEntry, rowRange } from './store-key.ts';

/** Where changes come from: the partition they were read from, and the offset after the last of them. */
export type ChangeSource = {
  partition: number;
  nextOffset: bigint;
  clusterId: string;
  topicId: string;
};

export type ApplyResult = FoldCounts & {
  /** Changes that the state cannot take; they changed nothing and belong in the dead-letter table. */
  refused: readonly RefusedChange[];
};

/** Primary keys of the deleted rows in the store, of all of them while `complete`. */
type Deletions = { primaryKeys: BytesKeys; complete: boolean };

/** Deleted rows remembered in memory; beyond, rows are always looked up in the store. */
const deletionsMax = 1_000_000;
const purgeWritesMax = 2_000;

/** What the dimensions of a state have in common. */
type DimensionContext = { store: KeyValueStore; gate: ProjectionGate };

/** One dimension: its rows and position in the store, and its projection. Used by one caller at a time. */
export class Dimension {
  readonly projection: MutableProjection;
  readonly #store: KeyValueStore;
  readonly #shape: DimensionShape;
  readonly #owners: JoinKeyOwners;
  readonly #gate: ProjectionGate;
  #record: DimensionRecord;
  #deletions: Deletions = { primaryKeys: new BytesKeys(new SharedMemory()), complete: true };
  /** The store may be ahead of the projection: a write failed, or what follows one. */
  #behind = false;

  private constructor(
    { store, gate }: DimensionContext,
    definition: DimensionDefinition,
    record: DimensionRecord,
  ) {
    this.#store = store;
    this.#gate = gate;
    this.#record = record;
    this.#shape = new DimensionShape(definition, record);
    this.projection = this.#emptyProjection();
    this.#owners = new JoinKeyOwners(store, this.#shape, this.projection);
  }

  /** Opens a dimension with its projection rebuilt. Errors: `config`, `rebuild`, `reopen`, `unavailable`. */
  static async open(
    context: DimensionContext,
    definition: DimensionDefinition,
  ): Promise<Dimension> {
    const { store } = context;
    const [stored] = await store.getMany([dimensionKey(definition.name)]);
    const before = stored === undefined ? undefined : decodeRecord(stored);
    const record = recordFor(definition, before);
    const dimension = new Dimension(context, definition, record);
    if (record !== before) await store.applyBatch([dimension.#recordWrite(record)]);
    await dimension.rebuildProjection();
    return dimension;
  }

  get position(): SourcePosition | undefined {
    return this.#record.source;
  }

  /**
   * Applies changes in order: rows, join-key index, position and `extra` enter the store in one batch
   * (INVARIANTS.md 1), then the projection and `position` change in one turn (INVARIANTS.md 7).
   */
  async apply(
    source: ChangeSource,
    changes: readonly PositionedChange[],
    extra: (refused: readonly RefusedChange[]) => readonly StoreWrite[],
  ): Promise<ApplyResult> {
    if (this.#behind) await this.#catchUp();
    this.#assertSource(source);
    const batch = rowsOf(this.#shape, changes, this.#record.truncatedAt);
    await this.#readStored(batch.rows);
    const fold = new ChangeFold(this.#shape, batch, source.partition);
    for (const row of batch.rows) fold.fold(row);
    const record = this.#advanced(source, batch.truncatedAt);
    const changed = batch.rows.filter(({ start }) => start >= 0);
    const { bytes } = fold.writer;
    const summed = { ...record, content: contentAfter(record.content, changed, bytes) };
    const writes: StoreWrite[] = changed.map(({ storeKey, start, end }) => ({
      key: storeKey,
      value: bytes.subarray(start, end),
    }));
    if (this.#shape.indexed) writes.push(...this.#indexWrites(changed));
    this.#behind = true;
    const entries = extra(fold.refused);
    await this.#store.applyBatch([...writes, this.#recordWrite(summed), ...entries]);
    await this.#project(changed, bytes, summed);
    this.#behind = false;
    return { ...fold.counts, refused: fold.refused };
  }

  /** Builds the projection from the rows in the store again. Errors: `rebuild` where rows are missing. */
  async rebuildProjection(): Promise<void> {
    await this.#rebuild(this.#record);
  }

  /**
   * Builds the projection from the rows in the store, compares them with what they must add up to, and the index
   * with them, and removes rows that a truncation has ended. The projection in use and the record change at the end, in one turn:
   * joins must not see the position before its rows.
   */
  async #rebuild(record: DimensionRecord): Promise<void> {
    const projection = this.#emptyProjection();
    const deletions: Deletions = { primaryKeys: new BytesKeys(new SharedMemory()), complete: true };
    const view = new RowView();
    const found = new ContentSum();
    const kept = new ContentSum();
    const indexed = new ContentSum();
    const left = record.content?.copy();
    let purge: StoreWrite[] = [];
    for await (const { key, value } of this.#store.scan(rowRange(this.#shape.definition.name))) {
      view.read(value, 0, value.length);
      found.add(key, value);
      if (isTruncated(record, view)) {
        left?.remove(key, value);
        purge.push(...this.#removal(key, view.joinKey()));
        if (purge.length >= purgeWritesMax) {
          const partly = this.#recordWrite({ ...record, content: left });
          await this.#store.applyBatch([...purge, partly]);
          purge = [];
        }
        continue;
      }
      kept.add(key, value);
      this.#addIndexed(indexed, key, view);
      if (view.deleted) this.#rememberDeletion(deletions, key);
      else this.#addRow(projection, key, view);
    }
    this.#assertComplete(record, found);
    const summed = { ...record, content: kept };
    if (purge.length > 0 || record.content === undefined) {
      await this.#store.applyBatch([...purge, this.#recordWrite(summed)]);
    }
    await this.#assertIndexed(indexed);
    await this.#gate.change(() => {
      this.#deletions = deletions;
      this.projection.adopt(projection);
      this.#record = summed;
    });
  }

  #assertComplete({ content }: DimensionRecord, found: ContentSum): void {
    if (content === undefined || content.equals(found)) return;
    const { name } = this.#shape.definition;
    throw new EnrichError(
      'rebuild',
      `dimension ${name}: the state must hold ${content.rows} rows and holds ${found.rows}, or others`,
      { context: { dimension: name, expectedRows: content.rows, foundRows: found.rows } },
    );
  }

  #addIndexed(sum: ContentSum, storeKey: Uint8Array, view: RowView): void {
    const { bytes, joinKeyStart: start, joinKeyLength: length } = view;
    if (length < 0) return;
    sum.add(storeKey.subarray(this.#shape.rowPrefix.length), bytes, start, start + length);
  }

  /** The index has an entry for each row with a join key, and no other. */
  async #assertIndexed(expected: ContentSum): Promise<void> {
    const { name } = this.#shape.definition;
    const found = new ContentSum();
    for await (const { key } of this.#store.scan(joinKeyRange(name))) {
      const { joinKey, primaryKey } = placesInEntry(key);
      found.add(key.subarray(primaryKey), key, joinKey, primaryKey);
    }
    if (found.equals(expected)) return;
    throw new EnrichError(
      'rebuild',
      `dimension ${name}: the index must hold ${expected.rows} rows and holds ${found.rows}, or others`,
      { context: { dimension: name, expectedRows: expected.rows, foundRows: found.rows } },
    );
  }

  #emptyProjection(): MutableProjection {
    const { keyKind, definition } = this.#shape;
    return createProjection({ keyKind, columns: definition.columns.map(({ type }) => type) });
  }

  /** Rows come in the order of their primary keys, so the first row of a join key is the one that answers. */
  #addRow(projection: MutableProjection, storeKey: Uint8Array, view: RowView): void {
    if (!this.#shape.indexed) {
      projection.upsert(this.#primaryKeySlice(storeKey), this.#shape.columnsInUse(view));
      return;
    }
    if (view.joinKeyLength < 0) return;
    const { bytes, joinKeyStart: start, joinKeyLength: length } = view;
    const first = projection.find(bytes, start, length);
    if (first >= 0) projection.setShared(first, true);
    else projection.upsert({ bytes, start, length }, this.#shape.columnsInUse(view));
  }

  /** The bytes of a primary key that is the join key too: what follows its kind. */
  #primaryKeySlice(storeKey: Uint8Array): { bytes: Uint8Array; start: number; length: number } {
    const start = this.#shape.rowPrefix.length + 1;
    return { bytes: storeKey, start, length: storeKey.length - start };
  }

  #removal(storeKey: Uint8Array, joinKey: Uint8Array | undefined): StoreWrite[] {
    const row = { key: storeKey, value: undefined };
    if (joinKey === undefined) return [row];
    return [row, { key: this.#joinKeyEntry(storeKey, joinKey), value: undefined }];
  }

  #joinKeyEntry(storeKey: Uint8Array, joinKey: Uint8Array): Uint8Array {
    const { definition, rowPrefix } = this.#shape;
    return joinKeyEntry(definition.name, joinKey, storeKey.subarray(rowPrefix.length));
  }

  /**
   * Reads the rows that the store may have. Where the primary key is the join key, every live row is in the
   * projection and every deleted one in `#deletions`, both of which change only after the store and before
   * the next batch: a key in neither is not in the store, and need not be asked for.
   */
  async #readStored(rows: readonly PendingRow[]): Promise<void> {
    const asked = rows.filter(({ storeKey }) => this.#mayBeStored(storeKey));
    const values = await this.#store.getMany(asked.map(({ storeKey }) => storeKey));
    for (const [index, row] of asked.entries()) row.stored = values[index];
  }

  #mayBeStored(storeKey: Uint8Array): boolean {
    if (this.#shape.indexed || !this.#deletions.complete) return true;
    const { bytes, start, length } = this.#primaryKeySlice(storeKey);
    if (this.projection.find(bytes, start, length) >= 0) return true;
    return this.#deletions.primaryKeys.find(bytes, start, length) >= 0;
  }

  #rememberDeletion(deletions: Deletions, storeKey: Uint8Array): void {
    if (this.#shape.indexed || !deletions.complete) return;
    const { bytes, start, length } = this.#primaryKeySlice(storeKey);
    const { primaryKeys } = deletions;
    if (primaryKeys.find(bytes, start, length) >= 0) return;
    if (primaryKeys.count < deletionsMax) primaryKeys.add(bytes, start, length);
    else deletions.complete = false;
  }

  #indexWrites(rows: readonly PendingRow[]): StoreWrite[] {
    const view = new RowView();
    const writes: StoreWrite[] = [];
    for (const { storeKey, stored, joinKey } of rows) {
      // Also of a row that a truncation has ended but that is not removed yet.
      const before =
        stored === undefined ? undefined : view.read(stored, 0, stored.length).joinKey();
      if (before !== undefined && joinKey !== undefined && Buffer.compare(before, joinKey) === 0) {
        continue;
      }
      if (before !== undefined) {
        writes.push({ key: this.#joinKeyEntry(storeKey, before), value: undefined });
      }
      if (joinKey !== undefined) {
        writes.push({ key: this.#joinKeyEntry(storeKey, joinKey), value: new Uint8Array() });
      }
    }
    return writes;
  }

  /** Nothing of this is seen by a join before all of it is. */
  async #project(
    rows: readonly PendingRow[],
    bytes: Uint8Array,
    record: DimensionRecord,
  ): Promise<void> {
    if (record.truncatedAt !== this.#record.truncatedAt) {
      await this.#rebuild(record);
      return;
    }
    const owners = this.#shape.indexed ? await this.#owners.after(rows, bytes) : undefined;
    await this.#gate.change(() => {
      this.projection.change(() => {
        if (owners === undefined) this.#projectRows(rows, bytes);
        else owners.apply();
      });
      this.#record = record;
    });
  }

  #projectRows(rows: readonly PendingRow[], bytes: Uint8Array): void {
    const view = new RowView();
    for (const { storeKey, start, end, deleted } of rows) {
      const key = this.#primaryKeySlice(storeKey);
      if (!deleted) {
        const row = view.read(bytes, start, end);
        this.projection.upsert(key, this.#shape.columnsInUse(row));
        this.#forgetDeletion(key);
        continue;
      }
      const slot = this.projection.find(key.bytes, key.start, key.length);
      if (slot >= 0) this.projection.remove(slot);
      this.#rememberDeletion(this.#deletions, storeKey);
    }
  }

  #forgetDeletion({ bytes, start, length }: { bytes: Uint8Array; start: number; length: number }) {
    const { primaryKeys } = this.#deletions;
    const id = primaryKeys.count === 0 ? -1 : primaryKeys.find(bytes, start, length);
    if (id >= 0) primaryKeys.remove(id);
  }

  /** A failed write may have reached the store all the same: what the store says is what counts. */
  async #catchUp(): Promise<void> {
    const [stored] = await this.#store.getMany([dimensionKey(this.#shape.definition.name)]);
    if (stored === undefined) throw new EnrichError('rebuild', 'a record of the state is gone');
    await this.#rebuild(decodeRecord(stored));
    this.#behind = false;
  }

  #assertSource({ clusterId, topicId }: ChangeSource): void {
    const { source } = this.#record;
    if (source === undefined) return;
    if (source.clusterId === clusterId && source.topicId === topicId) return;
    const { name } = this.#shape.definition;
    throw new EnrichError(
      'fenced',
      `dimension ${name}: the state holds changes of topic id ${source.topicId} in cluster ` +
        `${source.clusterId}, these are of ${topicId} in ${clusterId}. If the topic was recreated on ` +
        'purpose, have Debezium take its snapshot again, stop the pipeline, delete state.directory and ' +
        'start it: the state is built again from the topics',
      { context: { dimension: name, stored: source, given: { clusterId, topicId } } },
    );
  }

  /** The record after the batch. A position never goes back: what is below it has been applied. */
  #advanced(source: ChangeSource, truncatedAt: bigint | undefined): DimensionRecord {
    const { partition, nextOffset, clusterId, topicId } = source;
    const next = new Map(this.#record.source?.next);
    const before = next.get(partition);
    if (before === undefined || nextOffset > before) next.set(partition, nextOffset);
    return { ...this.#record, truncatedAt, source: { clusterId, topicId, next } };
  }

  #recordWrite(record: DimensionRecord): StoreWrite {
    return { key: dimensionKey(this.#shape.definition.name), value: encodeRecord(record) };
  }
}

function isTruncated({ truncatedAt }: DimensionRecord, { sourcePosition }: RowView): boolean {
  return truncatedAt !== undefined && sourcePosition <= truncatedAt;
}

/** What the rows in the store add up to once these have changed. */
function contentAfter(
  before: ContentSum | undefined,
  rows: readonly PendingRow[],
  bytes: Uint8Array,
): ContentSum | undefined {
  const content = before?.copy();
  if (content === undefined) return undefined;
  for (const { storeKey, stored, start, end } of rows) {
    if (stored !== undefined) content.remove(storeKey, stored);
    content.add(storeKey, bytes, start, end);
  }
  return content;
}
