import type { Change, ChangeReject, RowChange, Tombstone } from '../../connectors/change.ts';
import { incrementalRead } from '../../connectors/source-position.ts';
import { ByteWriter } from './byte-writer.ts';
import { ValueRefused } from './column-codec.ts';
import type { DimensionShape } from './dimension-shape.ts';
import { normaliseKey } from './normalise.ts';
import { RowView, writeMovedRow, writeNull, writeRowHeader } from './state-row.ts';

/** A change with the offset of the record that it came from. */
export type PositionedChange = { offset: bigint; change: Change };

/** A change that breaks the contract, with the reason: `invalid-key` or `invalid-column`. */
export type RefusedChange = { offset: bigint; reject: ChangeReject };

/** What concerns one row, with the offset of its record. */
type RowEntry = { offset: bigint; change: RowChange | Tombstone };

/** One row that changes of a batch speak of, and what becomes of it. */
export type PendingRow = {
  storeKey: Uint8Array;
  /** Where in the store key the primary key starts, its kind included. */
  primaryKeyStart: number;
  changes: RowEntry[];
  /** The row in the store before the batch, undefined where there is none. */
  stored: Uint8Array | undefined;
  /** The row after the batch, as bytes of the batch's writer; `start` is -1 where nothing changed. */
  start: number;
  end: number;
  deleted: boolean;
  joinKey: Uint8Array | undefined;
};

export type RowsOfBatch = {
  rows: PendingRow[];
  /** The highest truncation, the stored one included. */
  truncatedAt: bigint | undefined;
  refused: RefusedChange[];
};

/** Sorts the changes of a batch by row, in order. Rejects of the decoder change nothing. */
export function rowsOf(
  shape: DimensionShape,
  changes: readonly PositionedChange[],
  truncatedBefore: bigint | undefined,
): RowsOfBatch {
  const byIdentity = new Map<unknown, PendingRow>();
  const refused: RefusedChange[] = [];
  const keys = new ByteWriter(Math.max(64, changes.length * 32));
  const ends: number[] = [];
  let truncatedAt = truncatedBefore;
  for (const { offset, change } of changes) {
    if (change.kind === 'truncate') truncatedAt = highest(truncatedAt, change.sourcePosition);
    if (change.kind === 'truncate' || change.kind === 'reject') continue;
    try {
      const value = change.rowKey[shape.definition.primaryKey];
      const identity = identityOf(shape, value);
      let row = byIdentity.get(identity);
      if (row === undefined) {
        writeStoreKey(shape, keys, value);
        ends.push(keys.length);
        row = newRow(shape);
        byIdentity.set(identity, row);
      }
      row.changes.push({ offset, change });
    } catch (error) {
      const reject = refusal('invalid-key', shape.definition.primaryKey, offset, error);
      // No row has a key that is refused: there is nothing to be gone.
      if (change.kind !== 'tombstone') refused.push(reject);
    }
  }
  const rows = [...byIdentity.values()];
  let start = 0;
  for (const [index, row] of rows.entries()) {
    row.storeKey = keys.bytes.subarray(start, ends[index]);
    start = ends[index] ?? start;
  }
  return { rows, truncatedAt, refused };
}

function newRow(shape: DimensionShape): PendingRow {
  return {
    storeKey: shape.rowPrefix,
    primaryKeyStart: shape.rowPrefix.length,
    changes: [],
    stored: undefined,
    start: -1,
    end: -1,
    deleted: false,
    joinKey: undefined,
  };
}

/** Equal for values of one primary key, whatever form they arrive in. */
function identityOf(shape: DimensionShape, value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value === 'string' && shape.definition.joinKeyType !== 'uuid') return value;
  if (typeof value === 'bigint') return value;
  const writer = new ByteWriter(32);
  shape.writePrimaryKey(writer, value);
  return Buffer.from(writer.bytes.subarray(0, writer.length)).toString('hex');
}

function writeStoreKey(shape: DimensionShape, keys: ByteWriter, value: unknown): void {
  const start = keys.length;
  keys.raw(shape.rowPrefix, 0, shape.rowPrefix.length);
  try {
    shape.writePrimaryKey(keys, value);
  } catch (error) {
    keys.length = start;
    throw error;
  }
}

function highest(left: bigint | undefined, right: bigint): bigint {
  return left === undefined || right > left ? right : left;
}

export type FoldCounts = {
  applied: number;
  /** Not newer than what the state holds. */
  ignored: number;
  /** Unchanged TOAST values that the state does not hold: they became null. */
  unknownValues: number;
};

/** Applies the changes of rows in order and writes what results. */
export class ChangeFold {
  readonly writer: ByteWriter;
  readonly counts: FoldCounts = { applied: 0, ignored: 0, unknownValues: 0 };
  readonly refused: RefusedChange[];
  readonly #shape: DimensionShape;
  readonly #partition: number;
  readonly #truncatedAt: bigint | undefined;
  readonly #view = new RowView();

  constructor(shape: DimensionShape, batch: RowsOfBatch, partition: number) {
    this.#shape = shape;
    this.#partition = partition;
    this.#truncatedAt = batch.truncatedAt;
    this.refused = batch.refused;
    this.writer = new ByteWriter(Math.max(256, batch.rows.length * 128));
  }

  /**
   * A change that is not newer than the row, its deletion or a truncation changes nothing (INVARIANTS.md 8):
   *
   * - A streamed change is newer by its source position.
   * - A row that an incremental snapshot read, and a tombstone, are newer by their place in the topic. Neither
   *   lowers the position that streamed changes must exceed; after a tombstone, the row as it was may come again.
   * - A tombstone belongs to the delete right before it, where there is one: if that was not newer, nor is it.
   */
  fold(row: PendingRow): void {
    let current = this.#liveOrDeleted(row.stored);
    for (const [index, entry] of row.changes.entries()) {
      if (!this.#take(row, entry, current)) continue;
      // Changes that follow may keep values of this one.
      if (index + 1 < row.changes.length) {
        current = this.#view.read(this.writer.bytes, row.start, row.end);
      }
    }
  }

  /** Whether the row was written. */
  #take(row: PendingRow, entry: RowEntry, current: RowView | undefined): boolean {
    if (this.#isNewer(entry, current)) {
      if (!this.#write(row, entry, current)) return false;
      this.counts.applied++;
      return true;
    }
    const { change, offset } = entry;
    if (change.kind === 'tombstone') return false;
    this.counts.ignored++;
    if (change.kind !== 'delete' || !this.#followsLive(offset, current)) return false;
    this.#move(row, current, offset + 1n);
    return true;
  }

  #liveOrDeleted(stored: Uint8Array | undefined): RowView | undefined {
    if (stored === undefined) return undefined;
    const view = this.#view.read(stored, 0, stored.length);
    const floor = this.#truncatedAt;
    return floor !== undefined && view.sourcePosition <= floor ? undefined : view;
  }

  #isNewer({ change, offset }: RowEntry, current: RowView | undefined): boolean {
    if (change.kind === 'tombstone') return this.#followsLive(offset, current);
    // The very change that the row came from, read again for the columns that the row lacks.
    const isIncomplete = (): boolean =>
      change.kind === 'upsert' && current?.deleted === false && this.#shape.lacksColumns(current);
    if (change.sourcePosition === incrementalRead) {
      if (current === undefined || current.partition !== this.#partition) return true;
      return offset > current.offset || (offset === current.offset && isIncomplete());
    }
    const newest = current?.sourcePosition ?? this.#truncatedAt;
    if (newest === undefined || change.sourcePosition > newest) return true;
    return change.sourcePosition === newest && isIncomplete();
  }

  /** A row of another partition has another key there, which this offset says nothing of. */
  #followsLive(offset: bigint, current: RowView | undefined): current is RowView {
    return (
      current?.deleted === false && current.partition === this.#partition && offset > current.offset
    );
  }

  /** Takes note of the place up to which the topic has told nothing new of the row. */
  #move(row: PendingRow, current: RowView, offset: bigint): void {
    const joinKey = current.joinKey();
    const start = this.writer.length;
    writeMovedRow(this.writer, current, offset);
    Object.assign(row, { joinKey, start, end: this.writer.length, deleted: false });
  }

  #positionAfter(change: RowChange | Tombstone, current: RowView | undefined): bigint {
    if (change.kind === 'tombstone') return (current?.sourcePosition ?? 0n) - 1n;
    if (change.sourcePosition !== incrementalRead) return change.sourcePosition;
    // Above a truncation, which would end the row.
    const floor = this.#truncatedAt === undefined ? incrementalRead : this.#truncatedAt + 1n;
    return highest(current?.sourcePosition, floor);
  }

  /** False if the change is refused; the row then stays what it was. */
  #write(row: PendingRow, { offset, change }: RowEntry, current: RowView | undefined): boolean {
    const { writer } = this;
    const start = writer.length;
    const kept = current?.deleted === false ? current : undefined;
    try {
      const joinKey = change.kind === 'upsert' ? this.#joinKey(row, change, kept) : undefined;
      writeRowHeader(writer, {
        deleted: change.kind !== 'upsert',
        layout: this.#shape.layout,
        sourcePosition: this.#positionAfter(change, current),
        partition: this.#partition,
        offset,
        joinKey,
      });
      if (change.kind === 'upsert') this.#writeColumns(change, kept);
      row.joinKey = joinKey;
      row.start = start;
      row.end = writer.length;
      row.deleted = change.kind !== 'upsert';
      return true;
    } catch (error) {
      writer.length = start;
      this.refused.push(refusal('invalid-column', '', offset, error));
      return false;
    }
  }

  #joinKey(
    row: PendingRow,
    change: RowChange & { kind: 'upsert' },
    kept: RowView | undefined,
  ): Uint8Array | undefined {
    const { indexed, definition } = this.#shape;
    if (!indexed) return undefined;
    const { joinKey, primaryKey, normaliser } = definition;
    if (joinKey === primaryKey) {
      return normaliseKey(normaliser, row.storeKey.slice(row.primaryKeyStart + 1));
    }
    if (change.unavailable.includes(joinKey)) return kept?.joinKey();
    const value = change.after[joinKey];
    if (value === null || value === undefined) return undefined;
    return named(joinKey, () => this.#shape.joinKeyOf(value));
  }

  #writeColumns(change: RowChange & { kind: 'upsert' }, kept: RowView | undefined): void {
    const { writer } = this;
    const { after, unavailable } = change;
    const { codecs, definition } = this.#shape;
    for (let index = 0; index < codecs.length; index++) {
      const { name } = definition.columns[index] as { name: string };
      if (unavailable.length > 0 && unavailable.includes(name)) {
        if (kept === undefined) writeNull(writer);
        const known = kept !== undefined && this.#shape.copyColumn(writer, kept, index);
        if (!known) this.counts.unknownValues++;
        continue;
      }
      const value = after[name];
      // A column that was dropped at the source is absent.
      if (value === null || value === undefined) writeNull(writer);
      else this.#writeValue(index, name, value);
    }
  }

  #writeValue(index: number, name: string, value: unknown): void {
    try {
      this.#shape.codecs[index]?.write(this.writer, value);
    } catch (error) {
      throw prefixed(name, error);
    }
  }
}

function named<T>(column: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw prefixed(column, error);
  }
}

function prefixed(column: string, error: unknown): unknown {
  if (!(error instanceof ValueRefused)) return error;
  return new ValueRefused(`column ${column}: ${error.message}`);
}

function refusal(
  reason: 'invalid-key' | 'invalid-column',
  column: string,
  offset: bigint,
  error: unknown,
): RefusedChange {
  if (!(error instanceof ValueRefused)) throw error;
  const message = column === '' ? error.message : `primary key ${column}: ${error.message}`;
  return { offset, reject: { reason, message } };
}
