import { EnrichError } from '../error.ts';
import { ContentSum } from './content-sum.ts';
import type { DimensionShape } from './dimension-shape.ts';
import type { PendingRow } from './fold-changes.ts';
import type { StoreEntry } from './key-value-store.ts';
import type { RowView } from './state-row.ts';
import { placesInEntry } from './store-key.ts';

/** After how many entries a check asks whether it may go on. */
const checkedAtOnceMax = 1_024;

/** Asked now and then by what reads a whole dimension; where it says no, that ends without a result. */
export type GoOn = () => Promise<boolean>;

/** What the rows that are found in the store add up to, compared with what they must. */
export class ContentCheck {
  readonly #shape: DimensionShape;
  readonly #found = new ContentSum();
  readonly #indexed = new ContentSum();

  constructor(shape: DimensionShape) {
    this.#shape = shape;
  }

  add(storeKey: Uint8Array, value: Uint8Array): void {
    this.#found.add(storeKey, value);
  }

  /** Every row that is kept has an entry in the index, if it has a join key. */
  addIndexed(storeKey: Uint8Array, view: RowView): void {
    const { bytes, joinKeyStart: start, joinKeyLength: length } = view;
    if (length < 0) return;
    this.#indexed.add(
      storeKey.subarray(this.#shape.rowPrefix.length),
      bytes,
      start,
      start + length,
    );
  }

  /** Adds all of these rows; false where that was ended. */
  async addAll(rows: AsyncIterable<StoreEntry>, view: RowView, goOn: GoOn): Promise<boolean> {
    for await (const { key, value } of rows) {
      this.add(key, value);
      this.addIndexed(key, view.read(value, 0, value.length));
      if (this.#found.rows % checkedAtOnceMax === 0 && !(await goOn())) return false;
    }
    return true;
  }

  /** Throws `rebuild` where rows are missing. */
  assertRows(expected: ContentSum | undefined): void {
    if (expected === undefined) return;
    this.#assertEqual('state', expected, this.#found);
  }

  /** The index has an entry for each row with a join key, and no other. Throws `rebuild` where it has not. */
  async assertIndex(entries: AsyncIterable<StoreEntry>, goOn: GoOn): Promise<void> {
    const found = new ContentSum();
    for await (const { key } of entries) {
      const { joinKey, primaryKey } = placesInEntry(key);
      found.add(key.subarray(primaryKey), key, joinKey, primaryKey);
      if (found.rows % checkedAtOnceMax === 0 && !(await goOn())) return;
    }
    this.#assertEqual('index', this.#indexed, found);
  }

  #assertEqual(what: 'state' | 'index', expected: ContentSum, found: ContentSum): void {
    if (found.equals(expected)) return;
    const { name } = this.#shape.definition;
    throw new EnrichError(
      'rebuild',
      `dimension ${name}: the ${what} must hold ${expected.rows} rows and holds ${found.rows}, or others`,
      { context: { dimension: name, expectedRows: expected.rows, foundRows: found.rows } },
    );
  }
}

/** What the rows in the store add up to once these have changed, and the hash of each of these. */
export function contentAfter(
  before: ContentSum | undefined,
  rows: readonly PendingRow[],
  bytes: Uint8Array,
): { content: ContentSum | undefined; hashes: number[] } {
  const content = before?.copy();
  if (content === undefined) return { content, hashes: [] };
  const hashes = rows.map(({ storeKey, stored, start, end }) => {
    if (stored !== undefined) content.remove(storeKey, stored);
    return content.add(storeKey, bytes, start, end);
  });
  return { content, hashes };
}
