import type { Snapshot, TableMetadata } from './table-metadata.ts';

/** The current snapshot (the head of `main`), or undefined for a table that has none. */
export function headSnapshot(metadata: TableMetadata): Snapshot | undefined {
  const headId = metadata.currentSnapshotId;
  if (headId === undefined) return undefined;
  return metadata.snapshots.find((snapshot) => snapshot.snapshotId === headId);
}

/**
 * The head and its ancestors, newest first. The walk ends at the first snapshot without a parent or
 * where the parent has been expired, and visits no snapshot twice: metadata with a cycle cannot
 * hold it up. Source: Iceberg table spec, "Snapshots" (`parent-snapshot-id`).
 */
export function* ancestors(metadata: TableMetadata): Generator<Snapshot, void, void> {
  const unvisited = new Map(metadata.snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]));
  let nextId = metadata.currentSnapshotId;
  while (nextId !== undefined) {
    const snapshot = unvisited.get(nextId);
    if (snapshot === undefined) return;
    unvisited.delete(nextId);
    yield snapshot;
    nextId = snapshot.parentSnapshotId;
  }
}
