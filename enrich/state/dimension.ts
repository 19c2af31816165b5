import { EnrichError } from '../error.ts';
import { ChangeBatch } from './change-batch.ts';
import type { ReadChange } from './change-batch.ts';
import { addEntry, readJournal, removeOtherJournals } from './change-journal.ts';
import type { ImageMark, Journal } from './change-journal.ts';
import { ContentCheck, contentAfter } from './content-check.ts';
import type { GoOn } from './content-check.ts';
import { ContentSum, rowHash } from './content-sum.ts';
import { DeletedKeys } from './deleted-keys.ts';
import { DimensionImage } from './dimension-image.ts';
import type { ProjectionImages } from './dimension-image.ts';
import { decodeRecord, encodeRecord, recordFor, recordWrite } from './dimension-record.ts';
import type { DimensionDefinition, DimensionRecord, SourcePosition } from './dimension-record.ts';
import { DimensionShape } from './dimension-shape.ts';
import type { FoldCounts, PendingRow, PositionedChange, RefusedChange } from './fold-changes.ts';
import type { MutableProjection } from './hash-projection.ts';
import { JoinKeyOwners, indexWrites } from './join-key-owners.ts';
import type { KeyValueStore, StoreWrite } from './key-value-store.ts';
import { PinnedScan } from './pinned-scan.ts';
import type { ProjectionGate } from './projection-gate.ts';
import { scanProjection } from './scan-projection.ts';
import { RowView } from './state-row.ts';
import { dimensionKey, joinKeyRange, rowRange } from './store-key.ts';

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

const replayedAtOnceMax = 1_000;

/** What the dimensions of a state have in common. */
type DimensionContext = {
  store: KeyValueStore;
  gate: ProjectionGate;
  images: ProjectionImages | undefined;
  /** Called now and then by what takes long. */
  onProgress: () => void;
};

/** One dimension: its rows and position in the store, and its projection. Used by one caller at a time. */
export class Dimension {
  readonly projection: MutableProjection;
  readonly #store: KeyValueStore;
  readonly #shape: DimensionShape;
  readonly #owners: JoinKeyOwners;
  readonly #gate: ProjectionGate;
  readonly #image: DimensionImage | undefined;
  readonly #onProgress: () => void;
  #record: DimensionRecord;
  #deletions = new DeletedKeys();
  /** The image in the files, whether it is of use or not. */
  #savedId: string | undefined;
  /** The projection came from an image: nobody has compared the rows in the store. */
  #unchecked = false;
  /** The store may be ahead of the projection: a write failed, or what follows one. */
  #behind = false;

  private constructor(
    { store, gate, images, onProgress }: DimensionContext,
    definition: DimensionDefinition,
    record: DimensionRecord,
  ) {
    this.#store = store;
    this.#gate = gate;
    this.#onProgress = onProgress;
    this.#image = images === undefined ? undefined : new DimensionImage(images, definition);
    this.#record = record;
    this.#shape = new DimensionShape(definition, record);
    this.projection = this.#shape.emptyProjection();
    this.#owners = new JoinKeyOwners(store, this.#shape, this.projection);
  }

  /**
   * Opens a dimension with its projection: from its image, or rebuilt where that is missing or does not fit exactly.
   * Errors: `config`, `rebuild`, `reopen`, `unavailable`.
   */
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
    await dimension.#openProjection();
    return dimension;
  }

  /** The image that the projection can be opened from. */
  get imageId(): string | undefined {
    return this.#record.image?.id;
  }

  /** An empty batch of one partition's changes, for `apply`. */
  newBatch(partition: number, readChange: ReadChange): ChangeBatch {
    return new ChangeBatch(this.#shape, partition, readChange);
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
    changes: ChangeBatch | readonly PositionedChange[],
    extra: (refused: readonly RefusedChange[]) => readonly StoreWrite[],
  ): Promise<ApplyResult> {
    await this.#assertNotBehind();
    this.#assertSource(source);
    const batch = ChangeBatch.of(this.#shape, source.partition, changes);
    const { changed, bytes, truncatedAt, ...result } = await batch.fold(
      (rows) => this.#readStored(rows),
      this.#record.truncatedAt,
    );
    const record = this.#advanced(source, truncatedAt);
    const { content, hashes } = contentAfter(record.content, changed, bytes);
    const journal = this.#journal(record, changed, hashes);
    const summed = { ...record, content, image: journal.image };
    const writes: StoreWrite[] = changed.map(({ storeKey, start, end }) => ({
      key: storeKey,
      value: bytes.subarray(start, end),
    }));
    if (this.#shape.indexed) writes.push(...indexWrites(this.#shape, changed));
    writes.push(...journal.writes);
    this.#behind = true;
    const entries = extra(result.refused);
    await this.#store.applyBatch([...writes, this.#recordWrite(summed), ...entries]);
    await this.#project(changed, bytes, summed);
    this.#behind = false;
    if (this.#image?.isDue(summed.image, this.projection.rowCount) === true) await this.#save();
    return result;
  }

  /** Saves the projection if there is no image yet, or it is due; from now on images are kept. */
  async saveWhenReady(): Promise<void> {
    this.#image?.want();
    if (this.#image?.isDue(this.#record.image, this.projection.rowCount) === true) {
      await this.#save();
    }
  }

  /** Saves the projection where that costs less than the next start would without it. */
  async saveAtStop(): Promise<void> {
    const isWorthIt = this.#image?.isWorthIt(this.#record.image, this.projection.bytes);
    if (isWorthIt === true) await this.#save();
  }

  /**
   * Begins to compare the rows with what they must add up to, as opening does where it reads all of them: of the
   * state that the store has now, whatever changes later. The check throws `rebuild` where rows are missing.
   */
  async beginCheck(): Promise<((goOn: GoOn) => Promise<void>) | undefined> {
    if (!this.#unchecked || this.#behind) return undefined;
    const { name } = this.#shape.definition;
    const record = this.#record;
    const rows = await PinnedScan.begin(this.#store, rowRange(name));
    const index = await PinnedScan.begin(this.#store, joinKeyRange(name));
    return async (goOn) => {
      try {
        const check = new ContentCheck(this.#shape);
        if (!(await check.addAll(rows, new RowView(), goOn))) return;
        check.assertRows(record.content);
        await check.assertIndex(index, goOn);
        this.#unchecked = false;
      } finally {
        await Promise.allSettled([rows.close(), index.close()]);
      }
    };
  }

  /**
   * Builds the projection from the rows in the store. Projection and record change at the end, in one turn: joins must
   * not see the position before its rows. The one in use is empty at an opening; at a truncation the new one has only
   * what came after that: never is there memory for all rows twice.
   */
  async #rebuild(record: DimensionRecord): Promise<void> {
    const store = this.#store;
    const onProgress = this.#onProgress;
    const scanned = await scanProjection({ store, shape: this.#shape, record, onProgress });
    await this.#gate.change(() => {
      this.#deletions = scanned.deletions;
      this.projection.adopt(scanned.projection);
      this.#unchecked = false;
      this.#record = scanned.record;
    });
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
    const key = this.#shape.primaryKeySlice(storeKey);
    if (this.projection.find(key.bytes, key.start, key.length) >= 0) return true;
    return this.#deletions.has(key);
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
    for (const { storeKey, start, end } of rows) {
      this.#projectRow(storeKey, view.read(bytes, start, end));
    }
  }

  #projectRow(storeKey: Uint8Array, row: RowView): void {
    const key = this.#shape.primaryKeySlice(storeKey);
    if (!row.deleted) {
      this.projection.upsert(key, this.#shape.columnsInUse(row));
      this.#deletions.forget(key);
      return;
    }
    const slot = this.projection.find(key.bytes, key.start, key.length);
    if (slot >= 0) this.projection.remove(slot);
    // Where the store has an index, it is always asked.
    if (!this.#shape.indexed) this.#deletions.remember(key);
  }

  /**
   * A failed write may have reached the store all the same, as a whole with its record. Then the state is to be opened
   * again: to build a second projection here, beside the one that joins read, would take twice the memory.
   */
  async #assertNotBehind(): Promise<void> {
    if (!this.#behind) return;
    const { name } = this.#shape.definition;
    const [stored] = await this.#store.getMany([dimensionKey(name)]);
    if (stored === undefined || Buffer.compare(stored, encodeRecord(this.#record)) !== 0) {
      throw new EnrichError('reopen', `dimension ${name}: the store has more than is shown`);
    }
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

  /** The image after the batch, and the journal entry that enters the store with the rows. */
  #journal(
    { image, truncatedAt }: DimensionRecord,
    rows: readonly PendingRow[],
    hashes: readonly number[],
  ): { image: ImageMark | undefined; writes: StoreWrite[] } {
    const isKept =
      image !== undefined &&
      // A truncation builds the projection anew.
      truncatedAt === this.#record.truncatedAt &&
      this.#image?.isSpent(image) === false;
    if (!isKept) return { image: undefined, writes: [] };
    if (rows.length === 0) return { image, writes: [] };
    const { definition, rowPrefix, indexed } = this.#shape;
    const { write, mark } = addEntry(definition.name, image, {
      rows: rows.map(({ storeKey }, index) => ({
        primaryKey: storeKey.subarray(rowPrefix.length),
        hash: hashes[index] ?? 0,
      })),
      joinKeys: indexed ? this.#owners.joinKeysOf(rows) : [],
    });
    return { image: mark, writes: [write] };
  }

  /**
   * Writes an image, has the record name it, and removes the journal and the image before it. Whichever of these
   * steps is the last that is done, the record names an image that is there with a journal that belongs to it.
   */
  async #save(): Promise<void> {
    // The record in the store may be newer than the one that would replace it.
    if (this.#behind) return;
    const { definition } = this.#shape;
    const arrays = [...this.projection.arrays(), ...this.#deletions.memory.arrays];
    const id = await this.#image?.write(arrays, this.#onProgress);
    if (id === undefined) return;
    const record = { ...this.#record, image: { id, keys: 0, journal: new ContentSum() } };
    this.#behind = true;
    await this.#store.applyBatch([this.#recordWrite(record)]);
    this.#record = record;
    this.#behind = false;
    // A power cut must not bring back a record that names what is removed now.
    await this.#store.flush();
    await removeOtherJournals(this.#store, definition.name, id);
    if (this.#savedId !== undefined) await this.#image?.remove(this.#savedId);
    this.#savedId = id;
  }

  async #openProjection(): Promise<void> {
    const { image } = this.#record;
    if (image === undefined || !(await this.#readImage(image))) {
      if (image !== undefined) {
        this.#record = { ...this.#record, image: undefined };
        await this.#store.applyBatch([this.#recordWrite(this.#record)]);
      }
      await this.#rebuild(this.#record);
    }
    this.#savedId = this.#record.image?.id;
    await removeOtherJournals(this.#store, this.#shape.definition.name, this.#savedId);
  }

  /** Whether the projection could be taken from the image. Whatever does not fit is left to a scan to judge. */
  async #readImage(mark: ImageMark): Promise<boolean> {
    const image = this.#image;
    if (image === undefined) return false;
    const startedMs = image.elapsedMs();
    try {
      if (image.isSpent(mark)) throw new Error('more has changed since than may be read again');
      const projection = this.#shape.emptyProjection();
      const deletions = new DeletedKeys();
      await image.read(mark.id, [...projection.arrays(), ...deletions.memory.arrays]);
      projection.refresh();
      deletions.refresh();
      this.projection.adopt(projection);
      this.#deletions = deletions;
      await this.#replay(await readJournal(this.#store, this.#shape.definition.name, mark));
    } catch (error) {
      if (error instanceof EnrichError && error.kind !== 'rebuild') throw error;
      image.tellUnusable(error);
      // The scan fills another one: there must not be memory for both.
      this.projection.adopt(this.#shape.emptyProjection());
      return false;
    }
    this.#unchecked = true;
    image.tellRead({ rows: this.projection.rowCount, keys: mark.keys, startedMs });
    return true;
  }

  /** Reads again what has changed since the image was made. Errors: `rebuild` where a row is not the one it was. */
  async #replay({ rows, joinKeys }: Journal): Promise<void> {
    const { rowPrefix, indexed } = this.#shape;
    const view = new RowView();
    for (let at = 0; at < rows.length; at += replayedAtOnceMax) {
      const group = rows.slice(at, at + replayedAtOnceMax);
      const storeKeys = group.map(({ primaryKey }) => Buffer.concat([rowPrefix, primaryKey]));
      const values = await this.#store.getMany(storeKeys);
      const entries: Uint8Array[] = [];
      for (const [index, storeKey] of storeKeys.entries()) {
        const value = values[index];
        if (value === undefined || rowHash(storeKey, value) !== group[index]?.hash) {
          throw new EnrichError('rebuild', 'a row that the journal names is missing or another');
        }
        view.read(value, 0, value.length);
        if (!indexed) this.#projectRow(storeKey, view);
        const joinKey = view.joinKey();
        if (joinKey !== undefined) entries.push(this.#shape.joinKeyEntry(storeKey, joinKey));
      }
      if ((await this.#store.getMany(entries)).includes(undefined)) {
        throw new EnrichError('rebuild', 'a row that the journal names is missing in the index');
      }
    }
    await this.#owners.refresh(joinKeys);
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
    return recordWrite(this.#shape.definition.name, record);
  }
}
