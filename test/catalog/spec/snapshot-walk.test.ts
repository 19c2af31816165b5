import { describe, expect, test } from 'vitest';
import { newTableMetadata } from '../../../catalog/spec/new-table.ts';
import { ancestors, headSnapshot } from '../../../catalog/spec/snapshot-walk.ts';
import type { TableMetadata } from '../../../catalog/spec/table-metadata.ts';
import { tableRequest } from '../rest/table-requests.ts';

const empty = newTableMetadata(tableRequest({ namespace: ['a'], name: 't' }), {
  location: 'memory://lake/a/t',
  tableUuid: 'u',
  nowMs: 0,
});

/** A table of snapshots given as [id, parent]; the head is named. */
function history(headId: bigint, links: readonly (readonly [bigint, bigint?])[]): TableMetadata {
  return {
    ...empty,
    currentSnapshotId: headId,
    snapshots: links.map(([snapshotId, parentSnapshotId]) => ({
      snapshotId,
      ...(parentSnapshotId === undefined ? {} : { parentSnapshotId }),
      sequenceNumber: 1n,
      timestampMs: 0,
      manifestList: '',
      summary: {},
    })),
  };
}

const walked = (metadata: TableMetadata): bigint[] =>
  [...ancestors(metadata)].map((snapshot) => snapshot.snapshotId);

describe('walking the snapshots', () => {
  test('a table without snapshots has no head and no ancestors', () => {
    expect(headSnapshot(empty)).toBeUndefined();
    expect(walked(empty)).toEqual([]);
  });

  test('the walk starts at the head and goes to the first snapshot, past other branches', () => {
    const metadata = history(3n, [[1n], [2n, 1n], [9n, 1n], [3n, 2n]]);
    expect(headSnapshot(metadata)?.snapshotId).toBe(3n);
    expect(walked(metadata)).toEqual([3n, 2n, 1n]);
  });

  test('the walk ends where a parent has been expired', () => {
    expect(walked(history(4n, [[4n, 3n], [3n, 2n], [1n]]))).toEqual([4n, 3n]);
  });

  test('a head that the server does not show is no snapshot', () => {
    const metadata = history(5n, [[1n]]);
    expect(headSnapshot(metadata)).toBeUndefined();
    expect(walked(metadata)).toEqual([]);
  });

  test('a cycle in corrupt metadata is walked once', () => {
    expect(
      walked(
        history(2n, [
          [1n, 2n],
          [2n, 1n],
        ]),
      ),
    ).toEqual([2n, 1n]);
  });
});
