import type { Canonical, ReplayedChange } from './envelope.ts';
import { UNAVAILABLE } from './envelope.ts';

/** What a row of a dimension was, from one commit on; null where it was gone. */
type RowVersion = { visibleAt: number; row: readonly Canonical[] | null };

export type DimensionShape = {
  joinKey: string;
  /** Columns that the table carries. */
  columns: readonly string[];
  /** Applied to join keys of rows, as to the stream's field. */
  normalise: (text: string) => string;
};

/**
 * All versions of a dimension's rows, so that any commit's state can be looked up: the state of commit c
 * is, for each primary key, the change with the highest log position among those visible at c.
 */
export type DimensionHistory = {
  /** `visibleAt` is the index of the first commit whose recorded position lies beyond the record. */
  take(change: ReplayedChange, visibleAt: number): void;
  /** The row that answers for the join key at this commit: lowest primary key; undefined is a miss. */
  at(joinKey: string, commit: number): readonly Canonical[] | undefined;
  /** Every row that answered for the join key after this commit, oldest first. */
  after(joinKey: string, commit: number): (readonly Canonical[])[];
  readonly rowCount: number;
};

type PendingChange = { lsn: bigint; visibleAt: number; row: readonly Canonical[] | null };

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
  const answer = (joinKey: string, commit: number): readonly Canonical[] | undefined => {
    let lowest: { rowKey: string; row: readonly Canonical[] } | undefined;
    for (const rowKey of keysByJoinKey.get(joinKey) ?? []) {
      const row = versionAt(versionsOf(rowKey), commit)?.row ?? null;
      const own = row?.[joinKeyAt];
      if (row === null || own === null || own === undefined) continue;
      if (shape.normalise(own) !== joinKey) continue;
      if (lowest === undefined || isLower(rowKey, lowest.rowKey)) lowest = { rowKey, row };
    }
    return lowest?.row;
  };
  return {
    take({ rowKey, lsn, row }, visibleAt) {
      const values = row === null ? null : names.map((name) => row.get(name) ?? null);
      const list = changes.get(rowKey) ?? [];
      changes.set(rowKey, list);
      list.push({ lsn, visibleAt, row: values });
      folded.delete(rowKey);
      const joinKey = values?.[joinKeyAt];
      if (joinKey === null || joinKey === undefined) return;
      const normal = shape.normalise(joinKey);
      const keys = keysByJoinKey.get(normal) ?? new Set<string>();
      keysByJoinKey.set(normal, keys);
      keys.add(rowKey);
    },
    at: answer,
    after(joinKey, commit) {
      const keys = [...(keysByJoinKey.get(joinKey) ?? [])];
      const commits = new Set(keys.flatMap((key) => versionsOf(key).map((v) => v.visibleAt)));
      const rows: (readonly Canonical[])[] = [];
      for (const visibleAt of [...commits].toSorted((a, b) => a - b)) {
        const row = visibleAt > commit ? answer(joinKey, visibleAt) : undefined;
        if (row !== undefined) rows.push(row);
      }
      return rows;
    },
    get rowCount() {
      return changes.size;
    },
  };
}

/** Applies changes by log position; one that is not newer changes nothing. */
function fold(changes: readonly PendingChange[]): RowVersion[] {
  const versions: RowVersion[] = [];
  let current: PendingChange | undefined;
  for (const change of changes.toSorted((a, b) => a.visibleAt - b.visibleAt)) {
    if (current !== undefined && change.lsn <= current.lsn) continue;
    const row = withKeptValues(change.row, current?.row ?? null);
    current = { ...change, row };
    if (versions.at(-1)?.visibleAt === change.visibleAt) versions.pop();
    versions.push({ visibleAt: change.visibleAt, row });
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

function versionAt(versions: readonly RowVersion[], commit: number): RowVersion | undefined {
  let found: RowVersion | undefined;
  for (const version of versions) {
    if (version.visibleAt > commit) break;
    found = version;
  }
  return found;
}

/** Whole numbers by size, all else by code points. */
function isLower(a: string, b: string): boolean {
  const whole = /^-?\d+$/;
  if (whole.test(a) && whole.test(b)) return BigInt(a) < BigInt(b);
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
}
