import { EnrichError } from '../error.ts';
import type { DimensionShape } from './dimension-shape.ts';
import type { PendingRow } from './fold-changes.ts';
import type { MutableProjection } from './hash-projection.ts';
import type { KeyValueStore, StoreWrite } from './key-value-store.ts';
import { RowView } from './state-row.ts';
import { joinKeyPrefix, rangeOf } from './store-key.ts';

/** A join key that rows of a batch had or have. */
type Touched = {
  joinKey: Uint8Array;
  /** A row of the batch answered for it, alone or among others, before the batch. */
  hadRow: boolean;
  /** Rows of the batch that have it now. */
  rows: PendingRow[];
};

/** The row that answers for a join key now, undefined where none has it any more. */
type Owner = { joinKey: Uint8Array; row: Uint8Array | undefined; shared: boolean };

const scansAtOnceMax = 32;

/**
 * Which row answers for a join key: of all live rows that have it, the one with the lowest primary key.
 * The index in the store knows all of them; the projection knows the one, and whether there are more.
 */
export class JoinKeyOwners {
  readonly #store: KeyValueStore;
  readonly #shape: DimensionShape;
  readonly #projection: MutableProjection;
  readonly #view = new RowView();

  constructor(store: KeyValueStore, shape: DimensionShape, projection: MutableProjection) {
    this.#store = store;
    this.#shape = shape;
    this.#projection = projection;
  }

  /**
   * Finds the owners of all join keys that the rows touch, after the store has taken the rows. `apply`
   * then brings them into the projection, in one turn.
   */
  async after(rows: readonly PendingRow[], bytes: Uint8Array): Promise<{ apply: () => void }> {
    const owners: Owner[] = [];
    const unknown: Touched[] = [];
    for (const touched of this.#touchedBy(rows)) {
      if (this.#needsIndex(touched)) unknown.push(touched);
      else owners.push(ownerAmong(touched, bytes));
    }
    for (let at = 0; at < unknown.length; at += scansAtOnceMax) {
      const group = unknown.slice(at, at + scansAtOnceMax);
      owners.push(...(await Promise.all(group.map(({ joinKey }) => this.#ownerInStore(joinKey)))));
    }
    return { apply: () => this.#apply(owners) };
  }

  /** The join keys that these rows had or have. */
  joinKeysOf(rows: readonly PendingRow[]): Uint8Array[] {
    return [...this.#touchedBy(rows)].map(({ joinKey }) => joinKey);
  }

  /** Asks the index for the owners of these join keys. Errors: `rebuild` where it names a row that has another. */
  async refresh(joinKeys: readonly Uint8Array[]): Promise<void> {
    for (let at = 0; at < joinKeys.length; at += scansAtOnceMax) {
      const group = joinKeys.slice(at, at + scansAtOnceMax);
      const owners = await Promise.all(group.map((joinKey) => this.#ownerInStore(joinKey)));
      for (const owner of owners) this.#assertOwns(owner);
      this.#apply(owners);
    }
  }

  #assertOwns({ joinKey, row, shared }: Owner): void {
    if (row === undefined && !shared) return;
    const own = row === undefined ? undefined : this.#view.read(row, 0, row.length).joinKey();
    if (own !== undefined && Buffer.compare(own, joinKey) === 0) return;
    throw new EnrichError('rebuild', 'the index of join keys names a row that has another');
  }

  /**
   * Without the index, the owner is known where the key had no row before, or had one alone and the batch
   * changed that one: then only rows of the batch can have it now.
   */
  #needsIndex({ joinKey, hadRow }: Touched): boolean {
    const slot = this.#projection.find(joinKey, 0, joinKey.length);
    return slot >= 0 && (this.#projection.isShared(slot) || !hadRow);
  }

  #touchedBy(rows: readonly PendingRow[]): Iterable<Touched> {
    const touched = new Map<string, Touched>();
    for (const row of rows) {
      const before = this.#joinKeyBefore(row);
      if (before !== undefined) touch(touched, before).hadRow = true;
      if (row.joinKey !== undefined) touch(touched, row.joinKey).rows.push(row);
    }
    return touched.values();
  }

  #joinKeyBefore({ stored }: PendingRow): Uint8Array | undefined {
    if (stored === undefined) return undefined;
    return this.#view.read(stored, 0, stored.length).joinKey();
  }

  async #ownerInStore(joinKey: Uint8Array): Promise<Owner> {
    const prefix = joinKeyPrefix(this.#shape.definition.name, joinKey);
    const primaryKeys: Uint8Array[] = [];
    for await (const { key } of this.#store.scan({ ...rangeOf(prefix), limit: 2 })) {
      primaryKeys.push(key.subarray(prefix.length));
    }
    const [first] = primaryKeys;
    if (first === undefined) return { joinKey, row: undefined, shared: false };
    const [row] = await this.#store.getMany([Buffer.concat([this.#shape.rowPrefix, first])]);
    return { joinKey, row, shared: primaryKeys.length > 1 };
  }

  #apply(owners: readonly Owner[]): void {
    for (const { joinKey, row, shared } of owners) {
      if (row === undefined) {
        const slot = this.#projection.find(joinKey, 0, joinKey.length);
        if (slot >= 0) this.#projection.remove(slot);
        continue;
      }
      const columns = this.#shape.columnsInUse(this.#view.read(row, 0, row.length));
      const key = { bytes: joinKey, start: 0, length: joinKey.length };
      this.#projection.setShared(this.#projection.upsert(key, columns), shared);
    }
  }
}

/** What the index of join keys needs written for rows that change. */
export function indexWrites(shape: DimensionShape, rows: readonly PendingRow[]): StoreWrite[] {
  const view = new RowView();
  const writes: StoreWrite[] = [];
  for (const { storeKey, stored, joinKey } of rows) {
    // Also of a row that a truncation has ended but that is not removed yet.
    const before = stored === undefined ? undefined : view.read(stored, 0, stored.length).joinKey();
    if (before !== undefined && joinKey !== undefined && Buffer.compare(before, joinKey) === 0) {
      continue;
    }
    if (before !== undefined) {
      writes.push({ key: shape.joinKeyEntry(storeKey, before), value: undefined });
    }
    if (joinKey !== undefined) {
      writes.push({ key: shape.joinKeyEntry(storeKey, joinKey), value: new Uint8Array() });
    }
  }
  return writes;
}

function touch(touched: Map<string, Touched>, joinKey: Uint8Array): Touched {
  const text = Buffer.from(joinKey.buffer, joinKey.byteOffset, joinKey.length).toString('latin1');
  const known = touched.get(text);
  if (known !== undefined) return known;
  const added: Touched = { joinKey, hadRow: false, rows: [] };
  touched.set(text, added);
  return added;
}

function ownerAmong({ joinKey, rows }: Touched, bytes: Uint8Array): Owner {
  let lowest: PendingRow | undefined;
  for (const row of rows) {
    if (lowest === undefined || Buffer.compare(row.storeKey, lowest.storeKey) < 0) lowest = row;
  }
  const row = lowest === undefined ? undefined : bytes.subarray(lowest.start, lowest.end);
  return { joinKey, row, shared: rows.length > 1 };
}
