import { decodeRecord } from '../../enrich/state/dimension-record.ts';
import type { StoreWrite } from '../../enrich/state/key-value-store.ts';
import { RowView } from '../../enrich/state/state-row.ts';
import type { DimensionName } from '../enrich/pipeline/records.ts';
import type { ChangeEntry, SourceValue, Truth } from './truth.ts';
import { Violation } from './violation.ts';

/** A row as the changes that were delivered make it; without `row` it is deleted. */
type ModelRow = {
  lsn: number;
  row: SourceValue | undefined;
  partition: number;
  /** Up to here its partition has told of it. */
  offset: number;
};

/** A row as the store has it. */
type StoredRow = { deleted: boolean; value: string | null };

export type LiveRows = ReadonlyMap<string | number, SourceValue>;

type DimensionModel = {
  next: Map<number, number>;
  rows: Map<string | number, ModelRow>;
  stored: Map<string, StoredRow>;
  /** The live rows at each position that the state was ever at, by `positionText`. */
  versions: Map<string, LiveRows>;
};

const ROW = 'r'.charCodeAt(0);
const DIMENSION = 'd'.charCodeAt(0);
const META = 'm'.charCodeAt(0);

/**
 * What one state directory must hold, batch by batch: the changes that its process was handed below the position
 * of the batch, and nothing else (INVARIANTS.md 1, 8). Keeps the rows of every position that it was ever at, to
 * judge the joins of a commit by (INVARIANTS.md 7).
 */
export class StateModel {
  readonly #truth: Truth;
  readonly #dimensions = new Map<string, DimensionModel>();
  /** Offsets handed over and not yet below the position, by dimension and partition. */
  readonly #delivered = new Map<string, number[]>();

  constructor(truth: Truth, dimensions: readonly DimensionName[]) {
    this.#truth = truth;
    for (const name of dimensions) {
      const versions = new Map<string, LiveRows>([['', new Map()]]);
      this.#dimensions.set(name, { next: new Map(), rows: new Map(), stored: new Map(), versions });
    }
  }

  /** The process reads on from here: what it was handed from there on is handed over again. */
  seek(dimension: string, partition: number, nextOffset: number): void {
    const offsets = this.#offsets(dimension, partition);
    const from = offsets.findIndex((offset) => offset >= nextOffset);
    if (from >= 0) offsets.splice(from);
  }

  deliver(dimension: string, partition: number, offset: number): void {
    this.#offsets(dimension, partition).push(offset);
  }

  /** The live rows at a recorded position, undefined where the state was never at it. */
  at(dimension: string, next: Readonly<Record<string, string>>): LiveRows | undefined {
    return this.#dimensions.get(dimension)?.versions.get(positionText(Object.entries(next)));
  }

  liveRows(dimension: string): LiveRows {
    const model = this.#dimensions.get(dimension);
    return model === undefined ? new Map() : live(model);
  }

  next(dimension: string, partition: number): number {
    return this.#dimensions.get(dimension)?.next.get(partition) ?? 0;
  }

  /** Judges a batch that the store has taken. */
  applied(writes: readonly StoreWrite[]): void {
    const withRows = new Set<string>();
    const records = new Map<string, Uint8Array>();
    const meta = new Set<string>();
    for (const { key, value } of writes) {
      if (key[0] === ROW) withRows.add(this.#keepRow(key, value));
      else if (key[0] === DIMENSION && value !== undefined) records.set(text(key, 1), value);
      else if (key[0] === META) meta.add(text(key, 1));
    }
    for (const name of withRows) {
      if (!records.has(name))
        throw new Violation(1, `rows of ${name} were stored without a position`);
    }
    for (const [name, value] of records) this.#advance(name, value, meta);
  }

  #keepRow(key: Uint8Array, value: Uint8Array | undefined): string {
    const nameEnd = 2 + (key[1] ?? 0);
    const name = text(key, 2, nameEnd);
    const stored = this.#dimensions.get(name)?.stored;
    const rowKey = Buffer.from(key.subarray(nameEnd)).toString('latin1');
    if (value === undefined) {
      stored?.delete(rowKey);
      return name;
    }
    const view = new RowView().read(value, 0, value.length);
    const start = view.starts[0] ?? 0;
    const length = view.columnCount === 0 ? -1 : (view.lengths[0] ?? -1);
    const carried = length < 0 ? null : text(value, start, start + length);
    stored?.set(rowKey, { deleted: view.deleted, value: carried });
    return name;
  }

  #advance(name: string, value: Uint8Array, meta: ReadonlySet<string>): void {
    const model = this.#dimensions.get(name);
    const { source } = decodeRecord(value);
    if (model === undefined || source === undefined) return;
    for (const [partition, nextOffset] of source.next) {
      const next = Number(nextOffset);
      const before = model.next.get(partition) ?? 0;
      if (next < before) {
        throw new Violation(
          1,
          `the position of ${name}-${partition} went back: ${before} to ${next}`,
        );
      }
      for (const offset of this.#taken(name, partition, next)) {
        if (offset < before) continue;
        const entry = this.#truth.change(name as DimensionName, partition)[offset];
        if (entry === undefined) continue;
        applyEntry(model.rows, entry, partition, offset);
        if (entry.kind === 'reject' && !meta.has(`rejects/${name}/${partition}/${offset}`)) {
          throw new Violation(
            1,
            `the reject at ${name}-${partition}/${offset} was passed and not kept`,
          );
        }
      }
      model.next.set(partition, next);
    }
    compare(name, model);
    model.versions.set(positionText(model.next), live(model));
  }

  /** Takes the offsets below the position off those that were handed over. */
  #taken(dimension: string, partition: number, next: number): number[] {
    const offsets = this.#offsets(dimension, partition);
    const kept = offsets.findIndex((offset) => offset >= next);
    return offsets.splice(0, kept < 0 ? offsets.length : kept);
  }

  #offsets(dimension: string, partition: number): number[] {
    const key = `${dimension}/${partition}`;
    const known = this.#delivered.get(key);
    if (known !== undefined) return known;
    const added: number[] = [];
    this.#delivered.set(key, added);
    return added;
  }
}

/** A change counts if it is newer at the source; a tombstone alone ends the row before it in its partition. */
function applyEntry(
  rows: Map<string | number, ModelRow>,
  entry: ChangeEntry,
  partition: number,
  offset: number,
): void {
  if (entry.kind === 'reject' || entry.kind === 'invisible') return;
  const known = rows.get(entry.rowKey);
  const followsLive =
    known?.row !== undefined && known.partition === partition && offset > known.offset;
  if (entry.kind === 'row') {
    const { lsn, row } = entry;
    if (known === undefined || lsn > known.lsn) {
      rows.set(entry.rowKey, { lsn, row, partition, offset });
    } else if (row === undefined && followsLive) {
      // An old delete, repeated: the tombstone right behind it is as old.
      known.offset = offset + 1;
    }
    return;
  }
  // Its delete was compacted away. Should the row come once more as it was, it is there again.
  if (followsLive) {
    rows.set(entry.rowKey, { lsn: known.lsn - 1, row: undefined, partition, offset });
  }
}

function compare(name: string, model: DimensionModel): void {
  for (const [rowKey, { row }] of model.rows) {
    const stored = model.stored.get(storedKey(rowKey));
    const found = stored === undefined || stored.deleted ? undefined : stored.value;
    if (found === row?.value) continue;
    const expected = row === undefined ? 'no row' : JSON.stringify(row.value);
    throw new Violation(
      8,
      `the state has ${found === undefined ? 'no row' : JSON.stringify(found)} for ${name} ${rowKey} at ` +
        `${positionText(model.next)}, its changes make it ${expected}`,
    );
  }
}

function live(model: DimensionModel): LiveRows {
  const rows = new Map<string | number, SourceValue>();
  for (const [rowKey, { row }] of model.rows) if (row !== undefined) rows.set(rowKey, row);
  return rows;
}

function positionText(next: Iterable<readonly [string | number, string | number]>): string {
  return [...next]
    .map(([partition, offset]) => `${partition}:${offset}`)
    .toSorted()
    .join();
}

/** A primary key as the store has it: its kind, then its bytes. */
function storedKey(rowKey: string | number): string {
  if (typeof rowKey === 'string') return `\u0002${rowKey}`;
  const bytes = Buffer.alloc(9);
  bytes[0] = 1;
  bytes.writeBigUInt64BE(BigInt(rowKey) + (1n << 63n), 1);
  return bytes.toString('latin1');
}

function text(bytes: Uint8Array, start: number, end?: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString('utf8');
}
