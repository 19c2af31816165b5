import type { Canonical, ReplayedChange } from './envelope.ts';
import { UNAVAILABLE } from './envelope.ts';

/** Where a change stands in its topic. */
type Place = { partition: number; offset: bigint };

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
 * All versions of a dimension's rows, so that the state at any position can be looked up: it is, for each
 * primary key, the change with the highest log position among those below the position. A row that an
 * incremental snapshot read, and a tombstone without its delete, stand right after all changes before them in
 * their partition. Positions come in any order: of two processes in one group, one is ahead of the other.
 */
export type DimensionHistory = {
  take(change: ReplayedChange, place: Place): void;
  /** The row that answers for the join key at this position: lowest primary key; undefined is a miss. */
  at(joinKey: string, next: ReadonlyMap<number, bigint>): readonly Canonical[] | undefined;
  readonly rowCount: number;
};

/** `ranked` is where the change stands among those of its row; `isStreamed` that this is its own log position. */
type PendingChange = RowVersion & { ranked: bigint; isStreamed: boolean };

/** Memory: one array a version; meant for dimensions of a few million rows. */
export function openDimensionHistory(shape: DimensionShape): DimensionHistory {
  const changes = new Map<string, PendingChange[]>();
  const folded = new Map<string, readonly RowVersion[]>();
  const keysByJoinKey = new Map<string, Set<string>>();
  // The join key stands behind the carried columns.
  const names = [...shape.columns, shape.joinKey];
  const joinKeyAt = shape.columns.length;

  const versionsOf = (rowKey: string): readonly RowVersion[] => {
    const known = folded.get(rowKey);
    if (known !== undefined) return known;
    const versions = fold(changes.get(rowKey) ?? []);
    folded.set(rowKey, versions);
    return versions;
  };
  const answer = (
    joinKey: string,
    next: ReadonlyMap<number, bigint>,
  ): readonly Canonical[] | undefined => {
    let lowest: { rowKey: string; row: readonly Canonical[] } | undefined;
    for (const rowKey of keysByJoinKey.get(joinKey) ?? []) {
      const row = versionAt(versionsOf(rowKey), next)?.row ?? null;
      const own = row?.[joinKeyAt];
      if (row === null || own === null || own === undefined) continue;
      if (shape.normalise(own) !== joinKey) continue;
      if (lowest === undefined || isLower(rowKey, lowest.rowKey)) lowest = { rowKey, row };
    }
    return lowest?.row;
  };
  return {
    take({ rowKey, lsn, row }, { partition, offset }) {
      const values = row === null ? null : names.map((name) => row.get(name) ?? null);
      const list = changes.get(rowKey) ?? [];
      changes.set(rowKey, list);
      const own = list.filter((earlier) => earlier.partition === partition);
      const last = own.at(-1);
      // A tombstone that is not left alone says what the delete right before it has said.
      const isPaired = last?.row === null && last.isStreamed && last.offset === offset - 1n;
      if (lsn === null && row === null && (last === undefined || isPaired)) return;
      const ranked = lsn ?? own.reduce((high, earlier) => max(high, earlier.ranked), 0n);
      list.push({ ranked, isStreamed: lsn !== null, partition, offset, row: values });
      folded.delete(rowKey);
      const joinKey = values?.[joinKeyAt];
      if (joinKey === null || joinKey === undefined) return;
      const normal = shape.normalise(joinKey);
      const keys = keysByJoinKey.get(normal) ?? new Set<string>();
      keysByJoinKey.set(normal, keys);
      keys.add(rowKey);
    },
    at: answer,
    get rowCount() {
      return changes.size;
    },
  };
}

/** In the order of log positions; a change that is told twice counts where it stands first. */
function fold(changes: readonly PendingChange[]): RowVersion[] {
  const versions: RowVersion[] = [];
  let current: RowVersion | undefined;
  // The log position that a streamed change must exceed; the row as it was may come again after a tombstone.
  let position = -1n;
  for (const change of changes.toSorted((a, b) => Number(a.ranked - b.ranked))) {
    if (change.isStreamed && change.ranked <= position) continue;
    const { partition, offset } = change;
    current = { partition, offset, row: withKeptValues(change.row, current?.row ?? null) };
    versions.push(current);
    if (change.isStreamed) position = change.ranked;
    else if (change.row === null) position = change.ranked - 1n;
  }
  return versions;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function withKeptValues(
  row: readonly Canonical[] | null,
  before: readonly Canonical[] | null,
): readonly Canonical[] | null {
  if (row === null || !row.includes(UNAVAILABLE)) return row;
  return row.map((cell, i) => (cell === UNAVAILABLE ? (before?.[i] ?? null) : cell));
}

function versionAt(
  versions: readonly RowVersion[],
  next: ReadonlyMap<number, bigint>,
): RowVersion | undefined {
  return versions.findLast(({ partition, offset }) => offset < (next.get(partition) ?? 0n));
}

/** Whole numbers by size, all else by code points. */
function isLower(a: string, b: string): boolean {
  const whole = /^-?\d+$/;
  if (whole.test(a) && whole.test(b)) return BigInt(a) < BigInt(b);
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
}
