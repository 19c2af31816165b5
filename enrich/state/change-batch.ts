import type { PlainChange } from '../../connectors/read-plain-change.ts';
import { ByteWriter } from './byte-writer.ts';
import { ValueRefused } from './column-codec.ts';
import type { DimensionShape } from './dimension-shape.ts';
import { ChangeFold, isEnded, rowsOf } from './fold-changes.ts';
import type { FoldCounts, PendingRow, PositionedChange, RefusedChange } from './fold-changes.ts';
import { RowImages } from './row-images.ts';
import { RowView } from './state-row.ts';

/** Reads the change at an offset of the batch as an object; it is one that was added as a plain change. */
export type ReadChange = (offset: bigint) => PositionedChange;

export type FoldedBatch = FoldCounts & {
  /** Rows that have changed, of each its bytes in `bytes`. */
  changed: readonly PendingRow[];
  bytes: Uint8Array;
  /** The highest truncation, the one before included. */
  truncatedAt: bigint | undefined;
  refused: readonly RefusedChange[];
};

/**
 * Changes of one partition on their way into a dimension. Plain ones become rows at once. What such a row cannot tell
 * is judged by `ChangeFold`, from the change itself: changes of one row among each other, of a row that the store
 * holds, unless it is simply older, and before a truncation. Both ways leave the same rows.
 */
export class ChangeBatch {
  /** Joins the rows of plain changes and those that `ChangeFold` writes. */
  readonly #writer = new ByteWriter(1024);
  readonly #shape: DimensionShape;
  readonly #partition: number;
  readonly #images: RowImages;
  readonly #changes: PositionedChange[] = [];
  readonly #readChange: ReadChange;
  readonly #view = new RowView();

  constructor(shape: DimensionShape, partition: number, readChange: ReadChange) {
    this.#shape = shape;
    this.#partition = partition;
    this.#readChange = readChange;
    this.#images = new RowImages(shape, { partition, writer: this.#writer });
  }

  /** The batch, or one of changes that are objects. */
  static of(
    shape: DimensionShape,
    partition: number,
    changes: ChangeBatch | readonly PositionedChange[],
  ): ChangeBatch {
    if (changes instanceof ChangeBatch) return changes;
    const batch = new ChangeBatch(shape, partition, (offset) => {
      throw new RangeError(`assert: a change that was added as a plain one, got ${offset}`);
    });
    for (const change of changes) batch.add(change);
    return batch;
  }

  add(change: PositionedChange): void {
    this.#changes.push(change);
  }

  /** False for one that must be added as an object. Its offset must be below 2^53. */
  addPlain(change: PlainChange, place: { offset: number; timestampMs: number }): boolean {
    return this.#images.add(change, place);
  }

  /** What becomes of the rows that the changes speak of; `readStored` is to find what the store holds of rows. */
  async fold(
    readStored: (rows: readonly PendingRow[]) => Promise<void>,
    truncatedBefore: bigint | undefined,
  ): Promise<FoldedBatch> {
    const plain = this.#images.rows();
    await readStored(plain);
    const changes = this.#changesToFold(plain, truncatedBefore);
    const rest = rowsOf(this.#shape, changes, truncatedBefore);
    await readStored(rest.rows);
    const fold = new ChangeFold(this.#shape, rest, {
      partition: this.#partition,
      writer: this.#writer,
    });
    for (const row of rest.rows) fold.fold(row);
    const taken = plain.filter(isChanged);
    return {
      ...fold.counts,
      applied: fold.counts.applied + taken.length,
      changed: [...taken, ...rest.rows.filter(isChanged)],
      bytes: this.#writer.bytes,
      truncatedAt: rest.truncatedAt,
      refused: fold.refused,
    };
  }

  /** The changes to be folded, in order; plain rows that are left to them are marked as not changed. */
  #changesToFold(
    rows: readonly PendingRow[],
    truncatedAt: bigint | undefined,
  ): readonly PositionedChange[] {
    const changes = this.#changes;
    if (rows.length === 0) return changes;
    const isTruncated = changes.some(({ change }) => change.kind === 'truncate');
    const shared = this.#images.shared(this.#storeKeys());
    const dropped = rows.flatMap((row, index) => {
      if (!isTruncated && !shared.has(index) && this.#isNewer(row, index, truncatedAt)) return [];
      row.start = -1;
      return [this.#readChange(this.#images.offset(index))];
    });
    if (dropped.length === 0) return changes;
    return [...changes, ...dropped].toSorted((a, b) => (a.offset < b.offset ? -1 : 1));
  }

  /** Whether the change makes a row as a whole, whatever the stored one tells. */
  #isNewer({ stored }: PendingRow, index: number, truncatedAt: bigint | undefined): boolean {
    if (stored === undefined && truncatedAt === undefined) return true;
    const position = this.#images.sourcePosition(index);
    if (truncatedAt !== undefined && position <= truncatedAt) return false;
    if (stored === undefined) return true;
    const row = this.#view.read(stored, 0, stored.length);
    return isEnded(row, truncatedAt) || (position > row.sourcePosition && !row.byPlace);
  }

  /** Of the rows that changes speak of; a key that is refused has none. */
  *#storeKeys(): Iterable<Uint8Array> {
    const { rowPrefix, definition } = this.#shape;
    const writer = new ByteWriter(64);
    for (const { change } of this.#changes) {
      if (change.kind === 'truncate' || change.kind === 'reject') continue;
      writer.length = 0;
      writer.raw(rowPrefix, 0, rowPrefix.length);
      try {
        this.#shape.writePrimaryKey(writer, change.rowKey[definition.primaryKey]);
      } catch (error) {
        if (error instanceof ValueRefused) continue;
        throw error;
      }
      yield writer.bytes.subarray(0, writer.length);
    }
  }
}

function isChanged({ start }: PendingRow): boolean {
  return start >= 0;
}
