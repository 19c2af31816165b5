import type { Extent } from './file-claims.ts';
import { place, type Account, type Placing } from './offset-account.ts';
import type { RecordedCommit } from './recorded.ts';
import type { Findings } from './report.ts';
import type { ScannedBlock } from './scan-rows.ts';
import { nameOf } from './verify-commits.ts';

/** Whose rows a file has; without a commit (it expired, or the file was rewritten) they may be of several. */
export type FileOwner = { accounts: readonly Account[]; commit: RecordedCommit | undefined };

export type Taker = {
  /** Takes the live rows that some account may answer for; how many they were. */
  block(block: ScannedBlock, accountsOf: (row: number) => readonly Account[]): number;
  extents: ReadonlyMap<string, Extent>;
};

/** Puts the rows of one file into the accounts, and tells what does not fit. */
export function openTaker(into: {
  as: 'rows' | 'rejects';
  owner: FileOwner;
  findings: Findings;
  location: string;
}): Taker {
  const { as, owner, findings, location } = into;
  const claimed = claimedRanges(owner.commit);
  const extents = { partition: emptyExtent(), offset: emptyExtent() };
  return {
    extents: new Map([
      ['_kafka_partition', extents.partition],
      ['_kafka_offset', extents.offset],
    ]),
    block(block, accountsOf) {
      const partitions = block.column('_kafka_partition');
      const offsets = block.column('_kafka_offset');
      let taken = 0;
      for (let row = 0; row < block.rowCount; row += 1) {
        const accounts = block.isLive(row) ? accountsOf(row) : [];
        if (accounts.length === 0) continue;
        const at = { partition: Number(partitions[row]), offset: Number(offsets[row]) };
        taken += 1;
        widen(extents.partition, at.partition);
        widen(extents.offset, at.offset);
        const example = (): string => `${placeOf(at)} in ${location}`;
        const range = claimed?.get(at.partition);
        if (claimed !== undefined && !(range !== undefined && isWithin(range, at.offset))) {
          const commit = owner.commit === undefined ? '' : `, of ${nameOf(owner.commit)}`;
          findings.add(`${as} outside the range of their commit`, () => example() + commit);
        }
        const { placing, account } = place(accounts, as, at);
        if (placing !== 'added') findings.add(MISPLACED[as][placing], example);
        else if (as === 'rejects' && account?.rows.has(at.offset) === true) {
          findings.add('both row and reject', example);
        }
      }
      return taken;
    },
  };
}

const MISPLACED = {
  rows: {
    again: 'doubled rows',
    before: 'rows before the first offset taken',
    beyond: 'rows at or beyond the position',
  },
  rejects: {
    again: 'doubled rejects',
    before: 'rejects before the first offset taken',
    beyond: 'rejects at or beyond the position',
  },
} as const satisfies Record<string, Record<Exclude<Placing, 'added'>, string>>;

type NumberRange = { start: number; end: number };

function claimedRanges(commit: RecordedCommit | undefined): Map<number, NumberRange> | undefined {
  if (commit === undefined) return undefined;
  return new Map(
    [...commit.ranges].map(([partition, { start, end }]) => [
      partition,
      { start: Number(start), end: Number(end) },
    ]),
  );
}

function isWithin({ start, end }: NumberRange, offset: number): boolean {
  return offset >= start && offset < end;
}

function emptyExtent(): Extent {
  return { min: Infinity, max: -Infinity };
}

function widen(extent: Extent, value: number): void {
  if (value < extent.min) extent.min = value;
  if (value > extent.max) extent.max = value;
}

function placeOf({ partition, offset }: { partition: number; offset: number }): string {
  return `partition ${partition}, offset ${offset}`;
}
