import type { Canonical, ReplayedChange } from './envelope.ts';
import { UNAVAILABLE } from './envelope.ts';

/** Where a change stands in its topic, and the timestamp of its record in epoch ms. */
type Place = { partition: number; offset: bigint; timestampMs: number };

/** What a change made of a row; null where it was gone. */
type RowVersion = Place & { row: readonly Canonical[] | null };

export type DimensionShape = {
  joinKey: string;
  /** Columns that the table carries. */
  columns: readonly string[];
  /** Applied to join keys of rows, as to the stream's field. */
  normalise: (text: string) => string;
};

/**
 * All versions of a dimension's rows, so that the state at any position can be looked up: it is what the changes
 * below the position make of a row, one after the other, as if its partitions were one log in the order of their
 * records' timestamps. A row has changes in two partitions where its key changed its form or partitions were
 * added. Positions come in any order: of two processes in one group, one is ahead of the other.
 */
export type DimensionHistory = {
  take(change: ReplayedChange, place: Place): void;
  /** The join keys that the row of a change has had so far, and would have by it. */
  joinKeysOf(change: ReplayedChange): string[];
  /** The row that answers for the join key at this position: lowest primary key; undefined is a miss. */
  at(joinKey: string, next: ReadonlyMap<number, bigint>): readonly Canonical[] | undefined;
  readonly rowCount: number;
};

/** Without a log position, a row that an incremental snapshot read, or a tombstone. */
type PendingChange = RowVersion & { lsn: bigint | null };

/** Memory: one array a version; meant for dimensions of a few million rows. */
export function openDimensionHistory(shape: DimensionShape): DimensionHistory {
  const changes = new Map<string, PendingChange[]>();
  /** Of the rows that stand in one partition, which are nearly all. */
  const folded = new Map<string, readonly RowVersion[]>();
  const keysByJoinKey = new Map<string, Set<string>>();
  // The join key stands behind the carried columns.
  const names = [...shape.columns, shape.joinKey];
  const joinKeyAt = shape.columns.length;

  const rowAt = (rowKey: string, next: ReadonlyMap<number, bigint>) => {
    const all = changes.get(rowKey) ?? [];
    const isBelow = ({ partition, offset }: Place) => offset < (next.get(partition) ?? 0n);
    if (all.some(({ partition }) => partition !== all[0]?.partition)) {
      return fold(all.filter(isBelow).toSorted(byTime)).at(-1)?.row;
    }
    const versions = folded.get(rowKey) ?? fold(all);
    folded.set(rowKey, versions);
    return versions.findLast(isBelow)?.row;
  };
  const answer = (
    joinKey: string,
    next: ReadonlyMap<number, bigint>,
  ): readonly Canonical[] | undefined => {
    let lowest: { rowKey: string; row: readonly Canonical[] } | undefined;
    for (const rowKey of keysByJoinKey.get(joinKey) ?? []) {
      const row = rowAt(rowKey, next) ?? null;
      const own = row?.[joinKeyAt];
      if (row === null || own === null || own === undefined) continue;
      if (shape.normalise(own) !== joinKey) continue;
      if (lowest === undefined || isLower(rowKey, lowest.rowKey)) lowest = { rowKey, row };
    }
    return lowest?.row;
  };
  return {
    take({ rowKey, lsn, row }, { partition, offset, timestampMs }) {
      const values = row === null ? null : names.map((name) => row.get(name) ?? null);
      const list = changes.get(rowKey) ?? [];
      changes.set(rowKey, list);
      const own = list.filter((earlier) => earlier.partition === partition);
      const last = own.at(-1);
      // A tombstone that is not left alone says what the delete right before it has said.
      const isPaired = last?.row === null && last.lsn !== null && last.offset === offset - 1n;
      if (lsn === null && row === null && isPaired) return;
      // Within a partition the offset counts, whatever the clock did.
      const orderedMs = Math.max(timestampMs, last?.timestampMs ?? timestampMs);
      list.push({ lsn, partition, offset, timestampMs: orderedMs, row: values });
      folded.delete(rowKey);
      const joinKey = values?.[joinKeyAt];
      if (joinKey === null || joinKey === undefined) return;
      const normal = shape.normalise(joinKey);
      const keys = keysByJoinKey.get(normal) ?? new Set<string>();
      keysByJoinKey.set(normal, keys);
      keys.add(rowKey);
    },
    joinKeysOf({ rowKey, row }) {
      const earlier = (changes.get(rowKey) ?? []).map((change) => change.row?.[joinKeyAt]);
      return [...earlier, row?.get(shape.joinKey)].flatMap((joinKey) =>
        joinKey === null || joinKey === undefined ? [] : [shape.normalise(joinKey)],
      );
    },
    at: answer,
    get rowCount() {
      return changes.size;
    },
  };
}

function byTime(a: Place, b: Place): number {
  if (a.timestampMs !== b.timestampMs) return a.timestampMs - b.timestampMs;
  return a.partition === b.partition ? Number(a.offset - b.offset) : a.partition - b.partition;
}

/** What changes make of a row, one after the other. */
function fold(changes: readonly PendingChange[]): RowVersion[] {
  const versions: RowVersion[] = [];
  let current: RowVersion | undefined;
  /** The highest log position so far: a streamed change must exceed it. */
  let highest = -1n;
  /** After a tombstone the row as it was may come again. */
  let mayComeAgain = false;
  for (const change of changes) {
    const { lsn, partition, row } = change;
    if (lsn !== null) {
      if (lsn < highest || (lsn === highest && !mayComeAgain)) continue;
      highest = lsn;
    } else if (row === null) {
      // Another partition has another form of the key, of which a tombstone says nothing.
      if (current === undefined || current.row === null || current.partition !== partition)
        continue;
    }
    mayComeAgain = lsn === null && row === null;
    current = { ...change, row: withKeptValues(row, current?.row ?? null) };
    versions.push(current);
  }
  return versions;
}

function withKeptValues(
  row: readonly Canonical[] | null,
  before: readonly Canonical[] | null,
): readonly Canonical[] | null {
  if (row === null || !row.includes(UNAVAILABLE)) return row;
  return row.map((cell, i) => (cell === UNAVAILABLE ? (before?.[i] ?? null) : cell));
}

/** Whole numbers by size, all else by code points. */
function isLower(a: string, b: string): boolean {
  const whole = /^-?\d+$/;
  if (whole.test(a) && whole.test(b)) return BigInt(a) < BigInt(b);
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
}
