import type { Change, ChangeReject, RowChange, Tombstone } from '../../connectors/change.ts';
import { incrementalRead } from '../../connectors/source-position.ts';
import { ByteWriter } from './byte-writer.ts';
import { ValueRefused } from './column-codec.ts';
import type { DimensionShape } from './dimension-shape.ts';
import { normaliseKey } from './normalise.ts';
import { RowView, writeMovedRow, writeNull, writeRowHeader } from './state-row.ts';

/** A change with the offset of the record that it came from, and its timestamp in epoch ms. */
export type PositionedChange = { offset: bigint; timestampMs: number; change: Change };

/** A change that breaks the contract, with the reason: `invalid-key` or `invalid-column`. */
export type RefusedChange = { offset: bigint; reject: ChangeReject };

/** What concerns one row. */
type RowEntry = {
  offset: bigint;
  timestampMs: number;
  change: RowChange | Tombstone;
  /** The highest truncation before it. */
  truncatedAt: bigint | undefined;
};

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
  for (const { offset, timestampMs, change } of changes) {
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
      row.changes.push({ offset, timestampMs, change, truncatedAt });
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
  readonly #view = new RowView();

  constructor(
    shape: DimensionShape,
    { refused }: RowsOfBatch,
    { partition, writer }: { partition: number; writer: ByteWriter },
  ) {
    this.#shape = shape;
    this.#partition = partition;
    this.refused = refused;
    this.writer = writer;
  }

  /**
   * A change that is not newer than the row, its deletion or a truncation changes nothing (INVARIANTS.md 8):
   *
   * - Streamed changes are ordered by their source positions, wherever they stand.
   * - A row that an incremental snapshot read stands by its place: after all that its partition tells before it,
   *   and after what other partitions told earlier by the timestamps of the records. A row has records in two
   *   partitions where its key changed its form or partitions were added, and these are read in any order.
   * - A tombstone ends the row that stands in its partition: another partition has another form of the key. It
   *   belongs to the delete right before it, where there is one: if that was not newer, nor is it.
   *
   * Neither a read nor a tombstone lowers the position that streamed changes must exceed; after a tombstone the
   * row as it was may come again.
   */
  fold(row: PendingRow): void {
    const { stored } = row;
    let latest = stored === undefined ? undefined : this.#view.read(stored, 0, stored.length);
    for (const [index, entry] of row.changes.entries()) {
      const current = isEnded(latest, entry.truncatedAt) ? undefined : latest;
      if (!this.#take(row, entry, current)) continue;
      // Changes that follow may keep values of this one.
      if (index + 1 < row.changes.length) {
        latest = this.#view.read(this.writer.bytes, row.start, row.end);
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
    if (entry.change.kind === 'tombstone') return false;
    this.counts.ignored++;
    return current !== undefined && this.#move(row, entry, current);
  }

  #isNewer(entry: RowEntry, current: RowView | undefined): boolean {
    const { change, truncatedAt } = entry;
    if (change.kind === 'tombstone') return this.#followsLive(entry, current);
    const { sourcePosition } = change;
    if (sourcePosition === incrementalRead) {
      if (current === undefined || this.#follows(entry, current)) return true;
      return this.#isAt(entry, current) && this.#completes(entry, current);
    }
    if (current === undefined) return truncatedAt === undefined || sourcePosition > truncatedAt;
    if (sourcePosition === current.sourcePosition) {
      const comesAgain = current.deleted && current.byPlace && this.#follows(entry, current);
      return comesAgain || this.#completes(entry, current);
    }
    if (sourcePosition < current.sourcePosition) return false;
    return !current.byPlace || this.#follows(entry, current);
  }

  /** Whether it is the very change that the row came from, read again for the columns that the row lacks. */
  #completes({ change }: RowEntry, current: RowView): boolean {
    return change.kind === 'upsert' && !current.deleted && this.#shape.lacksColumns(current);
  }

  #isAt({ offset }: RowEntry, current: RowView): boolean {
    return current.partition === this.#partition && current.offset === offset;
  }

  /** Whether its place is behind the row's: by offset, or by timestamp where that is in another partition. */
  #follows({ offset, timestampMs }: RowEntry, current: RowView): boolean {
    if (current.partition === this.#partition) return offset > current.offset;
    if (timestampMs !== current.timestampMs) return timestampMs > current.timestampMs;
    return this.#partition > current.partition;
  }

  #followsLive({ offset }: RowEntry, current: RowView | undefined): current is RowView {
    return (
      current?.deleted === false && current.partition === this.#partition && offset > current.offset
    );
  }

  /**
   * Takes note of what a change that is not newer tells all the same: that its tombstone is not newer either, and
   * a source position which is older by its place only. False where that is nothing.
   */
  #move(row: PendingRow, entry: RowEntry, current: RowView): boolean {
    const { change, offset } = entry;
    const isDelete = change.kind === 'delete' && this.#followsLive(entry, current);
    const sourcePosition = this.#positionAfter(entry, current);
    if (!isDelete && sourcePosition === current.sourcePosition) return false;
    const { deleted } = current;
    const joinKey = current.joinKey();
    const start = this.writer.length;
    const moved = { sourcePosition, offset: isDelete ? offset + 1n : current.offset };
    writeMovedRow(this.writer, current, moved);
    Object.assign(row, { joinKey, start, end: this.writer.length, deleted });
    return true;
  }

  #positionAfter({ change, truncatedAt }: RowEntry, current: RowView | undefined): bigint {
    const isStreamed = change.kind !== 'tombstone' && change.sourcePosition !== incrementalRead;
    if (isStreamed) return highest(current?.sourcePosition, change.sourcePosition);
    // Above a truncation, which would end the row.
    const floor = truncatedAt === undefined ? incrementalRead : truncatedAt + 1n;
    return highest(current?.sourcePosition, floor);
  }

  /** False if the change is refused; the row then stays what it was. */
  #write(row: PendingRow, entry: RowEntry, current: RowView | undefined): boolean {
    const { writer } = this;
    const { offset, change } = entry;
    const start = writer.length;
    const kept = current?.deleted === false ? current : undefined;
    try {
      const joinKey = change.kind === 'upsert' ? this.#joinKey(row, change, kept) : undefined;
      writeRowHeader(writer, {
        deleted: change.kind !== 'upsert',
        byPlace: change.kind === 'tombstone' || change.sourcePosition === incrementalRead,
        layout: this.#shape.layout,
        sourcePosition: this.#positionAfter(entry, current),
        partition: this.#partition,
        offset,
        // A tombstone speaks of its own partition alone: to the others the row is as old as it was.
        timestampMs: change.kind === 'tombstone' ? (current?.timestampMs ?? 0) : entry.timestampMs,
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

/** Whether a truncation has ended the row. */
export function isEnded(row: RowView | undefined, truncatedAt: bigint | undefined): boolean {
  return row !== undefined && truncatedAt !== undefined && row.sourcePosition <= truncatedAt;
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
